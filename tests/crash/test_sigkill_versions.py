"""Processes that branch, merge, tag, push and collect garbage beside writers, killed at any moment.

Whatever they were told is there; opening takes a few requests; the next ones go on without anybody cleaning up.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zlake
from tests.crash.test_sigkill import CONTEXT, append_for_ever, last_words
from tests.scale import times
from zlake.session.opening import open_session
from zlake.storage import open_store
from zlake.testing import FaultStore

GRACE = 1800.0
Said = list[tuple[str, Any]]


def version_for_ever(path: str, said: Any) -> None:
    """Make a branch, write, commit, tag, merge it into main, push main, delete the branch; again and again."""
    ds = zlake.load(path)
    said.send(("ready", None))
    while True:
        name, number = f"b{time.time_ns()}", time.time_ns()
        ds.checkout(name, create=True)
        said.send(("branch", name))
        for i in range(3):
            ds.number.append(number + i)
            said.send(("row", (name, number + i)))
        commit = ds.commit(f"on {name}")
        said.send(("commit", commit))
        ds.tag(f"tag-{name}")
        said.send(("tag", (f"tag-{name}", commit)))
        ds.number.append(number + 3)
        said.send(("row", (name, number + 3)))
        ds.checkout("main")
        merged = ds.merge(name)
        assert merged is not None
        said.send(("merge", (name, merged)))
        if number % 3:
            ds.delete_branch(name)
            said.send(("delete", name))
            if number % 3 == 2:
                ds.restore_branch(name)
                said.send(("branch", name))
        if number % 2:
            said.send(("push", ds.push(f"{path}-clone", progressbar=False).commit))


def collect_for_ever(path: str, said: Any) -> None:
    """Collect garbage, which there is: everything was let age before, and what is young is left alone."""
    ds = zlake.load(path)
    said.send(("ready", None))
    while True:
        report = ds.gc(GRACE)
        said.send(("gc", report.deleted.objects))
        ds.number.append(time.time_ns())


WORK: dict[Callable[..., None], int] = {version_for_ever: 12, append_for_ever: 4, collect_for_ever: 3}
"""What works at once, and below how many reports of each the others wait for it: a busy machine takes its time."""


def kill(path: Path, rng: random.Random) -> list[Said]:
    """Let processes work beside each other for a random while, kill all, and return what each said."""
    pipes, children = [], []
    for target in WORK:
        receive, send = CONTEXT.Pipe(duplex=False)
        child = CONTEXT.Process(target=target, args=(str(path), send))
        child.start()
        send.close()
        pipes.append(receive)
        children.append(child)
    heard: list[Said] = [[receive.recv()] for receive in pipes]
    for receive, history, most in zip(pipes, heard, WORK.values(), strict=True):
        history.extend(receive.recv() for _ in range(rng.randrange(most)))
    time.sleep(rng.uniform(0, 0.1))
    for child in children:
        assert child.is_alive()
        os.kill(child.pid, signal.SIGKILL)
    for child, receive, history in zip(children, pipes, heard, strict=True):
        last_words(child, receive, history)
    return heard


class Told:
    """All that processes were told is there."""

    def __init__(self) -> None:
        self.rows: dict[str, set[int]] = {"main": set()}
        """By the branch that they were written to."""
        self.merged: set[int] = set()
        self.branches: set[str] = set()
        self.tags: dict[str, str] = {}
        self.commits: set[str] = set()
        self.pushed: set[str] = set()
        self.collected = 0

    def hear(self, history: Said) -> None:
        for kind, value in history:
            match kind:
                case "append":
                    self.rows["main"].add(value)
                case "branch":
                    self.branches.add(value)
                    self.rows.setdefault(value, set())
                case "row":
                    self.rows[value[0]].add(value[1])
                case "tag":
                    self.tags[value[0]] = value[1]
                case "commit":
                    self.commits.add(value)
                case "merge":
                    self.merged |= self.rows[value[0]]
                    self.commits.add(value[1])
                case "delete":
                    self.branches.discard(value)
                case "push":
                    self.pushed.add(value)
                case "gc":
                    self.collected += value
        if history[-1][0] == "merge":  # its deletion may have been under way
            self.branches.discard(history[-1][1][0])

    def check(self, path: Path) -> None:
        ds = zlake.load(path)
        main = numbers(ds)
        assert len(main) == len(set(main))
        assert (self.rows["main"] | self.merged) <= set(main)
        assert self.branches <= set(ds.branches)
        for name in self.branches:
            found = numbers(zlake.load(f"{path}@{name}"))
            assert len(found) == len(set(found))
            assert self.rows[name] <= set(found)
        assert self.tags.items() <= ds.tags.items()
        for commit in self.commits:
            zlake.load(f"{path}@{commit}")
        if self.pushed:
            clone = zlake.load(f"{path}-clone")
            assert self.pushed <= {entry["commit"] for entry in clone.commits}
            assert clone.verify()
        report = ds.verify()
        assert report, report


def numbers(ds: zlake.Dataset) -> list[int]:
    return ds.number.numpy().reshape(-1).tolist()


def check_opening(path: Path) -> None:
    """Opening what a process left takes as few requests as ever."""
    began = time.monotonic()
    store = FaultStore(open_store(str(path)))
    ds = zlake.Dataset(open_session(store, zlake.Context(), None, None))
    assert len(ds) > 0
    assert [operation.name for operation in store.recorder if operation.name.startswith("list")] == []
    assert store.recorder.count("read", "read_versioned") <= 3
    assert time.monotonic() - began < 2


def age(path: Path) -> None:
    """Let everything that is there be older than the grace period."""
    for folder in (path, Path(f"{path}-clone")):
        for file in folder.rglob("*"):
            os.utime(file, (time.time() - 2 * GRACE,) * 2)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(times(2)))
def test_versions_survive_sigkill(tmp_path: Path, seed: int) -> None:
    """Another 60 kills for each seed, of three processes at a time."""
    rng = random.Random(seed)
    path = tmp_path / "ds"
    ds = zlake.empty(path)
    ds.create_tensor("number", dtype="int64")
    ds.number.append(1)
    ds.commit("first")
    told = Told()
    for _ in range(20):
        for history in kill(path, rng):
            told.hear(history)
        check_opening(path)
        told.check(path)
        age(path)
    assert told.tags
    assert told.merged
    assert told.collected
    ds = zlake.load(path)
    for _ in range(2):  # nothing is in the way of a collector either, and it takes what the dead have left
        ds.gc(GRACE)
        age(path)
    told.check(path)
    assert zlake.load(path).verify(deep=True)
