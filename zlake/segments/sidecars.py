"""The small arrays beside the values: ids, offsets, shapes. Read by chunk, kept decoded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zlake.errors import CorruptObjectError, ObjectNotFoundError
from zlake.segments.cache import Cache, Slot
from zlake.segments.codecs import decode
from zlake.segments.identity import Checks, check_of, compare
from zlake.segments.layout import OFFSETS, SEQUENCE_OFFSETS, ArrayLayout
from zlake.storage.store import Request, Store
from zlake.types import Array, IntArray


class _Loaded:
    """An array of which some chunks are there; memory of the others is not touched."""

    __slots__ = ("array", "flags", "missing")

    def __init__(self, array: Array, chunks: int) -> None:
        self.array = array
        self.flags = np.zeros(chunks, np.bool_)
        self.missing = chunks


class Sidecar:
    """One small array of a tensor in a segment.

    Parameters
    ----------
    store, prefix
        Where the tensor lies in the segment.
    layout
        The array.
    limit
        Largest value that an offset may have.
    cache
        Bounds the decoded bytes.
    checks
        Of its objects, where they are known.
    """

    def __init__(
        self, store: Store, prefix: str, layout: ArrayLayout, limit: int, cache: Cache, checks: Checks | None = None
    ) -> None:
        self.store = store
        self._prefix = prefix
        self._layout = layout
        self._limit = limit if layout.name in (OFFSETS, SEQUENCE_OFFSETS) else -1
        self._cache = cache
        self._checks = checks
        self._slot: Slot[_Loaded] = Slot()
        self._chunk = layout.chunk[0]
        self._chunks = -(-layout.shape[0] // self._chunk)

    @property
    def complete(self) -> bool:
        """Whether every chunk is in memory."""
        loaded = self._slot.value
        return loaded is not None and not loaded.missing

    def range(self, first: int, last: int) -> Array:
        """Return the array, of which the elements ``[first, last]`` are there."""
        loaded = self._slot.value
        if loaded is None or loaded.missing:
            return load([(self, self.chunks_of_range(first, last))])[0]
        self._slot.used = True
        return loaded.array

    def at(self, rows: IntArray) -> Array:
        """Return the array, of which the given elements are there."""
        loaded = self._slot.value
        if loaded is None or loaded.missing:
            return load([(self, self.chunks_of(rows))])[0]
        self._slot.used = True
        return loaded.array

    def chunks_of_range(self, first: int, last: int) -> IntArray:
        """Return the chunks that hold the elements ``[first, last]``."""
        return np.arange(first // self._chunk, last // self._chunk + 1)

    def chunks_of(self, rows: IntArray) -> IntArray:
        """Return the chunks that hold the elements."""
        return np.unique(rows // self._chunk)

    def begin(self, chunks: IntArray) -> tuple[_Loaded, IntArray, list[Request]]:
        """Return what is loaded, which of the chunks are not, and the requests that read those."""
        loaded = self._slot.value
        if loaded is None:
            try:
                loaded = _Loaded(np.empty(self._layout.shape, self._layout.dtype), self._chunks)
            except (MemoryError, ValueError) as error:
                shape = self._layout.shape
                where = f"{self._prefix}{self._layout.name}"
                raise CorruptObjectError(f"{where}: no memory for an array of shape {shape}") from error
            self._cache.fill(self._slot, loaded, 0)
        absent = chunks[~loaded.flags[chunks]]
        tail = (0,) * (len(self._layout.shape) - 1)
        keys = [self._prefix + self._layout.object_key((chunk, *tail)) for chunk in absent.tolist()]
        return loaded, absent, [Request(key) for key in keys]

    def take_in(
        self, loaded: _Loaded, chunks: IntArray, stored: Sequence[bytes | None], requests: Sequence[Request]
    ) -> None:
        """Decode chunks into what is loaded."""
        size = self._layout.dtype.itemsize
        for n in self._layout.chunk:
            size *= n
        for chunk, data, request in zip(chunks.tolist(), stored, requests, strict=True):
            if data is None:
                raise ObjectNotFoundError(f"{request.key}: the object is missing, though the dataset refers to it")
            plain = decode(self._layout.codec, data, size, request.key)
            if self._checks is not None:
                compare(check_of(data), self._checks[chunk], request.key)
            values = plain.view(self._layout.dtype).reshape(self._layout.chunk)
            start = chunk * self._chunk
            part = loaded.array[start : start + self._chunk]
            part[...] = values[: len(part)]
            if self._limit >= 0:
                self._check_offsets(part, start, request.key)
            loaded.flags[chunk] = True
        loaded.missing = int(np.count_nonzero(~loaded.flags))
        done = len(loaded.flags) - loaded.missing
        self._cache.fill(self._slot, loaded, done * size)

    def _check_offsets(self, part: IntArray, start: int, key: str) -> None:
        sound = bool((part[1:] >= part[:-1]).all()) and part[0] >= 0 and part[-1] <= self._limit
        sound = sound and (start > 0 or part[0] == 0)
        if start + len(part) == self._layout.shape[0]:
            sound = sound and part[-1] == self._limit
        if not sound:
            raise CorruptObjectError(f"{key}: these are no offsets that ascend from 0 to {self._limit}")


def load(wanted: Sequence[tuple[Sidecar, IntArray]]) -> list[Array]:
    """Read the chunks of several sidecars, all in flight at once, and return the arrays.

    Raises
    ------
    CorruptObjectError
        If a chunk is damaged.
    ObjectNotFoundError
        If a chunk is missing.
    """
    begun = [(sidecar, *sidecar.begin(chunks)) for sidecar, chunks in wanted]
    requests = [request for *_, some in begun for request in some]
    stored = wanted[0][0].store.read_many(requests) if requests else []
    done = 0
    for sidecar, loaded, chunks, some in begun:
        if some:
            sidecar.take_in(loaded, chunks, stored[done : done + len(some)], some)
        done += len(some)
    return [loaded.array for _, loaded, *_ in begun]
