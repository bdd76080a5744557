"""Which rows of a copy stay in the segments that they are stored in, and which are written anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from zlake.errors import RowIndexError
from zlake.extents import edit
from zlake.extents.map import EMPTY, ExtentMap
from zlake.extents.plan import plan
from zlake.extents.selection import Selection
from zlake.format.documents import SegmentTensor
from zlake.segments.gather import gather_ids
from zlake.session.column import Column
from zlake.types import IdArray

_LEAST_RUN = 32
"""Chosen rows that lie together, on average, where a segment is taken as it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """Rows of one tensor that are to be copied.

    Attributes
    ----------
    column
        The tensor.
    rows
        Where the rows are, over the column's segments.
    ids
        Their sample ids: those that they have, but fresh ones where a row is wanted more than once.
    taken
        For each of the column's segments whether it is taken as it is.
    """

    column: Column
    rows: ExtentMap
    ids: IdArray
    taken: npt.NDArray[np.bool_]

    def entries(self) -> list[SegmentTensor]:
        """Return the segments that are taken as they are."""
        return [entry for entry, taken in zip(self.column.base()[0], self.taken.tolist(), strict=True) if taken]

    def rewritten(self) -> ExtentMap:
        """Return the rows that are written anew, in order."""
        keep = ~self.taken[self.rows.segment]
        return ExtentMap.normalized(self.rows.segment[keep], self.rows.start[keep], self.rows.count[keep])

    def rewritten_ids(self) -> IdArray:
        """Return the ids of the rows that are written anew."""
        return self.ids[~np.repeat(self.taken[self.rows.segment], self.rows.count)]

    def found(self, new: ExtentMap) -> ExtentMap:
        """Return where all rows are in the copy, over the segments that are taken and, behind them, those written.

        Parameters
        ----------
        new
            Where the rewritten rows are, over the segments written.
        """
        first = int(self.taken.sum())
        numbers = np.cumsum(self.taken) - 1
        new = edit.renumber(new, np.arange(first, first + 1 + int(new.segment.max(initial=0))))
        if not first:
            return new
        taken = self.taken[self.rows.segment]
        bounds = [0, *(np.flatnonzero(np.diff(taken)) + 1).tolist(), len(taken)]
        parts, written = [], 0
        for start, stop in pairwise(bounds):
            run = slice(start, stop)
            count = int(self.rows.count[run].sum())
            if taken[start]:
                parts.append(ExtentMap(numbers[self.rows.segment[run]], self.rows.start[run], self.rows.count[run]))
            else:
                parts.append(edit.slice_(new, written, written + count))
                written += count
        return edit.join(parts)


def wanted(column: Column, rows: Selection | int | None) -> Wanted:
    """Return the rows of a tensor that a copy takes, without a change that is not flushed.

    A segment is taken as it is, with all its rows, if the copy needs at least half of them; where rows were chosen,
    only if they also lie together, `_LEAST_RUN` in a run on average, or are the whole segment in its order: else the
    copy would read slowly. If a row is wanted more than once all are written anew.

    Raises
    ------
    RowIndexError
        If the tensor has no such row.
    """
    segments, extents = column.base()
    if rows is None:
        return Wanted(column, extents, _ids(column, extents), _reused(segments, extents, False))
    chosen = np.array([rows]) if isinstance(rows, int) else rows.array()
    if len(chosen) and int(chosen.max()) >= len(column):
        raise RowIndexError(
            f"row {int(chosen.max())} is out of range for tensor {column.name!r}, which has {len(column)} rows"
        )
    found = edit.take(extents, chosen) if len(chosen) else EMPTY
    ids = _ids(column, found)
    first = np.unique(chosen, return_index=True)[1]
    if len(first) == len(chosen):
        return Wanted(column, found, ids, _reused(segments, found, True))
    again = np.ones(len(chosen), np.bool_)
    again[first] = False
    ids = ids.copy()
    ids[again] = column.next_ids(int(again.sum()))
    return Wanted(column, found, ids, np.zeros(len(segments), np.bool_))


def _ids(column: Column, extents: ExtentMap) -> IdArray:
    made = plan(extents, slice(0, extents.length, 1))
    return gather_ids(made, [column.source(i) for i in range(len(column.base()[0]))]) if made.runs else _NO_IDS


_NO_IDS: IdArray = np.empty(0, np.uint64)


def _reused(segments: Sequence[SegmentTensor], rows: ExtentMap, chosen: bool) -> npt.NDArray[np.bool_]:
    count = len(segments)
    used = np.bincount(rows.segment, weights=rows.count, minlength=count).astype(np.int64)
    runs = np.bincount(rows.segment, minlength=count)
    stored = np.array([entry.rows for entry in segments], np.int64)
    together = (used >= _LEAST_RUN * runs) | ((used == stored) & (runs == 1)) | (not chosen)
    reused: npt.NDArray[np.bool_] = (2 * used >= stored) & (used > 0) & together
    return reused


def pieces(column: Column, rows: ExtentMap, most: int) -> Iterator[ExtentMap]:
    """Cut rows into parts whose stored bytes are about ``most``, or one row."""
    if not rows.length:
        return
    each = np.array([max(1, entry.bytes // entry.rows) for entry in column.base()[0]], np.int64)[rows.segment]
    ends = np.cumsum(each * rows.count)
    start = 0
    while start < rows.length:
        here = 0 if not start else int(np.searchsorted(rows.ends, start, side="right"))
        before = int(ends[here] - each[here] * (rows.ends[here] - start))
        last = min(int(np.searchsorted(ends, before + most, side="right")), rows.n_extents - 1)
        over = int(ends[last]) - (before + most)
        stop = int(rows.ends[last]) - (-(-over // int(each[last])) if over > 0 else 0)
        stop = min(rows.length, max(stop, start + 1))
        yield edit.slice_(rows, start, stop)
        start = stop
