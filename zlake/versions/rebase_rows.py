"""Changed rows carried over to another state of their tensor: found by place, or by sample id where they moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from zlake.extents import edit
from zlake.extents.map import EMPTY, ExtentMap
from zlake.format.documents import Snapshot, TensorState
from zlake.types import IdArray, IntArray
from zlake.versions import diffing, idruns
from zlake.versions.changes import RowChanges, RowReader
from zlake.versions.conflicts import Conflicts
from zlake.versions.manifests import Manifests
from zlake.versions.objects import Objects
from zlake.versions.whereabouts import Mask, Whereabouts


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


class _Tensor:
    """One tensor being carried over. ``rows.segments`` is the table of all maps of the changes."""

    def __init__(self, engine: RowRebase, base: TensorState, rows: RowChanges, onto: TensorState) -> None:
        self.engine = engine
        self.conflicts = engine.conflicts
        self.state = base
        self.rows = rows
        self.at = Whereabouts(base, onto, engine.objects, engine.reader, engine.manifests, engine.conflicts)
        # what is to be done to rows of `onto` beside what the changes say: maps, rows and ids
        self.put: list[tuple[ExtentMap, IntArray, IdArray]] = []

    def carry(self) -> RowChanges:
        if self.engine.target is not None:
            self._skip_known()
        rows = self.rows
        same = edit.common_prefix(self.at.base, self.at.onto)
        if same == self.at.base.length:
            self.rows = replace(rows, behind_moved=rows.behind_moved + self.at.onto.length - same)
            if rows.cleared and self.at.onto.length > same:
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
        new = self.at.new() if rows.appended.length and self.at.onto.length else None
        if new is None or not idruns.contains(idruns.from_ids(rows.appended_ids), new.ids).any():
            return
        ids, mine, other = np.intersect1d(rows.appended_ids, new.ids, assume_unique=True, return_indices=True)
        ours, theirs = edit.take(rows.appended, mine), edit.take(new.extents, other)
        differ = (~self.at.same((rows.segments, ours), (self.at.segments, theirs))).nonzero()[0]
        places = new.rows[other]
        made = self._decide_rows("added here and there, differently", ids[differ], None, places[differ])
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
        ids = self.at.ids(self.at.base)
        if ids is not None:
            self.rows = replace(self.rows, cleared=False, deleted_rows=np.arange(self.at.base.length), deleted_ids=ids)

    def _follow(self) -> None:
        """Find the rows again that are touched, and see whether they still hold what they held in the base."""
        rows = self.rows
        updated_at, updated_moved = self.at.find(rows.updated_rows, rows.updated_ids)
        deleted_at, deleted_moved = self.at.find(rows.deleted_rows, rows.deleted_ids)
        if self.at.blind:
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
        )
        changed = self.at.changed(rows.updated_rows, rows.updated_ids, at, moved)
        theirs = edit.take(self.at.onto, at[changed])
        same = self.at.same((rows.segments, edit.take(rows.updated, changed)), (self.at.segments, theirs))
        keep[changed[same]] = False  # both sides made the same of it
        changed = self.at.altered(changed[~same], rows.updated_rows, at)
        idle = self._idle(changed)
        keep[changed[idle]] = False
        changed = changed[~idle]
        keep[changed] = self._decide_rows(
            "updated here and there",
            rows.updated_ids[changed],
            rows.updated_rows[changed],
            at[changed],
        )
        return keep

    def _keep_deletions(self, at: IntArray, moved: Mask) -> Mask:
        """Say which deletions are made."""
        rows, names = self.rows, self.conflicts
        keep = at >= 0
        changed = self.at.changed(rows.deleted_rows, rows.deleted_ids, at, moved)
        changed = self.at.altered(changed, rows.deleted_rows, at)
        keep[changed] = self._decide_rows(
            f"deleted {names.carried}, updated {names.onto}",
            rows.deleted_ids[changed],
            rows.deleted_rows[changed],
            at[changed],
        )
        return keep

    def _idle(self, which: IntArray) -> Mask:
        """Say which updates gave a sample the content that it had; looked at only where there would be a conflict."""
        rows = self.rows
        carried, before = edit.take(rows.updated, which), edit.take(self.at.base, rows.updated_rows[which])
        return self.at.same((rows.segments, carried), (self.at.segments, before))

    # ------------------------------------------------------------ deciding

    def _decide_rows(self, kind: str, ids: IdArray, base_rows: IntArray | None, onto_rows: IntArray | None) -> Mask:
        """Let somebody decide about samples."""
        return self.conflicts.decide_rows(
            kind, self.state.name, self.state.key, ids, base_rows, onto_rows, lambda: self._target_rows(ids)
        )

    def _target_rows(self, ids: IdArray) -> IntArray:
        """Return which rows of the state that the changes lead to hold what it made of samples; -1 for none.

        Found by id: where class names were united, the changes hold samples that are not those of that state.
        """
        found = np.full(len(ids), -1)
        if self.engine.target is None:
            return found
        state = next((each for each in self.engine.target.tensors if each.key == self.state.key), None)
        if state is None:
            return found
        engine = self.engine
        there = Whereabouts(self.state, state, engine.objects, engine.reader, engine.manifests, self.conflicts).new()
        if there is not None and len(there.ids):
            order = np.argsort(there.ids)
            near = order[np.minimum(np.searchsorted(there.ids[order], ids), len(order) - 1)]
            found = np.where(there.ids[near] == ids, there.rows[near], -1)
        return found
