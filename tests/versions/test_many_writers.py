"""Many processes write one branch at a time, on files, S3 and GCS: nothing is lost, nothing doubled, all finish.

Each appends rows whose values are known, changes some of its own, and brings others by branches of its own.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zlake
from tests.scale import SCALE, times
from zlake.context import Context
from zlake.versions import protocol

SPAWN = multiprocessing.get_context("spawn")
ROWS = 5
AUTOMATIC = "Auto commit before "


class Here:
    """Where the processes wait for each other: a barrier reaches a process of a pool when it begins, or never."""

    barrier: Any = None


def wait_at(barrier: Any) -> None:
    Here.barrier = barrier


@dataclass
class Told:
    """What a process says that it has done.

    Attributes
    ----------
    values
        The value that each of its rows must have, by the row's number.
    messages
        Of its commits on the branch.
    merged
        Of its commits on branches of their own.
    lost
        How many swaps it lost, for each of its commits.
    """

    values: dict[int, int] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    merged: list[str] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)


def write(path: str, creds: Mapping[str, str] | None, writer: int, commits: int) -> Told:
    """Open the dataset, and commit so many times."""
    told = Told()
    wait = protocol._wait

    def counted(*given: Any) -> bool:
        told.lost[-1] += 1
        return wait(*given)

    protocol._wait = counted
    ds = zlake.load(path, creds=creds, context=Context(threads=2))
    Here.barrier.wait(120)
    for i in range(commits):
        told.lost.append(0)
        message = f"{writer}/{i}"
        numbers = [(writer * 1_000_000 + i) * ROWS + row for row in range(ROWS)]
        rows = {"number": numbers, "value": [writer] * ROWS}
        if i % 10 == 7:
            merge(ds, message, rows)
            told.merged.append(message)
        elif i % 3 == 1:  # flushed for all to see, perhaps to be taken into a commit of theirs
            ds.extend(rows)
            ds.commit(message)
            told.messages.append(message)
        else:
            with ds:
                ds.extend(rows)
                if i % 5 == 4:
                    change(ds, told, 1000 + i)
                ds.commit(message)
            told.messages.append(message)
        for number in numbers:
            told.values.setdefault(number, writer)
    return told


def merge(ds: zlake.Dataset, message: str, rows: dict[str, list[int]]) -> None:
    """Commit rows to a branch that nobody else knows of, and merge it."""
    ds.checkout(f"own-{message}", create=True)
    with ds:
        ds.extend(rows)
        ds.commit(message)
    ds.checkout("main")
    ds.merge(f"own-{message}", message=f"merge {message}")


def change(ds: zlake.Dataset, told: Told, value: int) -> None:
    """Give some of this writer's rows, wherever they are by now, another value."""
    there = ds.number.numpy().ravel()
    own = np.flatnonzero(np.isin(there, list(told.values)))[::7]
    ds.value[own] = np.full((len(own), 1), value)
    told.values |= dict.fromkeys(there[own].tolist(), value)


def run(path: str, creds: Mapping[str, str] | None, writers: int, commits: int, *, deep: bool) -> None:
    """Let so many processes commit so many times each, and look at what is there then."""
    ds = zlake.empty(path, creds=creds)
    ds.create_tensor("number", dtype="int64")
    ds.create_tensor("value", dtype="int64")
    ds.commit("begun")
    with ProcessPoolExecutor(writers, SPAWN, wait_at, (SPAWN.Barrier(writers),)) as pool:
        begun = [pool.submit(write, path, creds, writer, commits) for writer in range(1, writers + 1)]
        told = [future.result() for future in begun]
    lost = [count for each in told for count in each.lost]
    print(f"{len(lost)} commits, {sum(lost)} swaps lost, at most {max(lost)} by one")
    check(zlake.load(path, creds=creds), told)
    assert zlake.load(path, creds=creds).verify(deep=deep)
    assert max(lost) < protocol.ATTEMPTS / 4


def check(ds: zlake.Dataset, told: list[Told]) -> None:
    """Compare a dataset with what its writers say."""
    expected: dict[int, int] = {}
    for each in told:
        expected |= each.values
    numbers, values = ds.number.numpy().ravel(), ds.value.numpy().ravel()
    assert len(numbers) == len(values) == len(expected)
    assert dict(zip(numbers.tolist(), values.tolist(), strict=True)) == expected
    assert values.sum() == sum(expected.values())
    assert not ds.has_head_changes

    briefs = list(ds._session.repository.log(ds._session.head.snapshot))
    for brief, before in pairwise(briefs):
        assert brief.parents[0] == before.id
        assert brief.generation > before.generation
    assert briefs[-1].parents == ()
    found = Counter(brief.message for brief in briefs)
    wanted = Counter(message for each in told for message in each.messages)
    wanted["begun"] = 1
    merged = [message for each in told for message in each.merged]
    for message in merged:  # a commit of its own branch is what main names, or a commit that merges it
        assert found[message] + found[f"merge {message}"] == 1, message
    others = {*merged, *(f"merge {message}" for message in merged)}
    mine = Counter({m: n for m, n in found.items() if m not in others and not m.startswith(AUTOMATIC)})
    assert mine == wanted


@pytest.mark.timeout(170 * SCALE)
def test_files(tmp_path: Path) -> None:
    run(str(tmp_path / "ds"), None, writers=8, commits=times(50), deep=True)


@pytest.mark.timeout(170 * SCALE)
def test_s3(s3_bucket: Any) -> None:
    run(s3_bucket.url, s3_bucket.creds, writers=6, commits=times(20), deep=False)


@pytest.mark.timeout(170 * SCALE)
def test_gcs(gcs_bucket: Any) -> None:
    run(gcs_bucket.url, None, writers=4, commits=times(20), deep=False)
