"""What two extent maps have to do with each other, told by places: segment, and row in it."""

from __future__ import annotations

from typing import Final

import numpy as np

from zlake.errors import CorruptObjectError
from zlake.extents.map import ExtentMap
from zlake.types import IntArray

_MOST_PLACES: Final = 2**62


def find_rows(extents: ExtentMap, segment: IntArray, row: IntArray) -> IntArray:
    """Return which rows of a map lie at these places.

    Parameters
    ----------
    extents
        A map in which no place comes twice.
    segment, row
        Places: segments of the map's table, and rows in them, ``(n,) int64`` each.

    Returns
    -------
    ndarray
        Rows of the map, ``(n,) int64``; -1 where no row lies at that place.

    Raises
    ------
    CorruptObjectError
        If the segments are said to hold more rows than there can be.
    """
    if not extents.n_extents or not len(segment):
        return np.full(len(segment), -1, np.int64)
    order, keys, base = _index(extents)
    inside = segment < len(base) - 1
    number = np.where(inside, segment, 0)
    size = base[1:] - base[:-1]
    inside &= row < size[number]
    key = base[number] + row
    at = order[np.maximum(np.searchsorted(keys, key, side="right") - 1, 0)]
    offset = row - extents.start[at]
    inside &= (extents.segment[at] == segment) & (offset >= 0) & (offset < extents.count[at])
    return np.where(inside, extents.ends[at] - extents.count[at] + offset, -1)


def subtract(a: ExtentMap, b: ExtentMap) -> tuple[ExtentMap, IntArray]:
    """Return the rows of ``a`` whose places ``b`` does not name: their map, in order, and which rows of ``a`` they are.

    Works on extents, and looks at single rows only where the two maps differ. Both use one segment table.

    Raises
    ------
    CorruptObjectError
        If the segments are said to hold more rows than there can be.
    """
    if not a.n_extents:
        return a, np.empty(0, np.int64)
    if not b.n_extents:
        return a, np.arange(a.length)
    order, _, base = _index(b)
    size = np.zeros(max(int(a.segment.max()) + 1, len(base) - 1), np.int64)
    size[: len(base) - 1] = base[1:] - base[:-1]
    np.maximum.at(size, a.segment, a.start + a.count)
    base = _line(size)
    # the extents of `b` as intervals on one line of all places, and the gaps between them, cut out of those of `a`
    low = base[b.segment[order]] + b.start[order]
    high = np.maximum.accumulate(low + b.count[order])  # a map that lies may name a place twice
    gap_low = np.append(0, high)
    gap_high = np.append(low, base[-1])
    mine = base[a.segment] + a.start
    end = mine + a.count
    first = np.searchsorted(gap_high, mine, side="right")
    last = np.searchsorted(gap_low, end, side="left")
    pieces = np.maximum(last - first, 0)
    which = np.repeat(np.arange(a.n_extents), pieces)
    gap = np.arange(len(which)) - np.repeat(pieces.cumsum() - pieces, pieces) + np.repeat(first, pieces)
    begin = np.maximum(mine[which], gap_low[gap])
    count = np.minimum(end[which], gap_high[gap]) - begin
    some = count > 0
    which, begin, count = which[some], begin[some], count[some]
    left = ExtentMap.normalized(a.segment[which], begin - base[a.segment[which]], count)
    row = (a.ends - a.count)[which] + begin - mine[which]
    total = count.cumsum()
    rows = np.arange(left.length) + np.repeat(row - (total - count), count)
    return left, rows


def substitute(extents: ExtentMap, old: ExtentMap, new: ExtentMap) -> ExtentMap:
    """Return a map in which rows that lie where ``old`` says lie where ``new`` says; all others stay where they are.

    Works on extents alone. All three use one segment table.

    Parameters
    ----------
    extents
        The map to change; the very same is returned if no row of it lies at a place of ``old``.
    old
        Places, each of them once.
    new
        As many places: row i of ``old`` goes to row i of ``new``.

    Raises
    ------
    CorruptObjectError
        If the segments are said to hold more rows than there can be.
    """
    if not extents.n_extents or not old.n_extents:
        return extents
    # runs of rows that lie together both in the old and in the new place
    first = np.unique(np.concatenate((np.zeros(1, np.int64), old.ends[:-1], new.ends[:-1])))
    count = np.diff(np.append(first, old.length))
    segment, start = old.locate(first)
    to_segment, to_start = new.locate(first)
    size = np.zeros(max(int(segment.max()), int(extents.segment.max())) + 1, np.int64)
    np.maximum.at(size, segment, start + count)
    np.maximum.at(size, extents.segment, extents.start + extents.count)
    base = _line(size)
    low = base[segment] + start
    order = np.argsort(low)
    low, high = low[order], (low + count)[order]
    # the extents, cut wherever such a run begins or ends
    begin = base[extents.segment] + extents.start
    end = begin + extents.count
    cuts = np.unique(np.concatenate((low, high)))
    before = np.searchsorted(cuts, begin, side="right")
    pieces = 1 + np.maximum(np.searchsorted(cuts, end, side="left") - before, 0)
    which = np.repeat(np.arange(extents.n_extents), pieces)
    nth = np.arange(len(which)) - np.repeat(pieces.cumsum() - pieces, pieces)
    at = np.where(nth > 0, cuts[np.minimum(before[which] + nth - 1, len(cuts) - 1)], begin[which])
    until = np.where(nth == pieces[which] - 1, end[which], np.append(at[1:], 0))
    run = np.maximum(np.searchsorted(low, at, side="right") - 1, 0)
    moved = (low[run] <= at) & (at < high[run])
    if not moved.any():
        return extents
    offset = at - low[run]
    run = order[run]
    return ExtentMap.normalized(
        np.where(moved, to_segment[run], extents.segment[which]),
        np.where(moved, to_start[run] + offset, at - base[extents.segment[which]]),
        until - at,
    )


def _index(extents: ExtentMap) -> tuple[IntArray, IntArray, IntArray]:
    """Return the extents ordered by place, their places as single numbers, and the number where each segment begins."""
    size = np.zeros(int(extents.segment.max()) + 1, np.int64)
    np.maximum.at(size, extents.segment, extents.start + extents.count)
    base = _line(size)
    keys = base[extents.segment] + extents.start
    order = np.argsort(keys, kind="stable")
    return order, keys[order], base


def _line(size: IntArray) -> IntArray:
    """Return where each segment begins if all their rows stand in one line, and where the line ends."""
    if float(size.sum(dtype=np.float64)) > _MOST_PLACES:
        raise CorruptObjectError(f"the extents of a tensor name segments of more than {_MOST_PLACES} rows together")
    return np.append(0, np.cumsum(size))
