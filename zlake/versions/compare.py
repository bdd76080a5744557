"""Two snapshots compared: the changes that make one into the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zlake.extents import edit
from zlake.format.documents import ExtentTable, Info, Snapshot, TensorState
from zlake.types import IntArray
from zlake.versions.changes import NO_ROWS, Changes, RowChanges, RowReader
from zlake.versions.manifests import Manifests
from zlake.versions.objects import Objects
from zlake.versions.row_diff import RowDiff, diff_rows

_STORED = frozenset(("length", "extents", "info", "key"))
SCHEMA_FIELDS = tuple(name for name in TensorState.__struct_fields__ if name not in _STORED)
"""Fields of a tensor state that say what the tensor is, not what it holds."""


class Comparison:
    """Two states of a dataset, tensors matched by key. Rows are compared when they are asked for, and once.

    Parameters
    ----------
    a, b
        The first and the second state; `EMPTY_SNAPSHOT` for nothing at all.
    objects
        Reads documents and pages.
    reader
        Reads ids, and compares samples of which the commits between do not tell whether they were updated.

    Attributes
    ----------
    before, after
        The tensors of each state by key.
    """

    def __init__(self, a: Snapshot, b: Snapshot, objects: Objects, reader: RowReader) -> None:
        self.a = a
        self.b = b
        self.before = {state.key: state for state in a.tensors}
        self.after = {state.key: state for state in b.tensors}
        self._objects = objects
        self._reader = reader
        self._manifests = Manifests(a, b, objects)
        self._rows: dict[str, RowDiff] = {}
        self._updated: dict[str, IntArray] = {}

    def rows(self, key: str) -> RowDiff:
        """Return the rows of a tensor that the states do not share; a state without the tensor holds no rows of it."""
        found = self._rows.get(key)
        if found is None:
            a, b = (states[key].extents if key in states else ExtentTable() for states in (self.before, self.after))
            found = self._rows[key] = diff_rows(key, a, b, self._objects, self._reader)
        return found

    def updated(self, key: str) -> IntArray:
        """Return which of the kept rows of a tensor hold another sample now: positions in `RowDiff.kept_before`."""
        found = self._updated.get(key)
        if found is None:
            found = self._updated[key] = self._find_updated(key, self.rows(key))
        return found

    def _find_updated(self, key: str, rows: RowDiff) -> IntArray:
        if not len(rows.kept_before):
            return NO_ROWS
        updated, unclear = self._manifests.updated(key, rows.before_ids[rows.kept_before])
        asked = unclear.nonzero()[0]
        if len(asked):
            mine = edit.take(rows.before, rows.kept_before[asked])
            other = edit.take(rows.after, rows.kept_after[asked])
            updated[asked] = ~self._reader.equal(key, rows.segments, mine, rows.segments, other)
        return updated.nonzero()[0]

    def rows_differ(self, key: str) -> bool:
        """Whether a tensor has rows that are removed, added or updated."""
        rows = self.rows(key)
        return bool(len(rows.gone) or len(rows.new) or len(self.updated(key)))

    def row_changes(self, key: str) -> RowChanges:
        """Return what makes the rows of a tensor in the first state into those of the second.

        Rows that only moved stay where they are, and rows that are new come behind all others, in their order.
        """
        rows, updated = self.rows(key), self.updated(key)
        mine = rows.kept_before[updated]
        return RowChanges(
            segments=rows.segments,
            appended=edit.take(rows.after, rows.new),
            appended_ids=rows.after_ids[rows.new],
            updated=edit.take(rows.after, rows.kept_after[updated]),
            updated_rows=rows.before_rows[mine],
            updated_ids=rows.before_ids[mine],
            deleted_rows=rows.before_rows[rows.gone],
            deleted_ids=rows.before_ids[rows.gone],
        )

    def changes(self) -> Changes:
        """Return what makes the first state into the second, expressed against the first."""
        rows, tensors, infos = {}, {}, {}
        for key, state in self.after.items():
            was = self.before.get(key)
            if was is None or schema(was) != schema(state):
                tensors[key] = state
            changed = self.row_changes(key)
            if not changed.is_empty:
                rows[key] = changed
            info = self._info(Info() if was is None else was.info, state.info)
            if info is not None:
                infos[key] = info
        return Changes(
            rows=rows,
            tensors=tensors,
            deleted=tuple(key for key in self.before if key not in self.after),
            groups=None if set(self.a.groups) == set(self.b.groups) else self.b.groups,
            info=self._info(self.a.info, self.b.info),
            tensor_info=infos,
        )

    def _info(self, a: Info, b: Info) -> Mapping[str, Any] | None:
        """Return the second info if it differs."""
        if a == b:
            return None
        was, now = (self._objects.info(info.object) if info.object else info.value for info in (a, b))
        return None if was == now else now


def schema(state: TensorState) -> tuple[Any, ...]:
    """Return what a tensor is, apart from its key, its rows and its info."""
    return tuple(getattr(state, name) for name in SCHEMA_FIELDS)


def changes_between(a: Snapshot, b: Snapshot, objects: Objects, reader: RowReader) -> Changes:
    """Return what makes one state into another, expressed against the first: segments are shared, no sample moves.

    Parameters
    ----------
    a, b
        The states; `EMPTY_SNAPSHOT` for nothing at all.
    objects
        Reads documents and pages.
    reader
        Reads the ids of rows that differ, and compares samples where manifests do not tell.

    Returns
    -------
    Changes
        Applied to ``a`` they give the tensors, schemas, infos and samples of ``b``. Samples that ``b`` holds at other
        places, unchanged, stay where ``a`` has them; those that are new come last, in the order of ``b``.
    """
    return Comparison(a, b, objects, reader).changes()
