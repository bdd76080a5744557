"""Edits of extent maps: every function returns a new, normalized map and moves no sample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from zlake.errors import RowIndexError
from zlake.extents.map import EMPTY, ExtentMap, checked, distinct, spans
from zlake.types import IntArray

_PIECE_ROWS = 4
"""Rows that are replaced one by one in the time that a piece of a map takes."""


def concat(a: ExtentMap, b: ExtentMap) -> ExtentMap:
    """Return the rows of ``a`` followed by those of ``b``; both use one segment table."""
    if not a.length:
        return b
    if not b.length:
        return a
    return ExtentMap.normalized(
        np.concatenate((a.segment, b.segment)),
        np.concatenate((a.start, b.start)),
        np.concatenate((a.count, b.count)),
    )


def join(maps: Sequence[ExtentMap]) -> ExtentMap:
    """Return the rows of all maps, one behind the other; they use one segment table."""
    if len(maps) == 1:
        return maps[0]
    return ExtentMap.normalized(
        np.concatenate([m.segment for m in maps]),
        np.concatenate([m.start for m in maps]),
        np.concatenate([m.count for m in maps]),
    )


def slice_(extents: ExtentMap, start: int, stop: int) -> ExtentMap:
    """Return rows ``[start, stop)``, where ``0 <= start <= stop <= length``."""
    if not 0 <= start <= stop <= extents.length:
        raise RowIndexError(f"Rows [{start}, {stop}) are no part of {extents.length} rows.")
    if start == 0 and stop == extents.length:
        return extents
    if start == stop:
        return EMPTY
    first = int(np.searchsorted(extents.ends, start, side="right"))
    last = int(np.searchsorted(extents.ends, stop, side="left")) + 1
    begin, count = extents.start[first:last].copy(), extents.count[first:last].copy()
    count[-1] -= int(extents.ends[last - 1]) - stop
    skipped = start - (int(extents.ends[first]) - int(extents.count[first]))
    begin[0] += skipped
    count[0] -= skipped
    return ExtentMap(extents.segment[first:last].copy(), begin, count)


def take(extents: ExtentMap, rows: IntArray | slice) -> ExtentMap:
    """Return the map whose row i is row ``rows[i]``; rows may repeat and come in any order."""
    if isinstance(rows, slice):
        start, stop, step = rows.indices(extents.length)
        if step == 1:
            return slice_(extents, start, max(start, stop))
        rows = np.arange(start, stop, step, dtype=np.int64)
    return ExtentMap.from_locations(*extents.locate(rows))


def delete(extents: ExtentMap, rows: IntArray) -> ExtentMap:
    """Return the map without these rows, given in any order; a row named twice is deleted once."""
    rows = checked(rows, extents.length)
    if not len(rows):
        return extents
    rows = distinct(rows)
    pieces, first = _split(extents, _run_edges(rows))
    gone, _ = _within(rows, first)
    keep = ~gone
    return ExtentMap.normalized(pieces.segment[keep], pieces.start[keep], pieces.count[keep])


def replace(extents: ExtentMap, rows: IntArray, new: ExtentMap) -> ExtentMap:
    """Return the map in which row ``rows[i]`` is row i of ``new``; of a row named twice the last one counts.

    Raises
    ------
    ValueError
        If ``new`` has another number of rows than are named.
    """
    rows = checked(rows, extents.length)
    if len(rows) != new.length:
        raise ValueError(f"{len(rows)} rows cannot be replaced by {new.length} rows; give as many as are named.")
    if not len(rows):
        return extents
    if extents.length <= _PIECE_ROWS * (extents.n_extents + len(rows)):
        segment, start = _each(extents)
        segment[rows], start[rows] = _each(new)
        return ExtentMap.from_locations(segment, start)
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    last = np.append(rows[1:] != rows[:-1], True)
    rows, order = rows[last], order[last]
    if not np.array_equal(order, np.arange(new.length)):
        new = take(new, order)
    boundaries = rows[new.ends[:-1]]
    pieces, first = _split(extents, np.concatenate((_run_edges(rows), boundaries)))
    changed, at = _within(rows, first)
    segment, start = new.locate(at[changed])
    pieces.segment[changed] = segment
    pieces.start[changed] = start
    return ExtentMap.normalized(pieces.segment, pieces.start, pieces.count)


def renumber(extents: ExtentMap, mapping: IntArray) -> ExtentMap:
    """Return the map over another segment table: segment s becomes ``mapping[s]``."""
    return ExtentMap.normalized(np.asarray(mapping, dtype=np.int64)[extents.segment], extents.start, extents.count)


def used_segments(extents: ExtentMap) -> IntArray:
    """Return the segment indices that the map names, sorted, each once."""
    return np.flatnonzero(np.bincount(extents.segment))


def common_prefix(a: ExtentMap, b: ExtentMap) -> int:
    """Return how many first rows of the two maps lie at the same places; both use one segment table."""
    n = min(a.n_extents, b.n_extents)
    same_place = (a.segment[:n] == b.segment[:n]) & (a.start[:n] == b.start[:n])
    differ = (~(same_place & (a.count[:n] == b.count[:n]))).nonzero()[0]
    if not len(differ):
        return min(a.length, b.length)
    at = int(differ[0])
    before = int(a.ends[at] - a.count[at])
    return before + (min(int(a.count[at]), int(b.count[at])) if same_place[at] else 0)


def _each(extents: ExtentMap) -> tuple[IntArray, IntArray]:
    """Return the segment of each row, and the row there."""
    return np.repeat(extents.segment, extents.count), spans(extents.start, extents.count)


def _run_edges(rows: IntArray) -> IntArray:
    """First row and end (exclusive) of every run of consecutive rows; ``rows`` are sorted, each once."""
    heads = np.append(True, rows[1:] != rows[:-1] + 1)
    tails = np.append(heads[1:], True)
    return np.concatenate((rows[heads], rows[tails] + 1))


def _split(extents: ExtentMap, cuts: IntArray) -> tuple[ExtentMap, IntArray]:
    """Cut extents at rows: the (not normalized) map of the pieces, and the first row of each piece."""
    edges = distinct(np.concatenate((np.zeros(1, np.int64), extents.ends, cuts)))
    first = edges[:-1]
    segment, start = extents.locate(first)
    return ExtentMap(segment, start, np.diff(edges)), first


def _within(rows: IntArray, first: IntArray) -> tuple[npt.NDArray[np.bool_], IntArray]:
    """Whether each of ``first`` is one of the sorted ``rows``, and which of them it then is."""
    at = np.searchsorted(rows, first)
    found: npt.NDArray[np.bool_] = (at < len(rows)) & (rows[np.minimum(at, len(rows) - 1)] == first)
    return found, at
