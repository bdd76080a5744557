"""Blocks of buffered rows: one cut in two, several as one. They share the memory of the samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from zlake.segments.block import Block
from zlake.types import Array, IntArray


def cut(block: Block, rows: int) -> tuple[Block, Block]:
    """Cut a buffer's block in two, sharing memory: its first rows, and the rest. Not for sequences."""
    bound = rows if block.offsets is None else int(block.offsets[rows])
    head: list[Array | bytes] = []
    tail: list[Array | bytes] = []
    for piece in block.values:
        here = max(0, min(bound, len(piece)))
        bound -= len(piece)
        if here:
            head.append(piece[:here])
        if here < len(piece):
            tail.append(piece[here:])
    if block.layout == "encoded":  # pieces are samples there, also empty ones
        head, tail = list(block.values[:rows]), list(block.values[rows:])
    offsets, shapes = block.offsets, block.shapes
    return (
        replace(
            block,
            ids=block.ids[:rows],
            values=head,
            offsets=None if offsets is None else offsets[: rows + 1],
            shapes=None if shapes is None else shapes[:rows],
        ),
        replace(
            block,
            ids=block.ids[rows:],
            values=tail,
            offsets=None if offsets is None else offsets[rows:] - offsets[rows],
            shapes=None if shapes is None else shapes[rows:],
        ),
    )


def joined(blocks: Sequence[Block]) -> Block:
    """Return the rows of at least one block of one tensor, one behind the other."""
    filled = [block for block in blocks if block.items] or [blocks[0]]  # rows of a sequence may have no item at all
    first = filled[0]
    dense = first.layout == "dense" and all(block.layout == "dense" and block.shape == first.shape for block in filled)
    parts = filled if dense else [_flat(block) for block in filled]
    shapes = [part.shapes for part in parts if part.shapes is not None]
    return Block(
        parts[0].layout,
        first.dtype,
        np.concatenate([block.ids for block in blocks]),
        list(chain.from_iterable(part.values for part in parts)),
        parts[0].shape,
        None if dense else _behind(part.offsets for part in parts),
        np.concatenate(shapes) if shapes else None,
        None if blocks[0].sequence_offsets is None else _behind(block.sequence_offsets for block in blocks),
    )


def _flat(block: Block) -> Block:
    """Return a block with offsets, dense or not."""
    if block.layout != "dense":
        return block
    count = block.items
    return replace(
        block,
        layout="ragged",
        values=[np.asarray(piece).reshape(-1) for piece in block.values],
        shape=(),
        offsets=np.arange(count + 1) * int(np.prod(block.shape, dtype=np.int64)),
        shapes=None if len(block.shape) == 1 else np.tile(np.array(block.shape, np.int64), (count, 1)),
    )


def _behind(many: Iterable[IntArray | None]) -> IntArray:
    """Return offsets as those of everything one behind the other."""
    sizes = [np.diff(offsets) for offsets in many if offsets is not None]
    return np.append(0, np.cumsum(np.concatenate(sizes)))
