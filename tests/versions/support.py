"""A writer that versions plain values, with segments that exist in this process alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np

from zlake.context import Context
from zlake.extents.map import ExtentMap
from zlake.format.documents import ExtentTable, SegmentTensor, TensorState
from zlake.storage.store import Store
from zlake.versions.changes import Changes, RowChanges
from zlake.versions.coalesce import choose
from zlake.versions.head import Head
from zlake.versions.repository import Repository

Row = tuple[int, Any]
"""A sample id and what the sample is."""


class World:
    """What the segments of a dataset hold, by segment id; stands in for the segments package."""

    def __init__(self) -> None:
        self.segments: dict[str, list[Row]] = {}
        self.next_id = count(1000, 3)
        self.ids_read = 0
        self.rewritten = 0

    def rows(self, segments: Sequence[SegmentTensor], extents: ExtentMap) -> list[Row]:
        return [row for s, start, n in extents.runs() for row in self.segments[segments[s].segment][start : start + n]]

    def ids(self, key: str, segments: Sequence[SegmentTensor], extents: ExtentMap) -> Any:
        found = self.rows(segments, extents)
        self.ids_read += len(found)
        return np.array([sample_id for sample_id, _ in found], np.uint64)

    def equal(self, key: str, a_segments: Any, a: ExtentMap, b_segments: Any, b: ExtentMap) -> Any:
        return np.array([x == y for x, y in zip(self.rows(a_segments, a), self.rows(b_segments, b), strict=True)])

    def holds_classes(self, state: TensorState) -> bool:
        return state.htype == "class_label"

    def rewrite(
        self,
        source: TensorState,
        segments: Sequence[SegmentTensor],
        extents: ExtentMap,
        target: TensorState,
        numbers: Any = None,
    ) -> tuple[tuple[SegmentTensor, ...], ExtentMap]:
        rows = self.rows(segments, extents)
        self.rewritten += len(rows)
        if numbers is not None:
            rows = [(i, int(numbers[value]) if value < len(numbers) else value) for i, value in rows]
        return self.write(rows, Context()), ExtentMap.from_runs([(0, 0, len(rows))])

    def write(self, rows: Sequence[Row], context: Context) -> tuple[SegmentTensor, ...]:
        if not rows:
            return ()
        segment = context.new_id()
        self.segments[segment] = list(rows)
        n = len(rows)
        return (
            SegmentTensor(segment=segment, layout="dense", rows=n, elements=n, inner=(n,), id_start=-1, bytes=100 * n),
        )


class Writer:
    """One session: its head, and changes of one or more tensors that it has not flushed."""

    def __init__(self, repository: Repository, world: World, *, coalesce: bool = False) -> None:
        self.repository = repository
        self.world = world
        self.coalesce = coalesce
        self.head: Head = repository.head()
        self.flushed = False
        self.drop()

    def drop(self) -> None:
        """Forget unflushed changes."""
        self.appended: dict[str, list[Row]] = {}
        self.updated: dict[str, dict[int, Any]] = {}
        self.deleted: dict[str, set[int]] = {}
        self.cleared: set[str] = set()
        self.tensors: dict[str, TensorState] = {}
        self.removed: list[str] = []
        self.infos: dict[str, dict[str, Any]] = {}
        self.info: dict[str, Any] | None = None
        self.groups: tuple[str, ...] | None = None

    # ------------------------------------------------------------ changing

    def create(self, name: str = "x", **fields: Any) -> str:
        state = new_tensor(self.repository.context, name, **fields)
        self.tensors[state.key] = state
        return state.key

    def append(self, key: str, values: Iterable[Any]) -> list[int]:
        rows = [(next(self.world.next_id), value) for value in values]
        self.appended.setdefault(key, []).extend(rows)
        return [sample_id for sample_id, _ in rows]

    def update(self, key: str, row: int, value: Any) -> None:
        self.updated.setdefault(key, {})[row] = value

    def delete(self, key: str, *rows: int) -> None:
        self.deleted.setdefault(key, set()).update(rows)
        for row in rows:
            self.updated.get(key, {}).pop(row, None)

    def clear(self, key: str) -> None:
        self.cleared.add(key)
        for changed in (self.appended, self.updated, self.deleted):
            changed.pop(key, None)  # type: ignore[attr-defined]

    def changes(self) -> Changes:
        keys = {*self.appended, *self.updated, *self.deleted, *self.cleared}
        return Changes(
            rows={key: self._row_changes(key) for key in keys},
            tensors=dict(self.tensors),
            deleted=tuple(self.removed),
            groups=self.groups,
            info=self.info,
            tensor_info=dict(self.infos),
        )

    def _row_changes(self, key: str) -> RowChanges:
        touched = self.coalesce or key in self.updated or key in self.deleted
        base = self.stored(key) if touched else []
        appended, updated = self.appended.get(key, []), sorted(self.updated.get(key, {}).items())
        deleted = sorted(self.deleted.get(key, ()))
        moved = 0
        if self.coalesce and key not in self.cleared and key in self._states():
            segments, extents = self.repository.tail(self._states()[key].extents)
            moved = choose(segments, extents, len(appended), 100 * len(appended))
        tail = base[len(base) - moved :]
        content = [(base[row][0], value) for row, value in updated]
        segments = self.world.write([*tail, *content, *appended], self.repository.context)
        at = len(tail) + len(content)
        return RowChanges(
            segments=segments,
            appended=ExtentMap.from_runs([(0, at, len(appended))]),
            appended_ids=np.array([sample_id for sample_id, _ in appended], np.uint64),
            updated=ExtentMap.from_runs([(0, len(tail), len(content))]),
            updated_rows=np.array([row for row, _ in updated], np.int64),
            updated_ids=np.array([sample_id for sample_id, _ in content], np.uint64),
            deleted_rows=np.array(deleted, np.int64),
            deleted_ids=np.array([base[row][0] for row in deleted], np.uint64),
            cleared=key in self.cleared,
            moved=ExtentMap.from_runs([(0, 0, moved)]),
        )

    def flush(self) -> Head:
        changes = self.changes()
        self.head = self.repository.flush(self.head, changes, self.world)
        self.flushed = self.flushed or not changes.is_empty
        self.drop()
        return self.head

    def commit(self, message: str = "", *, allow_empty: bool = False) -> str:
        self.head = self.repository.commit(
            self.head, self.changes(), message, "me", allow_empty, self.world, flushed=self.flushed
        )
        self.flushed = False
        self.drop()
        assert self.head.commit_id is not None
        return self.head.commit_id

    # ------------------------------------------------------------ reading

    def _states(self) -> dict[str, TensorState]:
        return {state.key: state for state in self.head.snapshot.tensors}

    def state(self, key: str) -> TensorState:
        return self._states()[key]

    def stored(self, key: str) -> list[Row]:
        """The rows of the base."""
        state = self._states().get(key)
        return [] if state is None else rows_of(self.repository, self.world, state)

    def values(self, key: str) -> list[Any]:
        return [value for _, value in self.stored(key)]

    def reopen(self) -> Writer:
        return Writer(
            Repository.open(self.repository.store, self.repository.context), self.world, coalesce=self.coalesce
        )


def rows_of(repository: Repository, world: World, state: TensorState) -> list[Row]:
    segments, extents = repository.load_extents(state.extents)
    rows = world.rows(segments, extents)
    assert len(rows) == state.length == extents.length
    return rows


def new_tensor(context: Context, name: str, **fields: Any) -> TensorState:
    fields = {"htype": "generic", "dtype": "int64", "ndim": 0, **fields}
    return TensorState(name=name, key=context.new_id(), length=0, extents=ExtentTable(), **fields)


def two_writers(store: Store, context: Context, values: Sequence[Any] = (), coalesce: bool = False) -> tuple[Any, ...]:
    """Two writers that stand at the same committed rows of one tensor, and its key."""
    world = World()
    first = Writer(Repository.create(store, context), world, coalesce=coalesce)
    key = first.create()
    first.append(key, values)
    first.commit("start")
    return first, first.reopen(), key


def ids_in(runs: Any) -> list[int]:
    """The ids of an inline `IdRuns`."""
    return [i for start, n in runs.runs for i in range(start, start + n)]


def counter() -> Iterator[int]:
    return count()
