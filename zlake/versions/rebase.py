"""Changes that were made against one snapshot, carried over to another one, by sample id."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import structs

from zlake.format.documents import ExtentTable, Info, Snapshot, TensorState
from zlake.types import IntArray
from zlake.versions.changes import Changes, RowChanges, RowReader
from zlake.versions.class_names import renumber, united
from zlake.versions.compare import Comparison, schema
from zlake.versions.conflicts import Conflict, Conflicts, conflict_error
from zlake.versions.extent_store import load_extents
from zlake.versions.force import copied, joined
from zlake.versions.names import CLASS_NAMES
from zlake.versions.objects import Objects
from zlake.versions.rebase_rows import RowRebase
from zlake.versions.rebase_schema import UNDECIDED, info_value, merge_groups, merge_info, merge_schema
from zlake.versions.row_ids import ids_of


def rebase(base: Snapshot, changes: Changes, theirs: Snapshot, objects: Objects, reader: RowReader | None) -> Changes:
    """Return a writer's changes as they apply to ``theirs``, the state that other writers have brought the branch to.

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
    conflicts = Conflicts()
    rebased = carry(base, changes, theirs, objects, reader, conflicts)
    if conflicts.found:
        raise conflict_error(conflicts.found)
    return rebased


def carry(
    base: Snapshot,
    changes: Changes,
    onto: Snapshot,
    objects: Objects,
    reader: RowReader | None,
    conflicts: Conflicts,
    target: Snapshot | None = None,
    new_key: Callable[[], str] | None = None,
) -> Changes:
    """Return changes as they apply to another state; the result holds only if no conflict is left.

    Parameters
    ----------
    base, changes
        Changes, and the snapshot that they are expressed against.
    onto
        The snapshot to express them against.
    objects, reader
        As of `rebase`.
    conflicts
        Decides about what both sides changed, and keeps what nobody decides about.
    target
        The snapshot that the changes lead to, if they come from another line of history: then a row or tensor that
        they add may be there already, and a tensor that is gone can be brought back.
    new_key
        Makes keys of new tensors, if tensors whose names clash are to be copied: see `zlake.versions.force`.
    """
    return _Rebase(base, changes, onto, objects, reader, conflicts, target, new_key).run()


class _Rebase:
    def __init__(
        self,
        base: Snapshot,
        changes: Changes,
        onto: Snapshot,
        objects: Objects,
        reader: RowReader | None,
        conflicts: Conflicts,
        target: Snapshot | None,
        new_key: Callable[[], str] | None,
    ) -> None:
        self.changes = changes
        self.base = base
        self.onto = onto
        self.objects = objects
        self.reader = reader
        self.conflicts = conflicts
        self.foreign = target is not None
        self.new_key = new_key
        self.engine = RowRebase(base, onto, objects, reader, conflicts, target)
        self.base_tensors = {state.key: state for state in base.tensors}
        self.onto_tensors = {state.key: state for state in onto.tensors}
        self.target_tensors = {state.key: state for state in target.tensors} if target is not None else {}
        self.rows = dict(changes.rows)
        self.tensors = dict(changes.tensors)
        self.infos = dict(changes.tensor_info)
        self.deleted = list(changes.deleted)

    def run(self) -> Changes:
        for key in {**self.rows, **self.tensors, **self.infos}:
            self._tensor(key)
        self._deletions()
        groups = self.changes.groups
        if groups is not None:
            left = (state for state in self.onto_tensors.values() if state.key not in self.deleted)
            inside = (self.tensors.get(state.key, state).name for state in left)
            groups = merge_groups(
                self.conflicts, self.base.groups, groups, self.onto.groups, inside, keep_filled=self.foreign
            )
        info = self.changes.info
        if info is not None:
            info = merge_info(self.conflicts, self.objects, self.base.info, info, self.onto.info)
        self._names(self.onto.groups if groups is None else groups)
        if self.foreign:
            self._forget_known()
            groups = None if groups is not None and set(groups) == set(self.onto.groups) else groups
            info = None if info is not None and info == info_value(self.objects, self.onto.info) else info
        return Changes(
            rows=self.rows,
            tensors=self.tensors,
            deleted=tuple(self.deleted),
            groups=groups,
            info=info,
            tensor_info=self.infos,
        )

    # ------------------------------------------------------------ tensors

    def _tensor(self, key: str) -> None:
        base, onto = self.base_tensors.get(key), self.onto_tensors.get(key)
        if onto is None:
            if base is not None:
                self._gone(key, base)
            return
        created = base is None
        if base is None:
            if not self.foreign:  # created by us, and landed though we did not learn it
                if key in self.rows:
                    self.rows[key] = self.engine.not_landed(key, self.rows[key])
                return
            base = structs.replace(onto, length=0, extents=ExtentTable(), info=Info(), **UNDECIDED)
        if self._renamed_twice(key, base, onto):
            return
        if key in self.tensors:
            self.tensors[key] = merge_schema(self.conflicts, base, self.tensors[key], onto, created=created)
        names, numbers = self._class_names(key, base, onto)
        if key in self.infos:
            self.infos[key] = merge_info(
                self.conflicts, self.objects, base.info, self.infos[key], onto.info, base, names
            )
        elif names is not None:
            self.infos[key] = {**info_value(self.objects, onto.info), CLASS_NAMES: names}
        if key in self.rows:
            if numbers is not None and self.reader is not None:
                self.rows[key] = renumber(onto, self.rows[key], numbers, self.reader)
            self.rows[key] = self.engine.rebase(base, self.rows[key], onto)

    def _forget_known(self) -> None:
        """Leave out what is there already."""
        for key, onto in self.onto_tensors.items():
            if key in self.tensors and schema(self.tensors[key]) == schema(onto):
                del self.tensors[key]
            if key in self.infos and self.infos[key] == info_value(self.objects, onto.info):
                del self.infos[key]
        self.rows = {key: rows for key, rows in self.rows.items() if not rows.is_empty}

    def _gone(self, key: str, base: TensorState) -> None:
        """Deal with changes of a tensor that is no longer there."""
        kind = f"tensor deleted {self.conflicts.onto}, changed {self.conflicts.carried}"
        conflict = Conflict(base.name, None, kind, key)
        if key not in self.tensors and key not in self.infos and self.rows[key].only_moves:
            del self.rows[key]
        elif not self.foreign:
            self.conflicts.add(conflict)
            self.drop(key)  # the name that it would have is in nobody's way
        elif self._renamed(key, base) or self.conflicts.decide(conflict):
            self.bring(key)
        else:
            self.drop(key)

    def _renamed(self, key: str, base: TensorState) -> bool:
        """Whether a forced merge takes a tensor as a new one because it was renamed where the changes come from."""
        return self.new_key is not None and key in self.tensors and self.tensors[key].name != base.name

    def _renamed_twice(self, key: str, base: TensorState, onto: TensorState) -> bool:
        """In a forced merge take a tensor that each side gave another name as a new one, and leave the one here."""
        if not self._renamed(key, base) or self.new_key is None or self.reader is None or key not in self.base_tensors:
            return False
        if onto.name in (base.name, self.tensors[key].name):
            return False
        state, rows, info = copied(self.target_tensors[key], self.objects, self.reader, self.new_key)
        self.drop(key)
        self.tensors[state.key], self.rows[state.key], self.infos[state.key] = state, rows, info
        self.target_tensors[state.key] = self.target_tensors[key]
        return True

    def _join(self, key: str, other: str) -> bool:
        """In a forced merge append the rows of a tensor to one that was created here under the same name."""
        onto = self.onto_tensors.get(other)
        if self.new_key is None or self.reader is None or onto is None or other in self.base_tensors:
            return False
        made = joined(self.target_tensors[key], onto, self.objects, self.reader, self.conflicts)
        self.drop(key)
        if made is not None:
            self.tensors[other], self.rows[other], self.infos[other] = made
        return True

    def drop(self, key: str) -> None:
        """Leave a tensor as it is."""
        for changed in (self.rows, self.tensors, self.infos):
            changed.pop(key, None)

    def bring(self, key: str) -> None:
        """Take a tensor as it is where the changes come from."""
        state = self.target_tensors[key]
        self.tensors[key] = state
        self.infos[key] = info_value(self.objects, state.info)
        segments, extents = load_extents(state.extents, self.objects)
        ids = ids_of(key, segments, extents, self.reader)
        assert ids is not None
        self.rows[key] = RowChanges(segments=segments, appended=extents, appended_ids=ids)

    def _deletions(self) -> None:
        kept = []
        for key in self.deleted:
            base, onto = self.base_tensors.get(key), self.onto_tensors.get(key)
            if onto is None:
                continue  # gone on both sides
            if base is not None and self._rows_differ(base, onto):
                kind = f"tensor deleted {self.conflicts.carried}, changed {self.conflicts.onto}"
                conflict = Conflict(base.name, None, kind, key)
                if not self.foreign:
                    self.conflicts.add(conflict)
                elif not self.conflicts.decide(conflict):
                    continue
            kept.append(key)
        self.deleted = kept

    def _rows_differ(self, base: TensorState, onto: TensorState) -> bool:
        """Whether a tensor holds other samples than in the base; rows that no more than moved are the same."""
        if base.length != onto.length or base.extents == onto.extents or self.reader is None:
            return base.extents != onto.extents
        return Comparison(self.base, self.onto, self.objects, self.reader).rows_differ(base.key)

    # ------------------------------------------------------------ names

    def _names(self, groups: tuple[str, ...]) -> None:
        """Find names that both sides gave to different tensors or groups."""
        names: dict[str, str] = {}
        for key, state in self.onto_tensors.items():
            if key not in self.deleted and self.tensors.get(key, state).name == state.name:
                names[state.name] = key  # those that get another name come after all that keep theirs
        for key, state in list(self.tensors.items()):
            other = names.setdefault(state.name, key)
            if other != key:
                self._one_name(key, state, other)
                now = self.tensors.get(key) or self.onto_tensors.get(key)
                if now is not None:  # it may have got back the name that it has here, which others may want as well
                    names.setdefault(now.name, key)
        for group in groups:
            if group in names:
                self.conflicts.add(Conflict(group, None, "a tensor and a group of one name", names[group]))

    def _one_name(self, key: str, state: TensorState, other: str) -> None:
        """Deal with a tensor whose name another one has already."""
        conflict = Conflict(state.name, None, "two tensors of one name", key)
        if self._join(key, other):
            return
        if not self.foreign:
            self.conflicts.add(conflict)
        elif self.conflicts.decide(conflict):
            self.drop(other)
            self.deleted.append(other)
        elif key in self.onto_tensors:
            self.tensors[key] = structs.replace(state, name=self.onto_tensors[key].name)
        else:
            self.drop(key)

    def _class_names(self, key: str, base: TensorState, onto: TensorState) -> tuple[list[str] | None, IntArray | None]:
        """Unite the class names of both sides; as `zlake.versions.class_names.united`."""
        if self.reader is None or not (key in self.infos or onto.info != base.info):
            return None, None
        if not self.reader.holds_classes(onto):
            return None, None
        target = self.target_tensors.get(key)
        if key in self.infos:
            carried = self.infos[key].get(CLASS_NAMES, [])
        elif target is not None:
            carried = info_value(self.objects, target.info).get(CLASS_NAMES, [])
        else:
            return None, None
        was, here = (info_value(self.objects, info).get(CLASS_NAMES, []) for info in (base.info, onto.info))
        return united(was, here, carried, keep=self.foreign)
