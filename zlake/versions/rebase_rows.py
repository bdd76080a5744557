"""Changed rows carried over to another state of their tensor: found by place, or by sample id where they moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from zlake.extents import edit
from zlake.extents.map import EMPTY, ExtentMap
from zlake.extents.places import find_rows, subtract
from zlake.format.documents import ExtentTable, SegmentTensor, Snapshot, TensorState
from zlake.types import IdArray, IntArray
from zlake.versions import diffing, idruns
from zlake.versions.changes import NO_ROWS, IdReader, RowChanges, RowReader
from zlake.versions.conflicts import Conflict, Conflicts
from zlake.versions.extent_store import adopt, load_extents
from zlake.versions.idruns import NO_IDS
from zlake.versions.manifests import Manifests
from zlake.versions.objects import Objects

Mask = npt.NDArray[np.bool_]
Rows = tuple[Sequence[SegmentTensor], ExtentMap]
"""Rows of a tensor: a segment table, and a map over it."""


class RowRebase:
    """Carries the row changes of tensors over to another state.

    Parameters
    ----------
    base
        The snapshot that the changes are expressed against.
    onto
        The snapshot to express them against.
    objects
        Reads pages and manifests.
    reader
        Reads ids, and compares samples.
    conflicts
        Decides about what both sides changed.
    target
        The snapshot that the changes lead to, where they come from another line of history: then any row that they
        append may be there already. None for changes of a writer.
    """

    def __init__(
        self,
        base: Snapshot,
        onto: Snapshot,
        objects: Objects,
        reader: RowReader | None,
        conflicts: Conflicts,
        target: Snapshot | None = None,
    ) -> None:
        self.onto = onto
        self.objects = objects
        self.reader = reader
        self.conflicts = conflicts
        self.target = target
        self.manifests = Manifests(base, onto, objects)

    def rebase(self, base: TensorState, rows: RowChanges, onto: TensorState) -> RowChanges:
        """Return changes of rows of ``base`` as they apply to ``onto``, the same tensor there."""
        if onto.extents == base.extents:
            return rows
        if self.target is None:
            rows = self.not_landed(base.key, rows)
            if not rows.touches_base and not rows.moved.length:
                return rows
        return _Tensor(self, base, rows, onto).carry()

    def not_landed(self, key: str, rows: RowChanges) -> RowChanges:
        """Leave out appended rows that are there already: ours, from a write whose outcome we did not learn."""
        diff = next((diff for diff in self.onto.diff.tensors if diff.key == key), None)
        if diff is None or not rows.appended.length:
            return rows
        there = diffing.read_ids(diff.appended, self.objects)
        landed = idruns.to_ids(idruns.intersection(idruns.from_ids(rows.appended_ids), there))
        if not len(landed):
            return rows
        kept = (~np.isin(rows.appended_ids, landed)).nonzero()[0]
        return replace(rows, appended=edit.take(rows.appended, kept), appended_ids=rows.appended_ids[kept])


@dataclass(frozen=True, slots=True)
class _New:
    """Rows of the state that takes the changes, at places that the base does not name."""

    extents: ExtentMap
    rows: IntArray
    ids: IdArray


class _Tensor:
    """One tensor being carried over. ``rows.segments`` is the table of all maps of the changes."""

    def __init__(self, engine: RowRebase, base: TensorState, rows: RowChanges, onto: TensorState) -> None:
        self.engine = engine
        self.conflicts = engine.conflicts
        self.state = base
        self.rows = rows
        segments: list[SegmentTensor] = []
        numbers: dict[str, int] = {}
        maps = []
        for table in (base.extents, onto.extents):
            entries, extents = load_extents(table, engine.objects)
            maps.append(edit.renumber(extents, adopt(segments, numbers, entries)))
        self.segments = tuple(segments)
        self.base, self.onto = maps
        self._found_new: _New | None = None
        self._blind = False
        # what is to be done to rows of `onto` beside what the changes say: maps, rows and ids
        self.put: list[tuple[ExtentMap, IntArray, IdArray]] = []

    def carry(self) -> RowChanges:
        if self.engine.target is not None:
            self._skip_known()
        rows = self.rows
        same = edit.common_prefix(self.base, self.onto)
        if same == self.base.length:
            self.rows = replace(rows, behind_moved=rows.behind_moved + self.onto.length - same)
            if rows.cleared and self.onto.length > same:
                self._clear_known()  # rows that came after the base stay
        else:
            # small segments of the base were gathered, or rows changed: what we gathered has no place there any more
            self.rows = replace(rows, moved=EMPTY)
            if rows.touches_base:
                if rows.cleared:
                    self._clear_known()
                self._follow()
        for extents, places, ids in self.put:
            self.rows = replace(
                self.rows,
                updated=edit.concat(self.rows.updated, extents),
                updated_rows=np.concatenate((self.rows.updated_rows, places)),
                updated_ids=np.concatenate((self.rows.updated_ids, ids)),
            )
        return self.rows

    # ------------------------------------------------------------ rows that were added on both sides

    def _skip_known(self) -> None:
        """Leave out appended rows that are there already: picked before, or merged by another way."""
        rows = self.rows
        new = self._new() if rows.appended.length and self.onto.length else None
        if new is None or not idruns.contains(idruns.from_ids(rows.appended_ids), new.ids).any():
            return
        ids, mine, other = np.intersect1d(rows.appended_ids, new.ids, assume_unique=True, return_indices=True)
        ours, theirs = edit.take(rows.appended, mine), edit.take(new.extents, other)
        differ = (~self._same((rows.segments, ours), (self.segments, theirs))).nonzero()[0]
        places = new.rows[other]
        made = self._decide_rows("added here and there, differently", ids[differ], None, places[differ], ours, differ)
        changed = differ[made]
        if len(changed):
            self.put.append((edit.take(ours, changed), places[changed], ids[changed]))
        kept = np.ones(rows.appended.length, bool)
        kept[mine] = False
        self.rows = replace(
            rows, appended=edit.take(rows.appended, kept.nonzero()[0]), appended_ids=rows.appended_ids[kept]
        )

    # ------------------------------------------------------------ rows of the base

    def _clear_known(self) -> None:
        """Turn a clearing into deletions of the rows that were known."""
        ids = self._ids(self.base)
        if ids is not None:
            self.rows = replace(self.rows, cleared=False, deleted_rows=np.arange(self.base.length), deleted_ids=ids)

    def _follow(self) -> None:
        """Find the rows again that are touched, and see whether they still hold what they held in the base."""
        rows = self.rows
        updated_at, updated_moved = self._find(rows.updated_rows, rows.updated_ids)
        deleted_at, deleted_moved = self._find(rows.deleted_rows, rows.deleted_ids)
        if self._blind:
            return
        keep = self._keep_updates(updated_at, updated_moved)
        drop = self._keep_deletions(deleted_at, deleted_moved)
        back = (keep & (updated_at < 0)).nonzero()[0]
        kept = (keep & (updated_at >= 0)).nonzero()[0]
        self.rows = replace(
            rows,
            appended=edit.concat(edit.take(rows.updated, back), rows.appended),
            appended_ids=np.concatenate((rows.updated_ids[back], rows.appended_ids)),
            updated=rows.updated if len(kept) == len(keep) else edit.take(rows.updated, kept),
            updated_rows=updated_at[kept],
            updated_ids=rows.updated_ids[kept],
            deleted_rows=deleted_at[drop],
            deleted_ids=rows.deleted_ids[drop],
        )

    def _keep_updates(self, at: IntArray, moved: Mask) -> Mask:
        """Say which updates are made; those of rows that are gone bring them back."""
        rows, names = self.rows, self.conflicts
        keep = np.ones(len(at), bool)
        gone = (at < 0).nonzero()[0]
        idle = self._idle(gone)
        keep[gone[idle]] = False
        gone = gone[~idle]
        keep[gone] = self._decide_rows(
            f"updated {names.carried}, deleted {names.onto}",
            rows.updated_ids[gone],
            rows.updated_rows[gone],
            None,
            rows.updated,
            gone,
        )
        changed = self._changed(rows.updated_rows, rows.updated_ids, at, moved)
        theirs = edit.take(self.onto, at[changed])
        same = self._same((rows.segments, edit.take(rows.updated, changed)), (self.segments, theirs))
        keep[changed[same]] = False  # both sides made the same of it
        changed = self._altered(changed[~same], rows.updated_rows, at)
        idle = self._idle(changed)
        keep[changed[idle]] = False
        changed = changed[~idle]
        keep[changed] = self._decide_rows(
            "updated here and there",
            rows.updated_ids[changed],
            rows.updated_rows[changed],
            at[changed],
            rows.updated,
            changed,
        )
        return keep

    def _keep_deletions(self, at: IntArray, moved: Mask) -> Mask:
        """Say which deletions are made."""
        rows, names = self.rows, self.conflicts
        keep = at >= 0
        changed = self._changed(rows.deleted_rows, rows.deleted_ids, at, moved)
        changed = self._altered(changed, rows.deleted_rows, at)
        keep[changed] = self._decide_rows(
            f"deleted {names.carried}, updated {names.onto}",
            rows.deleted_ids[changed],
            rows.deleted_rows[changed],
            at[changed],
        )
        return keep

    def _find(self, rows: IntArray, ids: IdArray) -> tuple[IntArray, Mask]:
        """Return where rows of the base are now, -1 for those that are gone, and which are at another place."""
        found = find_rows(self.onto, *self.base.locate(rows))
        elsewhere = found < 0
        if elsewhere.any():
            new = self._new()
            if new is not None and len(new.ids):
                order = np.argsort(new.ids)
                wanted = ids[elsewhere]
                near = order[np.minimum(np.searchsorted(new.ids[order], wanted), len(order) - 1)]
                found[elsewhere] = np.where(new.ids[near] == wanted, new.rows[near], -1)
        return found, elsewhere & (found >= 0)

    def _changed(self, rows: IntArray, ids: IdArray, at: IntArray, moved: Mask) -> IntArray:
        """Return which of the rows hold another sample now than in the base; the others were no more than copied."""
        asked = moved.nonzero()[0]
        if not len(asked):
            return NO_ROWS
        updated, unclear = self.engine.manifests.updated(self.state.key, ids[asked])
        look = unclear.nonzero()[0]
        if len(look):
            mine, now = edit.take(self.base, rows[asked[look]]), edit.take(self.onto, at[asked[look]])
            updated[look] = ~self._same((self.segments, mine), (self.segments, now))
        changed: IntArray = asked[updated]
        return changed

    def _idle(self, which: IntArray) -> Mask:
        """Say which updates gave a sample the content that it had; looked at only where there would be a conflict."""
        rows = self.rows
        carried, before = edit.take(rows.updated, which), edit.take(self.base, rows.updated_rows[which])
        return self._same((rows.segments, carried), (self.segments, before))

    def _altered(self, which: IntArray, rows: IntArray, at: IntArray) -> IntArray:
        """Leave out rows that were updated there to what they held; looked at only where there would be a conflict."""
        before, now = edit.take(self.base, rows[which]), edit.take(self.onto, at[which])
        left: IntArray = which[~self._same((self.segments, before), (self.segments, now))]
        return left

    # ------------------------------------------------------------ reading

    def _new(self) -> _New | None:
        """Return the rows that the base does not have, or not at their place; None if their ids cannot be read."""
        if self._found_new is None and not self._blind:
            extents, rows = subtract(self.onto, self.base)
            ids = self._ids(extents)
            self._found_new = None if ids is None else _New(extents, rows, ids)
        return self._found_new

    def _ids(self, extents: ExtentMap) -> IdArray | None:
        ids = ids_of(self.state.key, self.segments, extents, self.engine.reader)
        if ids is None and not self._blind:
            self._blind = True
            self.conflicts.add(Conflict(self.state.name, None, "rows moved", self.state.key))
        return ids

    def _same(self, a: Rows, b: Rows) -> Mask:
        """Say for each row whether two maps hold the same sample there; looks at samples at different places only."""
        n = a[1].length
        if not n:
            return np.zeros(0, bool)
        every = np.arange(n)
        left, right = a[1].locate(every), b[1].locate(every)
        names = [np.array([entry.segment for entry in segments], object) for segments in (a[0], b[0])]
        same = np.asarray((names[0][left[0]] == names[1][right[0]]) & (left[1] == right[1]), bool)
        look = (~same).nonzero()[0]
        if len(look) and self.engine.reader is not None:
            mine, other = edit.take(a[1], look), edit.take(b[1], look)
            same[look] = self.engine.reader.equal(self.state.key, a[0], mine, b[0], other)
        return same

    def _decide_rows(
        self,
        kind: str,
        ids: IdArray,
        base_rows: IntArray | None,
        onto_rows: IntArray | None,
        carried: ExtentMap | None = None,
        which: IntArray = NO_ROWS,
    ) -> Mask:
        """Let somebody decide about samples; ``carried`` at ``which`` is what the changes make of them."""

        def target_rows() -> IntArray:
            if carried is None or self.engine.target is None:
                return np.full(len(ids), -1)
            return self._target_rows(edit.take(carried, which))

        return self.conflicts.decide_rows(kind, self.state.name, self.state.key, ids, base_rows, onto_rows, target_rows)

    def _target_rows(self, carried: ExtentMap) -> IntArray:
        """Return which rows of the state that the changes lead to these are."""
        assert self.engine.target is not None
        state = next((each for each in self.engine.target.tensors if each.key == self.state.key), None)
        entries, extents = load_extents(ExtentTable() if state is None else state.extents, self.engine.objects)
        numbers = {entry.segment: i for i, entry in enumerate(entries)}
        renumbered = np.array([numbers.get(entry.segment, len(entries)) for entry in self.rows.segments], np.int64)
        segment, row = carried.locate(np.arange(carried.length))
        return find_rows(extents, renumbered[segment], row)


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
