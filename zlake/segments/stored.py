"""Sources over stored segments: local raw shards through memory maps, everything else through TensorStore."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from zlake.context import Context
from zlake.errors import CorruptObjectError, InvalidOperationError
from zlake.format.documents import SegmentTensor
from zlake.format.paths import tensor_prefix
from zlake.segments.arrays import StoredValues
from zlake.segments.cache import caches
from zlake.segments.layout import IDS, OFFSETS, SEQUENCE_OFFSETS, SHAPES, VALUES, ArrayLayout, arrays
from zlake.segments.mapped import MappedValues, NotMappable
from zlake.segments.pending import Done, Joined, mapped
from zlake.segments.region import Box
from zlake.segments.sidecars import Sidecar, load
from zlake.segments.slabs import SMALL_BYTES, empty
from zlake.storage.store import Store
from zlake.types import Array, IdArray, IntArray, Layout, Pending

Rows = slice | IntArray

_SHAPED = (OFFSETS, SHAPES)


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
        self._maps = _maps(store, self._values.prefix, values, shared.maps)
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
        """Return the chunks of the named sidecars that reading these rows (or items) needs and that may have to be loaded."""
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

    def _unmap(self) -> StoredValues:
        self._maps = None
        return self._values

    def ids(self, rows: Rows) -> IdArray:
        """Return sample ids."""
        if self._id_start >= 0:
            wanted = np.arange(rows.start, rows.stop, rows.step or 1) if isinstance(rows, slice) else rows
            return wanted.astype(np.uint64) + np.uint64(self._id_start)
        ids: IdArray = _pick(self._sidecars[IDS], rows)
        return ids

    def sequences(self, rows: Rows) -> tuple[IntArray, IntArray]:
        """Return the first item of each row, and the one after its last."""
        if SEQUENCE_OFFSETS not in self._sidecars:
            wanted = np.arange(rows.start, rows.stop, rows.step or 1) if isinstance(rows, slice) else rows
            return wanted, wanted + 1
        return _pairs(_here(self._sidecars[SEQUENCE_OFFSETS], rows, 1), rows)


class DenseSource(StoredSource):
    """Samples of one shape."""

    def __init__(self, store: Store, entry: SegmentTensor, key: str, dtype: np.dtype[Any], context: Context) -> None:
        super().__init__(store, entry, key, dtype, context)
        self.ndim = len(entry.shape)
        self._unit = dtype.itemsize
        for n in entry.shape:
            self._unit *= n

    def one(self, item: int) -> Array:
        """Return a copy of one sample."""
        maps = self._maps
        if maps is not None:
            try:
                view = maps.one(item)
            except NotMappable:
                self._unmap()
            else:
                if self._unit < SMALL_BYTES:
                    return view.copy()
                out = empty(self.shape, self.dtype)
                out[...] = view
                return out
        if not self._unit:
            return np.empty(self.shape, self.dtype)
        return self._values.one(item)

    def one_blob(self, item: int) -> bytes:
        """Refuse: dense samples are arrays."""
        raise InvalidOperationError("this tensor stores arrays, not encoded samples")

    def blobs(self, starts: IntArray, stops: IntArray) -> Pending[list[bytes]]:
        """Refuse: dense samples are arrays."""
        raise InvalidOperationError("this tensor stores arrays, not encoded samples")

    def ranges(self, items: Rows, shapes: bool = False) -> tuple[IntArray, IntArray, IntArray | None]:
        """Refuse: dense samples have no offsets."""
        raise InvalidOperationError("samples of one shape have no offsets")

    def concat(self, starts: IntArray, stops: IntArray, out: Array) -> Pending[Any] | None:
        """Refuse: dense samples have no offsets."""
        raise InvalidOperationError("samples of one shape have no offsets")

    def shapes(self, items: Rows) -> IntArray:
        """Return the shape of each sample."""
        return np.broadcast_to(np.array(self.shape, np.int64), (_count(items), len(self.shape)))

    def fill(self, items: Rows, out: Array, at: Rows, box: Box) -> Pending[Any] | None:
        """Read samples into ``out[at]``; return what is to be waited for."""
        if not out.size:
            return None
        maps = self._maps
        if maps is not None:
            try:
                if box.whole:
                    self._copy(maps, items, out, at)
                else:
                    self._copy_region(maps, items, out, at, box)
                return None
            except NotMappable:
                self._unmap()
        axes = () if box.whole else box.axes
        plain = all(isinstance(axis, slice) for axis in axes)
        if isinstance(items, slice) and isinstance(at, slice) and at.step in (None, 1) and plain:
            return self._values.fill(items, axes, out[at])
        read = self._values.rows(items, axes)

        def place() -> None:
            out[at] = read.result()

        return Joined((read,), place)

    def _copy(self, maps: MappedValues, items: Rows, out: Array, at: Rows) -> None:
        if isinstance(at, slice) and at.step in (None, 1):
            out = out[at]
            at = slice(0, len(out), 1)
        flat = out.reshape(-1).view(np.uint8)
        if isinstance(items, slice):
            if items.step in (None, 1) and isinstance(at, slice) and at.step == 1:
                maps.copy(items.start, items.stop, flat)
                return
            items = np.arange(items.start, items.stop, items.step or 1)
        maps.take(items, flat.reshape(len(out), self._unit), at)

    def _copy_region(self, maps: MappedValues, items: Rows, out: Array, at: Rows, box: Box) -> None:
        if isinstance(items, slice) and isinstance(at, slice) and at.step in (None, 1):
            done = at.start
            for window, count in maps.windows(items.start, items.stop, items.step or 1):
                part = out[done : done + count]
                part.reshape(*window.shape[:2], *box.read_shape)[...] = box.read(window)
                done += count
            return
        rows = range(items.start, items.stop, items.step or 1) if isinstance(items, slice) else items.tolist()
        positions = range(at.start, at.stop, at.step or 1) if isinstance(at, slice) else at.tolist()
        for row, position in zip(rows, positions, strict=True):
            out[position] = box.read(maps.one(row))


class FlatSource(StoredSource):
    """Ragged and encoded samples: ranges of one long array."""

    def __init__(self, store: Store, entry: SegmentTensor, key: str, dtype: np.dtype[Any], context: Context) -> None:
        super().__init__(store, entry, key, dtype, context)
        self.ndim = entry.shapes or 1
        self._offsets = self._sidecars[OFFSETS]
        self._shapes = self._sidecars.get(SHAPES)
        self._elements = entry.elements

    def one(self, item: int) -> Array:
        """Return a copy of one ragged sample."""
        if self.layout == "encoded":
            raise InvalidOperationError("this tensor stores encoded samples, not arrays")
        if self._shapes is not None and (wanted := self.missing(slice(item, item + 1), _SHAPED)):
            load(wanted)
        offsets = self._offsets.range(item, item + 1)
        shape = None if self._shapes is None else self._shapes.range(item, item)[item].tolist()
        start, stop = offsets.item(item), offsets.item(item + 1)
        maps = self._maps
        flat: Array | None = None
        if maps is not None and start < stop:
            try:
                span = maps.span(start, stop)
                if span is not None and stop - start < SMALL_BYTES:
                    flat = np.frombuffer(span, self.dtype).copy()
                else:
                    flat = maps.joined(start, stop).view(self.dtype)
            except NotMappable:
                self._unmap()
        if flat is None:
            flat = self._values.one(slice(start, stop)) if start < stop else np.empty(0, self.dtype)
        return flat if shape is None else _shaped(flat, shape, self._values.prefix)

    def one_blob(self, item: int) -> bytes:
        """Return the bytes of one encoded sample."""
        offsets = self._offsets.range(item, item + 1)
        start, stop = offsets.item(item), offsets.item(item + 1)
        if start == stop:
            return b""
        maps = self._maps
        if maps is not None:
            try:
                span = maps.span(start, stop)
                return maps.joined(start, stop).tobytes() if span is None else span.tobytes()
            except NotMappable:
                self._unmap()
        return self._values.one(slice(start, stop)).tobytes()

    def ranges(self, items: Rows, shapes: bool = False) -> tuple[IntArray, IntArray, IntArray | None]:
        """Return first and one-past-last element of each sample, and their shapes if asked for and stored."""
        starts, stops = _pairs(_here(self._offsets, items, 1), items)
        return starts, stops, _pick(self._shapes, items) if shapes and self._shapes is not None else None

    def shapes(self, items: Rows) -> IntArray:
        """Return the shape of each sample; all ones where an encoded tensor stores none."""
        if self._shapes is not None:
            return _pick(self._shapes, items)
        if self.layout == "encoded":
            return np.ones((_count(items), 1), np.int64)
        starts, stops, _ = self.ranges(items)
        return (stops - starts)[:, None]

    def fill(self, items: Rows, out: Array, at: Rows, box: Box) -> Pending[Any] | None:
        """Refuse: only samples of one shape can fill an array."""
        raise InvalidOperationError("ragged samples do not fill one array")

    def concat(self, starts: IntArray, stops: IntArray, out: Array) -> Pending[Any] | None:
        """Read ranges of elements one after the other into ``out``; return what is to be waited for."""
        if not len(out):
            return None
        maps = self._maps
        if maps is not None:
            try:
                if bool((starts[1:] == stops[:-1]).all()):
                    maps.copy(int(starts[0]), int(stops[-1]), out.view(np.uint8))
                else:
                    maps.concat(starts, stops, out.view(np.uint8))
                return None
            except NotMappable:
                self._unmap()
        return self._values.concat(starts, stops, out)

    def blobs(self, starts: IntArray, stops: IntArray) -> Pending[list[bytes]]:
        """Read ranges of bytes."""
        total = int((stops - starts).sum())
        if not total:
            return Done([b""] * len(starts))
        maps = self._maps
        if maps is not None:
            try:
                return Done(maps.blobs(starts, stops))
            except NotMappable:
                self._unmap()
        out = empty((total,), self.dtype)
        ends = np.cumsum(stops - starts)

        def cut(_: object) -> list[bytes]:
            view = memoryview(out)
            return [view[a:b].tobytes() for a, b in zip((ends - (stops - starts)).tolist(), ends.tolist(), strict=True)]

        return mapped(self._values.concat(starts, stops, out), cut)


def _maps(store: Store, prefix: str, layout: ArrayLayout, cache: Any) -> MappedValues | None:
    """Return the values as memory maps, if chunks are raw and divided along axis 0 alone."""
    whole = layout.chunk[1:] == layout.shape[1:] and layout.shard[1:] in ((), layout.shape[1:])
    if layout.codec != "raw" or not whole or not layout.shape[0]:
        return None
    shard = layout.shard[0] if layout.shard else 0
    return MappedValues(store, prefix, layout.dtype, layout.shape[1:], layout.shape[0], layout.chunk[0], shard, cache)


def _shaped(flat: Array, shape: list[int], where: str) -> Array:
    try:
        return flat.reshape(shape)
    except ValueError as error:
        raise CorruptObjectError(f"{where}: {len(flat)} elements do not make a sample of the stored shape {tuple(shape)}") from error


def _count(rows: Rows) -> int:
    return len(range(rows.start, rows.stop, rows.step or 1)) if isinstance(rows, slice) else len(rows)


def _here(sidecar: Sidecar, rows: Rows, extra: int) -> Array:
    """Return the sidecar's array, of which the rows (and ``extra`` more after each) are there."""
    if isinstance(rows, slice):
        return sidecar.range(rows.start, rows.stop - 1 + extra)
    if sidecar.complete:
        return sidecar.at(rows)
    return sidecar.at(np.concatenate((rows, rows + extra)) if extra else rows)


def _pick(sidecar: Sidecar, rows: Rows) -> Array:
    picked: Array = _here(sidecar, rows, 0)[rows]
    return picked


def _pairs(offsets: IntArray, rows: Rows) -> tuple[IntArray, IntArray]:
    if isinstance(rows, slice):
        return offsets[rows], offsets[rows.start + 1 : rows.stop + 1 : rows.step]
    return offsets[rows], offsets[rows + 1]
