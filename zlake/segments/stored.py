"""What sources over stored segments share.

Local raw objects are mapped, small arrays decoded in memory, and everything else is read through TensorStore.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from functools import partial
from math import prod
from typing import Any

import numpy as np

from zlake.context import Context
from zlake.format.documents import SegmentTensor
from zlake.format.paths import tensor_prefix
from zlake.segments import filemap
from zlake.segments.arrays import StoredValues
from zlake.segments.cache import MAX_MAPS, caches
from zlake.segments.identity import Checks, by_array
from zlake.segments.layout import IDS, OFFSETS, SEQUENCE_OFFSETS, VALUES, ArrayLayout, arrays
from zlake.segments.mapped import MappedValues
from zlake.segments.maps import Maps
from zlake.segments.resident import Resident
from zlake.segments.sidecars import Sidecar
from zlake.storage.store import Store
from zlake.types import Array, IdArray, IntArray, Layout

Rows = slice | IntArray

_RESIDENT_PART = 8


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
        checks = by_array(entry, layouts)
        limits = {OFFSETS: entry.elements, SEQUENCE_OFFSETS: self.items}
        self._sidecars = {
            name: Sidecar(store, prefix, layout, limits.get(name, -1), shared.decoded, checks.get(name))
            for name, layout in layouts.items()
            if name != VALUES
        }
        values = layouts[VALUES]
        self._values = StoredValues(store, prefix, values)
        self._ways = _ways(store, prefix, values, context, checks.get(VALUES))
        self._memory = next(self._ways, None)
        self._lock = threading.Lock()
        self._near = "://" not in store.url or store.url.startswith(("file://", "mem://"))

    @property
    def values(self) -> StoredValues:
        """The values as TensorStore sees them."""
        return self._values

    @property
    def warm(self) -> bool:
        """Whether beginning a read does not wait for storage far away."""
        if self._near:
            return True
        ready = self._memory is None or self._memory.complete
        return ready and all(sidecar.complete for name, sidecar in self._sidecars.items() if name != IDS)

    @property
    def instant(self) -> bool:
        """Whether `one` and `one_blob` copy from memory, at once."""
        return self._memory is not None and self.warm

    def missing(self, rows: Rows, names: Iterable[str]) -> list[tuple[Sidecar, IntArray]]:
        """Return the chunks of the named sidecars that these rows (or items) need and that may have to be loaded."""
        found = []
        for name in names:
            sidecar = self._sidecars.get(name)
            if sidecar is None or sidecar.complete:
                continue
            extra = int(name in (OFFSETS, SEQUENCE_OFFSETS))
            if isinstance(rows, slice):
                chunks = sidecar.chunks_of_range(rows.start, rows.stop - 1 + extra)
            else:
                chunks = sidecar.chunks_of(np.concatenate((rows, rows + extra)) if extra else rows)
            found.append((sidecar, chunks))
        return found

    def give_up(self, memory: MappedValues) -> None:
        """Read in the next best way from now on; after the last it is TensorStore that reads."""
        with self._lock:
            if self._memory is memory:
                self._memory = next(self._ways, None)

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


def _ways(
    store: Store, prefix: str, layout: ArrayLayout, context: Context, checks: Checks | None
) -> Iterator[MappedValues]:
    """Yield the ways in which the values can be had in memory, the best first."""
    if layout.chunk[1:] != layout.shape[1:] or layout.shard[1:] not in ((), layout.shape[1:]) or not layout.shape[0]:
        return  # tiles, or nothing at all
    shared = caches(context)
    if layout.codec == "raw" and layout.objects[0] <= MAX_MAPS and filemap.available():
        yield MappedValues(layout, partial(Maps, store, prefix, layout, checks), shared.maps)
    if prod(layout.objects) * prod(layout.shard or layout.chunk) * layout.dtype.itemsize <= resident_bound(context):
        yield MappedValues(layout, partial(Resident, store, prefix, layout, checks), shared.decoded)


def resident_bound(context: Context) -> int:
    """Return the bytes up to which an array is kept decoded in memory; larger ones are read through TensorStore."""
    return context.cache_bytes // _RESIDENT_PART


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
