"""Where the rows of one state of a tensor are in another: found by place, or by sample id where they moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zlake.extents import edit
from zlake.extents.map import ExtentMap
from zlake.extents.places import find_rows, subtract
from zlake.format.documents import SegmentTensor, TensorState
from zlake.types import IdArray, IntArray
from zlake.versions.changes import NO_ROWS, RowReader
from zlake.versions.conflicts import Conflict, Conflicts
from zlake.versions.extent_store import adopt, load_extents
from zlake.versions.manifests import Manifests
from zlake.versions.objects import Objects
from zlake.versions.row_ids import ids_of

Mask = npt.NDArray[np.bool_]
Rows = tuple[Sequence[SegmentTensor], ExtentMap]
"""Rows of a tensor: a segment table, and a map over it."""


@dataclass(frozen=True, slots=True)
class New:
    """Rows of the second state at places that the first does not name."""

    extents: ExtentMap
    rows: IntArray
    ids: IdArray


class Whereabouts:
    """Rows of a tensor in two states.

    Parameters
    ----------
    base, onto
        The tensor in the first and in the second state.
    objects
        Reads pages.
    reader
        Reads ids, and compares samples.
    manifests
        Say which rows were updated between the states.
    conflicts
        Told if rows moved whose ids nobody can read.

    Attributes
    ----------
    segments
        Segment table of both maps.
    base, onto
        The maps of both states.
    blind
        Whether rows moved whose ids nobody can read.
    """

    def __init__(
        self,
        base: TensorState,
        onto: TensorState,
        objects: Objects,
        reader: RowReader | None,
        manifests: Manifests,
        conflicts: Conflicts,
    ) -> None:
        self._state = base
        self._reader = reader
        self._manifests = manifests
        self._conflicts = conflicts
        segments: list[SegmentTensor] = []
        numbers: dict[str, int] = {}
        maps = []
        for table in (base.extents, onto.extents):
            entries, extents = load_extents(table, objects)
            maps.append(edit.renumber(extents, adopt(segments, numbers, entries)))
        self.segments = tuple(segments)
        self.base, self.onto = maps
        self.blind = False
        self._found_new: New | None = None

    def find(self, rows: IntArray, ids: IdArray) -> tuple[IntArray, Mask]:
        """Return where rows of the base are now, -1 for those that are gone, and which are at another place."""
        found = find_rows(self.onto, *self.base.locate(rows))
        elsewhere = found < 0
        if elsewhere.any():
            new = self.new()
            if new is not None and len(new.ids):
                order = np.argsort(new.ids)
                wanted = ids[elsewhere]
                near = order[np.minimum(np.searchsorted(new.ids[order], wanted), len(order) - 1)]
                found[elsewhere] = np.where(new.ids[near] == wanted, new.rows[near], -1)
        return found, elsewhere & (found >= 0)

    def changed(self, rows: IntArray, ids: IdArray, at: IntArray, moved: Mask) -> IntArray:
        """Return which of the rows hold another sample now than in the base; the others were no more than copied."""
        asked = moved.nonzero()[0]
        if not len(asked):
            return NO_ROWS
        updated, unclear = self._manifests.updated(self._state.key, ids[asked])
        look = unclear.nonzero()[0]
        if len(look):
            mine, now = edit.take(self.base, rows[asked[look]]), edit.take(self.onto, at[asked[look]])
            updated[look] = ~self.same((self.segments, mine), (self.segments, now))
        changed: IntArray = asked[updated]
        return changed

    def altered(self, which: IntArray, rows: IntArray, at: IntArray) -> IntArray:
        """Leave out rows that were updated there to what they held; looked at only where there would be a conflict."""
        before, now = edit.take(self.base, rows[which]), edit.take(self.onto, at[which])
        left: IntArray = which[~self.same((self.segments, before), (self.segments, now))]
        return left

    def new(self) -> New | None:
        """Return the rows that the base does not have, or not at their place; None if their ids cannot be read."""
        if self._found_new is None and not self.blind:
            extents, rows = subtract(self.onto, self.base)
            ids = self.ids(extents)
            self._found_new = None if ids is None else New(extents, rows, ids)
        return self._found_new

    def ids(self, extents: ExtentMap) -> IdArray | None:
        """Return the sample ids of rows of either state; None if nobody can read them, which is a conflict."""
        ids = ids_of(self._state.key, self.segments, extents, self._reader)
        if ids is None and not self.blind:
            self.blind = True
            self._conflicts.add(Conflict(self._state.name, None, "rows moved", self._state.key))
        return ids

    def same(self, a: Rows, b: Rows) -> Mask:
        """Say for each row whether two maps hold the same sample there; looks at samples at different places only."""
        n = a[1].length
        if not n:
            return np.zeros(0, bool)
        every = np.arange(n)
        left, right = a[1].locate(every), b[1].locate(every)
        names = [np.array([entry.segment for entry in segments], object) for segments in (a[0], b[0])]
        same = np.asarray((names[0][left[0]] == names[1][right[0]]) & (left[1] == right[1]), bool)
        look = (~same).nonzero()[0]
        if len(look) and self._reader is not None:
            mine, other = edit.take(a[1], look), edit.take(b[1], look)
            same[look] = self._reader.equal(self._state.key, a[0], mine, b[0], other)
        return same
