"""Whether a storage may be written to: its conditional writes are tried out, not believed."""

from __future__ import annotations

import threading
from typing import Final

from zlake.errors import ReadOnlyModeError
from zlake.storage.probe import probe
from zlake.storage.store import Store

KNOWN_GOOD: Final = frozenset({"file", "mem", "memory", "gs", "gcs"})
"""Schemes whose driver is the storage itself, or whose service promises conditional writes and has no imitations.

S3 is spoken by many services, some of which ignore the conditions, so it is probed.
"""

_REMEMBERED: Final = 10_000
"""Storages whose probe is remembered; to probe one again costs a few requests."""

_lock = threading.Lock()
_probed: set[str] = set()


def check_writable(store: Store, *, single_writer: bool = False) -> None:
    """Raise unless the dataset may be written; probes a storage once per process and URL, before the first write.

    Creating a dataset probes too, so a commit by the process that created it spends no request on this.

    Parameters
    ----------
    store
        Where the dataset lies.
    single_writer
        Go on without conditional writes: the caller knows that nobody else writes.

    Raises
    ------
    ReadOnlyModeError
        If the store takes no writes.
    UnsafeStorageError
        If concurrent writers could lose data.
    """
    if not store.capabilities.writable:
        raise ReadOnlyModeError(f"{store.url} cannot be written: it is read-only here")
    scheme = store.url.partition("://")[0] if "://" in store.url else "file"
    known_good = scheme in KNOWN_GOOD and store.capabilities.conditional
    if single_writer or known_good or store.url in _probed:
        return
    probe(store)
    with _lock:
        if len(_probed) >= _REMEMBERED:
            _probed.clear()
        _probed.add(store.url)
