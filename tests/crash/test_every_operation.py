"""Every storage operation of every change fails, loses its answer, or is the last one of its process.

After each the dataset is as it was before the change or as it is after it, and verifies; nothing acknowledged is
missing; the change can be made again, by another session and by the same one, and then is there once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

import zlake
from tests.crash.scenarios import CONTEXT, SCENARIOS, Scenario, create, few_rows, load, state
from zlake.context import random_id
from zlake.errors import (
    CommitStateUnknownError,
    DatasetExistsError,
    PathNotEmptyException,
    StorageError,
    StorageUnavailableError,
    WriteStateUnknownError,
)
from zlake.session.opening import create_session, delete_all, is_dataset
from zlake.storage import open_store
from zlake.storage.store import Lost, Store
from zlake.testing import FaultStore, Operation, ProcessEnded, nth, on, since
from zlake.testing.faults import When

WRITES = ("create", "swap", "delete")
_names = count()


@contextmanager
def fresh(objects: dict[str, bytes]) -> Iterator[Store]:
    """A store of its own with these objects."""
    store = open_store(f"mem://every-operation-{next(_names)}")
    for key, value in objects.items():
        store.create(key, value)
    yield store
    store.delete_prefix()


def objects_of(store: Store) -> dict[str, bytes]:
    return {key: store.read(key) or b"" for key in store.list()}


def gone(operation: Operation) -> Exception:
    """What a store says when nothing answers: of a write, that it may have landed."""
    return WriteStateUnknownError("no answer") if operation.name in WRITES else StorageUnavailableError("no answer")


def fail(store: FaultStore, when: When, error: Callable[[Operation], Exception], **options: Any) -> None:
    def act(operation: Operation) -> None:
        raise error(operation)

    fault = store.fail(StorageUnavailableError(), when, **options)
    fault.act = act


def refused(store: FaultStore, n: int) -> None:
    """One operation fails, and had no effect."""
    store.fail(StorageUnavailableError("refused"), nth(n))


def unanswered(store: FaultStore, n: int) -> None:
    """One write takes effect, and nobody is told."""
    fail(store, nth(n), gone, moment="after")


def told_lost(store: FaultStore, n: int) -> None:
    """One swap takes effect, and its writer is told that it lost, by a driver that tried again by itself."""
    store.answer(Lost(), nth(n))


def gone_before(store: FaultStore, n: int) -> None:
    """The network goes away, and stays away."""
    fail(store, since(n), gone, times=None)


def gone_after(store: FaultStore, n: int) -> None:
    """The network goes away after one write took effect, and stays away."""
    fail(store, nth(n), gone, moment="after")
    fail(store, since(n + 1), gone, times=None)


def ended_before(store: FaultStore, n: int) -> None:
    store.end(nth(n))


def ended_after(store: FaultStore, n: int) -> None:
    store.end(nth(n), moment="after")


ANY = (refused, gone_before, ended_before)
AFTER_WRITES = (unanswered, gone_after, ended_after)


def modes(operation: Operation) -> list[Callable[[FaultStore, int], None]]:
    """The ways in which an operation can go wrong that differ for it."""
    if operation.name == "swap":
        return [*ANY, *AFTER_WRITES, told_lost]
    return [*ANY, *AFTER_WRITES] if operation.name in WRITES else list(ANY)


class Walk:
    """One scenario: its dataset before, what it does undisturbed, and what is to be found after."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        with fresh({}) as store:
            scenario.prepare(create(store))
            self.start = objects_of(store)
        with self.opened() as (store, faulty, ds):
            self.before = state(load(store))
            scenario.act(ds)
            self.operations = list(faulty.recorder)
            self.after = state(load(store))
            assert state(ds) == self.after
        self.refused = [self.before]
        if scenario.part is not None:
            with self.opened() as (store, _, ds):
                scenario.part(ds)
                self.refused.append(state(load(store)))
        assert self.after not in self.refused

    @contextmanager
    def opened(self) -> Iterator[tuple[Store, FaultStore, zlake.Dataset]]:
        with fresh(self.start) as store:
            faulty = FaultStore(store)
            ds = load(faulty, self.scenario.context)
            if self.scenario.behind is not None:
                self.scenario.behind(load(store))
            faulty.recorder.clear()
            yield store, faulty, ds

    def fault(self, n: int, mode: Callable[[FaultStore, int], None]) -> None:
        with self.opened() as (store, faulty, ds):
            mode(faulty, n)
            error: BaseException | None = None
            try:
                self.scenario.act(ds)
            except (StorageError, CommitStateUnknownError, ProcessEnded) as caught:
                error = caught
            found = self.check(store)
            if error is None:
                assert found == self.after, "acknowledged, but not there"
            elif not isinstance(error, ProcessEnded):
                unknowable = self.unknowable(n, mode)
                assert isinstance(error, CommitStateUnknownError) == unknowable, error
                if not unknowable:
                    assert found in self.refused, "refused, but there"
                self.go_on(store, faulty, ds)
                return
            self.retry(store, found)

    def unknowable(self, n: int, mode: Callable[[FaultStore, int], None]) -> bool:
        """Whether a swap got no answer, or was said to be lost, and the branch could not be read to find out."""
        if self.operations[n].name == "swap":
            return mode in (gone_before, gone_after)
        return self.operations[n].name == "read_versioned" and self.operations[n - 1].name == "swap"

    def check(self, store: Store) -> dict[str, Any]:
        """The dataset as a new process finds it: whole, and before or after the change."""
        ds = load(store)
        found = state(ds)
        assert found in (*self.refused, self.after)
        report = ds.verify(deep=True)
        assert report, report
        return found

    def retry(self, store: Store, found: dict[str, Any]) -> None:
        """Another session makes the change where it is not there yet, or the rest of it where that is named."""
        if found == self.before:
            self.scenario.act(load(store))
        elif found != self.after:
            assert self.scenario.again is not None
            self.scenario.again(load(store))
        assert self.check(store) == self.after

    def go_on(self, store: Store, faulty: FaultStore, ds: zlake.Dataset) -> None:
        """The same session goes on, as the errors tell its user to."""
        faulty.faults.clear()
        if self.scenario.again is not None:
            self.scenario.again(ds)
        else:
            if state(load(store)) == self.after:
                ds.refresh()
            if state(ds) != self.after:
                self.scenario.act(ds)
        assert state(ds) == self.after
        assert self.check(store) == self.after


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_operation(name: str) -> None:
    walk = Walk(SCENARIOS[name])
    for n, operation in enumerate(walk.operations):
        for mode in modes(operation):
            try:
                walk.fault(n, mode)
            except BaseException as error:
                error.add_note(f"operation {n} of {len(walk.operations)}, {mode.__name__}: {operation}")
                raise


@pytest.mark.parametrize("overwrite", [False, True])
def test_every_operation_of_creating(overwrite: bool) -> None:
    """A creation that was cut short can be made again; so can the deletion that ``overwrite`` begins with."""
    with fresh({}) as store:
        if overwrite:
            few_rows(create(store))
        start = objects_of(store)
    with fresh(start) as store:
        faulty = FaultStore(store)
        create_session(faulty, CONTEXT, overwrite=overwrite)
        operations = list(faulty.recorder)
        last = next(o.index for o in operations if (o.name, o.key) == ("create", "refs/branches/main.json"))
        empty = state(load(store))
    for n, operation in enumerate(operations):
        for mode in modes(operation):
            with fresh(start) as store:
                faulty = FaultStore(store)
                mode(faulty, n)
                acknowledged = created(faulty, overwrite)
                if acknowledged or (is_dataset(store) and objects_of(store) != start):
                    assert state(load(store)) == empty
                if not created(store, overwrite):
                    # it was there, whole, though nobody may have been told
                    assert acknowledged or n > last or (n == last and mode in AFTER_WRITES)
                ds = load(store)
                assert state(ds) == empty
                few_rows(ds)
                assert load(store).verify(deep=True)


def created(store: Store, overwrite: bool) -> bool:
    """Create a dataset; say whether it was created, and nothing went wrong."""
    try:
        create_session(store, CONTEXT, overwrite=overwrite)
    except (StorageError, DatasetExistsError, ProcessEnded):
        return False
    return True


def test_what_a_deletion_left_is_refused_until_told_to_overwrite() -> None:
    with fresh({}) as store:
        few_rows(create(store))
        faulty = FaultStore(store)
        faulty.fail(StorageUnavailableError("gone"), on("delete", key="segments/"), times=None)
        with pytest.raises(StorageUnavailableError):
            delete_all(faulty)
        left = objects_of(store)
        assert left
        with pytest.raises(PathNotEmptyException, match="overwrite=True"):
            create_session(store, CONTEXT, overwrite=False)
        assert objects_of(store) == left
        store.create("notes.txt", b"mine")
        with pytest.raises(PathNotEmptyException, match=r"'notes\.txt'"):
            create_session(store, CONTEXT, overwrite=True)
        store.delete("notes.txt")
        few_rows(zlake.Dataset(create_session(store, CONTEXT, overwrite=True)))
        assert not objects_of(store).keys() & left.keys()


def test_a_probe_that_was_cut_short_is_not_in_the_way() -> None:
    with fresh({f"probe-{random_id()}": b"first"}) as store:
        assert created(store, False)
