"""Values of a tensor copied straight out of chunks in memory, mapped or decoded.

Everything here counts in *units*: rows of a dense tensor, elements (bytes) of a ragged (encoded) one. A unit never
crosses a chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from zlake.limits import KIB
from zlake.segments.cache import Cache, Slot
from zlake.segments.chunks import Chunks
from zlake.segments.layout import ArrayLayout
from zlake.segments.slabs import empty
from zlake.types import Array, IntArray

Bytes = npt.NDArray[np.uint8]

_BYTE = np.dtype(np.uint8)
_BLOCK_ROWS = 512  # NumPy lets other threads run while it gathers 500 or more
_LARGE = 12 * KIB  # bytes of a row: from there on, copying rows one by one beats gathering them, and lets others run
_FEW = 12  # rows: so few are copied sooner one by one than by an index


class MappedValues:
    """The units of one array. Every method raises what `Chunks.check` raises.

    Parameters
    ----------
    layout
        The array, divided along axis 0 alone.
    make
        Makes its chunks, again when the cache has dropped them.
    cache
        Bounds them.
    """

    def __init__(self, layout: ArrayLayout, make: Callable[[], Chunks], cache: Cache) -> None:
        self._layout = layout
        self._make = make
        self._cache = cache
        self._inner = layout.chunk[0]
        self._object = layout.shard[0] if layout.shard else self._inner
        self._last = (layout.shape[0] - 1) // self._inner
        self._slot: Slot[Chunks] = Slot()

    @property
    def complete(self) -> bool:
        """Whether all chunks are there."""
        chunks = self._slot.value
        return chunks is not None and chunks.clean

    def _chunks(self) -> Chunks:
        memory = self._slot.value
        if memory is None:
            memory = self._make()
            self._cache.fill(self._slot, memory, 1)
        elif memory.weight > self._slot.weight:
            self._cache.fill(self._slot, memory, memory.weight)
        self._slot.used = True
        return memory

    def one(self, unit: int) -> Array:
        """Return a view of one unit; not for callers, who get copies."""
        memory = self._slot.value
        if memory is None or not memory.clean:
            memory = self._chunks()
            if not memory.flags[unit // self._inner]:
                memory.check(unit // self._inner)
        else:
            self._slot.used = True
        number, within = divmod(unit, self._object)
        chunk, row = divmod(within, self._inner)
        view: Array = memory.typed[number, chunk, row, ...]
        return view

    def span(self, start: int, stop: int) -> memoryview | None:
        """Return a view of the bytes of units ``[start, stop)``, or None where they lie in several chunks."""
        chunk, row = divmod(start, self._inner)
        if row + stop - start > self._inner:
            return None
        memory = self._slot.value
        if memory is None or not memory.clean:
            memory = self._chunks()
            if not memory.flags[chunk]:
                memory.check(chunk)
        else:
            self._slot.used = True
        number, within = divmod(chunk, memory.chunks)
        at = number * memory.object_bytes + within * memory.chunk_bytes + row * memory.row_bytes
        return memory.view[at : at + (stop - start) * memory.row_bytes]

    def windows(self, start: int, stop: int, step: int = 1) -> list[tuple[Array, int]]:
        """Return views of the units in ``range(start, stop, step)``, in order, and how many each shows.

        A view has shape ``(chunks, units, *shape)``.
        """
        memory = self._chunks()
        found: list[tuple[Array, int]] = []
        while start < stop:
            number, within = divmod(start, self._object)
            chunk, row = divmod(within, self._inner)
            end = min(stop - number * self._object, self._object)
            whole = (end - within) // self._inner if row == 0 and step == 1 else 0
            if whole:
                part = memory.typed[number, chunk : chunk + whole]
                next_start = start + whole * self._inner
            else:
                taken = min(end - within, self._inner - row)
                part = memory.typed[number, chunk : chunk + 1, row : row + taken : step]
                next_start = start + part.shape[1] * step
            last = min(next_start, stop) - 1
            memory.check_range(
                start // self._inner, max(start, last) // self._inner if step == 1 else start // self._inner
            )
            found.append((part, part.shape[0] * part.shape[1]))
            start = next_start
        return found

    def copy(self, start: int, stop: int, out: Bytes) -> None:
        """Copy units ``[start, stop)`` to ``out``, ``((stop - start) * unit bytes,) uint8``."""
        memory = self._chunks()
        checked = memory.begin(start // self._inner, (stop - 1) // self._inner)
        size = memory.row_bytes
        done = 0
        while start < stop:
            number, within = divmod(start, self._object)
            chunk, row = divmod(within, self._inner)
            end = min(stop - number * self._object, self._object)
            whole = (end - within) // self._inner if row == 0 else 0
            if not checked:  # copy each chunk right after its check, while it is in the processor's cache
                whole = min(whole, 1)
                if not memory.flags[start // self._inner]:
                    memory.check(start // self._inner)
            taken = whole * self._inner if whole else min(end - within, self._inner - row)
            target = out[done : done + taken * size]
            at = number * memory.object_bytes + chunk * memory.chunk_bytes + row * size
            if whole:
                inner = self._inner * size
                source: Bytes = np.ndarray((whole, inner), np.uint8, memory.data, at, (memory.chunk_bytes, 1))
                np.copyto(target.reshape(whole, inner), source)
            else:
                target[...] = memory.data[at : at + taken * size]
            done += taken * size
            start += taken

    def take(self, units: IntArray, out: Bytes, at: slice | IntArray) -> None:
        """Copy units to the rows ``at`` of ``out``, ``(n, unit bytes) uint8`` and C-contiguous."""
        memory = self._chunks()
        size = memory.row_bytes
        if len(units) <= _FEW:
            view, target = memory.view, out.reshape(-1).data
            for unit, position in zip(units.tolist(), _positions(at), strict=True):
                chunk, row = divmod(unit, self._inner)
                if not memory.flags[chunk]:
                    memory.check(chunk)
                number, within = divmod(chunk, memory.chunks)
                start = number * memory.object_bytes + within * memory.chunk_bytes + row * size
                target[position * size : (position + 1) * size] = view[start : start + size]
            return
        addresses = self._addresses(memory, units)
        if size >= _LARGE:
            for start, position in zip(addresses.tolist(), _positions(at), strict=True):
                out[position] = memory.data[start : start + size]
            return
        rows = out.reshape(-1).view(memory.rows.dtype)
        if isinstance(at, slice):
            rows, at = rows[at], slice(0, len(units))
        # Equal parts, none of them below the bound, and small enough to be in the processor's cache still when copied.
        step = -(-len(units) // max(1, len(units) // _BLOCK_ROWS))
        for i in range(0, len(units), step):
            here = slice(i, i + step)
            rows[here if isinstance(at, slice) else at[here]] = memory.rows[addresses[here]]

    def _addresses(self, memory: Chunks, units: IntArray) -> IntArray:
        """Return where units begin, after checking their chunks."""
        chunks = units // self._inner
        memory.check_many(chunks)
        found = chunks * memory.chunk_bytes + (units - chunks * self._inner) * memory.row_bytes
        if memory.chunks <= self._last:  # there is more than one object
            found += chunks // memory.chunks * (memory.object_bytes - memory.chunks * memory.chunk_bytes)
        return found

    def concat(self, starts: IntArray, stops: IntArray, out: Bytes) -> None:
        """Copy the ranges of units ``[starts[i], stops[i])``, one after the other, to ``out``, which they fill."""
        memory = self._chunks()
        offsets, lengths, split = self._locate(memory, starts, stops)
        ends = np.cumsum((stops - starts) * memory.row_bytes).tolist()
        target, view = out.data, memory.view
        for start, length, end in zip(offsets, lengths, ends, strict=True):
            target[end - length : end] = view[start : start + length]
        for i in split:
            begin, end = int(starts[i]), int(stops[i])
            self.copy(begin, end, out[ends[i] - (end - begin) * memory.row_bytes : ends[i]])

    def blobs(self, starts: IntArray, stops: IntArray) -> list[bytes]:
        """Return the bytes of each range of units."""
        memory = self._chunks()
        offsets, lengths, split = self._locate(memory, starts, stops)
        view = memory.view
        found = [view[a : a + n].tobytes() for a, n in zip(offsets, lengths, strict=True)]
        for i in split:
            found[i] = self.joined(int(starts[i]), int(stops[i])).tobytes()
        return found

    def joined(self, start: int, stop: int) -> Bytes:
        """Return a copy of the bytes of units ``[start, stop)``."""
        whole = empty(((stop - start) * self._chunks().row_bytes,), _BYTE)
        self.copy(start, stop, whole)
        return whole

    def _locate(self, memory: Chunks, starts: IntArray, stops: IntArray) -> tuple[list[int], list[int], list[int]]:
        """Find each range: where it begins, its length in bytes; and which ranges lie in several chunks.

        The length of those is given as 0, for they cannot be copied in one piece.
        """
        counts = stops - starts
        # An empty range may begin where the array ends.
        first = np.minimum(starts, self._layout.shape[0] - 1)
        split = np.flatnonzero((counts > 0) & ((stops - 1) // self._inner != first // self._inner))
        lengths = counts * memory.row_bytes
        lengths[split] = 0
        return self._addresses(memory, first).tolist(), lengths.tolist(), split.tolist()


def _positions(at: slice | IntArray) -> Iterable[int]:
    return range(at.start, at.stop, at.step or 1) if isinstance(at, slice) else at.tolist()
