"""Values of a tensor in local raw objects, copied straight out of memory maps.

Everything here counts in *units*: rows of a dense tensor, elements (bytes) of a ragged (encoded) one. A unit never
crosses a chunk.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zlake.segments.cache import Cache, Slot
from zlake.segments.layout import ArrayLayout
from zlake.segments.maps import Maps
from zlake.segments.slabs import empty
from zlake.storage.store import Store
from zlake.types import Array, IntArray

Bytes = npt.NDArray[np.uint8]

_BYTE = np.dtype(np.uint8)


class MappedValues:
    """The units of one array. Every method raises what `Maps.check` raises.

    Parameters
    ----------
    store, prefix
        Where the tensor lies.
    layout
        The array: raw, and divided along axis 0 alone.
    cache
        Bounds the number of mapped objects.
    """

    def __init__(self, store: Store, prefix: str, layout: ArrayLayout, cache: Cache) -> None:
        self._store = store
        self._prefix = prefix
        self._layout = layout
        self._cache = cache
        self._inner = layout.chunk[0]
        self._object = layout.shard[0] if layout.shard else self._inner
        self._last = (layout.shape[0] - 1) // self._inner
        self._slot: Slot[Maps] = Slot()

    def _maps(self) -> Maps:
        maps = self._slot.value
        if maps is None:
            maps = Maps(self._store, self._prefix, self._layout)
            self._cache.fill(self._slot, maps, 1)
        elif maps.mapped > self._slot.weight:
            self._cache.fill(self._slot, maps, maps.mapped)
        self._slot.used = True
        return maps

    def one(self, unit: int) -> Array:
        """Return a view of one unit; not for callers, who get copies."""
        maps = self._slot.value
        if maps is None or not maps.clean:
            maps = self._maps()
            if not maps.flags[unit // self._inner]:
                maps.check(unit // self._inner)
        else:
            self._slot.used = True
        number, within = divmod(unit, self._object)
        chunk, row = divmod(within, self._inner)
        view: Array = maps.typed[number, chunk, row, ...]
        return view

    def span(self, start: int, stop: int) -> memoryview | None:
        """Return a view of the bytes of units ``[start, stop)``, or None where they lie in several chunks."""
        chunk, row = divmod(start, self._inner)
        if row + stop - start > self._inner:
            return None
        maps = self._slot.value
        if maps is None or not maps.clean:
            maps = self._maps()
            if not maps.flags[chunk]:
                maps.check(chunk)
        else:
            self._slot.used = True
        number, within = divmod(chunk, maps.chunks)
        at = number * maps.object_bytes + within * maps.chunk_bytes + row * maps.row_bytes
        return maps.view[at : at + (stop - start) * maps.row_bytes]

    def windows(self, start: int, stop: int, step: int = 1) -> list[tuple[Array, int]]:
        """Return views of the units in ``range(start, stop, step)``, in order, and how many each shows.

        A view has shape ``(chunks, units, *shape)``.
        """
        maps = self._maps()
        found: list[tuple[Array, int]] = []
        while start < stop:
            number, within = divmod(start, self._object)
            chunk, row = divmod(within, self._inner)
            end = min(stop - number * self._object, self._object)
            whole = (end - within) // self._inner if row == 0 and step == 1 else 0
            if whole:
                part = maps.typed[number, chunk : chunk + whole]
                next_start = start + whole * self._inner
            else:
                taken = min(end - within, self._inner - row)
                part = maps.typed[number, chunk : chunk + 1, row : row + taken : step]
                next_start = start + part.shape[1] * step
            last = min(next_start, stop) - 1
            maps.check_range(
                start // self._inner, max(start, last) // self._inner if step == 1 else start // self._inner
            )
            found.append((part, part.shape[0] * part.shape[1]))
            start = next_start
        return found

    def copy(self, start: int, stop: int, out: Bytes) -> None:
        """Copy units ``[start, stop)`` to ``out``, ``((stop - start) * unit bytes,) uint8``."""
        maps = self._maps()
        checked = maps.begin(start // self._inner, (stop - 1) // self._inner)
        size = maps.row_bytes
        done = 0
        while start < stop:
            number, within = divmod(start, self._object)
            chunk, row = divmod(within, self._inner)
            end = min(stop - number * self._object, self._object)
            whole = (end - within) // self._inner if row == 0 else 0
            if not checked:  # copy each chunk right after its check, while it is in the processor's cache
                whole = min(whole, 1)
                if not maps.flags[start // self._inner]:
                    maps.check(start // self._inner)
            taken = whole * self._inner if whole else min(end - within, self._inner - row)
            target = out[done : done + taken * size]
            at = number * maps.object_bytes + chunk * maps.chunk_bytes + row * size
            if whole:
                inner = self._inner * size
                source: Bytes = np.ndarray((whole, inner), np.uint8, maps.data, at, (maps.chunk_bytes, 1))
                np.copyto(target.reshape(whole, inner), source)
            else:
                target[...] = maps.data[at : at + taken * size]
            done += taken * size
            start += taken

    def take(self, units: IntArray, out: Bytes, at: slice | IntArray) -> None:
        """Copy units to the rows ``at`` of ``out``, ``(n, unit bytes) uint8`` and C-contiguous."""
        maps = self._maps()
        out.reshape(-1).view(maps.rows.dtype)[at] = maps.rows[self._addresses(maps, units)]

    def _addresses(self, maps: Maps, units: IntArray) -> IntArray:
        """Return where units begin, after checking their chunks."""
        chunks = units // self._inner
        maps.check_many(chunks)
        found = chunks * maps.chunk_bytes + (units - chunks * self._inner) * maps.row_bytes
        if maps.chunks <= self._last:  # there is more than one object
            found += chunks // maps.chunks * (maps.object_bytes - maps.chunks * maps.chunk_bytes)
        return found

    def concat(self, starts: IntArray, stops: IntArray, out: Bytes) -> None:
        """Copy the ranges of units ``[starts[i], stops[i])``, one after the other, to ``out``, which they fill."""
        maps = self._maps()
        offsets, lengths, split = self._locate(maps, starts, stops)
        ends = np.cumsum((stops - starts) * maps.row_bytes).tolist()
        target, view = out.data, maps.view
        for start, length, end in zip(offsets, lengths, ends, strict=True):
            target[end - length : end] = view[start : start + length]
        for i in split:
            begin, end = int(starts[i]), int(stops[i])
            self.copy(begin, end, out[ends[i] - (end - begin) * maps.row_bytes : ends[i]])

    def blobs(self, starts: IntArray, stops: IntArray) -> list[bytes]:
        """Return the bytes of each range of units."""
        maps = self._maps()
        offsets, lengths, split = self._locate(maps, starts, stops)
        view = maps.view
        found = [view[a : a + n].tobytes() for a, n in zip(offsets, lengths, strict=True)]
        for i in split:
            found[i] = self.joined(int(starts[i]), int(stops[i])).tobytes()
        return found

    def joined(self, start: int, stop: int) -> Bytes:
        """Return a copy of the bytes of units ``[start, stop)``."""
        whole = empty(((stop - start) * self._maps().row_bytes,), _BYTE)
        self.copy(start, stop, whole)
        return whole

    def _locate(self, maps: Maps, starts: IntArray, stops: IntArray) -> tuple[list[int], list[int], list[int]]:
        """Find each range: where it begins, its length in bytes; and which ranges lie in several chunks.

        The length of those is given as 0, for they cannot be copied in one piece.
        """
        counts = stops - starts
        # An empty range may begin where the array ends.
        first = np.minimum(starts, self._layout.shape[0] - 1)
        split = np.flatnonzero((counts > 0) & ((stops - 1) // self._inner != first // self._inner))
        lengths = counts * maps.row_bytes
        lengths[split] = 0
        return self._addresses(maps, first).tolist(), lengths.tolist(), split.tolist()
