"""From extents of rows to extents of what rows are made of: items of sequences, elements of ragged samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from zlake.extents.map import ExtentMap
from zlake.types import IntArray

Bounds = Callable[[int, IntArray], tuple[IntArray, IntArray]]
"""From a segment's number and rows there to where the finer things of each row begin and end in that segment."""


@dataclass(frozen=True, eq=False)
class Lift:
    """How the rows of an extent map divide something finer.

    Attributes
    ----------
    outer
        The rows.
    first
        Where the finer things of each extent begin in its segment, ``(extents,) int64``.
    base
        How many finer things there are before each extent, and in all: ``(extents + 1,) int64``.
    bounds
        Looks up single rows.
    """

    outer: ExtentMap
    first: IntArray
    base: IntArray
    bounds: Bounds

    @classmethod
    def of(cls, outer: ExtentMap, totals: Sequence[tuple[int, int]], bounds: Bounds) -> Lift:
        """Divide the rows of a map.

        Parameters
        ----------
        outer
            The rows.
        totals
            Of each segment: its rows, and the finer things in it. Extents that span whole segments read nothing.
        bounds
            Looks up the first and last rows of all other extents.
        """
        table = np.array(totals, np.int64).reshape(-1, 2)[outer.segment]
        first = np.zeros(outer.n_extents, np.int64)
        stop = table[:, 1].copy()
        partial = np.flatnonzero((outer.start != 0) | (outer.count != table[:, 0]))
        for segment, which in grouped(outer.segment[partial]):
            members = partial[which]
            starts = outer.start[members]
            first[members] = bounds(segment, starts)[0]
            stop[members] = bounds(segment, starts + outer.count[members] - 1)[1]
        return cls(outer, first, np.concatenate(([0], np.cumsum(stop - first))), bounds)

    @property
    def length(self) -> int:
        """How many finer things there are."""
        return int(self.base[-1])

    def inner(self) -> ExtentMap:
        """Return the map of the finer things."""
        return ExtentMap.normalized(self.outer.segment, self.first, np.diff(self.base))

    def offsets(self, rows: IntArray) -> IntArray:
        """Return how many finer things there are before each row; row ``outer.length`` stands for the end."""
        found = np.full(len(rows), self.base[-1])
        inside = np.flatnonzero(rows < self.outer.length)
        rows = rows[inside]
        at = np.searchsorted(self.outer.ends, rows, side="right")
        local = rows - (self.outer.ends - self.outer.count - self.outer.start)[at]
        for segment, which in grouped(self.outer.segment[at]):
            extents = at[which]
            found[inside[which]] = self.bounds(segment, local[which])[0] - self.first[extents] + self.base[extents]
        return found


def grouped(segments: IntArray) -> Iterator[tuple[int, IntArray]]:
    """Yield each segment number with the positions, ascending, at which it stands."""
    order = np.argsort(segments, kind="stable")
    edges = np.flatnonzero(np.diff(segments[order])) + 1
    for part in np.split(order, edges):
        if len(part):
            yield int(segments[part[0]]), part
