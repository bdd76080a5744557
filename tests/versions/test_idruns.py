"""Sets of ids as runs, against Python sets."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zlake.versions import idruns

IDS = st.lists(st.one_of(st.integers(0, 12), st.integers(2**64 - 6, 2**64 - 1)), max_size=15)


def runs_of(ids: list[int]) -> idruns.Runs:
    return idruns.from_ids(np.array(ids, np.uint64))


def assert_is(runs: idruns.Runs, expected: set[int]) -> None:
    assert idruns.to_ids(runs).tolist() == sorted(expected)
    assert idruns.count(runs) == len(expected)
    pairs = [(a, b) for a, b in runs.tolist()]
    assert all(a <= b for a, b in pairs)
    assert all(one[1] + 1 < two[0] for one, two in pairwise(pairs))


@given(IDS, IDS)
def test_algebra(a: list[int], b: list[int]) -> None:
    first, second = runs_of(a), runs_of(b)
    assert_is(first, set(a))
    assert_is(idruns.union(first, second), {*a, *b})
    assert_is(idruns.intersection(first, second), set(a) & set(b))
    assert_is(idruns.subtract(first, second), set(a) - set(b))


@given(IDS)
def test_pairs(ids: list[int]) -> None:
    runs = runs_of(ids)
    pairs = [(first, last - first + 1) for first, last in runs.tolist()]
    assert np.array_equal(idruns.from_pairs(pairs), runs)
