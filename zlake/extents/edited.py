"""An extent map under change: rows are appended, replaced and removed; the map of it is made when it is asked for."""

from __future__ import annotations

from array import array
from bisect import bisect_right, insort
from collections.abc import Callable

import numpy as np

from zlake.extents import edit
from zlake.extents.map import EMPTY, ExtentMap, checked, out_of_range, spans
from zlake.types import IntArray

_WORTH = 8
"""Extents that are edited, all at once, in the time in which one row is looked up or noted by itself."""


class Edited:
    """The rows of a base map with changes on top, whose new samples lie in a buffer that only grows.

    A change costs what it changes, however many there were before it. So does looking up a row. Bulk reads and flushes
    ask for the whole map, which is made of the map before it and what changed since.

    Every row that is or was there has a *place*: base rows in their order, then those appended since. Rows are never
    reordered, so the places that are gone say which row is where.

    Parameters
    ----------
    length
        Rows of the base.
    load
        Returns the number of the buffer in the table of segments, and the base map.

    Attributes
    ----------
    length
        Rows as they are now.
    only_appended
        Whether no row was replaced or removed.
    """

    def __init__(self, length: int, load: Callable[[], tuple[int, ExtentMap]]) -> None:
        self.length = length
        self.only_appended = True
        self._load = load
        self._base = length
        self._buffer = -1  # unknown until the base is loaded
        self._laid: ExtentMap | None = None  # where the first places lie: the base, and what was folded in since
        self._firsts: list[int] = []  # rows appended behind them, as runs of rows of the buffer,
        self._ends: list[int] = []  # and the place at which each run ends
        self._next = -1  # row of the buffer that would continue the last run
        self._over: dict[int, int] = {}  # replaced places that the map does not show yet, and their rows of the buffer
        self._gone = array("q")  # removed places, sorted
        self._map: ExtentMap | None = None
        self._credit = 0

    def append(self, first: int, count: int = 1) -> None:
        """Append ``count`` rows of the buffer."""
        if first != self._next:
            self._firsts.append(first)
            self._ends.append(self.length + len(self._gone))
        self._ends[-1] += count
        self._next = first + count
        self._map = None
        self.length += count

    def replace(self, rows: IntArray, first: int) -> None:
        """Let rows be those of the buffer from ``first`` on; of a row named twice the last one counts."""
        places = self._places(rows)
        self.only_appended = False
        self._map = None
        if _WORTH * len(places) < self._work():
            self._over.update(zip(places.tolist(), range(first, first + len(places)), strict=True))
        else:
            new = ExtentMap.from_runs([(self._buffer, first, len(places))])
            self._laid = edit.replace(self._folded(), places, new)

    def replace_one(self, row: int, at: int) -> None:
        """Let a row be row ``at`` of the buffer."""
        self._known()
        self._over[self._place(row)] = at
        self.only_appended = False
        self._map = None

    def delete(self, rows: IntArray) -> None:
        """Remove rows, each named once."""
        places = self._places(rows)
        self.only_appended = False
        self._map = None
        self.length -= len(places)
        if _WORTH * len(places) < len(self._gone):
            for place in places.tolist():
                insort(self._gone, place)
        else:
            self._gone = array("q", np.sort(np.concatenate((self._removed(), places))).tobytes())

    def clear(self) -> None:
        """Remove all rows; the base then counts as empty."""
        self._buffer, _ = self._load()
        self._base, self._laid, self._map = 0, EMPTY, None
        self._firsts, self._ends, self._next = [], [], -1
        self._over, self._gone = {}, array("q")
        self.length = 0
        self.only_appended = False

    def few(self, count: int, more: int = 0) -> bool:
        """Whether so many rows are better looked up one by one than in the whole map.

        Rows that were looked up by themselves count too: in the end making the map would have been cheaper.

        Parameters
        ----------
        count
            Rows to look up.
        more
            What is to be done besides making the map, in extents.
        """
        if self._map is not None:
            return False
        self._credit += _WORTH * count
        return self._credit < self._work() + more

    def locate_one(self, row: int) -> tuple[int, int]:
        """Return the segment index of one row and its row within that segment.

        Raises
        ------
        RowIndexError
            If the row lies outside ``[0, length)``.
        """
        place = self._place(row)
        at = self._over.get(place)
        if at is not None:
            return self._buffer, at
        laid = self._known()
        if place < laid.length:
            return laid.locate_one(place)
        run = bisect_right(self._ends, place)
        begin = self._ends[run - 1] if run else laid.length
        return self._buffer, self._firsts[run] + place - begin

    def map(self) -> ExtentMap:
        """Return the map with all changes."""
        if self._map is None:
            laid = self._folded()
            self._map = edit.delete(laid, self._removed()) if self._gone else laid
            self._credit = 0
        return self._map

    def changes(self) -> tuple[IntArray, IntArray, int]:
        """Return (base rows replaced, base rows removed, both sorted, and the number of rows that are new)."""
        base = edit.slice_(self._folded(), 0, self._base)
        new = base.segment == self._buffer
        replaced = spans((base.ends - base.count)[new], base.count[new])
        gone = self._removed()
        removed = gone[: np.searchsorted(gone, self._base)]
        replaced = replaced[~np.isin(replaced, removed, assume_unique=True)]
        return replaced, removed, self.length - self._base + len(removed)

    def _known(self) -> ExtentMap:
        """Return where the first places lie."""
        if self._laid is None:
            self._buffer, self._laid = self._load()
        return self._laid

    def _folded(self) -> ExtentMap:
        """Return where all places lie, and forget the single changes that say so."""
        laid = self._known()
        if self._firsts:
            counts = np.diff(self._ends, prepend=laid.length)
            buffer = np.full(len(counts), self._buffer)
            runs = ExtentMap.normalized(buffer, np.array(self._firsts, np.int64), counts)
            laid = edit.concat(laid, runs)
            self._firsts, self._ends, self._next = [], [], -1
        if self._over:
            count = len(self._over)
            at = np.fromiter(self._over.values(), np.int64, count)
            new = ExtentMap.from_locations(np.full(count, self._buffer), at)
            laid = edit.replace(laid, np.fromiter(self._over, np.int64, count), new)
            self._over = {}
        self._laid = laid
        return laid

    def _work(self) -> int:
        """Return about what making the map would cost, in extents."""
        return self._known().n_extents + len(self._firsts) + len(self._over) + len(self._gone)

    def _removed(self) -> IntArray:
        return np.array(self._gone, np.int64)

    def _place(self, row: int) -> int:
        if not 0 <= row < self.length:
            raise out_of_range(row, self.length)
        gone = self._gone
        if not gone:
            return row
        # a removed place lies before the row if no more rows than the row's number are left before that place
        return row + bisect_right(range(len(gone)), row, key=lambda index: gone[index] - index)

    def _places(self, rows: IntArray) -> IntArray:
        """Return the places of rows.

        Raises
        ------
        RowIndexError
            If a row lies outside ``[0, length)``.
        """
        rows = checked(rows, self.length)
        if not self._gone:
            return rows
        if _WORTH * len(rows) < len(self._gone):
            return np.array([self._place(row) for row in rows.tolist()], np.int64)
        gone = self._removed()
        return rows + np.searchsorted(gone - np.arange(len(gone)), rows, side="right")
