from __future__ import annotations

import uuid

import pytest

from zlake.errors import StorageError, StorageUnavailableError, UnsafeStorageError
from zlake.storage import Lost, Written, open_store, probe
from zlake.testing import FaultStore, on


@pytest.fixture
def store():
    return FaultStore(open_store(f"mem://{uuid.uuid4()}"))


def test_a_sound_storage_passes_and_nothing_is_left(store, tmp_path):
    probe(store)
    assert list(store.list()) == []
    local = open_store(tmp_path / "set")
    probe(local)
    assert list(local.list()) == []
    assert {operation.key for operation in store.recorder.select("create", "swap")} != {"zarr.json"}


@pytest.mark.parametrize(
    ("operation", "nth", "answer", "message"),
    [
        ("create", 0, Lost(), "creating an absent object was refused"),
        ("create", 1, Written(b"g"), "creating an existing object overwrote it"),
        ("swap", 0, Lost(), "replacing an unchanged object was refused"),
        ("swap", 1, Written(b"g"), "replacing a changed object overwrote the change"),
        ("read", 0, b"fourth", "a conditional write that lost has changed the object"),
    ],
)
def test_a_storage_that_breaks_a_rule_fails_and_nothing_is_left(store, operation, nth, answer, message):
    calls = []

    def is_the_one(found):
        if found.name == operation:
            calls.append(found)
        return found.name == operation and len(calls) == nth + 1

    store.answer(answer, is_the_one)
    with pytest.raises(UnsafeStorageError, match=f"{message}; .*single_writer=True"):
        probe(store)
    assert list(store.store.list()) == []


def test_an_unreachable_storage_is_not_called_unsafe(store):
    store.fail(StorageUnavailableError("gone"), on(), times=None)
    with pytest.raises(StorageError) as caught:
        probe(store)
    assert not isinstance(caught.value, UnsafeStorageError)
