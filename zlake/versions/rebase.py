"""Changes that were made against one snapshot, carried over to another one of the same branch, by sample id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from msgspec import structs

from zlake.errors import ConflictError
from zlake.format.documents import Info, Snapshot, TensorState
from zlake.versions.changes import Changes, RowReader
from zlake.versions.objects import Objects
from zlake.versions.rebase_rows import Conflict, RowRebase

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
        self.conflicts: list[Conflict] = []
        self.rows = RowRebase(theirs, objects, reader, self.conflicts)
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
                    rows[key] = self.rows.not_landed(key, rows[key])
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
                rows[key] = self.rows.rebase(ours, rows[key], their)
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


def conflict_error(conflicts: Sequence[Conflict]) -> ConflictError:
    """Return the error that lists conflicts."""
    shown = "; ".join(
        f"{tensor or 'dataset'!r}{'' if sample_id is None else f' sample {sample_id}'}: {kind}"
        for tensor, sample_id, kind in conflicts[:_NAMED_IN_MESSAGE]
    )
    more = f" and {len(conflicts) - _NAMED_IN_MESSAGE} more" if len(conflicts) > _NAMED_IN_MESSAGE else ""
    return ConflictError(
        f"another writer changed the same things since this session read the branch: {shown}{more}",
        tuple(conflicts),
    )
