"""Merge, cherry-pick, revert and rebase at a past commit: a branch is made for what lands on it, not for nothing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

import zlake
from zlake.context import Context
from zlake.errors import CommitStateUnknownError, MergeConflictError, StorageUnavailableError, WriteStateUnknownError
from zlake.session.opening import open_session
from zlake.testing import FaultStore, on
from zlake.testing.recorder import Operation

_names = count()
Verb = Callable[..., Any]
VERBS: dict[str, Verb] = {
    "merge": lambda ds, address, **given: ds.merge(address, **given),
    "cherry-pick": lambda ds, address, **given: ds.cherry_pick(address, **given),
    "revert": lambda ds, address, **given: ds.revert(address, **given),
    "rebase": lambda ds, address, **given: ds.rebase(address, **given),
}
CONFLICTS = {
    "merge": ("ours", "theirs"),
    "cherry-pick": ("ours", "theirs"),
    "revert": ("later", "ours"),
    "rebase": ("ours", "theirs"),
}
"""Where to stand, and what to name."""
NOTHING = {
    "merge": ("later", "ours"),
    "cherry-pick": ("ours", "alike"),
    "revert": ("base", "ours"),
    "rebase": ("later", "ours"),
}
LANDING = {
    "merge": ("later", "more"),
    "cherry-pick": ("later", "more"),
    "revert": ("later", "later"),
    "rebase": ("later", "more"),
}


@pytest.fixture
def store() -> FaultStore:
    """Four rows; tags at commits of three lines of history that all begin there."""
    path = f"mem://past-{next(_names)}"
    ds = zlake.empty(path)
    ds.create_tensor("x", dtype="int64")
    ds.x.extend([0, 1, 2, 3])
    ds.commit("base")
    ds.tag("base")
    for branch, value in (("other", 20), ("same", 10)):
        ds.checkout(branch, create=True)
        ds.x[1] = value
        ds.commit(f"row 1 is {value}")
        ds.tag({20: "theirs", 10: "alike"}[value])
        ds.checkout("main")
    ds.checkout("growing", create=True)
    ds.x.append(4)
    ds.commit("a row more")
    ds.tag("more")
    ds.checkout("main")
    for name, value in (("ours", 10), ("later", 11)):
        ds.x[1] = value
        ds.commit(name)
        ds.tag(name)
    return FaultStore(ds._session.store)


def at(store: FaultStore, address: str) -> zlake.Dataset:
    ds = zlake.Dataset(open_session(store, Context(), address, False))
    store.recorder.clear()
    return ds


def values(ds: zlake.Dataset) -> list[int]:
    return [int(value) for value in ds.x.numpy().reshape(-1)]


def check_nothing_happened(store: FaultStore, ds: zlake.Dataset, before: tuple[Any, ...]) -> None:
    assert store.recorder.count("create", "swap", "delete") == 0
    assert (ds.branch, ds.commit_id, values(ds), ds.branches) == before


def seen(ds: zlake.Dataset) -> tuple[Any, ...]:
    return ds.branch, ds.commit_id, values(ds), ds.branches


@pytest.mark.parametrize("verb", VERBS)
def test_a_conflict_leaves_no_branch_behind(store: FaultStore, verb: str) -> None:
    where, address = CONFLICTS[verb]
    ds = at(store, where)
    before = seen(ds)
    assert before[0] is None
    store.recorder.clear()
    with pytest.raises(MergeConflictError, match="x") as caught:
        VERBS[verb](ds, address)
    assert [conflict.tensor for conflict in caught.value.conflicts] == ["x"]
    check_nothing_happened(store, ds, before)
    # so does a function that fails, whatever it raises
    with pytest.raises(ZeroDivisionError):
        VERBS[verb](ds, address, conflict_resolution=lambda _: 1 // 0)
    check_nothing_happened(store, ds, before)
    # decided, it lands on a branch of its own
    asked = []
    resolve = lambda conflict: asked.append(conflict.sample_id) or "theirs"  # noqa: E731
    made = VERBS[verb](ds, address, conflict_resolution=resolve)
    assert ds.commit_id == made
    assert len(asked) == 1
    assert ds.branches == sorted([*before[3], ds.branch])
    assert str(ds.branch).startswith("auto_")
    assert ds.verify()


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_to_do_leaves_no_branch_behind(
    store: FaultStore, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where, address = NOTHING[verb]
    ds = at(store, where)
    before = seen(ds)
    store.recorder.clear()
    assert VERBS[verb](ds, address) is None
    assert "there is nothing to" in capsys.readouterr().out
    check_nothing_happened(store, ds, before)
    ds.x.append(9)
    assert values(ds) == [*before[2], 9]
    assert len(ds.branches) == len(before[3]) + 1


@pytest.mark.parametrize("verb", VERBS)
def test_an_answer_that_was_lost_is_found_by_the_next_call(store: FaultStore, verb: str) -> None:
    where, address = LANDING[verb]
    ds = at(store, where)
    before = ds.branches
    # the branch is made by one swap, and brought to the commit by another, whose answer is lost, and all reads with it
    swaps: set[int] = set()
    auto = "refs/branches/auto_"

    def second(operation: Operation) -> bool:
        swaps.update([operation.index] if on("swap", key=auto)(operation) else [])
        return len(swaps) == 2

    store.fail(WriteStateUnknownError("no answer"), second, moment="after")
    store.fail(StorageUnavailableError("gone"), lambda it: len(swaps) == 2 and on("read_versioned")(it), times=None)
    with pytest.raises(CommitStateUnknownError) as caught:
        VERBS[verb](ds, address)
    store.faults.clear()
    assert VERBS[verb](ds, address) == caught.value.commit_id == ds.commit_id
    assert ds.branches == sorted([*before, ds.branch])
    assert len(ds.commits) == len({each["commit"] for each in ds.commits})


def test_names_that_clash_only_when_all_is_put_together() -> None:
    path = f"mem://past-{next(_names)}"
    ds = zlake.empty(path)
    ds.commit("base", allow_empty=True)
    ds.checkout("other", create=True)
    ds.create_tensor("a/b", dtype="int64")
    ds.commit("a group a")
    ds.checkout("main")
    ds.create_tensor("a", dtype="int64")
    ds.commit("a tensor a")
    ds.tag("ours")
    ds.checkout("ours")
    with pytest.raises(MergeConflictError, match="a"):
        ds.merge("other")
    assert (ds.branch, ds.branches) == (None, ["main", "other"])
