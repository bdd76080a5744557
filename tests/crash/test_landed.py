"""A write of which nobody could tell how it ended, looked for in a session that did not make it."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import pytest

import zlake
from tests.crash.scenarios import load, row
from tests.crash.test_same_session import labels
from zlake import errors, limits
from zlake.errors import (
    CommitStateUnknownError,
    EmptyCommitError,
    ReadOnlyModeError,
    StorageUnavailableError,
    VersionControlError,
    WriteStateUnknownError,
)
from zlake.storage.store import Lost, Store
from zlake.testing import FaultStore, on


class Slow(FaultStore):
    """Swaps of branches are still on their way when the storage stops answering."""

    def __init__(self, store: Store, lands: bool) -> None:
        super().__init__(store)
        self.lands = lands
        self.late: list[tuple[str, bytes, bytes]] = []

    def swap(self, key: str, value: Any, generation: bytes) -> Any:
        self.late.append((key, bytes(value), generation))
        if self.lands:
            self.arrive()
        self.fail(StorageUnavailableError("gone"), on(), times=None)
        raise WriteStateUnknownError("no answer")

    def arrive(self) -> Any:
        return self.store.swap(*self.late[-1])


def doubt(slow: Slow) -> CommitStateUnknownError:
    """An append in doubt, as another process might be told of it."""
    with pytest.raises(CommitStateUnknownError, match="not known") as caught:
        load(slow).append(row(10))
    found = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(found, CommitStateUnknownError)
    assert found.branch == "main"
    return found


def test_one_that_landed_is_there(store: Store) -> None:
    early = load(store)
    error = doubt(Slow(store, lands=True))
    ds = load(store)
    assert ds.landed(error)
    assert labels(ds) == [0, 1, 2, 3, 10]
    assert early.landed(error)
    early.refresh()
    assert labels(early) == [0, 1, 2, 3, 10]
    ds.append(row(11))
    assert early.landed(error)


def test_one_that_did_not_land_never_does(store: Store) -> None:
    slow = Slow(store, lands=False)
    error = doubt(slow)
    ds = load(store)
    assert not ds.landed(error)
    ds.append(row(10))
    assert isinstance(slow.arrive(), Lost)
    assert labels(load(store)) == [0, 1, 2, 3, 10]
    assert not load(store).landed(error)
    assert load(store).verify(deep=True)


def test_it_comes_too_late_before_anything_is_repeated(store: Store) -> None:
    slow = Slow(store, lands=False)
    error = doubt(slow)
    assert not load(store).landed(error)
    assert isinstance(slow.arrive(), Lost)
    assert labels(load(store)) == [0, 1, 2, 3]


@pytest.mark.parametrize("lands", [False, True])
def test_a_new_branch(store: Store, lands: bool) -> None:
    load(store).commit("so that nothing else is written")
    with pytest.raises(CommitStateUnknownError) as caught:
        load(Slow(store, lands)).checkout("new", create=True)
    assert caught.value.branch == "new"
    assert load(store).landed(caught.value) == lands


def test_as_long_as_the_storage_does_not_answer_it_is_not_known(store: Store) -> None:
    error = doubt(Slow(store, lands=True))
    broken = FaultStore(store)
    ds = load(broken)
    broken.fail(StorageUnavailableError("gone"), on("read_versioned"))
    with pytest.raises(CommitStateUnknownError, match="not known") as caught:
        ds.landed(error)
    assert caught.value is error
    assert ds.landed(error)


def test_after_many_other_writes_it_cannot_be_known(store: Store) -> None:
    error = doubt(Slow(store, lands=True))
    ds = load(store)
    for i in range(limits.REF_WRITES + 1):
        ds.append(row(20 + i))
    with pytest.raises(CommitStateUnknownError) as caught:
        ds.landed(error)
    assert caught.value is error


@pytest.mark.parametrize(
    "error", [EmptyCommitError("nothing"), CommitStateUnknownError("of a tag", "c", "w"), "main", None]
)
def test_other_errors_are_refused(store: Store, error: Any) -> None:
    with pytest.raises(VersionControlError, match="takes the CommitStateUnknownError of a write"):
        load(store).landed(error)


def test_read_only(store: Store) -> None:
    error = doubt(Slow(store, lands=False))
    ds = load(store)
    ds.read_only = True
    with pytest.raises(ReadOnlyModeError):
        ds.landed(error)


def test_errors_pass_between_processes() -> None:
    """With all that they carry."""
    for kind in (
        each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, zlake.errors.ZlakeError)
    ):
        extra = list(inspect.signature(kind.__init__).parameters)[2:]
        error = kind("what happened")
        for name in extra:
            if hasattr(error, name):
                setattr(error, name, "told")
        found = pickle.loads(pickle.dumps(error))
        assert type(found) is kind
        assert (str(found), vars(found)) == (str(error), vars(error))
