from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zlake.errors import CorruptObjectError
from zlake.extents.map import EMPTY, ExtentMap
from zlake.extents.places import Substitution, find_rows, subtract

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


RUNS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12), st.integers(1, 6)), max_size=8)


@given(RUNS, RUNS)
def test_maps_that_name_places_twice_differ_by_place_too(a_runs: list, b_runs: list) -> None:
    a, b = ExtentMap.from_runs(a_runs), ExtentMap.from_runs(b_runs)
    left, rows = subtract(a, b)
    there = {(segment, start + i) for segment, start, count in b.runs() for i in range(count)}
    mine = [(segment, start + i) for segment, start, count in a.runs() for i in range(count)]
    expected = [(row, place) for row, place in enumerate(mine) if place not in there]
    assert rows.tolist() == [row for row, _ in expected]
    assert left == to_map([place for _, place in expected])


def test_shared_rows_are_not_spread_out() -> None:
    """Ten rows changed among 2**50: anything that takes a byte for a row would not fit in memory."""
    many = 2**50
    a = ExtentMap.from_runs([(0, 0, many)])
    b = ExtentMap.from_runs(
        [
            *((i % 2, i * 500 if i % 2 == 0 else i // 2, 999 if i % 2 == 0 else 1) for i in range(20)),
            (0, 10_000, many - 10_000),
        ]
    )
    left, rows = subtract(a, b)
    assert rows.tolist() == [i * 1000 + 999 for i in range(10)]
    assert left == to_map([(0, i * 1000 + 999) for i in range(10)])
    left, rows = subtract(b, a)
    assert rows.tolist() == [i * 1000 + 999 for i in range(10)]
    assert left == to_map([(1, i) for i in range(10)])
    assert find_rows(b, np.array([0, 1]), np.array([many - 1, 3])).tolist() == [many - 1, 3999]


def test_segments_that_cannot_be_are_refused() -> None:
    huge = ExtentMap.from_runs((i, 0, 2**53 - 1) for i in range(1024))
    with pytest.raises(CorruptObjectError, match="more than"):
        subtract(huge, ExtentMap.from_runs([(0, 0, 1)]))


@given(st.data())
def test_rows_are_put_in_other_places(data: st.DataObject) -> None:
    rows = data.draw(places)
    old = data.draw(places.filter(bool))
    new = data.draw(st.lists(st.tuples(st.integers(5, 7), st.integers(0, 40)), min_size=len(old), max_size=len(old)))
    to = dict(zip(old, new, strict=True))
    before = to_map(rows)
    after = Substitution(to_map(old), to_map(new))(before)
    assert after == to_map([to.get(place, place) for place in rows])
    assert (after is before) == (not set(rows) & set(old))


def test_long_extents_are_put_elsewhere_whole() -> None:
    whole = ExtentMap.from_runs([(0, 0, 10**9), (1, 0, 5)])
    move = Substitution(
        ExtentMap.from_runs([(0, 10**6, 10**6), (1, 0, 5), (3, 0, 7)]),
        ExtentMap.from_runs([(2, 0, 4 * 10**5), (4, 7, 6 * 10**5 + 12)]),
    )
    moved = move(whole)
    assert list(moved.runs()) == [
        (0, 0, 10**6),
        (2, 0, 4 * 10**5),
        (4, 7, 6 * 10**5),
        (0, 2 * 10**6, 10**9 - 2 * 10**6),
        (4, 6 * 10**5 + 7, 5),
    ]
