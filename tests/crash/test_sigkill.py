"""A process that is killed at any moment loses nothing it was told is durable, and leaves nothing to clean up."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zlake
from tests.scale import SCALE, times

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["zlake", __name__])
REAPING = threading.Lock()
"""Starting a process looks for dead ones, and of two threads that meet one dead only one learns how it ended."""


def sample(number: int) -> np.ndarray:
    """Return the ragged sample that belongs to a row's number."""
    return np.random.default_rng(number).integers(0, 255, (1 + number % 5, 7), dtype=np.int32)


def write_for_ever(path: str, said: object) -> None:
    """Append, update, commit and compact for ever, saying after each call what it made durable."""
    ds = zlake.load(path)
    number = int(ds.number.numpy().max()) + 1 if len(ds) else 0
    said.send(("ready", number))
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
            if number % 2 and (report := ds.optimize()).commit is not None:
                said.send(("commit", report.commit))
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
        elif kind == "ready":
            continue
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


def kill_once(target: Callable[..., None], path: Path, history: list[tuple[str, object]], rng: random.Random) -> None:
    """Let a fresh process write for a random while from when it is ready, kill it, and hear what it said before."""
    receive, send = CONTEXT.Pipe(duplex=False)
    child = CONTEXT.Process(target=target, args=(str(path), send))
    with REAPING:
        child.start()
    send.close()
    history.append(receive.recv())
    assert history[-1][0] == "ready"
    for _ in range(rng.randrange(5)):  # not only by the clock: a busy machine might never let it come to write
        history.append(receive.recv())
    time.sleep(rng.uniform(0, 0.05))
    assert child.is_alive()
    os.kill(child.pid, signal.SIGKILL)
    last_words(child, receive, history)


def last_words(child: Any, receive: Any, history: list[Any]) -> None:
    """Wait for a killed child to end, and take down what it had still said."""
    with REAPING:
        child.join()
    assert child.exitcode == -signal.SIGKILL
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
        kill_once(write_for_ever, path, history, rng)
        check(path, history)
    assert len(history) > 2 * kills, "the writers hardly ever came to write"
    report = zlake.load(path).verify(deep=True)
    assert report, report


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(times(4)))
def test_acknowledged_writes_survive_sigkill(tmp_path: Path, seed: int) -> None:
    """Each kill hits a writer that is writing: 224 of them in all."""
    run(tmp_path / "ds", 56, seed)


# ---------------------------------------------------------------- creating, and large writes


def create_for_ever(path: str, said: object) -> None:
    """Create datasets with a megabyte each, one after the other."""
    said.send(("ready", 0))
    for number in range(1_000_000):
        ds = zlake.empty(f"{path}/{number}")
        said.send(("created", number))
        with ds:
            ds.create_tensor("x", dtype="int32")
            ds.x.extend(np.full((64, 64, 64), number, np.int32))
        said.send(("filled", number))
        said.send(("committed", ds.commit("filled")))


@pytest.mark.timeout(600 * SCALE)
def test_creation_survives_sigkill(tmp_path: Path) -> None:
    """Another 40 kills: of writers that create, and write segments of many objects."""
    rng = random.Random(7)
    for kill in range(times(40)):
        history: list[tuple[str, object]] = []
        kill_once(create_for_ever, tmp_path / str(kill), history, rng)
        said = [kind for kind, _ in history]
        for number in range(said.count("created") + 1):
            path = tmp_path / str(kill) / str(number)
            done = {kind: said.count(kind) > number for kind in ("created", "filled", "committed")}
            if not zlake.exists(path):
                assert not done["created"]
                zlake.empty(path)
                continue
            ds = zlake.load(path)
            tensors = list(ds.tensors)
            assert tensors in ([], ["x"])
            if done["filled"] or tensors:
                # all of the block, or nothing
                np.testing.assert_array_equal(ds.x.numpy(), np.full((64, 64, 64), number, np.int32))
            if done["committed"]:
                assert ds.commit_id == [value for kind, value in history if kind == "committed"][number]
            assert ds.verify(deep=True)
            ds.create_tensor("y", dtype="int8")
            ds.y.append(1)
            assert zlake.load(path).verify(deep=True)


# ---------------------------------------------------------------- several writers


def append_for_ever(path: str, said: object) -> None:
    """Append numbers of one's own, committing now and then."""
    ds = zlake.load(path)
    me = os.getpid() * 1_000_000
    said.send(("ready", me))
    for number in range(me, me + 1_000_000):
        ds.number.append(number)
        said.send(("append", number))
        if number % 5 == 0:
            ds.commit(f"at {number}")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(3, 3 + SCALE))
def test_of_several_writers_some_are_killed(tmp_path: Path, seed: int) -> None:
    """Another 36 kills, of one of two writers, while the other one goes on."""
    rng = random.Random(seed)
    ds = zlake.empty(tmp_path / "ds")
    ds.create_tensor("number", dtype="int64")
    histories: list[list[tuple[str, object]]] = [[] for _ in range(2)]

    def kill_again(history: list[tuple[str, object]], seed: int) -> None:
        mine = random.Random(seed)
        for _ in range(18):
            kill_once(append_for_ever, tmp_path / "ds", history, mine)

    threads = [threading.Thread(target=kill_again, args=(history, rng.random())) for history in histories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    acknowledged = [value for history in histories for kind, value in history if kind == "append"]
    kills = sum(kind == "ready" for history in histories for kind, _ in history)
    assert kills == 36
    found = zlake.load(tmp_path / "ds").number.numpy().reshape(-1).tolist()
    assert len(found) == len(set(found))
    assert set(acknowledged) <= set(found)
    # what nobody heard of: one row for each kill at most
    assert len(found) - len(acknowledged) <= kills
    for history in histories:  # each writer's rows are in its order
        mine = [value for kind, value in history if kind == "append"]
        assert [number for number in found if number in set(mine)] == mine
    assert zlake.load(tmp_path / "ds").verify(deep=True)
