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


class Substitution:
    """Puts rows that lie at some places at others. Works on extents alone.

    Parameters
    ----------
    old
        Places, each of them once.
    new
        As many places, over the same segment table: row i of ``old`` goes to row i of ``new``.

    Raises
    ------
    CorruptObjectError
        If the segments are said to hold more rows than there can be.
    """

    def __init__(self, old: ExtentMap, new: ExtentMap) -> None:
        # runs of rows that lie together both in the old and in the new place
        first = np.sort(np.concatenate((np.zeros(1, np.int64), old.ends[:-1], new.ends[:-1])), kind="stable")
        first = first[np.append(True, first[1:] != first[:-1])]
        count = np.diff(np.append(first, old.length))
        segment, start = old.locate(first)
        order = np.lexsort((start, segment))
        self._to_segment, self._to_start = (places[order] for places in new.locate(first))
        segment, start, count = segment[order], start[order], count[order]
        size = np.zeros(int(segment.max()) + 1, np.int64)
        np.maximum.at(size, segment, start + count)
        self._base = _line(size)
        self._low = self._base[segment] + start
        self._high = self._low + count

    def __call__(self, extents: ExtentMap) -> ExtentMap:
        """Return a map with the rows at their new places; the very same one if none of them was at an old place."""
        if not extents.n_extents:
            return extents
        known = np.minimum(extents.segment, len(self._base) - 2)
        base = self._base[known]
        room = np.where(extents.segment == known, self._base[known + 1] - base, 0)
        stop = extents.start + extents.count
        low, high = (base + np.minimum(rows, room) for rows in (extents.start, stop))
        # each extent is cut into what lies before the first run in it, that run, what lies behind it, and so on
        first = np.searchsorted(self._high, low, side="right")
        runs = np.maximum(np.searchsorted(self._low, high, side="left") - first, 0)
        if not runs.any():
            return extents
        pieces = 2 * runs + 1
        which = np.repeat(np.arange(extents.n_extents), pieces)
        nth = np.arange(len(which)) - np.repeat(pieces.cumsum() - pieces, pieces)
        run = np.minimum(first[which] + nth // 2, len(self._low) - 1)
        here = np.maximum(self._low[run], low[which]) - base[which]
        until = np.minimum(self._high[run], high[which]) - base[which]
        moved = nth % 2 == 1
        behind = np.append(0, until[:-1])  # of the run before: pieces and runs alternate
        begin = np.where(moved, here, np.where(nth == 0, extents.start[which], behind))
        end = np.where(moved, until, np.where(nth == pieces[which] - 1, stop[which], here))
        return ExtentMap.normalized(
            np.where(moved, self._to_segment[run], extents.segment[which]),
            np.where(moved, self._to_start[run] + begin + base[which] - self._low[run], begin),
            end - begin,
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
