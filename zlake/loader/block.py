"""Groups of batches that are read at once, so that buffers are large and reads few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from zlake.loader.field import Field
from zlake.loader.order import Order
from zlake.types import Array, IntArray

BLOCK_BYTES = 8 << 20  # fresh memory of this size comes in huge pages, which cost a tenth of small ones to touch
MAX_BATCHES = 64

Values = dict[str, Array | list[Any]]


@dataclass(frozen=True, slots=True)
class Block:
    """Batches that are read at once.

    Attributes
    ----------
    rows
        Their rows, in the order of the batches.
    bounds
        Of each batch the position of its first row among them (inclusive), and of its last (exclusive).
    """

    rows: slice | IntArray
    bounds: tuple[tuple[int, int], ...]

    def index(self) -> IntArray:
        """Return the row numbers, ``(n,) int64``, as an array that the caller owns."""
        if isinstance(self.rows, slice):
            return np.arange(self.rows.start, self.rows.stop, self.rows.step, dtype=np.int64)
        return np.array(self.rows)


def batches_per_block(fields: Sequence[Field], batch_size: int) -> int:
    """Return how many batches to read at once: enough for large buffers, few enough to stay bounded."""
    batch_bytes = batch_size * sum(field.row_bytes() for field in fields)
    return int(np.clip(BLOCK_BYTES // batch_bytes, 1, MAX_BATCHES))


def blocks(order: Order, numbers: range, count: int, size: int, together: int) -> list[Block]:
    """Group batches into blocks.

    Parameters
    ----------
    order
        All rows of the epoch.
    numbers
        Which batches; see `zlake.loader.order.rank_batches`.
    count
        Batches in the epoch: number ``count + i`` is batch ``i``.
    size
        Rows in a batch; the last batch of the epoch may have fewer.
    together
        Batches in a block.
    """
    return [_block(order, numbers[i : i + together], count, size) for i in range(0, len(numbers), together)]


def _block(order: Order, numbers: range, count: int, size: int) -> Block:
    starts = [number % count * size for number in numbers]
    parts = [order[start : start + size] for start in starts]
    ends = list(accumulate(len(part) for part in parts))
    bounds = tuple(pairwise([0, *ends]))
    if all(b - a == size for a, b in pairwise(starts)):
        parts = [order[starts[0] : starts[-1] + size]]
    if len(parts) == 1 and isinstance(parts[0], range) and parts[0].step > 0:
        return Block(slice(parts[0].start, parts[0].stop, parts[0].step), bounds)
    return Block(np.concatenate([np.asarray(part, np.int64) for part in parts]), bounds)
