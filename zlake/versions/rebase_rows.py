"""Changed rows carried over to another state of their tensor: found again by sample id where they have moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from zlake.extents import edit
from zlake.extents.map import EMPTY, ExtentMap
from zlake.format.documents import ExtentTable, SegmentTensor, Snapshot, TensorState
from zlake.types import IdArray, IntArray
from zlake.versions import diffing, idruns
from zlake.versions.changes import NO_ROWS, IdReader, RowChanges, RowReader
from zlake.versions.extent_store import adopt, load_extents
from zlake.versions.idruns import NO_IDS
from zlake.versions.objects import Objects

Conflict = tuple[str, int | None, str]
"""Tensor, sample id or None, and what happened on both sides."""


class RowRebase:
    """Carries the row changes of tensors over to ``theirs``.

    Parameters
    ----------
    theirs
        The snapshot to express them against.
    objects
        Reads pages.
    reader
        Reads ids, and compares samples.
    conflicts
        Takes what both sides changed.
    """

    def __init__(self, theirs: Snapshot, objects: Objects, reader: RowReader | None, conflicts: list[Conflict]) -> None:
        self.theirs = theirs
        self.objects = objects
        self.reader = reader
        self.conflicts = conflicts

    def _conflict(self, tensor: str, sample_id: int | None, kind: str) -> None:
        self.conflicts.append((tensor, sample_id, kind))

    def rebase(self, base: TensorState, rows: RowChanges, theirs: TensorState) -> RowChanges:
        """Return changes of rows of ``base`` as they apply to ``theirs``, the same tensor there."""
        if theirs.extents == base.extents:
            return rows
        rows = self.not_landed(base.key, rows)
        if not rows.touches_base and not rows.moved.length:
            return rows
        both = _both(base.extents, theirs.extents, self.objects)
        same = edit.common_prefix(both.base, both.theirs)
        if same == both.base.length:
            rows = replace(rows, behind_moved=rows.behind_moved + both.theirs.length - same)
            return self._clear_known(base, rows, both) if rows.cleared else rows
        # small segments of the base were gathered, or rows changed: what we gathered has no place there any more
        rows = replace(rows, moved=EMPTY)
        if not rows.touches_base:
            return rows
        return self._follow(base, rows, both, same)

    def not_landed(self, key: str, rows: RowChanges) -> RowChanges:
        """Leave out appended rows that are there already: ours, from a write whose outcome we did not learn."""
        diff = next((diff for diff in self.theirs.diff.tensors if diff.key == key), None)
        if diff is None or not rows.appended.length:
            return rows
        there = diffing.read_ids(diff.appended, self.objects)
        landed = idruns.to_ids(idruns.intersection(idruns.from_ids(rows.appended_ids), there))
        if not len(landed):
            return rows
        kept = (~np.isin(rows.appended_ids, landed)).nonzero()[0]
        return replace(rows, appended=edit.take(rows.appended, kept), appended_ids=rows.appended_ids[kept])

    def _clear_known(self, base: TensorState, rows: RowChanges, both: _Both) -> RowChanges:
        """Turn a clearing into deletions, for rows that came after the base stay."""
        n = both.base.length
        if both.theirs.length == n:
            return rows
        ids = self._ids(base, both.segments, both.base)
        if ids is None:
            return rows
        return replace(rows, cleared=False, deleted_rows=np.arange(n), deleted_ids=ids)

    def _follow(self, base: TensorState, rows: RowChanges, both: _Both, same: int) -> RowChanges:
        """Find the rows again that we touched, by id, and see whether their content is still that of the base."""
        base_rest = edit.slice_(both.base, same, both.base.length)
        base_ids = self._ids(base, both.segments, base_rest)
        their_ids = self._ids(base, both.segments, edit.slice_(both.theirs, same, both.theirs.length))
        if base_ids is None or their_ids is None:
            return rows
        if rows.cleared:
            all_ids = self._ids(base, both.segments, edit.slice_(both.base, 0, same))
            if all_ids is None:
                return rows
            all_ids = np.concatenate((all_ids, base_ids))
            rows = replace(rows, cleared=False, deleted_rows=np.arange(both.base.length), deleted_ids=all_ids)
        places = _Places(same, base_ids, their_ids)
        updated_rows, updated_kept = places.of(rows.updated_rows)
        for sample_id in rows.updated_ids[~updated_kept].tolist():
            self._conflict(base.name, sample_id, "updated here, deleted there")
        deleted_rows, deleted_kept = places.of(rows.deleted_rows)
        updated = rows.updated
        if not updated_kept.all():
            updated = edit.take(updated, updated_kept.nonzero()[0])
        ours = (rows.segments, updated)
        self._changed_there(base, both, rows.updated_rows[updated_kept], updated_rows, "updated here and there", ours)
        self._changed_there(base, both, rows.deleted_rows[deleted_kept], deleted_rows, "deleted here, updated there")
        return replace(
            rows,
            updated=updated,
            updated_rows=updated_rows,
            updated_ids=rows.updated_ids[updated_kept],
            deleted_rows=deleted_rows,
            deleted_ids=rows.deleted_ids[deleted_kept],
        )

    def _changed_there(
        self,
        base: TensorState,
        both: _Both,
        base_rows: IntArray,
        their_rows: IntArray,
        kind: str,
        ours: tuple[Sequence[SegmentTensor], ExtentMap] | None = None,
    ) -> None:
        """Find rows whose content is no longer that of the base, nor what we make of them."""
        mine, other = edit.take(both.base, base_rows), edit.take(both.theirs, their_rows)
        if not mine.length or mine == other:
            return
        a, b = mine.locate(np.arange(mine.length)), other.locate(np.arange(other.length))
        moved = ((a[0] != b[0]) | (a[1] != b[1])).nonzero()[0]
        mine, other = edit.take(mine, moved), edit.take(other, moved)
        equal = np.zeros(mine.length, bool)
        if self.reader is not None:
            equal = self.reader.equal(base.key, both.segments, mine, both.segments, other)
            differ = (~equal).nonzero()[0]
            if ours is not None and len(differ):
                new = edit.take(ours[1], moved[differ])
                equal[differ] = self.reader.equal(base.key, ours[0], new, both.segments, edit.take(other, differ))
        ids = self._ids(base, both.segments, edit.take(mine, (~equal).nonzero()[0]))
        for sample_id in (ids if ids is not None else NO_IDS).tolist():
            self._conflict(base.name, sample_id, kind)

    def _ids(self, base: TensorState, segments: Sequence[SegmentTensor], extents: ExtentMap) -> IdArray | None:
        ids = ids_of(base.key, segments, extents, self.reader)
        if ids is None:
            self._conflict(base.name, None, "rows moved")
        return ids


@dataclass(frozen=True, slots=True)
class _Both:
    """Two maps of one tensor over one segment table."""

    segments: tuple[SegmentTensor, ...]
    base: ExtentMap
    theirs: ExtentMap


def _both(base: ExtentTable, theirs: ExtentTable, objects: Objects) -> _Both:
    segments: list[SegmentTensor] = []
    numbers: dict[str, int] = {}
    maps = []
    for table in (base, theirs):
        entries, extents = load_extents(table, objects)
        maps.append(edit.renumber(extents, adopt(segments, numbers, entries)))
    return _Both(tuple(segments), maps[0], maps[1])


class _Places:
    """Where the rows of the base lie in their map."""

    def __init__(self, same: int, base_ids: IdArray, their_ids: IdArray) -> None:
        order = np.argsort(their_ids)
        at = np.searchsorted(their_ids[order], base_ids)
        at = np.minimum(at, max(len(order) - 1, 0))
        found = their_ids[order[at]] == base_ids if len(order) else np.zeros(len(base_ids), bool)
        self._same = same
        self._rest = np.where(found, order[at] + same, -1) if len(order) else np.full(len(base_ids), -1)

    def of(self, rows: IntArray) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Return their rows of those base rows that are still there, and which these are."""
        if not len(rows):
            return NO_ROWS, np.ones(0, bool)
        places = rows.copy()
        later = rows >= self._same
        places[later] = self._rest[rows[later] - self._same]
        kept = places >= 0
        return places[kept], kept


def ids_of(key: str, segments: Sequence[SegmentTensor], extents: ExtentMap, reader: IdReader | None) -> IdArray | None:
    """Return the sample ids of rows, reading only where a segment's ids do not count up; None if there is no reader."""
    if not extents.length:
        return NO_IDS
    starts = np.array([segment.id_start for segment in segments], object)
    used = edit.used_segments(extents)
    if all(start >= 0 for start in starts[used]):
        first = starts[extents.segment].astype(np.uint64) + extents.start.astype(np.uint64)
        before = np.repeat(extents.ends - extents.count, extents.count)
        inside = (np.arange(extents.length) - before).astype(np.uint64)
        return np.asarray(np.repeat(first, extents.count) + inside, np.uint64)
    return None if reader is None else reader.ids(key, segments, extents)
