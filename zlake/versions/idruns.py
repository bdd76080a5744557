"""Sets of sample ids as sorted, disjoint runs: ``(n, 2) uint64``, first id and last id (inclusive) of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from zlake.types import IdArray

Runs = npt.NDArray[np.uint64]

NO_IDS: IdArray = np.empty(0, np.uint64)
EMPTY: Runs = np.empty((0, 2), np.uint64)
_ONE = np.uint64(1)
_MOST = np.uint64(2**64 - 1)


def counts_up(ids: IdArray) -> bool:
    """Whether each id is the one before and one."""
    first = int(ids[0])
    return int(ids[-1]) - first == len(ids) - 1 and bool((ids[1:] - ids[:-1] == _ONE).all())


def from_ids(ids: IdArray) -> Runs:
    """Return the set of these ids, given in any order."""
    n = len(ids)
    if not n:
        return EMPTY
    if counts_up(ids):
        return np.array([[ids[0], ids[-1]]], np.uint64)
    if n > 1 and not (ids[1:] > ids[:-1]).all():
        ids = np.unique(ids)
    heads = np.empty(len(ids), bool)
    heads[0] = True
    np.not_equal(ids[1:], ids[:-1] + _ONE, out=heads[1:])
    first = heads.nonzero()[0]
    last = np.append(first[1:], len(ids)) - 1
    return np.stack((ids[first], ids[last]), axis=1)


def from_pairs(pairs: Sequence[tuple[int, int]]) -> Runs:
    """Return the set of ``(first id, number of ids)`` pairs, which are sorted and disjoint."""
    if not pairs:
        return EMPTY
    runs = np.array(pairs, np.uint64)
    runs[:, 1] += runs[:, 0] - _ONE
    return runs


def count(runs: Runs) -> int:
    """Return the number of ids."""
    return int((runs[:, 1] - runs[:, 0]).sum()) + len(runs)


def to_ids(runs: Runs) -> IdArray:
    """Return the ids, ascending."""
    if not len(runs):
        return NO_IDS
    sizes = (runs[:, 1] - runs[:, 0] + _ONE).astype(np.int64)
    before = sizes.cumsum() - sizes
    inside = np.arange(int(sizes.sum()), dtype=np.int64) - np.repeat(before, sizes)
    return np.repeat(runs[:, 0], sizes) + inside.astype(np.uint64)


def contains(runs: Runs, ids: IdArray) -> npt.NDArray[np.bool_]:
    """Return for each id whether it is in the set, ``(n,) bool``."""
    if not len(runs):
        return np.zeros(len(ids), bool)
    at = np.minimum(np.searchsorted(runs[:, 1], ids), len(runs) - 1)
    found: npt.NDArray[np.bool_] = (runs[at, 0] <= ids) & (ids <= runs[at, 1])
    return found


def union(*sets: Runs) -> Runs:
    """Return the ids that are in any of the sets."""
    filled = [runs for runs in sets if len(runs)]
    if len(filled) < 2:
        return filled[0] if filled else EMPTY
    both = np.concatenate(filled)
    both = both[np.argsort(both[:, 0], kind="stable")]
    reach = np.maximum.accumulate(both[:, 1])
    heads = np.empty(len(both), bool)
    heads[0] = True
    heads[1:] = both[1:, 0] > reach[:-1]
    heads[1:] &= both[1:, 0] - _ONE > reach[:-1]  # ids that follow directly continue the run
    first = heads.nonzero()[0]
    last = np.append(first[1:], len(both)) - 1
    return np.stack((both[first, 0], reach[last]), axis=1)


def intersection(a: Runs, b: Runs) -> Runs:
    """Return the ids that are in both sets."""
    if not len(a) or not len(b):
        return EMPTY
    low = np.searchsorted(b[:, 1], a[:, 0], side="left")
    high = np.searchsorted(b[:, 0], a[:, 1], side="right")
    sizes = np.maximum(high - low, 0)
    total = int(sizes.sum())
    if not total:
        return EMPTY
    mine = np.repeat(np.arange(len(a)), sizes)
    other = np.arange(total) - np.repeat(sizes.cumsum() - sizes, sizes) + np.repeat(low, sizes)
    return np.stack((np.maximum(a[mine, 0], b[other, 0]), np.minimum(a[mine, 1], b[other, 1])), axis=1)


def subtract(a: Runs, b: Runs) -> Runs:
    """Return the ids of ``a`` that are not in ``b``."""
    if not len(a) or not len(b):
        return a
    first = np.concatenate((np.zeros(1, np.uint64), b[:, 1] + _ONE))
    last = np.concatenate((b[:, 0] - _ONE, np.full(1, _MOST)))
    keep = np.ones(len(first), bool)
    keep[0] = b[0, 0] != 0
    keep[-1] = b[-1, 1] != _MOST
    gaps = np.stack((first, last), axis=1)[keep]
    return intersection(a, gaps)
