"""Joining a branch with a commit that no ref names any more, while it is collected as garbage."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

import zlake
from tests.versions.lifetimes import DAY, Clocked, Time, context_at
from zlake.dataset.dataset import Dataset
from zlake.errors import (
    CollectedError,
    CommitStateUnknownError,
    DatasetCorruptError,
    RefNotFoundError,
    StorageUnavailableError,
    WriteStateUnknownError,
)
from zlake.session.opening import create_session, open_session
from zlake.storage.open import open_store
from zlake.testing.faults import FaultStore, ProcessEnded, on

_names = count()
GRACE = 7 * DAY


class Lake:
    """A dataset whose branch ``side`` was deleted long ago; its commit is marked, and may be deleted by now."""

    def __init__(self) -> None:
        self.time = Time()
        self.store = Clocked(open_store(f"mem://joined-{next(_names)}"), self.time)
        self.rng = random.Random(3)
        ds = zlake.Dataset(create_session(self.store, self.context(), overwrite=False))
        ds.create_tensor("x", dtype="int64")
        ds.x.extend([1, 2, 3])
        ds.commit("first")
        ds.checkout("side", create=True)
        ds.x.append(4)
        ds.commit("one more")
        ds.x[0] = 10
        ds.x[3] = 40
        ds.x.append(44)
        ds.x.pop(3)
        self.commit = ds.commit("on the side")
        ds.checkout("main")
        ds.x.append(5)
        ds.commit("second")
        ds.delete_branch("side")
        self.time.advance(GRACE + 1)
        self.main = self.open()
        self.main.gc(GRACE)  # marks it
        self.time.advance(GRACE + 1)

    def context(self) -> Any:
        return replace(context_at(self.time, self.rng), sleep=self.time.advance)

    def open(self, store: Any = None) -> Dataset:
        return zlake.Dataset(open_session(store or self.store, self.context(), None, None))


JOINS: dict[str, Callable[[Dataset, str], Any]] = {
    "merge": lambda ds, commit: ds.merge(commit),
    "cherry-pick": lambda ds, commit: ds.cherry_pick(commit),
    "revert": lambda ds, commit: ds.revert(commit),
    "rebase": lambda ds, commit: ds.rebase(commit),
}


@pytest.fixture
def lake() -> Lake:
    return Lake()


@pytest.mark.parametrize("name", JOINS)
def test_a_collector_that_is_deleting_is_noticed(lake: Lake, name: str) -> None:
    """It read the refs before the swap: what the branch names now would be gone."""
    told: list[Exception] = []

    def join(key: str) -> None:
        lake.store.before_delete = None
        try:
            JOINS[name](lake.main, lake.commit)
        except CollectedError as error:
            told.append(error)

    collector = lake.open()
    lake.store.before_delete = lambda key: join(key) if key.startswith("commits/") else None
    report = collector.gc(GRACE)
    assert report.deleted.snapshots
    assert "at this moment" in str(told)
    assert not any(lake.commit in key for key in lake.store.list())
    lake.main.x.append(6)  # the session goes on from the branch as it was
    ds = lake.open()
    assert ds.x.numpy().reshape(-1).tolist() == [1, 2, 3, 5, 6]
    assert ds.verify(deep=True)


@pytest.mark.parametrize("name", JOINS)
def test_what_was_collected_since_it_was_read_is_refused(lake: Lake, name: str) -> None:
    ds = lake.open()
    ds.diff(lake.commit, as_dict=True)  # in memory from now on
    assert lake.open().gc(GRACE).deleted.snapshots
    ids = [each["commit"] for each in ds.commits]
    with pytest.raises((CollectedError, RefNotFoundError, DatasetCorruptError)):
        JOINS[name](ds, lake.commit)
    assert [each["commit"] for each in lake.open().commits] == ids
    assert lake.open().verify(deep=True)


@pytest.mark.parametrize("name", JOINS)
def test_what_is_there_is_used_and_no_longer_marked(lake: Lake, name: str) -> None:
    assert JOINS[name](lake.main, lake.commit)
    assert not list(lake.store.list("gc/marks/"))
    lake.main.gc(GRACE)
    lake.time.advance(GRACE)
    lake.main.gc(GRACE)
    ds = lake.open()
    values = [1, 2, 3, 4, 5] if name == "revert" else [2, 3, 5, 10, 44]
    assert sorted(ds.x.numpy().reshape(-1).tolist()) == values
    assert ds.verify(deep=True)


@pytest.mark.parametrize("name", JOINS)
def test_a_guard_that_was_not_answered_changes_nothing(lake: Lake, name: str) -> None:
    broken = FaultStore(lake.store)
    ds = lake.open(broken)
    before = [each["commit"] for each in ds.commits]
    broken.fail(StorageUnavailableError("gone"), on("list_info", key="gc/"))
    with pytest.raises(StorageUnavailableError):
        JOINS[name](ds, lake.commit)
    assert [each["commit"] for each in lake.open().commits] == before
    made = JOINS[name](ds, lake.commit)
    assert next(each["commit"] for each in lake.open().commits) == made
    assert lake.open().verify(deep=True)
    assert not list(lake.store.list("leases/"))


@pytest.mark.parametrize("name", JOINS)
def test_a_process_that_ends_when_it_has_swapped_leaves_a_whole_branch(lake: Lake, name: str) -> None:
    """Whatever it was still to do: a collector had read the refs before, and deletes what it had marked."""
    ended: list[BaseException] = []

    def join(key: str) -> None:
        lake.store.before_delete = None
        broken = FaultStore(lake.store)
        broken.end(on("swap", key="refs/"), moment="after")
        with pytest.raises((ProcessEnded, CollectedError)) as caught:
            JOINS[name](lake.open(broken), lake.commit)
        ended.append(caught.value)

    lake.store.before_delete = lambda key: join(key) if key.startswith(("commits/", "segments/")) else None
    lake.main.gc(GRACE)
    assert ended
    assert lake.open().verify(deep=True)


@pytest.mark.parametrize("name", JOINS)
def test_what_a_process_left_that_ended_is_cleared_away(lake: Lake, name: str) -> None:
    broken = FaultStore(lake.store)
    broken.end(on("swap", key="refs/"))
    with pytest.raises(ProcessEnded):
        JOINS[name](lake.open(broken), lake.commit)
    assert lake.main.gc(GRACE).leases == 1
    assert lake.main.gc(0).deleted.snapshots  # what it wrote; not the commit, which the lease keeps
    assert any(lake.commit in key for key in lake.store.list())
    lake.time.advance(GRACE + 1)
    lake.main.gc(0)
    assert not list(lake.store.list("leases/"))
    assert not any(lake.commit in key for key in lake.store.list())
    assert lake.open().verify(deep=True)


@pytest.mark.parametrize("name", JOINS)
def test_a_swap_that_comes_late_names_what_is_there(lake: Lake, name: str) -> None:
    """Nobody knew whether it would come: the lease goes on, and a collector leaves alone what the branch may name."""
    late: list[tuple[Any, ...]] = []

    class Slow(FaultStore):
        def swap(self, key: str, value: Any, generation: bytes) -> Any:
            late.append((key, bytes(value), generation))
            self.fail(StorageUnavailableError("gone"), on(), times=None)
            raise WriteStateUnknownError("no answer")

    with pytest.raises(CommitStateUnknownError):
        JOINS[name](lake.open(Slow(lake.store)), lake.commit)
    lake.main.gc(GRACE)
    lake.store.swap(*late[0])
    lake.main.gc(GRACE)
    ds = lake.open()
    assert ds.verify(deep=True)
    assert len(ds.x)


def test_what_a_branch_names_costs_nothing(lake: Lake) -> None:
    recorded = FaultStore(lake.store)
    ds = lake.open(recorded)
    ds.checkout("other", create=True)
    ds.x.append(7)
    ds.commit("more")
    ds.checkout("main")
    recorded.recorder.clear()
    ds.revert(ds.commit_id)
    ds.merge("other")
    assert not recorded.recorder.count("list", "list_info")
