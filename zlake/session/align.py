"""Flushes of a full buffer that end on the boundary of a shard, so that a bulk ingest leaves aligned extents."""

from __future__ import annotations

import numpy as np

from zlake.samples import Prepared
from zlake.segments.block import Block
from zlake.segments.layout import choose_layout
from zlake.session.codecs import codec
from zlake.session.column import Column
from zlake.session.session import Session


def hold_back(session: Session) -> dict[str, Block]:
    """Hide the rows behind the last shard boundary from a flush, and return them by tensor key.

    Nothing is held back unless all that is buffered is the same number of new rows in each tensor: only then does a
    boundary mean anything, and no tensor may be flushed with more rows than another.
    """
    columns = [column for column in session.columns.values() if column.buffer.rows]
    counts = {column.buffer.rows for column in columns}
    if len(counts) != 1 or any(column.state.sequence or not column.only_appended for column in columns):
        return {}
    rows = counts.pop()
    keep = rows - rows % max(_boundary(column, rows) for column in columns)
    return {} if keep == rows else {column.key: column.hold_back(keep) for column in columns}


def show_again(session: Session, held: dict[str, Block]) -> None:
    """Undo `hold_back`, after a flush that failed."""
    for column in session.columns.values():
        if column.key in held:
            column.show_again()


def put_back(session: Session, held: dict[str, Block]) -> None:
    """Buffer the rows again that were held back from a flush."""
    for column in session.columns.values():
        if column.key in held:
            block = held[column.key]
            column.add(as_prepared(block), block.ids, None, borrow=False)


def _boundary(column: Column, rows: int) -> int:
    """Return the rows of a shard, or of an inner chunk where there is no full shard; 1 where it does not matter."""
    block = column.buffer.block()
    if block.layout == "dense":
        entry = choose_layout(block, codec(column), "")
        for length in (*entry.shard[:1], *entry.inner[:1]):
            if length < rows:
                return length
    return 1


def as_prepared(block: Block) -> Prepared:
    """Return a block's rows as prepared samples."""
    if block.layout == "encoded":
        return Prepared(blobs=[bytes(value) for value in block.values], shapes=block.shapes)
    flat = np.concatenate([np.empty(0, block.dtype), *(np.asarray(value).reshape(-1) for value in block.values)])
    if block.layout == "dense":
        return Prepared(stacked=flat.reshape(block.rows, *block.shape))
    assert block.offsets is not None
    bounds = block.offsets.tolist()
    shapes = block.shapes if block.shapes is not None else np.diff(block.offsets)[:, None]
    arrays = [flat[a:b].reshape(form) for a, b, form in zip(bounds[:-1], bounds[1:], shapes.tolist(), strict=True)]
    return Prepared(arrays=arrays, shapes=shapes)
