"""Read plans: which rows of which source go where in the result."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from zlake.extents import edit
from zlake.extents.map import ExtentMap, spans
from zlake.types import IntArray

SHORT_EXTENT_ROWS = 64
"""Below this mean length, the extents of a slice are gathered by segment instead of one by one."""


@dataclass(frozen=True, slots=True)
class Run:
    """Rows of one source.

    Attributes
    ----------
    source
        Segment index of the extent map.
    rows
        Rows within the source: an ascending slice, or ``(n,) int64`` in any order.
    at
        Their positions in the result: an ascending slice, or ``(n,) int64``.
    """

    source: int
    rows: slice | IntArray
    at: slice | IntArray

    @property
    def length(self) -> int:
        """Number of rows."""
        return span(self.at)


@dataclass(frozen=True, slots=True)
class Plan:
    """Runs that together fill positions ``[0, length)`` of a result, each position once."""

    runs: tuple[Run, ...]
    length: int


def span(rows: slice | IntArray) -> int:
    """Return how many rows an ascending slice (with start and stop) or an array names."""
    if isinstance(rows, slice):
        return len(range(rows.start, rows.stop, rows.step or 1))
    return len(rows)


def plan(extents: ExtentMap, rows: slice | IntArray) -> Plan:
    """Plan the reading of rows.

    Parameters
    ----------
    extents
        The tensor's extent map.
    rows
        A slice over ``[0, length)`` with any step, or rows ``(n,) int64`` in ``[0, length)`` in any
        order, repeats allowed.

    Returns
    -------
    Plan
        A slice stays one slice per extent; other rows are grouped by segment, in the order given, and where a group
        is a run of consecutive rows it is a slice. Many short extents are gathered by segment too.

    Raises
    ------
    RowIndexError
        If a row lies outside.
    """
    if isinstance(rows, slice):
        start, stop, step = rows.indices(extents.length)
        if step > 0:
            return _plan_slice(extents, start, stop, step)
        rows = np.arange(start, stop, step, dtype=np.int64)
    return _plan_rows(extents, np.asarray(rows, dtype=np.int64))


def _plan_slice(extents: ExtentMap, start: int, stop: int, step: int) -> Plan:
    wanted = range(start, stop, step)
    length = len(wanted)
    if not length:
        return Plan((), 0)
    ends = extents.ends
    first = int(np.searchsorted(ends, start, side="right")) if len(ends) > 1 else 0
    last = int(np.searchsorted(ends, wanted[-1], side="right")) if len(ends) > 1 else 0
    touched = last - first + 1
    if touched > 1 and length < touched * SHORT_EXTENT_ROWS:
        distinct = np.count_nonzero(np.bincount(extents.segment[first : last + 1]))
        if distinct * 2 < touched:
            if step == 1:
                return _plan_short(edit.slice_(extents, start, start + length))
            return _plan_rows(extents, np.arange(start, stop, step, dtype=np.int64))
    runs = []
    done = 0
    row = start
    for segment, begin, count, end in zip(
        extents.segment[first : last + 1].tolist(),
        extents.start[first : last + 1].tolist(),
        extents.count[first : last + 1].tolist(),
        ends[first : last + 1].tolist(),
        strict=True,
    ):
        here = len(range(row, min(end, stop), step))
        if not here:
            continue
        offset = begin + row - (end - count)
        rows = slice(offset, offset + (here - 1) * step + 1, step)
        runs.append(Run(segment, rows, slice(done, done + here, 1)))
        done += here
        row += here * step
    return Plan(tuple(runs), length)


def _plan_rows(extents: ExtentMap, rows: IntArray) -> Plan:
    length = len(rows)
    if not length:
        return Plan((), 0)
    segment, row = extents.locate(rows)
    if extents.n_extents == 1 or (segment == segment[0]).all():
        return Plan((Run(int(segment[0]), _as_slice(row), slice(0, length, 1)),), length)
    order, segments, bounds = _by_segment(segment)
    runs = []
    for number, (low, high) in zip(segments, pairwise(bounds), strict=True):
        at = order[low:high]
        runs.append(Run(number, _as_slice(row[at]), _as_slice(at)))
    return Plan(tuple(runs), length)


def _plan_short(extents: ExtentMap) -> Plan:
    """Plan all rows of a map of many short extents, without a look at each row."""
    order, segments, bounds = _by_segment(extents.segment)
    counts = extents.count[order]
    rows, at = spans(extents.start[order], counts), spans((extents.ends - extents.count)[order], counts)
    before = np.append(0, np.cumsum(counts))[bounds].tolist()
    runs = (
        Run(number, _as_slice(rows[low:high]), _as_slice(at[low:high]))
        for number, (low, high) in zip(segments, pairwise(before), strict=True)
    )
    return Plan(tuple(runs), extents.length)


def _by_segment(segment: IntArray) -> tuple[IntArray, list[int], list[int]]:
    """Return the order that brings equal segments together, these segments, and where each begins and the last ends."""
    narrow = segment.astype(np.min_scalar_type(int(segment.max())))  # which NumPy sorts in linear time
    order = np.argsort(narrow, kind="stable")
    segment = segment[order]
    begins = np.append(0, np.flatnonzero(segment[1:] != segment[:-1]) + 1)
    return order, segment[begins].tolist(), [*begins.tolist(), len(segment)]


def _as_slice(rows: IntArray) -> slice | IntArray:
    n = len(rows)
    if int(rows[-1]) - int(rows[0]) == n - 1 and (n < 3 or bool((rows[1:] - rows[:-1] == 1).all())):
        return slice(int(rows[0]), int(rows[0]) + n, 1)
    return rows
