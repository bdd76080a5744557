"""What sources over stored segments share: local raw shards are mapped, everything else is read through TensorStore."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from zlake.context import Context
from zlake.format.documents import SegmentTensor
from zlake.format.paths import tensor_prefix
from zlake.segments import filemap
from zlake.segments.arrays import StoredValues
from zlake.segments.cache import MAX_MAPS, Cache, caches
from zlake.segments.layout import IDS, OFFSETS, SEQUENCE_OFFSETS, VALUES, ArrayLayout, arrays
from zlake.segments.mapped import MappedValues
from zlake.segments.sidecars import Sidecar
from zlake.storage.store import Store
from zlake.types import Array, IdArray, IntArray, Layout

Rows = slice | IntArray


class StoredSource:
    """What all layouts share: ids, sequences, and how the values are reached."""

    def __init__(self, store: Store, entry: SegmentTensor, key: str, dtype: np.dtype[Any], context: Context) -> None:
        self.layout: Layout = entry.layout
        self.rows = entry.rows
        self.items = entry.rows if entry.items < 0 else entry.items
        self.shape = entry.shape
        self.dtype = dtype
        self._id_start = entry.id_start
        shared = caches(context)
        prefix = tensor_prefix(entry.segment, key)
        layouts = arrays(entry, dtype)
        limits = {OFFSETS: entry.elements, SEQUENCE_OFFSETS: self.items}
        self._sidecars = {
            name: Sidecar(store, prefix, layout, limits.get(name, -1), shared.sidecars)
            for name, layout in layouts.items()
            if name != VALUES
        }
        values = layouts[VALUES]
        self._values = StoredValues(store, prefix, values)
        self._maps = _maps(store, prefix, values, shared.maps)
        self._near = "://" not in store.url or store.url.startswith(("file://", "mem://"))

    @property
    def values(self) -> StoredValues:
        """The values as TensorStore sees them."""
        return self._values

    @property
    def warm(self) -> bool:
        """Whether beginning a read does not wait for storage far away."""
        return self._near or (self._maps is None and all(s.complete for n, s in self._sidecars.items() if n != IDS))

    def missing(self, rows: Rows, names: Iterable[str]) -> list[tuple[Sidecar, IntArray]]:
        """Return the chunks of the named sidecars that these rows (or items) need and that may have to be loaded."""
        found = []
        for name in names:
            sidecar = self._sidecars.get(name)
            if sidecar is None or sidecar.complete or (name == IDS and self._id_start >= 0):
                continue
            extra = int(name in (OFFSETS, SEQUENCE_OFFSETS))
            if isinstance(rows, slice):
                chunks = sidecar.chunks_of_range(rows.start, rows.stop - 1 + extra)
            else:
                chunks = sidecar.chunks_of(np.concatenate((rows, rows + extra)) if extra else rows)
            found.append((sidecar, chunks))
        return found

    def unmap(self) -> None:
        """From now on read through TensorStore."""
        self._maps = None

    def ids(self, rows: Rows) -> IdArray:
        """Return sample ids."""
        if self._id_start >= 0:
            wanted = np.arange(rows.start, rows.stop, rows.step or 1) if isinstance(rows, slice) else rows
            return wanted.astype(np.uint64) + np.uint64(self._id_start)
        ids: IdArray = pick(self._sidecars[IDS], rows)
        return ids

    def sequences(self, rows: Rows) -> tuple[IntArray, IntArray]:
        """Return the first item of each row, and the one after its last."""
        if SEQUENCE_OFFSETS not in self._sidecars:
            wanted = np.arange(rows.start, rows.stop, rows.step or 1) if isinstance(rows, slice) else rows
            return wanted, wanted + 1
        return pairs(here(self._sidecars[SEQUENCE_OFFSETS], rows, 1), rows)


def _maps(store: Store, prefix: str, layout: ArrayLayout, cache: Cache) -> MappedValues | None:
    """Return the values as memory maps, if chunks are raw and divided along axis 0 alone."""
    whole = layout.chunk[1:] == layout.shape[1:] and layout.shard[1:] in ((), layout.shape[1:])
    if layout.codec != "raw" or not whole or not layout.shape[0] or not filemap.available():
        return None
    if layout.objects[0] > MAX_MAPS:
        return None
    return MappedValues(store, prefix, layout, cache)


def count(rows: Rows) -> int:
    """Return how many rows a slice or an array names."""
    return len(range(rows.start, rows.stop, rows.step or 1)) if isinstance(rows, slice) else len(rows)


def here(sidecar: Sidecar, rows: Rows, extra: int) -> Array:
    """Return the sidecar's array, of which the rows (and ``extra`` more after each) are there."""
    if isinstance(rows, slice):
        return sidecar.range(rows.start, rows.stop - 1 + extra)
    if sidecar.complete:
        return sidecar.at(rows)
    return sidecar.at(np.concatenate((rows, rows + extra)) if extra else rows)


def pick(sidecar: Sidecar, rows: Rows) -> Array:
    """Return the given rows of a sidecar."""
    picked: Array = here(sidecar, rows, 0)[rows]
    return picked


def pairs(offsets: IntArray, rows: Rows) -> tuple[IntArray, IntArray]:
    """Return where each of the given rows starts and stops."""
    if isinstance(rows, slice):
        return offsets[rows], offsets[rows.start + 1 : rows.stop + 1 : rows.step]
    return offsets[rows], offsets[rows + 1]
