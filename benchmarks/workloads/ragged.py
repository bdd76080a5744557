"""Float32 rows of 10 to 500 elements."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks import data
from benchmarks.job import Job
from benchmarks.measure import Result, timed
from benchmarks.peers.base import Batches
from benchmarks.workloads.fixed import BATCH, WARM_UP, singles

# Random rows read in batches.
RANDOM = 5_000


def prepare(peer: Any, job: Job) -> Result:
    rows = data.ragged(job.sizes.ragged)
    peer.write_ragged(f"{job.store}/ragged", rows)
    return Result(len(rows), "rows")


def extend(peer: Any, job: Job) -> Result:
    rows = data.ragged(job.sizes.ragged)
    peer.write_ragged(f"{job.scratch}/warm", rows[:WARM_UP])
    begin = time.perf_counter()
    peer.write_ragged(f"{job.scratch}/ragged", rows)
    return Result(len(rows) / (time.perf_counter() - begin), "rows/s")


def _check(batches: Batches, job: Job) -> None:
    expected = data.ragged(job.sizes.ragged)
    count = 0
    for batch in batches():
        for mine, theirs in zip(batch, expected[count : count + len(batch)], strict=True):
            np.testing.assert_array_equal(np.asarray(mine), theirs)
        count += len(batch)
    assert count == len(expected)


def _rate(batches: Batches) -> float:
    return timed(lambda: sum(len(batch) for batch in batches()))


def epoch(peer: Any, job: Job) -> Result:
    batches = peer.epoch_ragged(f"{job.store}/ragged", BATCH)
    _check(batches, job)
    return Result(_rate(batches), "rows/s")


def whole(peer: Any, job: Job) -> Result:
    batches = peer.whole_ragged(f"{job.store}/ragged")
    _check(batches, job)
    return Result(_rate(batches), "rows/s")


def gather(peer: Any, job: Job) -> Result:
    take = peer.gather_ragged(f"{job.store}/ragged")
    expected = data.ragged(job.sizes.ragged)
    rows = data.random_rows(len(expected), RANDOM)
    batches = [rows[start : start + BATCH] for start in range(0, RANDOM, BATCH)]
    for mine, row in zip(take(batches[0]), batches[0].tolist(), strict=True):
        np.testing.assert_array_equal(np.asarray(mine), expected[row])

    def once() -> int:
        return sum(len(take(some)) for some in batches)

    timed(once, seconds=0.2)
    return Result(timed(once), "rows/s")


def single(peer: Any, job: Job) -> Result:
    take = peer.single_ragged(f"{job.store}/ragged")
    expected = data.ragged(job.sizes.ragged)
    rows = data.random_rows(len(expected), 200_000).tolist()
    np.testing.assert_array_equal(np.asarray(take(rows[0])), expected[rows[0]])
    return Result(singles(take, rows), "samples/s")
