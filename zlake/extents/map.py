"""The extent map: which rows of which segments make up a tensor, in order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from zlake.errors import RowIndexError
from zlake.types import IntArray


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ExtentMap:
    """An ordered list of runs (segment, first row, row count), normalized: no run is empty or continues the one before.

    Build one with `ExtentMap.from_runs` or `ExtentMap.normalized`; the constructor trusts its arguments.

    Attributes
    ----------
    segment, start, count
        One entry per extent, ``(extents,) int64``: index into a segment table kept beside the map, first row in that
        segment, number of rows.
    ends
        Row of the tensor at which each extent ends (exclusive), ``(extents,) int64``.
    length
        Number of rows.
    """

    segment: IntArray
    start: IntArray
    count: IntArray
    ends: IntArray = field(init=False)
    length: int = field(init=False)
    _lookup: tuple[list[int], list[int], list[int]] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        ends = self.count.cumsum()
        object.__setattr__(self, "ends", ends)
        object.__setattr__(self, "length", int(ends[-1]) if len(ends) else 0)

    @classmethod
    def normalized(cls, segment: IntArray, start: IntArray, count: IntArray) -> ExtentMap:
        """Return the map of these runs, with empty runs dropped and adjacent ones merged."""
        if len(count) and not count.all():
            keep = count != 0
            segment, start, count = segment[keep], start[keep], count[keep]
        if len(count) > 1:
            heads = np.empty(len(count), dtype=bool)
            heads[0] = True
            np.not_equal(segment[1:], segment[:-1], out=heads[1:])
            heads[1:] |= start[1:] != start[:-1] + count[:-1]
            if not heads.all():
                first = heads.nonzero()[0]
                segment, start, count = segment[first], start[first], np.add.reduceat(count, first)
        return cls(segment, start, count)

    @classmethod
    def from_runs(cls, runs: Iterable[tuple[int, int, int]]) -> ExtentMap:
        """Return the map of ``(segment, first row, row count)`` triples."""
        if type(runs) is list and len(runs) == 1 and runs[0][2]:  # by far the most frequent
            segment, start, count = runs[0]
            return cls(np.array([segment]), np.array([start]), np.array([count]))
        table = np.fromiter(chain.from_iterable(runs), dtype=np.int64).reshape(-1, 3)
        return cls.normalized(table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy())

    @classmethod
    def from_locations(cls, segment: IntArray, row: IntArray) -> ExtentMap:
        """Return the map whose row i is row ``row[i]`` of segment ``segment[i]``."""
        return cls.normalized(segment, row, np.ones(len(row), dtype=np.int64))

    @property
    def n_extents(self) -> int:
        """Number of extents."""
        return len(self.count)

    def __len__(self) -> int:
        return self.length

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExtentMap):
            return NotImplemented
        return (
            np.array_equal(self.count, other.count)
            and np.array_equal(self.start, other.start)
            and np.array_equal(self.segment, other.segment)
        )

    def __hash__(self) -> int:
        return hash((self.segment.tobytes(), self.start.tobytes(), self.count.tobytes()))

    def __repr__(self) -> str:
        return f"ExtentMap({self.length} rows in {self.n_extents} extents)"

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """Yield the extents as ``(segment, first row, row count)`` triples of Python integers."""
        return zip(self.segment.tolist(), self.start.tolist(), self.count.tolist(), strict=True)

    def locate(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """Find many rows.

        Parameters
        ----------
        rows
            Rows of the tensor in ``[0, length)``, ``(n,) int64``, in any order.

        Returns
        -------
        tuple
            Segment indices and rows within those segments, ``(n,) int64`` each.

        Raises
        ------
        RowIndexError
            If a row lies outside.
        """
        rows = checked(rows, self.length)
        if len(rows) == 0:
            return rows, rows
        if len(self.count) == 1:
            return np.full(len(rows), self.segment[0]), rows + self.start[0]
        if len(self.count) == self.length:
            return self.segment[rows], self.start[rows]
        at = np.searchsorted(self.ends, rows, side="right")
        return self.segment[at], rows + (self.start - self.ends + self.count)[at]

    def locate_one(self, row: int) -> tuple[int, int]:
        """Return the segment index of one row and its row within that segment.

        Raises
        ------
        RowIndexError
            If the row lies outside ``[0, length)``.
        """
        if not 0 <= row < self.length:
            raise out_of_range(row, self.length)
        ends, segments, shifts = self._lookup or self._make_lookup()
        at = bisect_right(ends, row)
        return segments[at], row + shifts[at]

    def _make_lookup(self) -> tuple[list[int], list[int], list[int]]:
        # Python lists: bisect and indexing on them cost a tenth of what NumPy scalars cost.
        shift = self.start - self.ends + self.count
        lookup = (self.ends.tolist(), self.segment.tolist(), shift.tolist())
        object.__setattr__(self, "_lookup", lookup)
        return lookup


def checked(rows: IntArray, length: int) -> IntArray:
    """Return rows as int64.

    Raises
    ------
    RowIndexError
        If a row lies outside ``[0, length)``.
    """
    rows = np.asarray(rows, dtype=np.int64)
    if len(rows):
        low, high = int(rows.min()), int(rows.max())
        if low < 0 or high >= length:
            raise out_of_range(low if low < 0 else high, length)
    return rows


def distinct(values: IntArray) -> IntArray:
    """Return the values sorted, each once; `numpy.unique` takes ten times as long where they are many."""
    values = np.sort(values, kind="stable")  # most are sorted runs, one behind the other, which this kind merges
    return values[np.append(True, values[1:] != values[:-1])] if len(values) else values


def spans(starts: IntArray, counts: IntArray) -> IntArray:
    """Return ``[starts[0], starts[0] + counts[0])``, then the next range, and so on, as one array."""
    ends = np.cumsum(counts)
    made: IntArray = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(starts - (ends - counts), counts)
    return made


def out_of_range(row: int, length: int) -> RowIndexError:
    """Return the error that names a row outside ``[0, length)``."""
    if length == 0:
        return RowIndexError(f"Row {row} is out of range: there are no rows.")
    return RowIndexError(f"Row {row} is out of range for {length} rows: use 0 to {length - 1}, or {-length} to -1.")


EMPTY = ExtentMap(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
"""The map of a tensor without rows."""
