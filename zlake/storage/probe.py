"""Find out whether a storage honours conditional writes, instead of believing it."""

from __future__ import annotations

import contextlib
from typing import Final

from zlake.context import random_id
from zlake.errors import StorageError, UnsafeStorageError
from zlake.storage.store import Store, Written

_REMEDY = "concurrent writers could lose data there; use single_writer=True if you are sure to be the only one"
_PREFIX: Final = "probe-"


def is_probe(key: str) -> bool:
    """Whether a key is that of a probe: one that was cut short has left it."""
    return key.startswith(_PREFIX) and "/" not in key


def probe(store: Store) -> None:
    """Try conditional writes on a key that nobody else uses, and delete it.

    Creating a key that exists must lose, and so must replacing a generation that is no longer there; neither may change
    what is stored. Takes about nine requests.

    Raises
    ------
    UnsafeStorageError
        If the storage breaks one of these rules, or its driver has no conditional writes.
    StorageError
        If it cannot be reached or written at all.
    """
    if not store.capabilities.conditional:
        raise UnsafeStorageError(f"{store.url}: this kind of storage has no conditional writes; {_REMEDY}")
    key = f"{_PREFIX}{random_id()}"
    try:
        fault = _fault(store, key)
    finally:
        with contextlib.suppress(StorageError):
            store.delete(key)
    if fault is not None:
        raise UnsafeStorageError(f"{store.url}: {fault}; {_REMEDY}")


def _fault(store: Store, key: str) -> str | None:
    if not isinstance(store.create(key, b"first"), Written):
        return "creating an absent object was refused"
    first = store.read_versioned(key)
    if first.value != b"first":
        return "an object that was just written does not read back"
    if isinstance(store.create(key, b"second"), Written):
        return "creating an existing object overwrote it"
    if not isinstance(store.swap(key, b"third", first.generation), Written):
        return "replacing an unchanged object was refused"
    if isinstance(store.swap(key, b"fourth", first.generation), Written):
        return "replacing a changed object overwrote the change"
    if store.read(key) != b"third":
        return "a conditional write that lost has changed the object"
    return None
