"""Edits of extent maps against the same edits of plain lists of (segment, row)."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zlake.errors import RowIndexError
from zlake.extents import edit
from zlake.extents.map import EMPTY, ExtentMap

RUNS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 6)), max_size=8)
MAPS = RUNS.map(ExtentMap.from_runs)
Place = tuple[int, int]


def places(extents: ExtentMap) -> list[Place]:
    return [(s, r) for s, start, count in extents.runs() for r in range(start, start + count)]


def assert_normal(extents: ExtentMap) -> None:
    runs = list(extents.runs())
    assert all(count > 0 for _, _, count in runs)
    assert all(a[0] != b[0] or a[1] + a[2] != b[1] for a, b in pairwise(runs))
    assert extents.ends.tolist() == np.cumsum([c for _, _, c in runs]).astype(int).tolist()
    assert len(extents) == extents.length == sum(c for _, _, c in runs)


def rows_of(extents: ExtentMap) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, len(extents) - 1), max_size=10) if len(extents) else st.just([])


@given(RUNS)
def test_from_runs_keeps_rows(runs: list[tuple[int, int, int]]) -> None:
    extents = ExtentMap.from_runs(runs)
    assert_normal(extents)
    assert places(extents) == [(s, r) for s, start, count in runs for r in range(start, start + count)]


@given(MAPS, MAPS)
def test_concat(a: ExtentMap, b: ExtentMap) -> None:
    joined = edit.concat(a, b)
    assert_normal(joined)
    assert places(joined) == places(a) + places(b)


@given(MAPS, st.data())
def test_slice_and_take(extents: ExtentMap, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(extents)))
    stop = data.draw(st.integers(start, len(extents)))
    part = edit.slice_(extents, start, stop)
    assert_normal(part)
    assert places(part) == places(extents)[start:stop]
    rows = data.draw(rows_of(extents))
    taken = edit.take(extents, np.array(rows, dtype=np.int64))
    assert_normal(taken)
    assert places(taken) == [places(extents)[r] for r in rows]
    key = data.draw(st.slices(len(extents)))
    assert places(edit.take(extents, key)) == places(extents)[key]


@given(MAPS, st.data())
def test_delete(extents: ExtentMap, data: st.DataObject) -> None:
    rows = data.draw(rows_of(extents))
    left = edit.delete(extents, np.array(rows, dtype=np.int64))
    assert_normal(left)
    assert places(left) == [p for i, p in enumerate(places(extents)) if i not in rows]


@given(MAPS, st.data())
def test_replace(extents: ExtentMap, data: st.DataObject) -> None:
    rows = data.draw(rows_of(extents))
    new_places = [(data.draw(st.integers(7, 8)), data.draw(st.integers(0, 9))) for _ in rows]
    new = ExtentMap.from_runs((s, r, 1) for s, r in new_places)
    expected = places(extents)
    for row, place in zip(rows, new_places, strict=True):
        expected[row] = place
    replaced = edit.replace(extents, np.array(rows, dtype=np.int64), new)
    assert_normal(replaced)
    assert places(replaced) == expected


@given(MAPS)
def test_renumber_and_used(extents: ExtentMap) -> None:
    mapping = np.array([5, 5, 1, 0])
    assert places(edit.renumber(extents, mapping)) == [(int(mapping[s]), r) for s, r in places(extents)]
    assert edit.used_segments(extents).tolist() == sorted({s for s, _ in places(extents)})


@given(MAPS, MAPS, st.data())
def test_common_prefix(a: ExtentMap, tail: ExtentMap, data: st.DataObject) -> None:
    b = edit.concat(edit.slice_(a, 0, data.draw(st.integers(0, len(a)))), tail)
    rows = 0
    for mine, theirs in zip(places(a), places(b), strict=False):
        if mine != theirs:
            break
        rows += 1
    assert edit.common_prefix(a, b) == rows


@given(MAPS)
def test_locate(extents: ExtentMap) -> None:
    expected = places(extents)
    assert [extents.locate_one(i) for i in range(len(extents))] == expected
    segment, row = extents.locate(np.arange(len(extents)))
    assert list(zip(segment.tolist(), row.tolist(), strict=True)) == expected
    for bad in (-1, len(extents)):
        with pytest.raises(RowIndexError, match=str(bad)):
            extents.locate_one(bad)
        with pytest.raises(RowIndexError, match=str(bad)):
            extents.locate(np.array([bad]))


@pytest.mark.parametrize("edited", [edit.delete, lambda m, r: edit.replace(m, r, ExtentMap.from_runs([(0, 0, 1)]))])
def test_rows_outside_are_refused(edited) -> None:
    with pytest.raises(RowIndexError, match="3"):
        edited(ExtentMap.from_runs([(0, 0, 3)]), np.array([3]))


def test_replace_needs_as_many_rows() -> None:
    with pytest.raises(ValueError, match="2 rows cannot be replaced by 1"):
        edit.replace(ExtentMap.from_runs([(0, 0, 3)]), np.array([0, 1]), ExtentMap.from_runs([(1, 0, 1)]))


def test_slice_outside_is_refused() -> None:
    with pytest.raises(RowIndexError, match=r"\[1, 4\)"):
        edit.slice_(ExtentMap.from_runs([(0, 0, 3)]), 1, 4)


def test_equality_and_hash() -> None:
    a, b = ExtentMap.from_runs([(0, 0, 2), (0, 2, 1)]), ExtentMap.from_runs([(0, 0, 3)])
    assert a == b
    assert hash(a) == hash(b)
    assert a != EMPTY
    assert a != 3
