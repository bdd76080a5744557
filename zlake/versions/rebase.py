"""Changes that were made against one snapshot, carried over to another one of the same branch, by sample id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import structs

from zlake.errors import ConflictError
from zlake.extents import edit
from zlake.extents.map import EMPTY, ExtentMap
from zlake.format.documents import ExtentTable, Info, SegmentTensor, Snapshot, TensorState
from zlake.types import IdArray, IntArray
from zlake.versions import diffing, idruns
from zlake.versions.changes import NO_ROWS, Changes, IdReader, RowChanges, RowReader
from zlake.versions.extent_store import adopt, load_extents
from zlake.versions.idruns import NO_IDS
from zlake.versions.objects import Objects

Conflict = tuple[str, int | None, str]

_NAMED_IN_MESSAGE = 5
_STORED = {"length", "extents", "info", "key"}
_SCHEMA_FIELDS = tuple(name for name in TensorState.__struct_fields__ if name not in _STORED)


def rebase(base: Snapshot, changes: Changes, theirs: Snapshot, objects: Objects, reader: RowReader | None) -> Changes:
    """Return the changes as they apply to ``theirs``, the state that other writers have brought the branch to.

    Appended rows come behind theirs; updates and deletions follow their rows by sample id. Where nobody moved rows of
    the base no ids are read.

    Parameters
    ----------
    base
        The snapshot that the changes are expressed against.
    changes
        Our changes.
    theirs
        The snapshot to express them against.
    objects
        Reads pages and large infos.
    reader
        Reads sample ids, and compares samples that both sides may have changed; without one, such rows count as
        changed on both sides, and rows that moved as conflicts.

    Raises
    ------
    ConflictError
        If both sides changed the same rows, tensors, names or info keys; all of them are listed.
    """
    return _Rebase(base, changes, theirs, objects, reader).run()


class _Rebase:
    def __init__(
        self, base: Snapshot, changes: Changes, theirs: Snapshot, objects: Objects, reader: RowReader | None
    ) -> None:
        self.changes = changes
        self.base = base
        self.theirs = theirs
        self.objects = objects
        self.reader = reader
        self.conflicts: list[Conflict] = []
        self.base_tensors = {state.key: state for state in base.tensors}
        self.their_tensors = {state.key: state for state in theirs.tensors}

    def run(self) -> Changes:
        changes = self.changes
        rows, tensors, infos = dict(changes.rows), dict(changes.tensors), dict(changes.tensor_info)
        for key in {**rows, **tensors, **infos}:
            ours, their = self.base_tensors.get(key), self.their_tensors.get(key)
            if ours is None:
                # created by us: only its name can clash
                if their is not None and key in rows:
                    rows[key] = self._not_landed(key, rows[key])
                continue
            if their is None:
                if key not in tensors and key not in infos and rows[key].only_moves:
                    del rows[key]
                else:
                    self._conflict(ours.name, None, "tensor deleted")
                continue
            if key in tensors:
                tensors[key] = self._schema(ours, tensors[key], their)
            if key in infos:
                infos[key] = self._info(ours.name, ours.info, infos[key], their.info)
            if key in rows:
                rows[key] = self._rows(ours, rows[key], their)
        rebased = replace(
            changes,
            rows=rows,
            tensors=tensors,
            tensor_info=infos,
            deleted=self._deleted(),
            groups=self._groups(),
            info=None if changes.info is None else self._info("", self.base.info, changes.info, self.theirs.info),
        )
        self._names(rebased)
        if self.conflicts:
            raise conflict_error(self.conflicts)
        return rebased

    def _conflict(self, tensor: str, sample_id: int | None, kind: str) -> None:
        self.conflicts.append((tensor, sample_id, kind))

    # ------------------------------------------------------------ schema

    def _deleted(self) -> tuple[str, ...]:
        kept = []
        for key in self.changes.deleted:
            ours, their = self.base_tensors.get(key), self.their_tensors.get(key)
            if their is None:
                continue  # gone on both sides
            if ours is not None and (ours.length, ours.extents) != (their.length, their.extents):
                self._conflict(ours.name, None, "tensor deleted")
            kept.append(key)
        return tuple(kept)

    def _schema(self, base: TensorState, ours: TensorState, theirs: TensorState) -> TensorState:
        """Merge field by field."""
        merged: dict[str, Any] = {}
        for name in _SCHEMA_FIELDS:
            was, mine, other = getattr(base, name), getattr(ours, name), getattr(theirs, name)
            if mine in (was, other):
                merged[name] = other
            elif other == was:
                merged[name] = mine
            else:
                self._conflict(base.name, None, name)
                merged[name] = other
        return structs.replace(theirs, **merged)

    def _info(self, tensor: str, base: Info, ours: Mapping[str, Any], theirs: Info) -> Mapping[str, Any]:
        """Merge key by key."""
        if theirs == base:
            return ours
        was, other = self._info_value(base), self._info_value(theirs)
        merged = dict(other)
        missing = object()
        for key in {**was, **ours}:
            before, mine, now = was.get(key, missing), ours.get(key, missing), other.get(key, missing)
            if mine in (before, now):
                continue
            if now != before:
                self._conflict(tensor, None, f"info {key!r}")
            elif mine is missing:
                merged.pop(key, None)
            else:
                merged[key] = mine
        return merged

    def _info_value(self, info: Info) -> Mapping[str, Any]:
        return self.objects.info(info.object) if info.object else info.value

    def _groups(self) -> tuple[str, ...] | None:
        wanted = self.changes.groups
        if wanted is None:
            return None
        was, now = set(self.base.groups), set(self.theirs.groups)
        removed = was - set(wanted)
        merged = (now | (set(wanted) - was)) - removed
        inside = (state.name for state in self.their_tensors.values() if state.key not in self.changes.deleted)
        for name in (*inside, *merged):
            for group in removed:
                if name.startswith(f"{group}/"):
                    self._conflict(name, None, "group deleted")
        return tuple(sorted(merged))

    def _names(self, rebased: Changes) -> None:
        """Find names that both sides gave to different tensors or groups."""
        names: dict[str, str] = {}
        for key, state in self.their_tensors.items():
            if key not in rebased.deleted:
                names[rebased.tensors.get(key, state).name] = key
        for key, state in rebased.tensors.items():
            if names.setdefault(state.name, key) != key:
                self._conflict(state.name, None, "name")
        for group in self.theirs.groups if rebased.groups is None else rebased.groups:
            if group in names:
                self._conflict(group, None, "name")

    # ------------------------------------------------------------ rows

    def _rows(self, base: TensorState, rows: RowChanges, theirs: TensorState) -> RowChanges:
        if theirs.extents == base.extents:
            return rows
        rows = self._not_landed(base.key, rows)
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

    def _not_landed(self, key: str, rows: RowChanges) -> RowChanges:
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


def conflict_error(conflicts: Sequence[Conflict]) -> ConflictError:
    """Return the error that lists conflicts."""
    shown = "; ".join(
        f"{tensor or 'dataset'!r}{'' if sample_id is None else f' sample {sample_id}'}: {kind}"
        for tensor, sample_id, kind in conflicts[:_NAMED_IN_MESSAGE]
    )
    more = f" and {len(conflicts) - _NAMED_IN_MESSAGE} more" if len(conflicts) > _NAMED_IN_MESSAGE else ""
    return ConflictError(
        f"another writer changed the same things since this session read the branch: {shown}{more}; "
        "your changes are still here: drop or redo these, then write again",
        tuple(conflicts),
    )
