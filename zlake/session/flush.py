"""From a session's buffer to a new head: one segment for all tensors, then what changed, for the versions to record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zlake.extents import edit
from zlake.extents.map import EMPTY, ExtentMap
from zlake.extents.plan import plan
from zlake.format.documents import SegmentTensor, Snapshot, TensorState
from zlake.samples import htype
from zlake.segments.block import Block
from zlake.segments.gather import gather_ids
from zlake.segments.source import Source
from zlake.segments.write import write_segment
from zlake.session.codecs import codec
from zlake.session.column import Column
from zlake.session.rewrite import block_of, copy_rows, same_samples
from zlake.session.session import Session
from zlake.types import IdArray, IntArray
from zlake.versions import coalesce
from zlake.versions.changes import NO_ROWS, Changes, RowChanges
from zlake.versions.head import Head
from zlake.versions.protocol import nothing_changed


def flush(session: Session) -> Head:
    """Write what is buffered and move the branch; return the new head."""
    return session.repository.flush(session.head, changes(session), Rows(session))


def changes(session: Session) -> Changes:
    """Write the buffered rows as one segment and return what the session changed."""
    rows = _write_rows(session)
    columns = session.columns.values()
    groups = set(session.head.snapshot.groups)
    return Changes(
        rows=rows,
        tensors={c.key: c.state for c in columns if c.created or c.renamed_from or c.schema_changed},
        deleted=tuple(session.deleted),
        groups=None if session.groups == groups else tuple(sorted(session.groups)),
        info=session.info if session.info_changed else None,
        tensor_info={c.key: c.info for c in columns if c.info_changed},
    )


@dataclass(frozen=True, slots=True)
class _Written:
    """What one column gives to the segment: tail rows copied, appended rows and updated rows, in this order."""

    moved: int
    appended: int
    updated_rows: IntArray
    removed_rows: IntArray
    block: Block | None

    def changes(self, column: Column, entry: SegmentTensor | None) -> RowChanges:
        """Return the column's changes with the rows found in the new segment."""
        removed_ids = base_ids(column, self.removed_rows) if not column.cleared else np.empty(0, np.uint64)
        if entry is None:
            return RowChanges(
                deleted_rows=np.empty(0, np.int64) if column.cleared else self.removed_rows,
                deleted_ids=removed_ids,
                cleared=column.cleared,
            )
        assert self.block is not None
        first, second = self.moved, self.moved + self.appended
        return RowChanges(
            segments=(entry,),
            moved=_run(0, first),
            appended=_run(first, second),
            appended_ids=self.block.ids[first:second],
            updated=_run(second, entry.rows),
            updated_rows=self.updated_rows,
            updated_ids=self.block.ids[second:],
            deleted_rows=np.empty(0, np.int64) if column.cleared else self.removed_rows,
            deleted_ids=removed_ids,
            cleared=column.cleared,
        )


def _run(start: int, stop: int) -> ExtentMap:
    return ExtentMap.from_runs([(0, start, stop - start)]) if stop > start else EMPTY


def _write_rows(session: Session) -> dict[str, RowChanges]:
    parts: dict[str, tuple[Column, _Written]] = {}
    for column in session.columns.values():
        if column.rows_changed:
            parts[column.key] = (column, _collect(column))
    blocks = {key: (part.block, codec(column)) for key, (column, part) in parts.items() if part.block is not None}
    entries: dict[str, SegmentTensor] = {}
    if blocks:
        with nothing_changed(session.store):
            entries = write_segment(session.store, session.context.new_id(), blocks, session.context)
    return {key: part.changes(column, entries.get(key)) for key, (column, part) in parts.items()}


def _collect(column: Column) -> _Written:
    """Choose the rows of a column that the new segment must hold, and bring them together."""
    if column.only_appended and not column.cleared:
        return _collect_appended(column)
    content = column.content()
    updated, removed, new = column.changed_rows()
    appended = edit.slice_(content, len(content) - new, len(content))
    # where an updated base row is now: as many rows further up as base rows before it were removed
    now = updated - np.searchsorted(removed, updated)
    wanted = edit.concat(appended, edit.take(content, now))
    block = block_of(column, wanted, column.base()[0]) if wanted.length else None
    return _Written(0, appended.length, updated, removed, block)


def _collect_appended(column: Column) -> _Written:
    """Take the buffered rows, and small stored ones before them; where the others lie need not even be known."""
    count, moved = column.buffer.rows, 0
    if coalesce.worth_a_look(len(column.state.extents.extents), column.buffer.nbytes):
        segments, tail = column.session.repository.tail(column.state.extents)
        moved = coalesce.choose(segments, tail, count, column.buffer.nbytes)
    if moved:
        run = ExtentMap.from_runs([(len(segments), 0, count)])
        wanted = edit.concat(edit.slice_(tail, len(tail) - moved, len(tail)), run)
        block = block_of(column, wanted, segments)
    else:
        block = column.buffer.block()
    return _Written(moved, count, NO_ROWS, NO_ROWS, block)


def base_ids(column: Column, rows: IntArray) -> IdArray:
    """Return the sample ids of base rows."""
    if not len(rows):
        return np.empty(0, np.uint64)
    made = plan(column.base()[1], rows)
    return gather_ids(made, [column.source(i) for i in range(len(column.base()[0]))])


class Rows:
    """Reads rows of stored segments, to compare or rebase them. Implements `zlake.versions.changes.RowReader`.

    Parameters
    ----------
    session
        Opens the segments.
    *snapshots
        States that have tensors which the session's own version does not have.
    """

    def __init__(self, session: Session, *snapshots: Snapshot) -> None:
        self._session = session
        states = (state for snapshot in snapshots for state in snapshot.tensors)
        self._dtypes = {state.key: np.dtype(state.dtype) for state in states if state.dtype is not None}

    def ids(self, key: str, segments: Sequence[SegmentTensor], extents: ExtentMap) -> IdArray:
        """Return the sample ids of rows of tensor ``key``, ``(n,) uint64``."""
        return gather_ids(plan(extents, slice(0, extents.length, 1)), self._sources(key, segments))

    def equal(
        self,
        key: str,
        segments: Sequence[SegmentTensor],
        extents: ExtentMap,
        other_segments: Sequence[SegmentTensor],
        other: ExtentMap,
    ) -> npt.NDArray[np.bool_]:
        """Return for each row whether it and the same row of ``other`` hold the same sample, ``(n,) bool``."""
        return same_samples((extents, self._sources(key, segments)), (other, self._sources(key, other_segments)))

    def holds_classes(self, state: TensorState) -> bool:
        """Say whether the samples of a tensor are numbers of the classes that its info names."""
        return "class_names" in htype(state.htype).keys

    def rewrite(
        self,
        source: TensorState,
        segments: Sequence[SegmentTensor],
        extents: ExtentMap,
        target: TensorState,
        numbers: IntArray | None = None,
    ) -> tuple[tuple[SegmentTensor, ...], ExtentMap]:
        """Copy rows of a tensor, with their ids, to where another one, or the same, can name them."""
        with nothing_changed(self._session.store):
            return copy_rows(self._session, source, segments, extents, target, numbers)

    def _sources(self, key: str, segments: Sequence[SegmentTensor]) -> list[Source]:
        dtype = self._dtypes.get(key)
        for column in () if dtype is not None else (*self._session.columns.values(), *self._session.deleted.values()):
            if column.key == key:
                dtype = column.spec.dtype
        return [self._session.open_source(entry, key, dtype) for entry in segments]
