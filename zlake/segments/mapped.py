"""Values of a tensor in local raw shards, copied straight out of memory maps.

Everything here counts in *units*: rows of a dense tensor, elements (bytes) of a ragged (encoded) one. A unit never
crosses a chunk.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod

import numpy as np
import numpy.typing as npt

from zlake.segments.cache import Cache, Slot
from zlake.segments.codecs import CHECKSUM_BYTES
from zlake.segments.layout import ArrayLayout
from zlake.segments.mapped_shard import MappedShard, map_shard
from zlake.segments.slabs import empty
from zlake.storage.store import Store
from zlake.types import Array, IntArray

Bytes = npt.NDArray[np.uint8]

_BYTE = np.dtype(np.uint8)
_FEW_ROWS = 12
"""Below so many rows from each shard, copying them one by one beats NumPy's fancy indexing."""


class NotMappable(Exception):  # noqa: N818  # a turn in the path, never seen by users
    """The objects are no local files, or other tools wrote them: TensorStore must read them."""


class MappedValues:
    """The units of one array, over its shards.

    Parameters
    ----------
    store, prefix
        Where the tensor lies.
    layout
        The array: raw, and divided along axis 0 alone.
    cache
        Bounds the number of maps.
    """

    def __init__(self, store: Store, prefix: str, layout: ArrayLayout, cache: Cache) -> None:
        self._store = store
        self._prefix = prefix
        self._layout = layout
        self._dtype = layout.dtype
        self._shape = layout.shape[1:]
        self._length = layout.shape[0]
        self._inner = layout.chunk[0]
        self._object = layout.shard[0] if layout.shard else self._inner
        self._cache = cache
        self.unit_bytes = self._dtype.itemsize * prod(self._shape)
        self._slots: list[Slot[tuple[MappedShard, Array]]] = [Slot() for _ in range(layout.objects[0])]

    def _open(self, number: int) -> tuple[MappedShard, Array]:
        key = self._prefix + self._layout.object_key((number, *(0 for _ in self._shape)))
        path = self._store.local_path(key)
        if path is None:
            raise NotMappable(key)
        here = min(self._object, self._length - number * self._object)
        shard = map_shard(
            path,
            key,
            chunks=-(-here // self._inner),
            slots=self._object // self._inner if self._layout.shard else 0,
            units=self._inner,
            unit_bytes=self.unit_bytes,
        )
        if shard is None:
            raise NotMappable(key)
        found = shard, shard.typed(self._dtype, self._shape)
        self._cache.fill(self._slots[number], found, shard.nbytes)
        return found

    def _pair(self, number: int) -> tuple[MappedShard, Array]:
        slot = self._slots[number]
        found = slot.value
        if found is None:
            return self._open(number)
        slot.used = True
        return found

    def _shard(self, number: int) -> MappedShard:
        return self._pair(number)[0]

    def one(self, unit: int) -> Array:
        """Return a view of one unit; not for callers, who get copies."""
        number, within = divmod(unit, self._object)
        chunk, row = divmod(within, self._inner)
        slot = self._slots[number]
        found = slot.value
        if found is None:
            found = self._open(number)
        else:
            slot.used = True
        if not found[0].flags[chunk]:
            found[0].check(chunk)
        view: Array = found[1][chunk, row, ...]
        return view

    def span(self, start: int, stop: int) -> memoryview | None:
        """Return a view of the bytes of units ``[start, stop)``, or None where they lie in several chunks."""
        number, within = divmod(start, self._object)
        chunk, row = divmod(within, self._inner)
        if row + stop - start > self._inner:
            return None
        shard = self._shard(number)
        if not shard.flags[chunk]:
            shard.check(chunk)
        at = chunk * shard.stride + row * self.unit_bytes
        return shard.view[at : at + (stop - start) * self.unit_bytes]

    def windows(self, start: int, stop: int, step: int = 1) -> list[tuple[Array, int]]:
        """Return views of the units in ``range(start, stop, step)``, in order, and how many each shows.

        A view has shape ``(chunks, units, *shape)``.
        """
        found: list[tuple[Array, int]] = []
        while start < stop:
            number, within = divmod(start, self._object)
            end = min(stop - number * self._object, self._object)
            shard, typed = self._pair(number)
            shard.check_range(within // self._inner, (end - 1) // self._inner)
            while within < end:
                chunk, row = divmod(within, self._inner)
                whole = (end - within) // self._inner if row == 0 and step == 1 else 0
                if whole:
                    part = typed[chunk : chunk + whole]
                    taken = whole * self._inner
                else:
                    taken = min(end - within, self._inner - row)
                    part = typed[chunk : chunk + 1, row : row + taken : step]
                count = part.shape[0] * part.shape[1]
                found.append((part, count))
                within += taken if step == 1 else count * step
            start = number * self._object + within
        return found

    def copy(self, start: int, stop: int, out: Bytes) -> None:
        """Copy units ``[start, stop)`` to ``out``, ``((stop - start) * unit_bytes,) uint8``."""
        done = 0
        size = self.unit_bytes
        while start < stop:
            number, within = divmod(start, self._object)
            end = min(stop - number * self._object, self._object)
            shard = self._shard(number)
            shard.check_range(within // self._inner, (end - 1) // self._inner)
            start += end - within
            while within < end:
                chunk, row = divmod(within, self._inner)
                whole = (end - within) // self._inner if row == 0 else 0
                taken = whole * self._inner if whole else min(end - within, self._inner - row)
                target = out[done : done + taken * size]
                if whole:
                    np.copyto(target.reshape(whole, self._inner, size), shard.rows[chunk : chunk + whole])
                else:
                    at = chunk * shard.stride + row * size
                    target[...] = shard.data[at : at + taken * size]
                done += taken * size
                within += taken

    def take(self, units: IntArray, out: Bytes, at: slice | IntArray) -> None:
        """Copy units to the rows ``at`` of ``out``, ``(n, unit_bytes) uint8``."""
        numbers = units // self._object
        within = units - numbers * self._object
        chunks = within // self._inner
        rows = within - chunks * self._inner
        first = int(numbers[0])
        if len(self._slots) == 1 or bool((numbers == first).all()):
            shard = self._shard(first)
            shard.check_many(chunks)
            if len(units) < _FEW_ROWS:
                self._take_few([shard], units - units, chunks, rows, out, at)
            else:
                out[at] = shard.rows[chunks, rows]
            return
        order = np.argsort(numbers, kind="stable")
        ordered = numbers[order]
        bounds = [0, *(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1).tolist(), len(order)]
        groups = list(pairwise(bounds))
        shards = [self._shard(int(ordered[low])) for low, _ in groups]
        for shard, (low, high) in zip(shards, groups, strict=True):
            if not shard.clean:
                shard.check_many(chunks[order[low:high]])
        if len(units) < _FEW_ROWS * len(groups):
            of = np.empty(len(units), np.int64)
            of[order] = np.repeat(np.arange(len(groups)), np.diff(bounds))
            self._take_few(shards, of, chunks, rows, out, at)
            return
        positions = np.arange(at.start, at.stop, at.step or 1) if isinstance(at, slice) else at
        for shard, (low, high) in zip(shards, groups, strict=True):
            members = order[low:high]
            out[positions[members]] = shard.rows[chunks[members], rows[members]]

    def _take_few(
        self,
        shards: list[MappedShard],
        of: IntArray,
        chunks: IntArray,
        rows: IntArray,
        out: Bytes,
        at: slice | IntArray,
    ) -> None:
        size = self.unit_bytes
        target = out.reshape(-1).data
        starts = (chunks * shards[0].stride + rows * size).tolist()
        positions = range(at.start, at.stop, at.step or 1) if isinstance(at, slice) else at.tolist()
        views = [shard.view for shard in shards]
        for position, number, start in zip(positions, of.tolist(), starts, strict=True):
            target[position * size : (position + 1) * size] = views[number][start : start + size]

    def concat(self, starts: IntArray, stops: IntArray, out: Bytes) -> None:
        """Copy the ranges of units ``[starts[i], stops[i])``, one after the other, to ``out``, which they fill."""
        views, offsets, lengths, split = self._locate(starts, stops)
        ends = np.cumsum((stops - starts) * self.unit_bytes).tolist()
        target = out.data
        for view, start, length, end in zip(views, offsets, lengths, ends, strict=True):
            target[end - length : end] = view[start : start + length]
        for i in split:
            begin, end = int(starts[i]), int(stops[i])
            self.copy(begin, end, out[ends[i] - (end - begin) * self.unit_bytes : ends[i]])

    def blobs(self, starts: IntArray, stops: IntArray) -> list[bytes]:
        """Return the bytes of each range of units."""
        views, offsets, lengths, split = self._locate(starts, stops)
        found = [view[a : a + n].tobytes() for view, a, n in zip(views, offsets, lengths, strict=True)]
        for i in split:
            found[i] = self.joined(int(starts[i]), int(stops[i])).tobytes()
        return found

    def joined(self, start: int, stop: int) -> Bytes:
        """Return a copy of the bytes of units ``[start, stop)``."""
        whole = empty(((stop - start) * self.unit_bytes,), _BYTE)
        self.copy(start, stop, whole)
        return whole

    def _locate(self, starts: IntArray, stops: IntArray) -> tuple[list[memoryview], list[int], list[int], list[int]]:
        """Find each range: a view of its file, its first byte there and its length in bytes.

        The last list says which ranges lie in several chunks. Their length is given as 0, for they cannot be copied
        in one piece.
        """
        counts = stops - starts
        chunks = starts // self._inner
        split = np.flatnonzero((counts > 0) & ((stops - 1) // self._inner != chunks))
        chunks = np.minimum(chunks, (self._length - 1) // self._inner)  # an empty range may begin where the array ends
        per_object = self._object // self._inner
        numbers = chunks // per_object
        within = chunks - numbers * per_object
        stride = self._inner * self.unit_bytes + CHECKSUM_BYTES
        offsets = (within * stride + (starts - chunks * self._inner) * self.unit_bytes).tolist()
        lengths = counts * self.unit_bytes
        lengths[split] = 0
        if len(self._slots) == 1 or bool((numbers == numbers[0]).all()):
            shard = self._shard(int(numbers[0]))
            shard.check_many(within)
            return [shard.view] * len(starts), offsets, lengths.tolist(), split.tolist()
        views: dict[int, memoryview] = {}
        for number in np.unique(numbers).tolist():
            shard = self._shard(number)
            if not shard.clean:
                shard.check_many(within[numbers == number])
            views[number] = shard.view
        return [views[number] for number in numbers.tolist()], offsets, lengths.tolist(), split.tolist()
