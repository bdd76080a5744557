"""Any version or view of a dataset as a read-only store of zarr-python."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest

from zlake.errors import ObjectNotFoundError
from zlake.interop.hierarchy import Hierarchy
from zlake.interop.nodes import Stored
from zlake.session.opening import Portable
from zlake.session.session import Session
from zlake.session.view import View
from zlake.storage.open import open_origin
from zlake.storage.origin import Origin, OriginStore

if TYPE_CHECKING:
    from zarr.core.buffer import Buffer, BufferPrototype

_OPENED = 8
"""Versions that a process keeps open for stores that came to it in pickles."""


class ZlakeStore(Store):
    """A version or view of a dataset as an ordinary Zarr v3 hierarchy, with consolidated metadata.

    A tensor whose samples all have one shape is an array ``(rows, *sample shape)`` under its name, dimensions
    ``sample``, ``<name>_dim_1``, …; every other tensor is a group with the arrays ``values-data``,
    ``values-offsets``, ``shape-data``, ``sequence-offsets`` and ``ids`` as its kind needs them, which also opens as an
    Awkward array. Groups of the dataset are groups. Attributes of the root identify the dataset, the commit and the
    branch; info lies among the attributes.

    Chunks that segments store just so are handed on untouched, checksums included; others are built when they are
    asked for. The store stays at the version it was made at, whatever is written to the dataset later, and pickles
    as address, version and selection.

    Parameters
    ----------
    session
        The dataset; rows that are not flushed yet are flushed.
    view
        Rows and tensors to present.

    Examples
    --------
    >>> import numpy as np, zarr, zlake
    >>> ds = zlake.empty("mem://store-doc", overwrite=True)
    >>> _ = ds.create_tensor("x")
    >>> ds.extend({"x": np.arange(6).reshape(3, 2)})
    >>> zarr.open_group(ds.zarr_store(), mode="r")["x"][1]
    array([2, 3])
    """

    supports_writes = False
    supports_deletes = False
    supports_listing = True

    def __init__(self, session: Session, view: View) -> None:
        super().__init__(read_only=True)
        pinned = session.pinned()
        self._begin(Portable(pinned.store, None, pinned.head.snapshot.id), view, session.head.branch, pinned)

    def _begin(self, version: Portable, view: View, branch: str | None, session: Session | None) -> None:
        self._version = version
        self._view = view
        self._branch = branch
        self._session = session
        self._hierarchy: Hierarchy | None = None
        self._lock = Lock()

    @property
    def hierarchy(self) -> Hierarchy:
        """The groups and arrays; made at first use, which may read from the dataset's storage."""
        if self._hierarchy is None:
            with self._lock:
                if self._hierarchy is None:
                    self._session = self._session or _open(self._version)
                    self._hierarchy = Hierarchy(self._session, self._view, self._branch)
        return self._hierarchy

    # ------------------------------------------------------------ identity

    def _identity(self) -> tuple[Any, ...]:
        rows = self._view.rows
        chosen = None if rows is None else rows.index if isinstance(rows.index, range) else rows.index.tobytes()
        return self._version.store.url, self._version.snapshot, self._view.names, self._view.group, chosen

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ZlakeStore) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return type(self).__name__, *self._identity()

    def __repr__(self) -> str:
        rows = "" if self._view.rows is None else f", {len(self._view.rows)} rows"
        return f"<ZlakeStore {self._version.store.url} at {self._version.snapshot or 'the empty version'}{rows}>"

    def __getstate__(self) -> tuple[Portable, View, str | None]:
        if self._session is not None:
            Portable.of(self._session)  # raises where no other process could open it
        return self._version, self._view, self._branch

    def __setstate__(self, state: tuple[Portable, View, str | None]) -> None:
        super().__init__(read_only=True)
        self._begin(*state, None)

    # ------------------------------------------------------------ reading

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Return the bytes under a key, or a range of them; None where there is nothing.

        Raises
        ------
        ObjectNotFoundError, CorruptObjectError
            If an object of the dataset is missing or damaged.
        """
        data = await asyncio.to_thread(self._read, key, byte_range)
        return None if data is None else prototype.buffer.from_bytes(data)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return several values or ranges, all read at the same time."""
        return list(await asyncio.gather(*(self.get(key, prototype, wanted) for key, wanted in key_ranges)))

    async def exists(self, key: str) -> bool:
        """Whether there is something under the key."""
        return await asyncio.to_thread(lambda: self.hierarchy.find(key) is not None)

    async def getsize(self, key: str) -> int:
        """Return the bytes under a key; raises `FileNotFoundError` where there is nothing."""
        return await asyncio.to_thread(self._size, key)

    def _read(self, key: str, wanted: ByteRequest | None) -> bytes | None:
        found = self.hierarchy.find(key)
        if isinstance(found, tuple):
            node, index = found
            stored = node.locate(index)
            if stored is not None:
                return self._read_stored(stored, wanted)
            found = node.build(index)
        if found is None or wanted is None:
            return found
        return found[_slice(wanted, len(found))]

    def _read_stored(self, stored: Stored, wanted: ByteRequest | None) -> bytes:
        start, stop = stored.start, stored.stop
        if wanted is not None and stop is not None:
            part = _slice(wanted, stop - start)
            start, stop = start + part.start, start + part.stop
        elif isinstance(wanted, SuffixByteRequest):
            start = -wanted.suffix
        elif wanted is not None:
            part = _slice(wanted, None)
            start, stop = part.start, part.stop
        if start == stop or (isinstance(wanted, SuffixByteRequest) and not wanted.suffix):
            return b""
        data = self._version.store.read(stored.key, start, stop)
        if data is None:
            raise ObjectNotFoundError(f"{stored.key}: the object is missing, though the dataset refers to it")
        return data

    def _size(self, key: str) -> int:
        found = self.hierarchy.find(key)
        if found is None:
            raise FileNotFoundError(key)
        if isinstance(found, bytes):
            return len(found)
        node, index = found
        stored = node.locate(index)
        if stored is None:
            return len(node.build(index))
        if stored.stop is not None:
            return stored.stop - stored.start
        store = self._version.store
        if store.capabilities.listable:
            for info in store.list_info(stored.key):
                if info.key == stored.key:
                    return info.size
        return len(self._read_stored(stored, None))

    # ------------------------------------------------------------ listing

    async def list(self) -> AsyncIterator[str]:
        """Yield all keys."""
        async for key in self.list_prefix(""):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Yield the keys that start with the prefix."""
        hierarchy = await asyncio.to_thread(lambda: self.hierarchy)
        for key in hierarchy.keys(prefix):
            yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names directly below a path."""
        hierarchy = await asyncio.to_thread(lambda: self.hierarchy)
        for name in hierarchy.children(prefix.rstrip("/")):
            yield name

    # ------------------------------------------------------------ never writing

    async def set(self, key: str, value: Buffer) -> None:
        """Raise `ValueError`: the store is read-only."""
        self._check_writable()

    async def delete(self, key: str) -> None:
        """Raise `ValueError`: the store is read-only."""
        self._check_writable()


def _slice(wanted: ByteRequest, size: int | None) -> slice:
    """Return which bytes of an object of ``size`` bytes are wanted; ``size`` may be None but for a suffix."""
    match wanted:
        case RangeByteRequest(start, end):
            return slice(start, max(start, end if size is None else min(end, size)))
        case OffsetByteRequest(offset):
            return slice(offset, None if size is None else max(size, offset))
        case SuffixByteRequest(suffix) if size is not None:
            return slice(max(0, size - suffix), size)
    raise TypeError(f"Unexpected byte_range, got {wanted}.")


def _open(version: Portable) -> Session:
    """Open a version, once for all stores that came to this process in pickles, as those of a dask graph do."""
    store = version.store
    return _open_origin(store.origin, version.snapshot) if isinstance(store, OriginStore) else version.open()


@lru_cache(_OPENED)
def _open_origin(origin: Origin, snapshot: str) -> Session:
    return Portable(open_origin(origin), None, snapshot).open()
