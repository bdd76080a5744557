"""Which chunk grid an array gets, so that as many stored chunks as possible can be handed on untouched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Final

import numpy as np

from zlake import limits
from zlake.extents.map import ExtentMap
from zlake.format.documents import SegmentTensor

BUILT_CHUNK_BYTES: Final = limits.MIB
"""Target size of a chunk that is made of rows from several places."""


@dataclass(frozen=True, slots=True)
class Grid:
    """How the values of a tensor are divided.

    Attributes
    ----------
    inner
        Shape of a chunk.
    shard
        Shape of a shard; empty where chunks are objects of their own.
    codec
        Codec chain of a chunk, by name.
    matching
        For each segment, whether it has chunks of this shape and codec (and shards of this shape, where there are any).
    """

    inner: tuple[int, ...]
    shard: tuple[int, ...]
    codec: str
    matching: tuple[bool, ...]


def choose_grid(
    units: ExtentMap, entries: Sequence[SegmentTensor], layout: str, unit: tuple[int, ...], itemsize: int
) -> Grid:
    """Choose the grid of the values of a tensor.

    Where all extents lie on one grid of objects, that is the grid; else that of most inner chunks, if it serves at
    least half of the array; else one of chunks of a good size, all of them built.

    Parameters
    ----------
    units
        The values: rows of a dense tensor, elements (bytes) of others.
    entries
        The segments that ``units`` numbers.
    layout
        Layout of the tensor as a whole; segments of another layout are never matching.
    unit
        Shape of a unit.
    itemsize
        Bytes of an element.
    """
    begins = units.ends - units.count
    whole = {(e.inner, e.shard, e.codec) for e in entries} if all(e.layout == layout for e in entries) else set()
    if len(whole) == 1:
        inner, shard, codec = whole.pop()
        size = (shard or inner)[0]
        if not (begins % size).any() and not (units.start % size).any():
            return Grid(inner, shard, codec, (True,) * len(entries))
    served: dict[tuple[tuple[int, ...], str], int] = {}
    for key, chunks in zip(*_whole_chunks(units, entries, layout), strict=True):
        served[key] = served.get(key, 0) + chunks
    best = max(served, key=lambda key: served[key] * key[0][0], default=None)
    if best is not None and served[best] * best[0][0] * 2 >= units.length:
        inner, codec = best
        matching = tuple(e.layout == layout and (e.inner, e.codec) == best for e in entries)
        return Grid(inner, (), codec, matching)
    return Grid(_built_chunk(units.length, unit, itemsize), (), "raw", (False,) * len(entries))


def _whole_chunks(
    units: ExtentMap, entries: Sequence[SegmentTensor], layout: str
) -> tuple[list[tuple[tuple[int, ...], str]], list[int]]:
    """Return, for each segment of the layout, its inner chunk and codec, and how many chunks could be handed on."""
    keys, counts = [], []
    sizes = np.array([entry.inner[0] for entry in entries], np.int64)[units.segment]
    begins = units.ends - units.count
    last = units.ends == units.length
    aligned = (begins - units.start) % sizes == 0
    until = np.where(last, -(-units.ends // sizes), units.ends // sizes)
    whole = np.where(aligned, np.maximum(0, until - -(-begins // sizes)), 0)
    per_segment = np.bincount(units.segment, whole, len(entries)).astype(np.int64)
    for entry, chunks in zip(entries, per_segment.tolist(), strict=True):
        if entry.layout == layout:
            keys.append((entry.inner, entry.codec))
            counts.append(chunks)
    return keys, counts


def _built_chunk(length: int, unit: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    unit_bytes = max(1, prod(unit) * itemsize)
    if unit_bytes <= limits.TILING_THRESHOLD_BYTES:
        units = max(1, BUILT_CHUNK_BYTES // unit_bytes)
        return (max(1, min(length, 1 << units.bit_length() - 1)), *(max(1, n) for n in unit))
    tile = list(unit)
    while prod(tile) * itemsize > BUILT_CHUNK_BYTES:
        longest = tile.index(max(tile))
        tile[longest] = -(-tile[longest] // 2)
    return (1, *tile)
