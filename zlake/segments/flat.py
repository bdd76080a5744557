"""Stored samples of any shape, ragged or encoded."""

from __future__ import annotations

from typing import Any

import numpy as np

from zlake.context import Context
from zlake.errors import CorruptObjectError, InvalidOperationError
from zlake.format.documents import SegmentTensor
from zlake.segments.chunks import NotHere
from zlake.segments.layout import OFFSETS, SHAPES
from zlake.segments.pending import Done, mapped
from zlake.segments.region import Box
from zlake.segments.sidecars import load
from zlake.segments.slabs import SMALL_BYTES, empty
from zlake.segments.stored import Rows, StoredSource, count, here, pairs, pick
from zlake.storage.store import Store
from zlake.types import Array, IntArray, Pending

_SHAPED = (OFFSETS, SHAPES)


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
        memory = self._memory
        flat: Array | None = None
        if memory is not None and start < stop:
            try:
                span = memory.span(start, stop)
                if span is not None and stop - start < SMALL_BYTES:
                    flat = np.frombuffer(span, self.dtype).copy()
                else:
                    flat = memory.joined(start, stop).view(self.dtype)
            except NotHere:
                self.give_up(memory)
                return self.one(item)
        if flat is None:
            flat = self._values.one(slice(start, stop)) if start < stop else np.empty(0, self.dtype)
        return flat if shape is None else _shaped(flat, shape, self._values.prefix)

    def one_blob(self, item: int) -> bytes:
        """Return the bytes of one encoded sample."""
        offsets = self._offsets.range(item, item + 1)
        start, stop = offsets.item(item), offsets.item(item + 1)
        if start == stop:
            return b""
        memory = self._memory
        if memory is not None:
            try:
                span = memory.span(start, stop)
                return memory.joined(start, stop).tobytes() if span is None else span.tobytes()
            except NotHere:
                self.give_up(memory)
                return self.one_blob(item)
        return self._values.one(slice(start, stop)).tobytes()

    def ranges(self, items: Rows, shapes: bool = False) -> tuple[IntArray, IntArray, IntArray | None]:
        """Return first and one-past-last element of each sample, and their shapes if asked for and stored."""
        starts, stops = pairs(here(self._offsets, items, 1), items)
        return starts, stops, pick(self._shapes, items) if shapes and self._shapes is not None else None

    def shapes(self, items: Rows) -> IntArray:
        """Return the shape of each sample; all ones where an encoded tensor stores none."""
        if self._shapes is not None:
            return pick(self._shapes, items)
        if self.layout == "encoded":
            return np.ones((count(items), 1), np.int64)
        starts, stops, _ = self.ranges(items)
        return (stops - starts)[:, None]

    def fill(self, items: Rows, out: Array, at: Rows, box: Box) -> Pending[Any] | None:
        """Refuse: only samples of one shape can fill an array."""
        raise InvalidOperationError("ragged samples do not fill one array")

    def concat(self, starts: IntArray, stops: IntArray, out: Array) -> Pending[Any] | None:
        """Read ranges of elements one after the other into ``out``; return what is to be waited for."""
        if not len(out):
            return None
        memory = self._memory
        if memory is not None:
            try:
                if bool((starts[1:] == stops[:-1]).all()):
                    memory.copy(int(starts[0]), int(stops[-1]), out.view(np.uint8))
                else:
                    memory.concat(starts, stops, out.view(np.uint8))
                return None
            except NotHere:
                self.give_up(memory)
                return self.concat(starts, stops, out)
        return self._values.concat(starts, stops, out)

    def blobs(self, starts: IntArray, stops: IntArray) -> Pending[list[bytes]]:
        """Read ranges of bytes."""
        total = int((stops - starts).sum())
        if not total:
            return Done([b""] * len(starts))
        memory = self._memory
        if memory is not None:
            try:
                return Done(memory.blobs(starts, stops))
            except NotHere:
                self.give_up(memory)
                return self.blobs(starts, stops)
        out = empty((total,), self.dtype)
        ends = np.cumsum(stops - starts)

        def cut(_: object) -> list[bytes]:
            view = out.data
            return [view[a:b].tobytes() for a, b in zip((ends - (stops - starts)).tolist(), ends.tolist(), strict=True)]

        return mapped(self._values.concat(starts, stops, out), cut)


def _shaped(flat: Array, shape: list[int], where: str) -> Array:
    try:
        return flat.reshape(shape)
    except ValueError as error:
        raise CorruptObjectError(f"{where}: {len(flat)} elements are no sample of the stored shape {shape}") from error
