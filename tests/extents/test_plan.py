"""Carrying out a plan gives what indexing the list of rows gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.extents.test_edit import MAPS, places
from zlake.errors import RowIndexError
from zlake.extents.map import ExtentMap
from zlake.extents.plan import Plan, plan, span


def carry_out(wanted: Plan) -> list[tuple[int, int]]:
    source = np.full(wanted.length, -1)
    row = np.full(wanted.length, -1)
    filled = np.zeros(wanted.length, dtype=int)
    rows_of_source = np.arange(1000)
    for run in wanted.runs:
        source[run.at] = run.source
        row[run.at] = rows_of_source[run.rows]
        filled[run.at] += 1
        assert run.length == span(run.rows) == span(run.at) > 0
    assert (filled == 1).all()
    return list(zip(source.tolist(), row.tolist(), strict=True))


@given(MAPS, st.data())
def test_slices(extents: ExtentMap, data: st.DataObject) -> None:
    key = data.draw(st.slices(len(extents)))
    assert carry_out(plan(extents, key)) == places(extents)[key]


@given(MAPS, st.data())
def test_rows(extents: ExtentMap, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(extents) - 1), max_size=12)) if len(extents) else []
    assert carry_out(plan(extents, np.array(rows, dtype=np.int64))) == [places(extents)[r] for r in rows]


def test_a_slice_stays_one_slice_per_extent() -> None:
    extents = ExtentMap.from_runs([(0, 10, 100), (1, 0, 100), (0, 500, 100)])
    runs = plan(extents, slice(50, 250)).runs
    assert [(r.source, r.rows, r.at) for r in runs] == [
        (0, slice(60, 110, 1), slice(0, 50, 1)),
        (1, slice(0, 100, 1), slice(50, 150, 1)),
        (0, slice(500, 550, 1), slice(150, 200, 1)),
    ]


def test_many_short_extents_are_gathered_by_segment() -> None:
    extents = ExtentMap.from_runs([(i % 2, i, 1) for i in range(100)])
    wanted = plan(extents, slice(0, 100))
    assert [run.source for run in wanted.runs] == [0, 1]
    assert carry_out(wanted) == places(extents)


def test_consecutive_rows_become_a_slice() -> None:
    extents = ExtentMap.from_runs([(3, 5, 50)])
    (run,) = plan(extents, np.array([10, 11, 12])).runs
    assert (run.rows, run.at) == (slice(15, 18, 1), slice(0, 3, 1))


def test_rows_outside_are_refused() -> None:
    with pytest.raises(RowIndexError, match="50"):
        plan(ExtentMap.from_runs([(3, 5, 50)]), np.array([0, 50]))
