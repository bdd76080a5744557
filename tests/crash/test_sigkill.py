"""A process that is killed at any moment loses nothing it was told is durable, and leaves nothing to clean up."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import zlake

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["zlake", __name__])


def sample(number: int) -> np.ndarray:
    """Return the ragged sample that belongs to a row's number."""
    return np.random.default_rng(number).integers(0, 255, (1 + number % 5, 7), dtype=np.int32)


def write_for_ever(path: str, said: object) -> None:
    """Append, update, pop and commit for ever, saying after each call what it made durable."""
    ds = zlake.load(path)
    number = int(ds.number.numpy().max()) + 1 if len(ds) else 0
    while True:
        kind = number % 7
        if kind < 4:
            ds.append({"number": number, "x": sample(number)})
            said.send(("append", number))
        elif kind == 4:
            with ds:
                for i in range(3):
                    ds.append({"number": number + i * 1_000_000, "x": sample(number + i * 1_000_000)})
            said.send(("block", number))
        elif kind == 5:
            said.send(("trying to update", number))
            ds.x[0] = sample(number)
            said.send(("update", number))
            ds.append({"number": number, "x": sample(number)})
            said.send(("append", number))
        else:
            ds.append({"number": number, "x": sample(number)})
            said.send(("append", number))
            said.send(("commit", ds.commit(f"commit at {number}")))
        number += 1


def check(path: Path, history: list[tuple[str, object]]) -> None:
    """Reopen a dataset and compare it with what its writers said, in order."""
    began = time.monotonic()
    ds = zlake.load(path)
    assert time.monotonic() - began < 2
    numbers = ds.number.numpy().reshape(-1).tolist()
    samples = ds.x.numpy(aslist=True)
    expected: list[int] = []
    first: set[int] = set()  # numbers whose sample row 0 may hold
    commits = []
    for kind, value in history:
        if kind == "append":
            expected.append(value)
            first = first or {value}
        elif kind == "block":
            expected.extend(value + i * 1_000_000 for i in range(3))
            first = first or {value}
        elif kind == "trying to update":
            first.add(value)
        elif kind == "update":
            first = {value}
        else:
            commits.append(value)
    # what was under way when the process died may have landed, wholly: one row, or the three of a block
    assert numbers[: len(expected)] == expected
    assert len(numbers) - len(expected) in (0, 1, 3)
    for row, (number, found) in enumerate(zip(numbers, samples, strict=True)):
        if row == 0:
            assert any(np.array_equal(found, sample(n)) for n in first or {number})
        else:
            np.testing.assert_array_equal(found, sample(number))
    known = [brief["commit"] for brief in ds.commits]
    assert set(commits) <= set(known)
    assert len(known) - len(commits) in (0, 1)
    if commits:
        assert len(zlake.load(f"{path}@{commits[0]}")) > 0
    # an unacknowledged operation that landed is part of history from now on
    history.extend(("append", n) for n in numbers[len(expected) :])
    history.extend(("commit", c) for c in known if c not in commits)


def kill_once(path: Path, history: list[tuple[str, object]], rng: random.Random) -> None:
    """Let a fresh process write for a random time, kill it, and hear what it said before."""
    receive, send = CONTEXT.Pipe(duplex=False)
    child = CONTEXT.Process(target=write_for_ever, args=(str(path), send))
    child.start()
    send.close()
    time.sleep(rng.uniform(0.02, 0.35))
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    while True:
        try:
            history.append(receive.recv())
        except EOFError:
            break


def run(path: Path, kills: int, seed: int) -> None:
    """Kill writers of one dataset again and again, checking after each."""
    rng = random.Random(seed)
    ds = zlake.empty(path)
    ds.create_tensor("number", dtype="int64")
    ds.create_tensor("x", dtype="int32")
    history: list[tuple[str, object]] = []
    for _ in range(kills):
        kill_once(path, history, rng)
        check(path, history)
    assert len(history) > kills / 4, "the writers hardly ever came to write"
    report = zlake.load(path).verify(deep=True)
    assert report, report


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(4))
def test_acknowledged_writes_survive_sigkill(tmp_path: Path, seed: int) -> None:
    run(tmp_path / "ds", 26, seed)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 110))
def test_acknowledged_writes_survive_sigkill_for_long(tmp_path: Path, seed: int) -> None:
    run(tmp_path / "ds", 100, seed)
