"""Rows from any sources, buffered or stored, as one block to be written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import structs

from zlake.extents import edit
from zlake.extents.map import ExtentMap
from zlake.extents.plan import plan
from zlake.format.documents import Extent, ExtentTable, SegmentTensor, TensorState
from zlake.samples import Prepared
from zlake.segments.block import Block
from zlake.segments.gather import (
    expand_sequences,
    gather_array,
    gather_blobs,
    gather_ids,
    gather_list,
    gather_shapes,
)
from zlake.segments.source import BlockSource, Source
from zlake.segments.write import write_segment
from zlake.session.buffer import ColumnBuffer
from zlake.session.codecs import codec
from zlake.session.column import Column
from zlake.session.prepare import prepare_rows
from zlake.session.read import one_shape
from zlake.session.read import samples as samples_of
from zlake.session.session import Session
from zlake.types import Array, IntArray


def block_of(column: Column, content: ExtentMap, segments: Sequence[SegmentTensor]) -> Block:
    """Return rows of a column as a block; the buffer itself, uncopied, where they are it.

    Parameters
    ----------
    column
        The column.
    content
        The rows: an extent map over ``segments``, with the buffer behind them.
    segments
        Stored segments of the column.
    """
    buffer = len(segments)
    if content == ExtentMap.from_runs([(buffer, 0, column.buffer.rows)]):
        return column.buffer.block()
    made = plan(content, slice(0, content.length, 1))
    sources: list[Any] = [None] * (buffer + 1)
    for index in {run.source for run in made.runs}:
        if index < buffer:
            sources[index] = column.session.open_source(segments[index], column.key, column.spec.dtype)
        else:
            sources[index] = BlockSource(column.buffer.block())
    ids = gather_ids(made, sources)
    sequence: IntArray | None = None
    if column.state.sequence:
        made, counts = expand_sequences(made, sources)
        sequence = np.append(0, np.cumsum(counts))
    if column.encoded:
        blobs = gather_blobs(made, sources).result()
        shapes = gather_shapes(made, sources)
        return Block(
            "encoded",
            np.dtype(np.uint8),
            ids,
            [bytes(blob) for blob in blobs],
            (),
            offsets([len(blob) for blob in blobs]),
            shapes if shapes.shape[1] else None,
            sequence,
        )
    assert column.spec.dtype is not None
    if made.runs and one_shape(made, sources):
        array = gather_array(made, sources).result()
        return Block("dense", column.spec.dtype, ids, [array], array.shape[1:], None, None, sequence)
    arrays = gather_list(made, sources).result()
    if arrays and all(a.shape == arrays[0].shape for a in arrays):  # the others of their segments had other shapes
        array = np.stack(arrays)
        return Block("dense", column.spec.dtype, ids, [array], array.shape[1:], None, None, sequence)
    shapes = np.array([a.shape for a in arrays], np.int64).reshape(len(arrays), column.spec.ndim or 0)
    flat = [np.ascontiguousarray(a).reshape(-1) for a in arrays]
    return Block(
        "ragged",
        column.spec.dtype,
        ids,
        flat,
        (),
        offsets([len(a) for a in flat]),
        shapes if shapes.shape[1] > 1 else None,  # 0: rows of a sequence without any item, whose rank is open
        sequence,
    )


def offsets(sizes: list[int]) -> IntArray:
    """Return the boundaries of items of these sizes, ``(n + 1,) int64``."""
    made = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=made[1:])
    return made


def same_samples(a: tuple[ExtentMap, Sequence[Source]], b: tuple[ExtentMap, Sequence[Source]]) -> npt.NDArray[np.bool_]:
    """Return for each row whether two extent maps hold the same sample there, ``(n,) bool``; sequences item by item."""
    left, right = (_stored(extents, sources) for extents, sources in (a, b))
    return np.fromiter((x == y for x, y in zip(left, right, strict=True)), bool, len(left))


def _stored(extents: ExtentMap, sources: Sequence[Source]) -> list[Any]:
    """Return what identifies each row's content: shapes and bytes of its items."""
    made = plan(extents, slice(0, extents.length, 1))
    counts = np.ones(extents.length, np.int64)
    if any(source.items != source.rows for source in sources):
        made, counts = expand_sequences(made, sources)
    if sources and sources[0].layout == "encoded":
        flat: list[Any] = [bytes(blob) for blob in gather_blobs(made, sources).result()]
    else:
        flat = [(a.shape, a.tobytes()) for a in gather_list(made, sources).result()]
    ends = np.cumsum(counts).tolist()
    return [flat[end - count : end] for end, count in zip(ends, counts.tolist(), strict=True)]


def copy_rows(
    session: Session,
    source: TensorState,
    segments: Sequence[SegmentTensor],
    extents: ExtentMap,
    target: TensorState,
    numbers: IntArray | None,
) -> tuple[tuple[SegmentTensor, ...], ExtentMap]:
    """Write stored rows of one tensor anew, with their ids, for another one or with other class numbers.

    Parameters
    ----------
    session
        Reads and writes segments.
    source, segments, extents
        The tensor that has the rows, and the rows.
    target
        The tensor that they are written for.
    numbers
        New class numbers by the old ones, ``(n,) int64``, or None to copy what is stored.

    Returns
    -------
    tuple
        The new segments, each of about as many bytes as a flush, and the rows there in the same order.
    """
    made: list[SegmentTensor] = []
    for part in _parts(segments, extents, session.context.flush_bytes):
        table = ExtentTable(tuple(segments), tuple(Extent(*run) for run in part.runs()))
        column = Column(session, structs.replace(source, extents=table, length=part.length, info=target.info))
        block = block_of(column, part, segments) if numbers is None else _renumbered(column, numbers)
        chain = codec(Column(session, target))
        entries = write_segment(session.store, session.context.new_id(), {target.key: (block, chain)}, session.context)
        made.append(entries[target.key])
    return tuple(made), ExtentMap.from_runs((i, 0, entry.rows) for i, entry in enumerate(made))


def _parts(segments: Sequence[SegmentTensor], extents: ExtentMap, most: int) -> Iterator[ExtentMap]:
    """Cut a map into pieces whose stored rows take about so many bytes."""
    if not extents.length:
        return
    each = np.array([max(1, entry.bytes // entry.rows) for entry in segments], np.int64)
    size = np.cumsum(each[extents.segment] * extents.count)
    pieces = min(extents.length, -(-int(size[-1]) // most))
    cuts = [extents.length * i // pieces for i in range(pieces + 1)]
    for start, stop in pairwise(cuts):
        yield edit.slice_(extents, start, stop)


@dataclass(frozen=True, slots=True, eq=False)
class Renumbering:
    """Rows of class numbers, and the numbers that they are to get by those that they have, ``(n,) int64``."""

    segments: Sequence[SegmentTensor]
    extents: ExtentMap
    numbers: IntArray


def renumber_rows(
    session: Session, state: TensorState, many: Iterable[Renumbering]
) -> list[tuple[tuple[SegmentTensor, ...], ExtentMap]]:
    """Write rows of a tensor of class labels anew, each set with numbers of its own, all in few segments.

    Returns
    -------
    list
        For each set the new segments, and the rows there in the same order, with their ids.
    """
    made: list[SegmentTensor] = []
    target = Column(session, _empty(state))

    def write() -> None:
        blocks = {state.key: (target.buffer.block(), codec(target))}
        made.append(write_segment(session.store, session.context.new_id(), blocks, session.context)[state.key])
        target.respec()

    placed = []
    for one in many:
        runs = []
        for part in _parts(one.segments, one.extents, session.context.flush_bytes):
            if target.buffer.nbytes >= session.context.flush_bytes:
                write()
            runs.append((len(made), target.buffer.rows, part.length))
            table = ExtentTable(tuple(one.segments), tuple(Extent(*run) for run in part.runs()))
            column = Column(session, structs.replace(state, extents=table, length=part.length))
            _renumber(column, one.numbers, target.buffer)
        placed.append(runs)
    if target.buffer.rows:
        write()
    return [(tuple(made), ExtentMap.from_runs(runs)) for runs in placed]


def _empty(state: TensorState) -> TensorState:
    return structs.replace(state, extents=ExtentTable(), length=0)


def _renumbered(column: Column, numbers: IntArray) -> Block:
    """Return the rows of a column of class numbers with other numbers."""
    _renumber(column, numbers, column.buffer)
    return column.buffer.block()


def _renumber(column: Column, numbers: IntArray, buffer: ColumnBuffer) -> None:
    """Buffer the rows of a column of class numbers with other numbers."""
    every = slice(0, len(column), 1)
    ids = gather_ids(*column.plan(every))
    samples = samples_of(column, every).result()
    if column.state.sequence:
        samples = [[_replaced(item, numbers) for item in sample] for sample in samples]
    else:
        samples = [_replaced(sample, numbers) for sample in samples]
    ready = prepare_rows(column, samples)
    assert isinstance(ready.items, Prepared)
    buffer.push_many(ready.items, ids, ready.counts, False)


def _replaced(labels: Array, numbers: IntArray) -> Array:
    known = labels < len(numbers)
    return np.where(known, numbers[np.where(known, labels, 0)], labels).astype(labels.dtype)
