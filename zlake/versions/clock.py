"""The storage's clock: the only one by which anything of a dataset is old."""

from __future__ import annotations

import contextlib

from zlake.context import Context
from zlake.errors import StorageError, UnsupportedOperationError
from zlake.format import paths
from zlake.storage.store import Store


def storage_time(store: Store, context: Context) -> float:
    """Return the storage's time, in seconds since the epoch: when it says that an object of this moment was written.

    Writes an object, lists it and deletes it.

    Raises
    ------
    UnsupportedOperationError
        If the storage does not tell when objects were written.
    StorageError
        If it cannot be written.
    """
    key = f"{paths.GC_PROBES}{context.new_id()}"
    try:
        store.create(key, key.encode())
        found = next((info.modified for info in store.list_info(key) if info.key == key), 0.0)
    finally:
        with contextlib.suppress(StorageError):
            store.delete(key)
    if found <= 0:
        raise UnsupportedOperationError(
            f"{store.url} does not tell when objects were written, so nothing there is ever known to be old"
        )
    return found
