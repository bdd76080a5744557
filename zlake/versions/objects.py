"""The immutable objects of a dataset: read once, verified, and kept decoded in a bounded memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from zlake.errors import DatasetCorruptError
from zlake.extents.map import ExtentMap
from zlake.format import decode, pages, paths
from zlake.format.documents import HistoryPage, InfoObject, SegmentTensor, Snapshot
from zlake.storage.store import Request, Store
from zlake.types import IntArray
from zlake.versions.idruns import Runs

T = TypeVar("T")
Located = tuple[tuple[SegmentTensor, ...], ExtentMap]

_MOST_REMEMBERED = {"snapshot": 16, "history": 64, "info": 32, "ids": 16, "extents": 256}
"""Objects of each kind that stay in memory."""


class Objects:
    """Reads documents and pages by id.

    Parameters
    ----------
    store
        Where the dataset lies.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._lock = threading.Lock()
        self._memory: dict[str, OrderedDict[str, Any]] = {kind: OrderedDict() for kind in _MOST_REMEMBERED}

    def __getstate__(self) -> dict[str, Any]:
        return {"store": self.store}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["store"])  # type: ignore[misc]  # the memory does not travel

    def remember(self, kind: str, object_id: str, value: Any) -> None:
        """Keep a decoded object that was just written or read."""
        with self._lock:
            memory = self._memory[kind]
            memory[object_id] = value
            memory.move_to_end(object_id)
            if len(memory) > _MOST_REMEMBERED[kind]:
                memory.popitem(last=False)

    def recall(self, kind: str, object_id: str) -> Any:
        """Return a decoded object from memory, or None."""
        with self._lock:
            memory = self._memory[kind]
            found = memory.get(object_id)
            if found is not None:
                memory.move_to_end(object_id)
            return found

    def _get(self, kind: str, object_id: str, read: Callable[[str], T]) -> T:
        found: T | None = self.recall(kind, object_id)
        if found is None:
            found = read(object_id)
            self.remember(kind, object_id, found)
        return found

    def _read(self, key: str) -> bytes:
        return self._found(key, self.store.read(key))

    def _found(self, key: str, data: bytes | None) -> bytes:
        if data is None:
            raise self.missing(key)
        return data

    def missing(self, key: str) -> DatasetCorruptError:
        """Return the error that says that an object is missing which the dataset names."""
        return DatasetCorruptError(
            f"{self.store.url}: the object {key!r} is missing, though the dataset names it; "
            "restore it from a copy, or load an earlier commit"
        )

    def snapshot(self, snapshot_id: str) -> Snapshot:
        """Return a commit or staged snapshot.

        Raises
        ------
        DatasetCorruptError
            If it is missing.
        CorruptObjectError
            If it is damaged.
        """
        found = self.find_snapshot(snapshot_id)
        if found is None:
            self._found(paths.snapshot_key(snapshot_id), None)
        assert found is not None
        return found

    def find_snapshot(self, snapshot_id: str) -> Snapshot | None:
        """Return a commit or staged snapshot, or None if there is none; raises `CorruptObjectError`."""
        found: Snapshot | None = self.recall("snapshot", snapshot_id)
        if found is None:
            key = paths.snapshot_key(snapshot_id)
            data = self.store.read(key)
            if data is not None:
                found = decode(Snapshot, data, where=self.where(key), expected_id=snapshot_id)
                self.remember("snapshot", snapshot_id, found)
        return found

    def snapshots(self, snapshot_ids: Sequence[str]) -> list[Snapshot]:
        """Return snapshots, reading those that are not in memory all at once; raises as `snapshot`.

        What is read is not kept in memory: there may be many of them.
        """
        found = {snapshot_id: self.recall("snapshot", snapshot_id) for snapshot_id in snapshot_ids}
        missing = {paths.snapshot_key(each): each for each, snapshot in found.items() if snapshot is None}
        if missing:
            values = self.store.read_many([Request(key) for key in missing])
            for (key, each), data in zip(missing.items(), values, strict=True):
                found[each] = decode(Snapshot, self._found(key, data), where=self.where(key), expected_id=each)
        return [found[snapshot_id] for snapshot_id in snapshot_ids]

    def history(self, page_id: str) -> HistoryPage:
        """Return a page of history; raises as `snapshot`."""

        def read(object_id: str) -> HistoryPage:
            key = paths.page_key(object_id)
            return decode(HistoryPage, self._read(key), where=self.where(key), expected_id=object_id)

        return self._get("history", page_id, read)

    def info(self, object_id: str) -> dict[str, Any]:
        """Return a large info; raises as `snapshot`. Do not change it."""

        def read(page_id: str) -> dict[str, Any]:
            key = paths.page_key(page_id)
            return decode(InfoObject, self._read(key), where=self.where(key), expected_id=page_id).value

        return self._get("info", object_id, read)

    def id_runs(self, page_id: str) -> Runs:
        """Return a page of sample ids; raises as `snapshot`."""

        def read(object_id: str) -> Runs:
            metadata, chunk = self._read_pages([object_id])[0]
            where = self.where(paths.page_prefix(object_id).rstrip("/"))
            runs = pages.decode_id_page(object_id, metadata, chunk, where=where)
            return np.stack((runs[:, 0], runs[:, 0] + (runs[:, 1] - np.uint64(1))), axis=1)

        return self._get("ids", page_id, read)

    def extent_pages(self, page_ids: Sequence[str]) -> list[Located]:
        """Return pages of extents, reading those that are not in memory all at once; raises as `snapshot`."""
        found = {page_id: self.recall("extents", page_id) for page_id in page_ids}
        missing = [page_id for page_id, page in found.items() if page is None]
        for page_id, (metadata, chunk) in zip(missing, self._read_pages(missing), strict=True):
            where = self.where(paths.page_prefix(page_id).rstrip("/"))
            segments, table = pages.decode_extent_page(page_id, metadata, chunk, where=where)
            found[page_id] = (segments, to_map(table))
            self.remember("extents", page_id, found[page_id])
        return [found[page_id] for page_id in page_ids]

    def _read_pages(self, page_ids: Sequence[str]) -> list[tuple[bytes, bytes]]:
        keys = [paths.page_prefix(page_id) + key for page_id in page_ids for key in pages.PAGE_KEYS]
        if not keys:
            return []
        values = self.store.read_many([Request(key) for key in keys])
        data = [self._found(key, value) for key, value in zip(keys, values, strict=True)]
        return list(zip(data[::2], data[1::2], strict=True))

    def where(self, key: str) -> str:
        """Return the URL of an object, for messages."""
        return f"{self.store.url.rstrip('/')}/{key}"


class Either(Objects):
    """The documents of two clones: what one of them has is what the other one has under this id."""

    def __init__(self, first: Objects, second: Objects) -> None:
        super().__init__(first.store)
        self._first, self._second = first, second

    def snapshot(self, snapshot_id: str) -> Snapshot:
        """Return a snapshot of either."""
        found = self._first.find_snapshot(snapshot_id)
        return self._second.snapshot(snapshot_id) if found is None else found

    def history(self, page_id: str) -> HistoryPage:
        """Return a page of history of either."""
        try:
            return self._first.history(page_id)
        except DatasetCorruptError:
            return self._second.history(page_id)


def to_map(table: IntArray) -> ExtentMap:
    """Return the map of extents ``(n, 3) int64``: segment, first row, rows."""
    return ExtentMap.normalized(table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy())


def to_table(extents: ExtentMap) -> IntArray:
    """Return a map's extents as ``(n, 3) int64``."""
    return np.stack((extents.segment, extents.start, extents.count), axis=1)
