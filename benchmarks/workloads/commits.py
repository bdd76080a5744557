"""Many small commits, and many small durable appends."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.job import Job
from benchmarks.measure import Result, timed, written_bytes
from benchmarks.workloads.fixed import BATCH, _epoch

ROWS = 100
# Commits whose cost is reported: the median of the `WINDOW` that end there (the first: that follow it).
MARKS = (1, 100, 1_000, 10_000)
WINDOW = 9
OURS, PEERS, QUICK = 10_000, 1_000, 100
SINGLES, QUICK_SINGLES = 10_000, 300


def _files(folder: Path) -> Iterator[int]:
    """Yield the size of every file below `folder`, bytes."""
    stack = [str(folder)]
    while stack:
        with os.scandir(stack.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
                else:
                    yield entry.stat(follow_symlinks=False).st_size


def _usage(folder: Path) -> tuple[int, int]:
    sizes = list(_files(folder))
    return len(sizes), sum(sizes)


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def hundred(peer: Any, job: Job) -> Result:
    """Commit 100 appended rows again and again; the value is the last mark's milliseconds over the first one's."""
    images, labels = data.fixed(job.sizes.fixed)
    folder = Path(job.scratch) / "commits"
    commit = peer.committer(str(folder))
    last = QUICK if job.quick else OURS if job.module == "zlake" else PEERS
    marks: dict[str, dict[str, float]] = {}
    window: list[tuple[float, float, float]] = []
    for number in range(1, last + 1):
        at = number * ROWS % (len(images) - ROWS)
        due = next(mark for mark in MARKS if mark >= number or mark >= last)
        # The first mark's window follows it, since nothing comes before; its very first commit also loads code.
        measured = number <= 1 + WINDOW or number > due - WINDOW
        files, size = _usage(folder) if measured else (0, 0)
        begin = time.perf_counter()
        commit(images[at : at + ROWS], labels[at : at + ROWS])
        took = time.perf_counter() - begin
        if measured and number > 1:
            after_files, after_size = _usage(folder)
            window.append((took * 1e3, after_size - size, after_files - files))
        if number == 1 + WINDOW or (number == due and number > 1 + WINDOW):
            name = "1" if number == 1 + WINDOW else str(number)
            milliseconds, size_each, files_each = (_middle(list(column)) for column in zip(*window, strict=True))
            marks[name] = {"ms": milliseconds, "bytes": size_each, "files": files_each}
            window = []
    first, final = marks["1"], marks[str(last)]
    return Result(final["ms"] / first["ms"], "× of the first", {"bytes ×": final["bytes"] / first["bytes"], **marks})


def single_rows(peer: Any, job: Job) -> Result:
    """Append rows one by one, each durable; then read them all in order, beside the same rows written at once.

    Where there is a compaction they are read once more after it.
    """
    count = QUICK_SINGLES if job.quick else SINGLES
    images, labels = (array[:count] for array in data.fixed())
    bulk = f"{job.scratch}/bulk"
    peer.write_fixed(bulk, images, labels)
    path = f"{job.scratch}/singles"
    before = written_bytes()
    begin = time.perf_counter()
    peer.write_single_rows(path, images, labels)
    took = time.perf_counter() - begin
    payload = images.nbytes + labels.nbytes
    extra: dict[str, Any] = {
        "written ×": (written_bytes() - before) / payload,
        "on disk ×": _usage(Path(path))[1] / payload,
        "files": _usage(Path(path))[0],
    }
    if hasattr(peer, "extents"):
        extra["extents"] = peer.extents(path)
    rates = []
    for where in (bulk, path):
        batches = peer.epoch_fixed(where, BATCH)
        assert _epoch(batches) == count
        rates.append(timed(lambda batches=batches: _epoch(batches)))
    extra["bulk / singles read"] = rates[0] / rates[1]
    if hasattr(peer, "optimize"):
        begin = time.perf_counter()
        extra["extents after"] = peer.optimize(path)
        extra["optimize s"] = time.perf_counter() - begin
        batches = peer.epoch_fixed(path, BATCH)
        assert _epoch(batches) == count
        extra["bulk / optimized read"] = rates[0] / timed(lambda: _epoch(batches))
    return Result(count / took, "rows/s", extra)
