"""One tensor of an opened dataset: its schema, its stored rows and the ones that are not flushed yet."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from zlake.errors import TensorMetaInvalidHtypeOverwriteValue
from zlake.extents.edited import Edited
from zlake.extents.map import ExtentMap
from zlake.extents.plan import Plan, Run
from zlake.format.documents import SegmentTensor, TensorState
from zlake.samples import ClassNames, Encoded, HType, Prepared, TensorSpec, htype
from zlake.segments.block import Block
from zlake.segments.gather import gather_ids
from zlake.segments.source import Source
from zlake.session.blocks import cut
from zlake.session.buffer import ColumnBuffer
from zlake.session.content import Content
from zlake.storage import fork
from zlake.types import Array, IdArray, IntArray

if TYPE_CHECKING:
    from zlake.session.session import Session


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


class Column:
    """One tensor at the session's version, with the session's own changes on top.

    Rows live in *sources*: one for each stored segment, then the buffer, which has the samples of all changes. Which
    row of which source each row of the tensor is, and what was appended, updated and removed, is kept by `Edited`.

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
        self._rows = Edited(state.length, self._numbered)
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
        return self._rows.length

    @property
    def opened(self) -> bool:
        """Whether the extent map was loaded."""
        return self._loaded is not None

    @property
    def rows_changed(self) -> bool:
        """Whether rows were appended, updated or removed."""
        return bool(self.buffer.rows or not self._rows.only_appended)

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

    def _numbered(self) -> tuple[int, ExtentMap]:
        """Return the number of the buffer among the sources, and the extent map of the base version."""
        segments, extents = self.base()
        return len(segments), extents

    def content(self) -> ExtentMap:
        """Return the extent map with all changes: over the stored segments, with the buffer behind them."""
        return self._rows.map()

    def view(self) -> Content:
        """Return the rows as they are now, to read from."""
        found = self._view
        if found is None:
            fork.check()
            with self.lock:
                found = self._view
                if found is None:
                    found = self._view = Content(self, self.content(), self.base()[0], self._sources(), self.buffer)
        return found

    def _sources(self) -> list[Source | None]:
        """Return the sources of the stored segments, None where one was not opened yet."""
        if self._stored is None:
            self._stored = [None] * len(self.base()[0])
        return self._stored

    def source(self, index: int) -> Source:
        """Return the source at ``index``, opening it on first use (no I/O)."""
        return self.view().source(index)

    def plan(self, rows: slice | IntArray) -> tuple[Plan, Sequence[Source]]:
        """Return how to read the rows, and the sources that the plan numbers."""
        fork.check()
        self.session.keep()
        view = self._view
        if view is None:
            with self.lock:
                wanted = range(*rows.indices(len(self))) if isinstance(rows, slice) else rows
                if len(wanted) and self._view is None and self._rows.few(len(wanted), self.buffer.rows):
                    return self._plan_few(wanted)
            view = self.view()
        return view.plan(rows)

    def _plan_few(self, wanted: Iterable[int]) -> tuple[Plan, Sequence[Source]]:
        """Plan without a look at the other rows, which in a loop over rows would cost more than all of the loop."""
        found: dict[int, tuple[Source, list[int], list[int]]] = {}
        for position, row in enumerate(wanted):
            source, at = self._locate(int(row))
            _, there, here = found.setdefault(id(source), (source, [], []))
            there.append(at)
            here.append(position)
        runs = (
            Run(number, np.array(there, np.int64), np.array(here, np.int64))
            for number, (_, there, here) in enumerate(found.values())
        )
        return Plan(tuple(runs), position + 1), [source for source, _, _ in found.values()]

    def locate(self, row: int) -> tuple[Source, int]:
        """Return the source of one row and the row there."""
        fork.check()
        view = self._view
        if view is None:
            with self.lock:
                if self._view is None and self._rows.few(1, self.buffer.rows):
                    return self._locate(row)
            view = self.view()
        index, at = view.extents.locate_one(row)
        return view.source(index), at

    def _locate(self, row: int) -> tuple[Source, int]:
        index, at = self._rows.locate_one(row)
        sources = self._sources()
        if index == len(sources):
            return self.buffer.locate(at)
        source = sources[index]
        if source is None:
            source = sources[index] = self.session.open_source(self.base()[0][index], self.key, self.spec.dtype)
        return source, at

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
        first = self.buffer.rows
        self.buffer.push(sample, self.next_id())
        self._view = None  # before the length, so that a reader who sees the new length does not take the old rows
        self._rows.append(first)

    def extend(self, prepared: Prepared, count: int, counts: Sequence[int] | None = None, *, borrow: bool) -> None:
        """Append ``count`` rows of prepared samples; ``borrow`` if the caller keeps the arrays as they are."""
        self.add(prepared, self.next_ids(count), counts, borrow=borrow)

    def add(self, prepared: Prepared, ids: IdArray, counts: Sequence[int] | None, *, borrow: bool) -> None:
        """Append rows that have ids already."""
        first = self.buffer.rows
        self.buffer.push_many(prepared, ids, counts, borrow)
        self._view = None
        self._rows.append(first, len(ids))

    @property
    def only_appended(self) -> bool:
        """Whether the buffer holds new rows only, all of them still there."""
        return self._rows.only_appended

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
        self._view = None
        self._rows = Edited(self.state.length, self._numbered)
        self._rows.append(0, buffer.rows)

    def ids_of(self, rows: IntArray) -> IdArray:
        """Return the sample ids of rows of this version, ``(n,) uint64``."""
        if len(rows) != 1:
            return gather_ids(*self.plan(rows))
        source, at = self.locate(int(rows[0]))
        return source.ids(slice(at, at + 1, 1)).copy()

    def replace(
        self, rows: IntArray, items: Array | Encoded | Prepared, ids: IdArray, counts: Sequence[int] | None
    ) -> None:
        """Give rows (unique, of this version) new content, one row perhaps a bare sample; they keep their ids."""
        first = self.buffer.rows
        if isinstance(items, Prepared):
            self.buffer.push_many(items, ids, counts, False)
            self._view = None
            self._rows.replace(rows, first)
        else:
            self.buffer.push(items, int(ids[0]))
            self._view = None
            self._rows.replace_one(int(rows[0]), first)

    def delete(self, rows: IntArray) -> None:
        """Remove rows (unique, of this version)."""
        self._view = None
        self._rows.delete(rows)

    def clear(self) -> None:
        """Remove all rows."""
        self._view = None
        self._rows.clear()
        self.cleared = True

    def changed_rows(self) -> tuple[IntArray, IntArray, int]:
        """Return (base rows updated, base rows removed, both sorted, and the number of rows that are new)."""
        return self._rows.changes()
