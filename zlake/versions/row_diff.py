"""Rows of one tensor in two states: which of them the states do not share.

Rows are compared by place. A sample that both hold at one place is the same, so that what they share is never looked
at: pages that both name are not loaded, and ids are read of rows at places that only one of them names.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from zlake.extents import edit
from zlake.extents.map import EMPTY, ExtentMap
from zlake.extents.places import subtract
from zlake.format.documents import ExtentTable, SegmentTensor
from zlake.types import IdArray, IntArray
from zlake.versions.changes import NO_ROWS, IdReader
from zlake.versions.extent_store import adopt, inline_map, pruned
from zlake.versions.idruns import NO_IDS
from zlake.versions.objects import Objects
from zlake.versions.row_ids import ids_of


@dataclass(frozen=True, slots=True, eq=False)
class RowDiff:
    """Rows of one tensor that two states do not hold at the same place.

    Attributes
    ----------
    segments
        Segment table of both maps; it holds the segments that they name, and no others.
    before, before_rows, before_ids
        Rows of the first state at places that the second does not name, in row order: their places, row numbers
        ``(n,) int64`` and sample ids ``(n,) uint64``.
    after, after_rows, after_ids
        Rows of the second state at places that the first does not name, likewise.
    gone
        Which of ``before`` the second state does not hold at all, ``(k,) int64`` positions, ascending.
    new
        Which of ``after`` the first state does not hold at all, likewise.
    kept_before, kept_after
        Samples that both states hold, at different places: their positions in ``before`` and in ``after``,
        ``(k,) int64`` each, in the order of ``before``. They were updated, or no more than moved.
    """

    segments: tuple[SegmentTensor, ...] = ()
    before: ExtentMap = EMPTY
    before_rows: IntArray = field(default_factory=lambda: NO_ROWS)
    before_ids: IdArray = field(default_factory=lambda: NO_IDS)
    after: ExtentMap = EMPTY
    after_rows: IntArray = field(default_factory=lambda: NO_ROWS)
    after_ids: IdArray = field(default_factory=lambda: NO_IDS)
    gone: IntArray = field(init=False)
    new: IntArray = field(init=False)
    kept_before: IntArray = field(init=False)
    kept_after: IntArray = field(init=False)

    def __post_init__(self) -> None:
        n, m = len(self.before_ids), len(self.after_ids)
        found = np.zeros(n, bool)
        at = NO_ROWS
        if n and m:
            order = np.argsort(self.after_ids, kind="stable")
            near = np.minimum(np.searchsorted(self.after_ids[order], self.before_ids), m - 1)
            found = self.after_ids[order[near]] == self.before_ids
            at = order[near[found]]
        fresh = np.ones(m, bool)
        fresh[at] = False
        object.__setattr__(self, "gone", (~found).nonzero()[0])
        object.__setattr__(self, "new", fresh.nonzero()[0])
        object.__setattr__(self, "kept_before", found.nonzero()[0])
        object.__setattr__(self, "kept_after", at)

    @property
    def is_empty(self) -> bool:
        """Whether both states hold the same rows at the same places."""
        return not (self.before.length or self.after.length)


NO_DIFFERENCE = RowDiff()


def diff_rows(key: str, a: ExtentTable, b: ExtentTable, objects: Objects, reader: IdReader) -> RowDiff:
    """Return the rows that two states of a tensor do not share.

    Takes time and memory in proportion to the extents that are not on pages which both name, and to the rows found.

    Parameters
    ----------
    key
        The tensor's key.
    a, b
        Its extents in the first and the second state.
    objects
        Reads pages: those that only one state names, all at once.
    reader
        Reads the ids of the rows found, where the segments' table does not say them.

    Raises
    ------
    DatasetCorruptError, CorruptObjectError
        If a page is missing or damaged.
    """
    if a == b:
        return NO_DIFFERENCE
    shared = {page.id for page in a.pages} & {page.id for page in b.pages}
    sides = [_Side(table, shared) for table in (a, b)]
    loaded = iter(objects.extent_pages([page for side in sides for page in side.pages]))
    segments: list[SegmentTensor] = []
    numbers: dict[str, int] = {}
    maps = []
    for side, table in zip(sides, (a, b), strict=True):
        parts = [*(next(loaded) for _ in side.pages), (table.segments, inline_map(table))]
        maps.append(
            edit.join([edit.renumber(extents, adopt(segments, numbers, entries)) for entries, extents in parts])
        )
    before, before_at = subtract(maps[0], maps[1])
    after, after_at = subtract(maps[1], maps[0])
    both = edit.concat(before, after)
    used, both = pruned(segments, both)
    ids = ids_of(key, used, both, reader)
    assert ids is not None
    n = before.length
    return RowDiff(
        used,
        edit.slice_(both, 0, n),
        sides[0].rows(before_at),
        ids[:n],
        edit.slice_(both, n, both.length),
        sides[1].rows(after_at),
        ids[n:],
    )


class _Side:
    """What is to be looked at of an extent table: the pages that the other one does not name, and what is inline."""

    def __init__(self, table: ExtentTable, shared: set[str]) -> None:
        kept = [page for page in table.pages if page.id not in shared]
        self.pages = [page.id for page in kept]
        rows = np.array([page.rows for page in table.pages], np.int64)
        first = rows.cumsum() - rows
        mine = np.array([page.id not in shared for page in table.pages], bool)
        self._ends = rows[mine].cumsum()
        # how many rows of shared pages come before each part that is looked at, the inline one last
        self._skipped = np.append(first[mine] - (self._ends - rows[mine]), rows[~mine].sum())

    def rows(self, at: IntArray) -> IntArray:
        """Return rows of the whole table, given rows among those that are looked at."""
        moved: IntArray = at + self._skipped[np.searchsorted(self._ends, at, side="right")]
        return moved
