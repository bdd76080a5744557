from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zlake.extents.map import EMPTY, ExtentMap
from zlake.extents.places import find_rows, subtract

Place = tuple[int, int]
places = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), unique=True, max_size=30)


def to_map(rows: list[Place]) -> ExtentMap:
    if not rows:
        return EMPTY
    table = np.array(rows, np.int64)
    return ExtentMap.from_locations(table[:, 0].copy(), table[:, 1].copy())


def columns(rows: list[Place]) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(rows, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


@given(places, st.lists(st.tuples(st.integers(0, 6), st.integers(0, 12)), max_size=20))
def test_rows_are_found_by_place(rows: list[Place], wanted: list[Place]) -> None:
    expected = [rows.index(place) if place in rows else -1 for place in wanted]
    assert find_rows(to_map(rows), *columns(wanted)).tolist() == expected


@given(places, places)
def test_what_one_map_has_and_the_other_has_not(a: list[Place], b: list[Place]) -> None:
    left, rows = subtract(to_map(a), to_map(b))
    expected = [i for i, place in enumerate(a) if place not in b]
    assert rows.tolist() == expected
    assert left == to_map([a[i] for i in expected])


def test_long_extents_are_cut_not_walked() -> None:
    whole = ExtentMap.from_runs([(0, 0, 10**9), (1, 0, 5)])
    holed = ExtentMap.from_runs([(0, 0, 10**6), (2, 0, 2), (0, 10**6 + 2, 10**9 - 10**6 - 2)])
    left, rows = subtract(whole, holed)
    assert list(left.runs()) == [(0, 10**6, 2), (1, 0, 5)]
    assert rows.tolist() == [10**6, 10**6 + 1, *range(10**9, 10**9 + 5)]
    left, rows = subtract(holed, whole)
    assert (list(left.runs()), rows.tolist()) == ([(2, 0, 2)], [10**6, 10**6 + 1])
    assert find_rows(whole, np.array([0, 1]), np.array([10**9 - 1, 4])).tolist() == [10**9 - 1, 10**9 + 4]
