"""The order in which a loader yields rows and batches: pure functions of rows, seed, epoch and rank."""

from __future__ import annotations

import numpy as np

from zlake.types import IntArray

Order = range | IntArray
"""Rows in the order they are yielded: a range, or ``(n,) int64``."""


def epoch_order(rows: Order, shuffle: bool, seed: int, epoch: int) -> Order:
    """Return the rows of an epoch in the order they are yielded.

    Parameters
    ----------
    rows
        Rows of the view.
    shuffle
        Yield a uniformly random permutation of all rows.
    seed, epoch
        What the permutation depends on, besides the number of rows.
    """
    if not shuffle:
        return rows
    # NumPy may change the streams of its generators, but has frozen those of RandomState: ranks with different
    # versions of NumPy must agree on the order.
    frozen = np.random.RandomState(np.random.MT19937(np.random.SeedSequence([seed, epoch])))
    order: IntArray = frozen.permutation(len(rows)).astype(np.int64, copy=False)
    if not isinstance(rows, range):
        return rows[order]
    if rows.step != 1:
        order *= rows.step
    if rows.start:
        order += rows.start
    return order


def batch_count(rows: int, size: int, drop_last: bool) -> int:
    """Return how many batches there are of all ranks together."""
    return rows // size if drop_last else -(-rows // size)


def rank_batches(count: int, rank: int, ranks: int, drop_last: bool) -> range:
    """Return the numbers of one rank's batches: every ``ranks``-th, equally many on each rank.

    Taking one batch from each rank in turn gives the batches in the order that a single rank yields them in. Where
    their count is no multiple of the ranks, the last ones are left out with ``drop_last``; else numbers run on beyond
    the last batch, and number ``count + i`` stands for batch ``i`` once more.

    Parameters
    ----------
    count
        Number of batches of all ranks together.
    rank, ranks
        Which one of how many.
    drop_last
        Leave the remainder out instead of repeating the first batches.
    """
    each = count // ranks if drop_last else -(-count // ranks)
    return range(rank, each * ranks, ranks)
