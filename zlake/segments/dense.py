"""Stored samples of one shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from zlake.context import Context
from zlake.errors import InvalidOperationError
from zlake.format.documents import SegmentTensor
from zlake.segments.chunks import NotHere
from zlake.segments.mapped import MappedValues
from zlake.segments.pending import Joined
from zlake.segments.region import Box
from zlake.segments.slabs import SMALL_BYTES, empty
from zlake.segments.stored import Rows, StoredSource, count
from zlake.storage.store import Store
from zlake.types import Array, IntArray, Pending


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
        memory = self._memory
        if memory is not None:
            try:
                view = memory.one(item)
            except NotHere:
                self.give_up(memory)
                return self.one(item)
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
        return np.broadcast_to(np.array(self.shape, np.int64), (count(items), len(self.shape)))

    def fill(self, items: Rows, out: Array, at: Rows, box: Box) -> Pending[Any] | None:
        """Read samples into ``out[at]``; return what is to be waited for."""
        if not out.size:
            return None
        memory = self._memory
        if memory is not None:
            try:
                if box.whole:
                    self._copy(memory, items, out, at)
                else:
                    self._copy_region(memory, items, out, at, box)
                return None
            except NotHere:
                self.give_up(memory)
                return self.fill(items, out, at, box)
        axes = () if box.whole else box.axes
        plain = all(isinstance(axis, slice) for axis in axes)
        if isinstance(items, slice) and isinstance(at, slice) and at.step in (None, 1) and plain:
            return self._values.fill(items, axes, out[at])
        read = self._values.rows(items, axes)

        def place() -> None:
            out[at] = read.result()

        return Joined((read,), place)

    def _copy(self, memory: MappedValues, items: Rows, out: Array, at: Rows) -> None:
        if isinstance(at, slice) and at.step in (None, 1):
            out = out[at]
            at = slice(0, len(out), 1)
        flat = out.reshape(-1).view(np.uint8)
        if isinstance(items, slice):
            if items.step in (None, 1) and isinstance(at, slice) and at.step == 1:
                memory.copy(items.start, items.stop, flat)
                return
            items = np.arange(items.start, items.stop, items.step or 1)
        memory.take(items, flat.reshape(len(out), self._unit), at)

    def _copy_region(self, memory: MappedValues, items: Rows, out: Array, at: Rows, box: Box) -> None:
        if isinstance(items, slice) and isinstance(at, slice) and at.step in (None, 1):
            done = at.start
            for window, count in memory.windows(items.start, items.stop, items.step or 1):
                part = out[done : done + count]
                part.reshape(*window.shape[:2], *box.read_shape)[...] = box.read(window)
                done += count
            return
        rows = range(items.start, items.stop, items.step or 1) if isinstance(items, slice) else items.tolist()
        positions = range(at.start, at.stop, at.step or 1) if isinstance(at, slice) else at.tolist()
        for row, position in zip(rows, positions, strict=True):
            out[position] = box.read(memory.one(row))
