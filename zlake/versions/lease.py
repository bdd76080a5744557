"""Leases: what they name stays, though no ref names it. Judged by the storage's clock alone."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from zlake import limits
from zlake.context import Context
from zlake.errors import (
    CommitStateUnknownError,
    LeaseLapsedError,
    ObjectExistsError,
    StorageError,
    StorageUnavailableError,
)
from zlake.format import decode, encode, paths
from zlake.format.documents import Lease as LeaseDocument
from zlake.storage.store import Lost, ObjectInfo, Request, Store

_ATTEMPTS: Final = 16
_RENEW_AFTER: Final = 0.25
"""Part of a lease's time after which it is renewed."""


class Lease:
    """A lease that this process holds. Made by `take`; safe to share between threads.

    As a context manager it is released at the end of the block; but it is left to lapse by itself if the block ends
    with `CommitStateUnknownError`, as a ref may yet come to name what it keeps.

    Attributes
    ----------
    id
        Id of the lease.
    snapshot
        Snapshot that it keeps, or None.
    """

    def __init__(
        self, store: Store, context: Context, lease_id: str, snapshot: str | None, seconds: int, writing: bool
    ) -> None:
        self.id = lease_id
        self.snapshot = snapshot
        self._store = store
        self._context = context
        self._seconds = seconds
        self._writing = writing
        self._number = self._known = 0
        self._renewed = context.monotonic()
        self._lock = threading.Lock()

    @classmethod
    def take(
        cls,
        store: Store,
        context: Context,
        snapshot: str | None = None,
        *,
        seconds: int = limits.GC_GRACE_SECONDS,
        writing: bool = True,
    ) -> Lease:
        """Take a lease: one write.

        Parameters
        ----------
        store, context
            Where the dataset lies; ids, and the clock that says when to renew.
        snapshot
            Snapshot to keep with all that it reaches.
        seconds
            How long it holds unless it is renewed, at most 30 days.
        writing
            Keep also everything that anybody writes from now on, named by something or not: for segments that are
            written now and committed much later.

        Raises
        ------
        StorageError
            If it could not be written.
        """
        lease = cls(store, context, context.new_id(), snapshot, seconds, writing)
        lease._write(snapshot)
        return lease

    @classmethod
    def find(cls, store: Store, context: Context, lease_id: str, snapshot: str | None = None) -> Lease | None:
        """Return a lease that another process took to write, and can no longer renew: one listing.

        Returns
        -------
        Lease or None
            The lease, which `renew` tells whether it held until now; None if it was released, or lapsed and was tidied
            away.
        """
        numbers = [number for (_, number), _ in documents(store, lease_id)]
        if not numbers:
            return None
        lease = cls(store, context, lease_id, snapshot, limits.GC_GRACE_SECONDS, True)
        lease._number = lease._known = max(numbers)
        lease._renewed = -math.inf
        return lease

    def _write(self, snapshot: str | None) -> None:
        document = LeaseDocument(self.id, self._number, snapshot, self._seconds, self._writing)
        asked = self._context.monotonic()
        key = paths.lease_key(self.id, self._number)
        if isinstance(self._store.create(key, encode(document)), Lost):
            raise ObjectExistsError(f"{self._store.url}: somebody else has written {key!r}")
        self.snapshot, self._renewed, self._known = snapshot, asked, self._number

    @property
    def due(self) -> bool:
        """Whether a quarter of its time has passed since it was taken or renewed."""
        return self._context.monotonic() - self._renewed >= _RENEW_AFTER * self._seconds

    def renew(self, snapshot: str | None = None) -> None:
        """Let the lease hold for its whole time from now on: two writes and a listing.

        Parameters
        ----------
        snapshot
            Snapshot to keep from now on; None for the same as before.

        Raises
        ------
        LeaseLapsedError
            If it did not hold all the time. It holds again, but what it kept may have been collected meanwhile.
        StorageError
            If it could not be written.
        """
        with self._lock:
            known = self._known
            self._number += 1
            self._write(snapshot or self.snapshot)
            times = {found[1]: info.modified for found, info in documents(self._store, self.id)}
            now = times.pop(self._number, 0.0)
            # of a renewal that failed there may be none: then the last one that did not has to hold until now
            before = times.get(known) and max(when for number, when in times.items() if number >= known)
            for number in times:
                if number:
                    with contextlib.suppress(StorageError):
                        self._store.delete(paths.lease_key(self.id, number))
        if before is None or now - before > self._seconds:
            raise LeaseLapsedError(
                f"{self._store.url}: the lease {self.id} was not renewed for more than its {self._seconds} seconds; "
                "what it kept may have been collected: look whether it is all there"
            )

    def renew_if_due(self) -> bool:
        """Renew the lease if a quarter of its time has passed, and say whether; raises as `renew`."""
        if not self.due:
            return False
        self.renew()
        return True

    def release(self) -> None:
        """End the lease; what could not be deleted of it lapses by itself."""
        with self._lock, contextlib.suppress(StorageError):
            # one that was never renewed is one document
            numbers = [number for (_, number), _ in documents(self._store, self.id)] if self._number else [0]
            for number in sorted(numbers, reverse=True):
                self._store.delete(paths.lease_key(self.id, number))
            self._store.tidy(paths.lease_prefix(self.id))

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, CommitStateUnknownError):
            self.release()

    def __repr__(self) -> str:
        return f"<Lease {self.id} of {self._store.url}>"


@dataclass(frozen=True, slots=True)
class Held:
    """A lease as others find it.

    Attributes
    ----------
    id
        Id of the lease.
    snapshot
        Snapshot that it keeps, or None.
    writing
        Whether it keeps everything that was written since it began.
    began, ends
        By the storage's clock, in seconds since the epoch.
    keys
        Keys of its documents.
    """

    id: str
    snapshot: str | None
    writing: bool
    began: float
    ends: float
    keys: tuple[str, ...]


def documents(store: Store, lease_id: str | None = None) -> Iterator[tuple[tuple[str, int], ObjectInfo]]:
    """Yield the documents of a lease, or of all: lease id and number, and what the listing says."""
    for info in store.list_info(paths.LEASES if lease_id is None else paths.lease_prefix(lease_id)):
        found = paths.lease_of(info.key)
        if found is not None:
            yield found, info


def leases(store: Store, now: float) -> list[Held]:
    """Return all leases, also those that have lapsed: one listing, and a read for each that may hold.

    Parameters
    ----------
    store
        Where the dataset lies.
    now
        The storage's time.

    Raises
    ------
    CorruptObjectError
        If one is damaged, and not so old that it has lapsed whatever it says.
    StorageError
        If the storage does not answer.
    """
    listed = _grouped(store, None)
    found = [_lapsed(lease_id, listed.pop(lease_id)) for lease_id in list(listed) if _is_old(listed[lease_id], now)]
    for _ in range(_ATTEMPTS):
        if not listed:
            return found
        newest = {lease_id: paths.lease_key(lease_id, max(of)) for lease_id, of in listed.items()}
        values = store.read_many([Request(key) for key in newest.values()])
        for (lease_id, key), data in zip(newest.items(), values, strict=True):
            of = listed.pop(lease_id)
            if data is not None:
                found.append(_held(store, lease_id, key, data, of))
            else:  # renewed or released since it was listed
                listed |= _grouped(store, lease_id)
    raise StorageUnavailableError(f"{store.url}: leases {sorted(listed)} are listed, but cannot be read")


def _grouped(store: Store, lease_id: str | None) -> dict[str, dict[int, ObjectInfo]]:
    grouped: dict[str, dict[int, ObjectInfo]] = {}
    for (found, number), info in documents(store, lease_id):
        grouped.setdefault(found, {})[number] = info
    return grouped


def _is_old(of: dict[int, ObjectInfo], now: float) -> bool:
    """Whether a lease has lapsed, however long it is."""
    return now - max(info.modified for info in of.values()) > limits.MAX_LEASE_SECONDS


def _lapsed(lease_id: str, of: dict[int, ObjectInfo]) -> Held:
    times = [info.modified for info in of.values()]
    return Held(lease_id, None, False, min(times), max(times), tuple(info.key for info in of.values()))


def _held(store: Store, lease_id: str, key: str, data: bytes, of: dict[int, ObjectInfo]) -> Held:
    document = decode(LeaseDocument, data, where=f"{store.url.rstrip('/')}/{key}", expected_id=lease_id)
    times = [info.modified for info in of.values()]
    ends = max(times) + document.seconds
    keys = tuple(info.key for info in of.values())
    return Held(lease_id, document.snapshot, document.writing, min(times), ends, keys)
