"""Every storage operation of every change fails, loses its answer, or is the last one of its process.

After each the dataset is as it was before the change or as it is after it, and verifies; nothing acknowledged is
missing; the change can be made again, by another session and by the same one, and then is there once.
"""

from __future__ import annotations

import pytest

import zlake
from tests.crash.scenarios import CONTEXT, create, few_rows, load, state
from tests.crash.surroundings import CHANGES, SURROUNDINGS, cases
from tests.crash.walk import AFTER_WRITES, Memory, Walk, fresh, modes, objects_of
from zlake.context import random_id
from zlake.errors import DatasetExistsError, PathNotEmptyException, StorageError, StorageUnavailableError
from zlake.session.opening import create_session, delete_all, is_dataset
from zlake.storage.store import Store
from zlake.testing import FaultStore, ProcessEnded, on


@pytest.mark.parametrize(("name", "surroundings"), cases(CHANGES))
def test_every_operation(name: str, surroundings: str) -> None:
    with SURROUNDINGS[surroundings].around(CHANGES[name]) as scenario:
        walk = Walk(scenario, Memory())
        print(f"{walk.all()} faults at {len(walk.steps)} operations")


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
