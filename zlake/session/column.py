"""One tensor of an opened dataset: its schema, its stored rows and the ones that are not flushed yet."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from zlake.errors import TensorMetaInvalidHtypeOverwriteValue
from zlake.extents import edit
from zlake.extents.map import ExtentMap
from zlake.extents.plan import Plan, plan
from zlake.format.documents import SegmentTensor, TensorState
from zlake.samples import ClassNames, Encoded, HType, Prepared, TensorSpec, htype
from zlake.segments.block import Block
from zlake.segments.gather import gather_ids
from zlake.segments.source import BlockSource, Source
from zlake.session.buffer import ColumnBuffer, cut
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


class _StoredNames(ClassNames):
    """Class names of a large info, which is read when the first of them is looked at."""

    __slots__ = ("_column",)

    def __init__(self, column: Column) -> None:
        self._column = column
        self.changed = False

    def __getattr__(self, name: str) -> Any:
        if name not in ("values", "_index"):
            raise AttributeError(name)
        read = ClassNames(self._column.info.get("class_names", ()))
        self.values, self._index = read.values, read._index
        return getattr(self, name)


def spec_of(state: TensorState, names: ClassNames | None) -> TensorSpec:
    """Return what the samples package needs to know of a tensor."""
    return TensorSpec(
        htype=state.htype,
        dtype=None if state.dtype is None else np.dtype(state.dtype),
        ndim=state.ndim,
        sample_compression=state.sample_compression,
        chunk_compression=state.chunk_compression,
        sequence=state.sequence,
        options=state.options,
        names=names,
    )


class Content:
    """The rows of a tensor at one moment, to read from: later changes of the column do not touch it.

    Attributes
    ----------
    extents
        Which row of which source each row is.
    segments
        The stored sources; the one behind them is the buffer.
    """

    __slots__ = ("_buffer", "_column", "_stored", "_unflushed", "extents", "segments")

    def __init__(
        self,
        column: Column,
        extents: ExtentMap,
        segments: tuple[SegmentTensor, ...],
        stored: list[Source | None],
        buffer: ColumnBuffer,
    ) -> None:
        self.extents = extents
        self._column = column
        self.segments = segments
        self._stored = stored
        self._buffer = buffer
        self._unflushed: Source | None = None

    def source(self, index: int) -> Source:
        """Return the source at ``index``, opening it on first use (no I/O); the one behind the stored is the buffer."""
        if index < len(self._stored):
            source = self._stored[index]
            if source is None:
                column = self._column
                source = column.session.open_source(self.segments[index], column.key, column.spec.dtype)
                self._stored[index] = source
            return source
        if self._unflushed is None:
            with self._column.lock:
                self._unflushed = BlockSource(self._buffer.block())
        return self._unflushed

    def plan(self, rows: slice | IntArray) -> tuple[Plan, Sequence[Source]]:
        """Return how to read the rows, and the sources that the plan numbers."""
        made = plan(self.extents, rows)
        used = {run.source for run in made.runs}
        opened = [self.source(index) for index in used]
        sources = self._stored
        if len(sources) in used:
            sources = [*sources, *(source for source in opened if source is self._unflushed)]
        return made, sources  # type: ignore[return-value]  # the plan names opened sources only


class Column:
    """One tensor at the session's version, with the session's own changes on top.

    Rows live in *sources*: one for each stored segment, then one for the buffer. ``content`` says which source row
    each row of the tensor is; ``origin`` says, for the rows that were there at the base version, which base row each
    one was, so that a flush can tell what was appended, updated and removed.

    Whoever changes a column holds the session's lock. Readers take a `Content`, which does not change.
    """

    def __init__(self, session: Session, state: TensorState, *, created: bool = False) -> None:
        self.session = session
        self.lock = session.lock
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
        self._stored: list[Source | None] | None = None
        self._view: Content | None = None
        self._content: ExtentMap | None = None
        self._origin: ExtentMap | None = None  # None: the base rows as they were, then the appended ones
        self._touched: list[IntArray] = []  # base rows whose content was replaced
        self._over: dict[int, tuple[int, int]] = {}  # rows replaced one by one that `_content` does not show yet
        self._under: Content | None = None  # the rows as they were before these
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
        self.respec(names=spec.names, keep_buffer=True)  # the first rows may have added names

    def respec(self, *, names: ClassNames | None = None, keep_buffer: bool = False) -> None:
        """Build the spec from the state, and an empty buffer unless one with rows is to be kept."""
        self.spec = spec_of(self.state, names or self._names())
        self.encoded = self.htype.is_encoded(self.spec)
        dtype = self.spec.dtype
        self.settled = self.htype.is_resolved(self.spec)
        if not keep_buffer or not self.buffer.rows:
            self.buffer = ColumnBuffer(dtype, self.encoded, self.state.sequence)

    def _names(self) -> ClassNames | None:
        """Return the class names that the info holds, where the htype has any."""
        if "class_names" not in self.htype.keys:
            return None
        if self._info is None and self.state.info.object:
            return _StoredNames(self)
        return ClassNames(self.info.get("class_names", ()))

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

    def replace_info(self, info: dict[str, Any], *, names: ClassNames | None = None) -> None:
        """Set the info, to be written by the next flush; ``names`` are the class names in it, if they are known."""
        if names is None and "class_names" in self.htype.keys:
            given = info.get("class_names", [])
            if not isinstance(given, list):
                raise TensorMetaInvalidHtypeOverwriteValue(f"class_names is a list of names, not {given!r:.100}")
            names = ClassNames(given)  # raises before anything is changed
        self._info = info
        self.info_changed = True
        self.spec = dataclasses.replace(self.spec, names=names)

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
        loaded = self._loaded
        if loaded is None:
            with self.lock:
                loaded = self._loaded = self.session.repository.load_extents(self.state.extents)
        return loaded

    def content(self) -> ExtentMap:
        """Return the extent map with all changes, over `sources`."""
        self._show_appended()
        assert self._content is not None
        if self._over:
            count = len(self._over)
            rows = np.fromiter(self._over, np.int64, count)
            at = np.fromiter((at for at, _ in self._over.values()), np.int64, count)
            new = ExtentMap.from_locations(np.full(count, len(self.base()[0])), at)
            self._content = edit.replace(self._content, rows, new)
            self._over, self._under = {}, None
        return self._content

    def _show_appended(self) -> None:
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

    def origin(self) -> ExtentMap:
        """Return which base or new row each row is."""
        self._show_appended()
        if self._origin is not None:
            return self._origin
        return ExtentMap.from_runs([(BASE, 0, self.state.length), (NEW, 0, self._new_rows)])

    def view(self) -> Content:
        """Return the rows as they are now, to read from."""
        found = self._view
        if found is None:
            fork.check()
            with self.lock:
                found = self._view
                if found is None:
                    extents, segments = self.content(), self.base()[0]
                    if self._stored is None:
                        self._stored = [None] * len(segments)
                    found = self._view = Content(self, extents, segments, self._stored, self.buffer)
        return found

    def source(self, index: int) -> Source:
        """Return the source at ``index``, opening it on first use (no I/O)."""
        return self.view().source(index)

    def plan(self, rows: slice | IntArray) -> tuple[Plan, Sequence[Source]]:
        """Return how to read the rows, and the sources that the plan numbers."""
        fork.check()
        self.session.keep()
        return self.view().plan(rows)

    def locate(self, row: int) -> tuple[Source, int]:
        """Return the source of one row and the row there."""
        fork.check()
        view = self._view or self.view()
        index, at = view.extents.locate_one(row)
        return view.source(index), at

    # ------------------------------------------------------------ changing rows

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
        self._view = None  # before the length, so that a reader who sees the new length does not take the old rows
        self._length += 1

    def extend(self, prepared: Prepared, count: int, counts: Sequence[int] | None = None, *, borrow: bool) -> None:
        """Append ``count`` rows of prepared samples; ``borrow`` if the caller keeps the arrays as they are."""
        self.add(prepared, self.next_ids(count), counts, borrow=borrow)

    def add(self, prepared: Prepared, ids: IdArray, counts: Sequence[int] | None, *, borrow: bool) -> None:
        """Append rows that have ids already."""
        self.buffer.push_many(prepared, ids, counts, borrow)
        self._new_rows += len(ids)
        self._pending += len(ids)
        self._view = None
        self._length += len(ids)

    @property
    def only_appended(self) -> bool:
        """Whether the buffer holds new rows only, all of them still there."""
        return self._origin is None and self._new_rows == self.buffer.rows

    def hold_back(self, keep: int) -> Block:
        """Let a flush see only the first buffered rows, and return the others; only where `only_appended`."""
        self._whole = self.buffer
        first, rest = cut(self._whole.block(), keep)
        self._recount(ColumnBuffer.frozen(first))
        return rest

    def show_again(self) -> None:
        """Undo `hold_back`."""
        self._recount(self._whole)

    def _recount(self, buffer: ColumnBuffer) -> None:
        """Take another buffer of new rows only."""
        self.buffer = buffer
        self._content = self._view = self._under = None
        self._new_rows = self._pending = buffer.rows
        self._length = self.state.length + buffer.rows

    def ids_of(self, rows: IntArray) -> IdArray:
        """Return the sample ids of rows of this version, ``(n,) uint64``."""
        if len(rows) != 1:
            return gather_ids(*self.plan(rows))
        row = int(rows[0])
        found = self._over.get(row)
        if found is not None:
            return np.array([found[1]], np.uint64)
        if self._under is None or row >= self._under.extents.length:
            self._under = self.view()
        return gather_ids(*self._under.plan(rows))

    def replace(self, rows: IntArray, prepared: Prepared, ids: IdArray, counts: Sequence[int] | None) -> None:
        """Give rows (unique, of this version) new content; they keep their ids."""
        start = self.buffer.rows
        if len(rows) == 1:  # many a loop replaces row after row: the map is edited once for all of them
            self._show_appended()
            self.buffer.push_many(prepared, ids, counts, False)
            self._over[int(rows[0])] = (start, int(ids[0]))
        else:
            content = self.content()
            self.buffer.push_many(prepared, ids, counts, False)
            new = ExtentMap.from_runs([(len(self.base()[0]), start, len(rows))])
            self._content = edit.replace(content, rows, new)
        origin = self.origin()
        which, where = origin.locate(rows)
        self._touched.append(where[which == BASE])
        self._origin = origin
        self._view = None

    def delete(self, rows: IntArray) -> None:
        """Remove rows (unique, of this version)."""
        content, origin = self.content(), self.origin()
        self._content = edit.delete(content, rows)
        self._origin = edit.delete(origin, rows)
        self._view = None
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
