"""Extent maps under change, against a list; and what a change costs, counted in extents."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from zlake.errors import RowIndexError
from zlake.extents import edited
from zlake.extents.edited import Edited
from zlake.extents.map import ExtentMap, spans

BUFFER = 3
BASE = ((0, 5, 4), (2, 0, 7), (1, 9, 1), (0, 20, 8))


def locations(extents: ExtentMap) -> list[tuple[int, int]]:
    return [(segment, row) for segment, start, count in extents.runs() for row in range(start, start + count)]


class Model:
    """An edited map beside a list of (place, location)."""

    def __init__(self, base: ExtentMap) -> None:
        self.loads = 0
        self.base = base
        self.edited = Edited(base.length, self.load)
        self.rows = list(enumerate(locations(base)))
        self.places = base.length
        self.buffer = 0
        self.replaced: set[int] = set()
        self.cleared = False

    def load(self) -> tuple[int, ExtentMap]:
        self.loads += 1
        return BUFFER, self.base

    def append(self, count: int) -> None:
        self.edited.append(self.buffer, count)
        self.rows += [(self.places + i, (BUFFER, self.buffer + i)) for i in range(count)]
        self.places += count
        self.buffer += count

    def replace(self, rows: list[int]) -> None:
        if len(rows) == 1 and self.buffer % 2:
            self.edited.replace_one(rows[0], self.buffer)
        else:
            self.edited.replace(np.array(rows, np.int64), self.buffer)
        for row in rows:
            place = self.rows[row][0]
            self.rows[row] = place, (BUFFER, self.buffer)
            self.replaced.add(place)
            self.buffer += 1

    def delete(self, rows: list[int]) -> None:
        self.edited.delete(np.array(rows, np.int64))
        for row in sorted(rows, reverse=True):
            del self.rows[row]

    def clear(self) -> None:
        self.edited.clear()
        self.rows, self.cleared = [], True

    def check_one(self, row: int) -> None:
        assert self.edited.locate_one(row) == self.rows[row][1]

    def check(self) -> None:
        assert self.edited.length == len(self.rows)
        assert locations(self.edited.map()) == [location for _, location in self.rows]
        base = 0 if self.cleared else self.base.length
        kept = [place for place, _ in self.rows if place < base]
        replaced, removed, new = self.edited.changes()
        assert replaced.tolist() == sorted(self.replaced & set(kept))
        assert removed.tolist() == sorted(set(range(base)) - set(kept))
        assert new == len(self.rows) - len(kept)


STEP = st.tuples(
    st.sampled_from(("append", "one", "one", "many", "pop", "pop", "pop many", "look", "look", "all", "clear")),
    st.integers(0, 1 << 16),
    st.integers(1, 12),
)


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEP, max_size=60), scattered=st.booleans())
def test_any_changes_in_any_order(steps: list[tuple[str, int, int]], scattered: bool) -> None:
    runs = [(i % 3, 1000 - 5 * i, 1) for i in range(90)] if scattered else BASE
    model = Model(ExtentMap.from_runs(runs))
    for what, pick, count in steps:
        length = len(model.rows)
        rows = (
            sorted({(pick + 7919 * i * i) % length for i in range(count)})[:: 1 if pick % 2 else -1] if length else []
        )
        if what == "append":
            model.append(count % 4)
        elif what == "clear" and pick % 8 == 0:
            model.clear()
        elif what == "one":
            model.replace(rows[:1])
        elif what == "many":
            model.replace(rows)
        elif what == "pop":
            model.delete(rows[:1])
        elif what == "pop many":
            model.delete(rows)
        elif what == "all":
            model.check()
        elif rows:
            model.check_one(rows[0])
        assert model.edited.length == len(model.rows)
    for row in range(len(model.rows)):
        model.check_one(row)
    model.check()


@pytest.mark.parametrize("bad", [-1, 20, 1 << 40])
def test_rows_that_are_not_there(bad: int) -> None:
    model = Model(ExtentMap.from_runs(BASE))
    model.append(3)
    model.delete([4, 7, 21])
    for call in (
        lambda: model.edited.locate_one(bad),
        lambda: model.edited.replace(np.array([3, bad]), 0),
        lambda: model.edited.replace_one(bad, 0),
        lambda: model.edited.delete(np.array([bad])),
    ):
        with pytest.raises(RowIndexError, match=rf"Row {bad} is out of range for 20 rows"):
            call()
    model.check()


def test_the_base_is_loaded_when_it_matters() -> None:
    model = Model(ExtentMap.from_runs(BASE))
    model.append(5)
    assert model.edited.only_appended
    assert model.loads == 0
    model.delete([2])
    assert model.loads == 0
    assert not model.edited.only_appended
    model.check_one(3)
    model.check()
    assert model.loads == 1


def test_of_a_row_named_twice_the_last_sample_counts() -> None:
    for many in (1, 40):
        edited_map = Edited(100, lambda: (1, ExtentMap.from_runs([(0, 2 * i, 1) for i in range(100)])))
        edited_map.replace(np.array([5, 6, 5] * many), 0)
        assert edited_map.locate_one(5) == (1, 3 * many - 1)
        assert edited_map.map().locate_one(6) == (1, 3 * many - 2)


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("what", ["replace", "delete", "alternate", "look"])
def test_changes_cost_what_they_change(monkeypatch: pytest.MonkeyPatch, what: str, rows: int) -> None:
    """The extents that are edited, one call with another, are a few for every row; so are maps for rows looked at."""
    worked = []
    for name in ("replace", "delete", "concat"):
        function = getattr(edited.edit, name)

        def counted(extents: ExtentMap, *given: object, function=function) -> ExtentMap:
            worked.append(extents.n_extents)
            return function(extents, *given)

        monkeypatch.setattr(edited.edit, name, counted)
    count, extents = 3000, 2000
    model = Edited(10 * extents, lambda: (1, ExtentMap.from_runs([(0, 20 * i, 10) for i in range(extents)])))
    rng = np.random.default_rng(0)
    buffer = 0
    for _ in range(count):
        chosen = rng.choice(model.length, rows, replace=False)
        if what in ("replace", "alternate", "look"):
            model.replace(chosen, buffer)
            buffer += rows
        if what in ("delete", "alternate"):
            model.delete(chosen)
        if what == "alternate":
            model.append(buffer, rows)
            buffer += rows
        if what == "look":
            if model.few(rows):
                model.locate_one(int(chosen[0]))
            else:
                model.map()
    model.map()
    assert sum(worked) < 40 * count * rows
    assert len(worked) < 100


def test_spans() -> None:
    assert spans(np.array([5, 9, 2]), np.array([2, 0, 3])).tolist() == [5, 6, 2, 3, 4]
    assert spans(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []
