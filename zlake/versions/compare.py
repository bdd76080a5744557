"""Two snapshots compared: which rows they do not share, and the changes that make one into the other.

Rows are compared by place. A sample that both hold at one place is the same, so that what they share is never looked
at: pages that both name are not loaded, and ids are read of rows at places that only one of them names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zlake.extents import edit
from zlake.extents.map import EMPTY, ExtentMap
from zlake.extents.places import subtract
from zlake.format.documents import ExtentTable, Info, SegmentTensor, Snapshot, TensorState
from zlake.types import IdArray, IntArray
from zlake.versions.changes import NO_ROWS, Changes, IdReader, RowChanges, RowReader
from zlake.versions.extent_store import adopt, inline_map
from zlake.versions.idruns import NO_IDS
from zlake.versions.manifests import Manifests
from zlake.versions.objects import Objects
from zlake.versions.rebase_rows import ids_of

_STORED = frozenset(("length", "extents", "info", "key"))
SCHEMA_FIELDS = tuple(name for name in TensorState.__struct_fields__ if name not in _STORED)
"""Fields of a tensor state that say what the tensor is, not what it holds."""


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
        maps.append(join([edit.renumber(extents, adopt(segments, numbers, entries)) for entries, extents in parts]))
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


def join(maps: Sequence[ExtentMap]) -> ExtentMap:
    """Return the rows of all maps, one behind the other; they use one segment table."""
    if len(maps) == 1:
        return maps[0]
    return ExtentMap.normalized(
        np.concatenate([m.segment for m in maps]),
        np.concatenate([m.start for m in maps]),
        np.concatenate([m.count for m in maps]),
    )


def pruned(segments: Sequence[SegmentTensor], extents: ExtentMap) -> tuple[tuple[SegmentTensor, ...], ExtentMap]:
    """Return the segments that a map names, and the map over them."""
    used = edit.used_segments(extents)
    mapping = np.zeros(len(segments), np.int64)
    mapping[used] = np.arange(len(used))
    return tuple(segments[i] for i in used.tolist()), edit.renumber(extents, mapping)


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
