"""JPEG files of 50,000 to 100,000 bytes, stored as they are."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks import data
from benchmarks.job import Job
from benchmarks.measure import Result, timed
from benchmarks.peers.base import Batches, decode
from benchmarks.workloads.fixed import singles

BATCH = 32
WARM_UP = 64


def prepare(peer: Any, job: Job) -> Result:
    files = data.jpegs(job.sizes.jpeg)
    peer.write_jpeg(f"{job.store}/jpeg", files)
    return Result(len(files), "images")


def extend(peer: Any, job: Job) -> Result:
    files = data.jpegs(job.sizes.jpeg)
    peer.write_jpeg(f"{job.scratch}/warm", files[:WARM_UP])
    begin = time.perf_counter()
    peer.write_jpeg(f"{job.scratch}/jpeg", files)
    return Result(len(files) / (time.perf_counter() - begin), "images/s")


def _images(batch: Any) -> Any:
    return batch["images"] if isinstance(batch, Mapping) else batch


def _check(batches: Batches, job: Job, *, shuffled: bool) -> None:
    """Look at one batch; an untimed epoch would double the time of the slowest workload of all."""
    files = data.jpegs(BATCH)
    images = _images(next(iter(batches())))
    first = np.asarray(images[0])
    assert first.shape == data.JPEG_SHAPE
    assert first.dtype == np.uint8
    # Decoders differ by a grey level here and there.
    assert shuffled or np.abs(first.astype(int) - decode(files[0])).mean() < 2


def _rate(batches: Batches, job: Job) -> float:
    def once() -> int:
        count = sum(len(_images(batch)) for batch in batches())
        assert count == job.sizes.jpeg
        return count

    return timed(once, passes=2)


def epoch(peer: Any, job: Job) -> Result:
    batches = peer.epoch_jpeg(f"{job.store}/jpeg", BATCH)
    _check(batches, job, shuffled=False)
    return Result(_rate(batches, job), "images/s")


def shuffled(peer: Any, job: Job) -> Result:
    batches = peer.shuffled_jpeg(f"{job.store}/jpeg", BATCH)
    _check(batches, job, shuffled=True)
    return Result(_rate(batches, job), "images/s")


def single(peer: Any, job: Job) -> Result:
    take = peer.single_jpeg(f"{job.store}/jpeg")
    files = data.jpegs(job.sizes.jpeg)
    rows = data.random_rows(len(files), 200_000).tolist()
    assert bytes(take(rows[0])) == files[rows[0]]
    return Result(singles(take, rows), "samples/s")
