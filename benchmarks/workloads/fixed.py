"""Small samples of one shape: (n, 32, 32, 3) uint8 with labels."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks import data
from benchmarks.job import Job
from benchmarks.measure import Result, peak_bytes, timed
from benchmarks.peers.base import Batches

BATCH = 256
# Rows of the untimed writes and reads before the timed ones: thread pools start, code is loaded.
WARM_UP = 512


def prepare(peer: Any, job: Job) -> Result:
    images, labels = data.fixed(job.sizes.fixed)
    peer.write_fixed(f"{job.store}/fixed", images, labels)
    return Result(len(images), "rows")


def extend(peer: Any, job: Job) -> Result:
    images, labels = data.fixed(job.sizes.fixed)
    peer.write_fixed(f"{job.scratch}/warm", images[:WARM_UP], labels[:WARM_UP])
    begin = time.perf_counter()
    peer.write_fixed(f"{job.scratch}/fixed", images, labels)
    return Result(len(images) / (time.perf_counter() - begin), "rows/s")


def append(peer: Any, job: Job) -> Result:
    images, labels = data.fixed(job.sizes.fixed)
    peer.append_fixed(f"{job.scratch}/warm", images[:WARM_UP], labels[:WARM_UP])
    before = peak_bytes()
    begin = time.perf_counter()
    peer.append_fixed(f"{job.scratch}/fixed", images, labels)
    took = time.perf_counter() - begin
    return Result(len(images) / took, "rows/s", {"grown MB": (peak_bytes() - before) / 1e6})


def columns(batch: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels of a batch, whatever a peer wraps them in."""
    if isinstance(batch, Mapping):
        batch = batch["images"], batch["labels"]
    return np.asarray(batch[0]), np.asarray(batch[1])


def _check(batches: Batches, job: Job, *, shuffled: bool) -> None:
    """Run one untimed epoch and compare it with the data: a peer that skips or spoils rows must not look fast."""
    images, labels = data.fixed(job.sizes.fixed)
    rows = total = 0
    for batch in batches():
        some, theirs = columns(batch)
        if rows == 0 and not shuffled:
            np.testing.assert_array_equal(some.reshape(-1, *data.FIXED_SHAPE), images[: len(some)])
        assert len(some) == theirs.size
        rows += len(some)
        total += int(theirs.sum())
    assert (rows, total) == (len(images), int(labels.sum()))


def _epoch(batches: Batches) -> int:
    rows = 0
    for batch in batches():
        rows += len(batch["labels"] if isinstance(batch, Mapping) else batch[1])
    return rows


def _measured(batches: Batches, job: Job, *, shuffled: bool) -> Result:
    """Return the rate of later epochs; the first one of the process, which fills caches, is told beside it."""
    # Loaded here, lest the first epoch of whoever imports it late pays for it.
    import torch  # noqa: F401

    begin = time.perf_counter()
    first = _epoch(batches) / (time.perf_counter() - begin)
    _check(batches, job, shuffled=shuffled)
    return Result(timed(lambda: _epoch(batches)), "rows/s", {"first epoch": first})


def epoch(peer: Any, job: Job) -> Result:
    return _measured(peer.epoch_fixed(f"{job.store}/fixed", BATCH), job, shuffled=False)


def shuffled(peer: Any, job: Job) -> Result:
    return _measured(peer.shuffled_fixed(f"{job.store}/fixed", BATCH), job, shuffled=True)


def gather(peer: Any, job: Job) -> Result:
    take = peer.gather_fixed(f"{job.store}/fixed")
    images, _ = data.fixed(job.sizes.fixed)
    rows = data.random_rows(len(images), 100 * BATCH).reshape(-1, BATCH)
    np.testing.assert_array_equal(np.asarray(take(rows[0])).reshape(-1, *data.FIXED_SHAPE), images[rows[0]])

    def once() -> int:
        for some in rows:
            take(some)
        return rows.size

    # The first pass meets every chunk for the first time: the table is about a warm page cache and warm checksums.
    timed(once, seconds=0.2)
    return Result(timed(once), "rows/s")


def single(peer: Any, job: Job) -> Result:
    take = peer.single_fixed(f"{job.store}/fixed")
    images, _ = data.fixed(job.sizes.fixed)
    rows = data.random_rows(len(images), 200_000).tolist()
    np.testing.assert_array_equal(np.asarray(take(rows[0])).reshape(data.FIXED_SHAPE), images[rows[0]])
    return Result(singles(take, rows), "samples/s")


def singles(take: Any, rows: list[int], seconds: float = 1.0) -> float:
    """Return single reads per second; `rows` are walked for about `seconds`, after as many untimed ones."""
    for limit in (seconds / 2, seconds):
        done = 0
        begin = time.perf_counter()
        while (took := time.perf_counter() - begin) < limit and done < len(rows):
            for row in rows[done : done + 100]:
                take(row)
            done = min(len(rows), done + 100)
        rate = done / (took if done < len(rows) else time.perf_counter() - begin)
    return rate
