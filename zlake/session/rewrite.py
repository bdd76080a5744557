"""Rows from any sources, buffered or stored, as one block to be written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from zlake.extents.map import ExtentMap
from zlake.extents.plan import plan
from zlake.segments.block import Block
from zlake.segments.gather import (
    expand_sequences,
    gather_array,
    gather_blobs,
    gather_ids,
    gather_list,
    gather_shapes,
)
from zlake.segments.source import Source
from zlake.session.column import Column
from zlake.session.read import one_shape
from zlake.types import IntArray


def block_of(column: Column, content: ExtentMap) -> Block:
    """Return the rows of an extent map over the column's sources; the buffer itself, uncopied, where they are it."""
    buffer = len(column.base()[0])
    if content == ExtentMap.from_runs([(buffer, 0, column.buffer.rows)]):
        return column.buffer.block()
    made = plan(content, slice(0, content.length, 1))
    sources = [column.source(index) for index in range(buffer + 1)] if made.runs else []
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
