"""What versions cost: small commits, many random changes, merging, the log, and requests where they are counted."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import data
from benchmarks.job import Job
from benchmarks.measure import Result
from benchmarks.workloads.commits import ROWS, _usage

COMMITS, QUICK, FIRST = 300, 60, 10
"""Commits that are timed, behind a few that load code and fill caches."""
NUMBERS, CHANGED, REPEATS = 100_000, 10_000, 3
MERGED, LOGGED = 1_000_000, 10_000


def commit(peer: Any, job: Job) -> Result:
    """Commit 100 appended images again and again; the value is the median of milliseconds."""
    return _commits(peer, job, False)


def labelled(peer: Any, job: Job) -> Result:
    """Commit 100 appended images and their labels."""
    return _commits(peer, job, True)


def _commits(peer: Any, job: Job, labelled: bool) -> Result:
    images, labels = data.fixed(job.sizes.fixed)
    folder, count = Path(job.scratch) / "commits", QUICK if job.quick else COMMITS
    run = peer.committer(str(folder), labelled)
    took = []
    before = (0, 0)
    for number in range(-FIRST, count):
        if number == 0:
            before = _usage(folder)
        at = (number + FIRST) * ROWS % (len(images) - ROWS)
        begin = time.perf_counter()
        run(images[at : at + ROWS], labels[at : at + ROWS])
        took.append(time.perf_counter() - begin)
    files, size = (after - was for after, was in zip(_usage(folder), before, strict=True))
    payload = ROWS * (images[0].nbytes + (labels[0].nbytes if labelled else 0))
    milliseconds = sorted(1e3 * seconds for seconds in took[FIRST:])
    extra = {
        "bytes beyond": size / count - payload,
        "files": files / count,
        "fastest tenth": milliseconds[count // 10],
        "mean": statistics.fmean(milliseconds),
    }
    return Result(statistics.median(milliseconds), "ms", extra)


def _changes(peer: Any, job: Job, change: str, payload: int) -> Result:
    """Change random rows and commit, several times over; the value is the median of seconds, once it reads right."""
    folder = Path(job.scratch) / "numbers"
    expected = np.arange(NUMBERS)
    column = peer.numbers(str(folder), expected.copy())
    rng = np.random.default_rng(0)
    took, beyond = [], []
    for _ in range(REPEATS):
        rows = rng.choice(len(expected), CHANGED, replace=False)
        values = rng.integers(0, 1 << 40, CHANGED)
        arguments = (rows,) if change == "remove" else (rows, values)
        before = _usage(folder)[1]
        begin = time.perf_counter()
        getattr(column, change)(*arguments)
        took.append(time.perf_counter() - begin)
        beyond.append(_usage(folder)[1] - before - payload)
        if change == "remove":
            expected = np.delete(expected, rows)
        else:
            expected[rows] = values
        assert np.array_equal(column.read(), expected)
    return Result(statistics.median(took), "s", {"bytes beyond": statistics.median(beyond), "last": took[-1]})


def update(peer: Any, job: Job) -> Result:
    """Give 10,000 random rows new values in one call."""
    return _changes(peer, job, "update", 8 * CHANGED)


def update_each(peer: Any, job: Job) -> Result:
    """Give 10,000 random rows new values, each in a call of its own."""
    return _changes(peer, job, "update_each", 8 * CHANGED)


def remove(peer: Any, job: Job) -> Result:
    """Remove 10,000 random rows."""
    return _changes(peer, job, "remove", 0)


def _recorded(peer: Any, path: str) -> tuple[Any, Any]:
    """Open a dataset through a store that counts."""
    from zlake.dataset.dataset import Dataset
    from zlake.session.opening import make_context, open_session, store_at
    from zlake.testing import FaultStore

    context = make_context(durable=peer.options.durable)
    store = FaultStore(store_at(path, None, context))
    ds = Dataset(open_session(store, context, None, None))
    store.recorder.clear()
    return ds, store.recorder


def merge(peer: Any, job: Job) -> Result:
    """Merge two branches of a million rows, 1,000 others of which were changed on each."""
    path = f"{job.scratch}/merged"
    expected = np.arange(MERGED)
    column = peer.numbers(path, expected.copy())
    rows = np.random.default_rng(0).permutation(MERGED)[:2000]
    for branch, mine in (("other", rows[:1000]), ("main", rows[1000:])):
        column.ds.checkout(branch, create=branch == "other")
        column.update(mine, -mine - 1)
    expected[rows] = -rows - 1
    ds, recorder = _recorded(peer, path)
    begin = time.perf_counter()
    ds.merge("other")
    took = time.perf_counter() - begin
    moved = recorder.count(key=lambda key: "/values-" in key)
    assert np.array_equal(ds["values"].numpy().reshape(-1), expected)
    return Result(took, "s", {"sample objects": moved})


def log(peer: Any, job: Job) -> Result:
    """Read the log of 10,000 commits that a fresh session has opened."""
    path = f"{job.scratch}/logged"
    ds = peer.zlake.empty(path, durable=False)
    for number in range(LOGGED):
        ds.commit(f"number {number}", allow_empty=True)
    ds, recorder = _recorded(peer, path)
    begin = time.perf_counter()
    found = ds.commits
    took = time.perf_counter() - begin
    assert len(found) == LOGGED
    return Result(took, "s", {"reads": recorder.count()})


def requests(peer: Any, job: Job) -> Result:
    """Count what single operations ask of the store; the value is that of a commit: all requests, pages left out."""
    images, _ = data.fixed(job.sizes.fixed)
    path = f"{job.scratch}/requests"
    run = peer.committer(path, False)
    for _ in range(20):
        run(images[:ROWS], images)
    ds, recorder = _recorded(peer, path)

    def counted(call: Callable[[], Any], *names: str) -> int:
        recorder.clear()
        call()
        return recorder.count(*names, key=lambda key: not key.startswith("pages/"))

    def one_commit() -> None:
        with ds:
            ds.extend({"images": images[:ROWS]})
            ds.commit("a hundred more")

    first = ds.commits[-1]["commit"]
    commits = counted(one_commit)
    extra = {
        "tag, writes": counted(lambda: ds.tag("v1"), "create", "swap"),
        "tag of a past commit, writes": counted(lambda: ds.tag("v0", first), "create", "swap"),
        "branch, writes": counted(lambda: ds.checkout("other", create=True), "create", "swap"),
    }
    for what, address in (("branch", "other"), ("commit", first), ("tag", "v1")):
        ds, recorder = _recorded(peer, path)
        extra[f"checkout of a {what}"] = counted(lambda ds=ds, address=address: ds.checkout(address))
    return Result(float(commits), "requests", extra)
