"""The order in which a loader yields rows: a pure function of rows, seed and epoch."""

from __future__ import annotations

import numpy as np

from zlake.types import IntArray


def epoch_order(rows: IntArray, shuffle: bool, seed: int, epoch: int) -> IntArray:
    """Return the rows of an epoch in the order they are yielded.

    Parameters
    ----------
    rows
        Rows of the view, ``(n,) int64``.
    shuffle
        Yield a uniformly random permutation of all rows.
    seed, epoch
        What the permutation depends on, besides n.
    """
    if not shuffle:
        return rows
    return rows[np.random.default_rng([seed, epoch]).permutation(len(rows))]


def batch_bounds(count: int, size: int, drop_last: bool) -> list[tuple[int, int]]:
    """Return the first (inclusive) and last (exclusive) position of each batch."""
    end = count - count % size if drop_last else count
    return [(start, min(start + size, end)) for start in range(0, end, size)]
