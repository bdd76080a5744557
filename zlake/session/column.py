"""One tensor of an opened dataset: its schema, its stored rows and the ones that are not flushed yet."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from zlake.extents import edit
from zlake.extents.map import ExtentMap
from zlake.extents.plan import Plan, plan
from zlake.format.documents import SegmentTensor, TensorState
from zlake.samples import ClassNames, Encoded, HType, Prepared, TensorSpec, htype
from zlake.segments.block import Block
from zlake.segments.source import BlockSource, Source
from zlake.session.buffer import ColumnBuffer
from zlake.storage import fork
from zlake.types import Array, IdArray, IntArray

if TYPE_CHECKING:
    from zlake.session.session import Session

BASE, NEW = 0, 1
"""What the segment numbers of an `origin` map mean: rows of the base version, rows appended since."""


def ranges(starts: IntArray, counts: IntArray) -> IntArray:
    """Return ``[starts[0], starts[0] + counts[0])``, then the next range, and so on, as one array."""
    total = int(counts.sum())
    if not total:
        return np.empty(0, np.int64)
    before = np.cumsum(counts) - counts
    made: IntArray = np.arange(total, dtype=np.int64) + np.repeat(starts - before, counts)
    return made


def spec_of(state: TensorState, info: dict[str, Any]) -> TensorSpec:
    """Return what the samples package needs to know of a tensor."""
    return TensorSpec(
        htype=state.htype,
        dtype=None if state.dtype is None else np.dtype(state.dtype),
        ndim=state.ndim,
        sample_compression=state.sample_compression,
        chunk_compression=state.chunk_compression,
        sequence=state.sequence,
        options=state.options,
        names=ClassNames(info["class_names"]) if "class_names" in info else None,
    )


class Column:
    """One tensor at the session's version, with the session's own changes on top.

    Rows live in *sources*: one for each stored segment, then one for the buffer. ``content`` says which source row
    each row of the tensor is; ``origin`` says, for the rows that were there at the base version, which base row each
    one was, so that a flush can tell what was appended, updated and removed.
    """

    def __init__(self, session: Session, state: TensorState, *, created: bool = False) -> None:
        self.session = session
        self.deleted = False
        self._id_next = 0
        self._id_left = 0
        self.buffer: ColumnBuffer
        self.spec: TensorSpec
        self.reset(state)
        self.created = created

    def reset(self, state: TensorState) -> None:
        """Take a stored state as the base, forgetting all unflushed changes."""
        self.state = state
        self.created = False
        self.renamed_from = ""
        self.info_changed = False
        self.schema_changed = False
        self.cleared = False
        self.htype: HType = htype(state.htype)
        self._info: dict[str, Any] | None = None
        self._loaded: tuple[tuple[SegmentTensor, ...], ExtentMap] | None = None
        self._sources: list[Source | None] | None = None
        self._content: ExtentMap | None = None
        self._origin: ExtentMap | None = None  # None: the base rows as they were, then the appended ones
        self._touched: list[IntArray] = []  # base rows whose content was replaced
        self._new_rows = 0  # rows appended since the base, also those removed again
        self._pending = 0  # rows at the end of the buffer that `_content` does not show yet
        self._length = state.length
        self.respec()

    def settle(self, spec: TensorSpec) -> None:
        """Take the htype, dtype and rank that a first sample decided."""
        self.state = msgspec.structs.replace(
            self.state,
            htype=spec.htype,
            dtype=None if spec.dtype is None else spec.dtype.name,
            ndim=spec.ndim,
        )
        self.htype = htype(spec.htype)
        self.schema_changed = True
        self.respec(keep_buffer=True)
        self.spec = dataclasses.replace(self.spec, names=spec.names)  # the first rows may have added names

    def respec(self, *, keep_buffer: bool = False) -> None:
        """Build the spec from the state, and an empty buffer unless one with rows is to be kept."""
        self.spec = spec_of(self.state, self.info)
        self.encoded = self.htype.is_encoded(self.spec)
        dtype = self.spec.dtype
        self.settled = self.htype.is_resolved(self.spec)
        if not keep_buffer or not self.buffer.rows:
            self.buffer = ColumnBuffer(dtype, self.encoded, self.state.sequence)

    # ------------------------------------------------------------ what it is

    @property
    def name(self) -> str:
        """Full name; groups are separated by ``/``."""
        return self.state.name

    @property
    def key(self) -> str:
        """The tensor's key, which never changes."""
        return self.state.key

    @property
    def info(self) -> dict[str, Any]:
        """The tensor's info; change it through `zlake.session.info`."""
        if self._info is None:
            self._info = self.session.load_info(self.state.info)
        return self._info

    def replace_info(self, info: dict[str, Any]) -> None:
        """Set the info, to be written by the next flush."""
        self._info = info
        self.info_changed = True

    def __len__(self) -> int:
        return self._length

    @property
    def opened(self) -> bool:
        """Whether the extent map was loaded."""
        return self._loaded is not None

    @property
    def rows_changed(self) -> bool:
        """Whether rows were appended, updated or removed."""
        return bool(self.buffer.rows or self._origin is not None or self.cleared)

    @property
    def changed(self) -> bool:
        """Whether a flush has anything to write for this tensor."""
        return bool(self.rows_changed or self.created or self.renamed_from or self.info_changed or self.schema_changed)

    # ------------------------------------------------------------ where rows are

    def base(self) -> tuple[tuple[SegmentTensor, ...], ExtentMap]:
        """Return the segment table and the extent map of the base version."""
        if self._loaded is None:
            self._loaded = self.session.repository.load_extents(self.state.extents)
        return self._loaded

    def content(self) -> ExtentMap:
        """Return the extent map with all changes, over `sources`."""
        if self._content is None:
            self._content = self.base()[1]
        if self._pending:
            buffer = len(self.base()[0])
            run = ExtentMap.from_runs([(buffer, self.buffer.rows - self._pending, self._pending)])
            self._content = edit.concat(self._content, run)
            if self._origin is not None:
                run = ExtentMap.from_runs([(NEW, self._new_rows - self._pending, self._pending)])
                self._origin = edit.concat(self._origin, run)
            self._pending = 0
        return self._content

    def origin(self) -> ExtentMap:
        """Return which base or new row each row is."""
        self.content()
        if self._origin is not None:
            return self._origin
        return ExtentMap.from_runs([(BASE, 0, self.state.length), (NEW, 0, self._new_rows)])

    def source(self, index: int) -> Source:
        """Return the source at ``index``, opening it on first use (no I/O)."""
        sources = self._sources
        if sources is None:
            sources = self._sources = [None] * (len(self.base()[0]) + 1)
        source = sources[index]
        if source is None:
            segments = self.base()[0]
            if index == len(segments):
                source = BlockSource(self.buffer.block())
            else:
                source = self.session.open_source(segments[index], self.key, self.spec.dtype)
            sources[index] = source
        return source

    def plan(self, rows: slice | IntArray) -> tuple[Plan, Sequence[Source]]:
        """Return how to read the rows, and the sources that the plan numbers."""
        fork.check()
        made = plan(self.content(), rows)
        for run in made.runs:
            self.source(run.source)
        return made, self._sources or ()  # type: ignore[return-value]  # the plan names opened sources only

    def locate(self, row: int) -> tuple[Source, int]:
        """Return the source of one row and the row there."""
        content = self._content
        if content is None or self._pending:
            content = self.content()
        index, row = content.locate_one(row)
        sources = self._sources
        source = sources[index] if sources is not None else None
        return (source if source is not None else self.source(index)), row

    # ------------------------------------------------------------ changing rows

    def _buffer_changed(self) -> None:
        if self._sources is not None:
            self._sources[-1] = None

    def next_id(self) -> int:
        """Return a fresh sample id; ids of one session run on, so that they store as runs."""
        if not self._id_left:
            self._id_next, self._id_left = self.session.context.new_sample_ids(), 1 << 32
        sample_id = self._id_next
        self._id_next += 1
        self._id_left -= 1
        return sample_id

    def next_ids(self, count: int) -> IdArray:
        """Return ``count`` fresh sample ids."""
        if self._id_left < count:
            self._id_next, self._id_left = self.session.context.new_sample_ids(), max(count, 1 << 32)
        start = self._id_next
        self._id_next += count
        self._id_left -= count
        return np.arange(start, start + count, dtype=np.uint64)

    def append(self, sample: Array | Encoded) -> None:
        """Append one prepared sample (not for sequences)."""
        self.buffer.push(sample, self.next_id())
        self._new_rows += 1
        self._pending += 1
        self._length += 1
        if self._sources is not None:
            self._sources[-1] = None

    def extend(self, prepared: Prepared, count: int, counts: Sequence[int] | None = None, *, borrow: bool) -> None:
        """Append ``count`` rows of prepared samples; ``borrow`` if the caller keeps the arrays as they are."""
        self.add(prepared, self.next_ids(count), counts, borrow=borrow)

    def add(self, prepared: Prepared, ids: IdArray, counts: Sequence[int] | None, *, borrow: bool) -> None:
        """Append rows that have ids already."""
        self.buffer.push_many(prepared, ids, counts, borrow)
        self._new_rows += len(ids)
        self._pending += len(ids)
        self._length += len(ids)
        self._buffer_changed()

    @property
    def only_appended(self) -> bool:
        """Whether the buffer holds new rows only, all of them still there."""
        return self._origin is None and self._new_rows == self.buffer.rows

    def hold_back(self, keep: int) -> Block:
        """Let a flush see only the first buffered rows, and return the others; only where `only_appended`."""
        rest = self.buffer.hold_back(keep)
        self._recount()
        return rest

    def show_again(self) -> None:
        """Undo `hold_back`."""
        self.buffer.show_again()
        self._recount()

    def _recount(self) -> None:
        self._content = None
        self._new_rows = self._pending = self.buffer.rows
        self._length = self.state.length + self.buffer.rows
        self._buffer_changed()

    def replace(self, rows: IntArray, prepared: Prepared, ids: IdArray, counts: Sequence[int] | None) -> None:
        """Give rows (unique, of this version) new content; they keep their ids."""
        content, origin = self.content(), self.origin()
        start = self.buffer.rows
        self.buffer.push_many(prepared, ids, counts, False)
        new = ExtentMap.from_runs([(len(self.base()[0]), start, len(rows))])
        self._content = edit.replace(content, rows, new)
        which, where = origin.locate(rows)
        self._touched.append(where[which == BASE])
        self._origin = origin
        self._buffer_changed()

    def delete(self, rows: IntArray) -> None:
        """Remove rows (unique, of this version)."""
        content, origin = self.content(), self.origin()
        self._content = edit.delete(content, rows)
        self._origin = edit.delete(origin, rows)
        self._length -= len(rows)

    def clear(self) -> None:
        """Remove all rows."""
        self.delete(np.arange(self._length))
        self.cleared = True

    # ------------------------------------------------------------ what changed

    def changed_rows(self) -> tuple[IntArray, IntArray, IntArray]:
        """Return (base rows updated, base rows removed, rows of this version that are new), each sorted."""
        if self._origin is None:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.arange(self.state.length, self._length)
        # base rows keep their order and new rows follow them, so the runs of `origin` say it without a row-wise look
        origin = self.origin()
        base = origin.segment == BASE
        starts = np.append(origin.start[base], self.state.length)
        ends = np.concatenate(([0], (origin.start + origin.count)[base]))
        removed = ranges(ends, starts - ends)
        touched = np.unique(np.concatenate(self._touched)) if self._touched else np.empty(0, np.int64)
        if len(removed):
            touched = touched[~np.isin(touched, removed, assume_unique=True)]
        return touched, removed, np.arange(self._length - int(origin.count[~base].sum()), self._length)
