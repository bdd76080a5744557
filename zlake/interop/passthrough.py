"""Chunks that lie in a segment just as an array of the hierarchy needs them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod

import numpy as np

from zlake.errors import ObjectNotFoundError
from zlake.extents.map import ExtentMap
from zlake.format.documents import SegmentTensor
from zlake.format.paths import tensor_prefix
from zlake.interop.grid import Grid
from zlake.interop.nodes import Index, Stored, chunk_key
from zlake.segments.codecs import ABSENT, CHECKSUM_BYTES, INDEX_ENTRY_BYTES, decode
from zlake.segments.layout import VALUES
from zlake.storage.store import Store

_INDEXES = 64
"""Shard indexes kept, of 16 bytes for each chunk."""


class Passthrough:
    """Finds the stored chunks of the values of one tensor.

    Parameters
    ----------
    store
        The dataset's store.
    key
        The tensor's key.
    units
        The values: rows of a dense tensor, elements (bytes) of others.
    entries
        The segments that ``units`` numbers.
    grid
        The grid of the array.
    """

    def __init__(self, store: Store, key: str, units: ExtentMap, entries: Sequence[SegmentTensor], grid: Grid) -> None:
        self._store = store
        self._key = key
        self._units = units
        self._entries = entries
        self._grid = grid
        self._size = (grid.shard or grid.inner)[0]
        self._shard_index = lru_cache(_INDEXES)(self._read_shard_index)

    def __call__(self, index: Index) -> Stored | None:
        """Return where the chunk lies, or None where it is no stored chunk."""
        units, size = self._units, self._size
        begin, end = index[0] * size, min((index[0] + 1) * size, units.length)
        at = int(np.searchsorted(units.ends, begin, side="right"))
        segment, shift = int(units.segment[at]), int(units.start[at] - units.ends[at] + units.count[at])
        if not self._grid.matching[segment] or (begin + shift) % size or end > units.ends[at]:
            return None
        entry = self._entries[segment]
        prefix = f"{tensor_prefix(entry.segment, self._key)}{VALUES}/"
        chunk = ((begin + shift) // size, *index[1:])
        if self._grid.shard or not entry.shard:
            return Stored(prefix + chunk_key(chunk))
        return self._within_shard(prefix, entry, chunk)

    def _within_shard(self, prefix: str, entry: SegmentTensor, chunk: Index) -> Stored | None:
        per_shard = tuple(s // c for s, c in zip(entry.shard, entry.inner, strict=True))
        key = prefix + chunk_key(tuple(i // n for i, n in zip(chunk, per_shard, strict=True)))
        place = int(np.ravel_multi_index([i % n for i, n in zip(chunk, per_shard, strict=True)], per_shard))
        start, nbytes = self._shard_index(key, prod(per_shard))[place].tolist()
        return None if start == ABSENT else Stored(key, start, start + nbytes)

    def _read_shard_index(self, key: str, chunks: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
        nbytes = chunks * INDEX_ENTRY_BYTES
        found = self._store.read(key, -(nbytes + CHECKSUM_BYTES))
        if found is None:
            raise ObjectNotFoundError(f"{key}: the object is missing, though the dataset refers to it")
        return decode("raw", found, nbytes, f"{key}: shard index").view("<u8").reshape(-1, 2)


class WholeSegment:
    """Finds the chunks of an array that is an array of one segment, from its first row to its last.

    Parameters
    ----------
    prefix
        Where the array lies.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def __call__(self, index: Index) -> Stored:
        """Return where the chunk lies."""
        return Stored(self._prefix + chunk_key(index))
