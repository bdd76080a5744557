"""Which rows are brought together: what saves most, and nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zlake import limits
from zlake.extents.map import ExtentMap
from zlake.extents.places import Substitution
from zlake.format.documents import SegmentTensor
from zlake.versions.fragments import Fragments, _choose, find, pieces, price, sizes

MIB = limits.MIB
IDS = [letter * 25 + "a" for letter in "abcdefghijklmnopqrstuvwxyz234567"]


def entry(number: int, rows: int, size: int, shape: tuple[int, ...] | None = (1,)) -> SegmentTensor:
    """A segment of bytes: so many rows of one shape, or of ``size`` bytes together."""
    if shape is None:
        return SegmentTensor(IDS[number], "ragged", rows, size, (1,))
    return SegmentTensor(IDS[number], "dense", rows, rows, (rows, *shape), shape=shape)


def whole(entries: Sequence[SegmentTensor]) -> ExtentMap:
    return ExtentMap.from_runs([(i, 0, each.rows) for i, each in enumerate(entries)])


def found(entries: Sequence[SegmentTensor], extents: ExtentMap | None = None, **options: bool) -> list[tuple[int, int]]:
    return [(f.start, f.stop) for f in find(entries, whole(entries) if extents is None else extents, 1, **options)]


def worth(runs: Sequence[tuple[int, int]], size: Sequence[int], forced: Sequence[bool], cost: int) -> int:
    return sum(sum(2 * cost if forced[i] else cost - size[i] for i in range(*run)) - cost for run in runs)


def brute(size: Sequence[int], forced: Sequence[bool], cost: int) -> int:
    best = 0
    for mask in range(1 << len(size)):
        runs, start = [], None
        for i in range(len(size) + 1):
            inside = i < len(size) and mask >> i & 1
            if inside and start is None:
                start = i
            elif not inside and start is not None:
                runs.append((start, i))
                start = None
        best = max(best, worth(runs, size, forced, cost))
    return best


@given(st.lists(st.tuples(st.integers(1, 30), st.booleans() | st.just(False)), max_size=9))
def test_the_choice_is_the_best_there_is(extents: list[tuple[int, bool]]) -> None:
    size, forced = [size for size, _ in extents], [must for _, must in extents]
    chosen = _choose(size, forced, 10)
    assert worth(chosen, size, forced, 10) == brute(size, forced, 10)
    assert all(a < b for a, b in chosen)
    assert all(before[1] < after[0] for before, after in pairwise(chosen))
    for i, must in enumerate(forced):
        assert not must or any(a <= i < b for a, b in chosen)


@given(st.lists(st.integers(1, 400_000), min_size=1, max_size=12), st.integers(1, 3))
def test_what_was_brought_together_is_left_alone(rows: list[int], scale: int) -> None:
    """Extents of up to 1.2 of what a shard takes, mixed with small ones."""
    entries = [entry(i, n if i % 2 else 1 + n % 100, 0, (100 * scale,)) for i, n in enumerate(rows)]
    extents = whole(entries)
    size = sizes(entries, extents, 1)
    parts = pieces(extents, find(entries, extents, 1), size, limits.SHARD_BYTES)
    made = [entry(len(rows) + i, part.length, 0, (100 * scale,)) for i, part in enumerate(parts)]
    after = extents
    for i, part in enumerate(parts):
        after = Substitution(part, ExtentMap.from_runs([(len(rows) + i, 0, part.length)]))(after)
    assert not find([*entries, *made], after, 1)
    assert after.length == extents.length
    assert after.n_extents <= extents.n_extents


def test_small_ones_become_one_and_long_ones_stay() -> None:
    small = [entry(i, 3, 0) for i in range(6)]
    assert found(small) == [(0, 18)]
    assert found(small[:1]) == []
    long = entry(6, 40, 0, (MIB,))
    assert found([*small[:3], long, *small[3:]]) == [(0, 9), (49, 58)]
    assert found([small[0], long, small[1]]) == []
    assert found([small[0], entry(6, 7, 0, (MIB,))]) == [(0, 10)]
    assert found([small[0], entry(6, 8, 0, (MIB,))]) == []


def test_segments_mostly_out_of_use() -> None:
    entries = [entry(0, 100, 0)]
    assert found(entries, ExtentMap.from_runs([(0, 10, 50)])) == []
    assert found(entries, ExtentMap.from_runs([(0, 10, 49)])) == [(0, 49)]
    big = [entry(0, 1000, 0, (MIB,)), entry(1, 3, 0, (MIB,))]
    assert found(big, ExtentMap.from_runs([(0, 0, 300), (1, 0, 3)])) == [(0, 303)]


def test_everything() -> None:
    entries = [entry(i, 40, 0, (MIB,)) for i in range(3)]
    assert found(entries) == []
    assert found(entries, everything=True) == [(0, 120)]
    assert found([], ExtentMap.from_runs([]), everything=True) == []


def test_long_runs_of_one_shape_stay_dense() -> None:
    rows = [entry(i, 1, 0, (MIB,)) for i in range(10)] + [entry(10, 5, 100, None)] + [entry(11, 5, 0, (2 * MIB,))]
    extents = whole(rows)
    fragments = find(rows, extents, 1, True)
    assert [(f.start, f.stop, f.lot) for f in fragments] == [(0, 10, 0), (10, 15, 1), (15, 20, 2)]
    assert [part.length for part in pieces(extents, fragments, sizes(rows, extents, 1), 128 * MIB)] == [10, 5, 5]
    few = [entry(i, 1, 0, (MIB,)) for i in range(5)] + [entry(5, 5, 100, None)]
    assert [(f.start, f.stop) for f in find(few, whole(few), 1, True)] == [(0, 10)]
    huge = [entry(0, 5, 100, None), entry(1, 1, 0, (17 * MIB,)), entry(2, 1, 0, (2 * MIB,)), entry(3, 3, 9, None)]
    assert [(f.start, f.stop) for f in find(huge, whole(huge), 1, True)] == [(0, 5), (5, 6), (6, 10)]


@pytest.mark.parametrize("most", [10, 64, 1000])
def test_parts_are_of_bounded_size(most: int) -> None:
    entries = [entry(0, 10, 0, (32,)), entry(1, 4, 0, (8,)), entry(2, 1, 0, (500,))]
    extents = whole(entries)
    size = sizes(entries, extents, 1)
    parts = pieces(extents, [Fragments(0, 15, int(size.sum()))], size, most)
    assert sum(part.length for part in parts) == 15
    assert [run for part in parts for run in part.runs()] != []
    taken = [int((sizes(entries, part, 1)).sum()) for part in parts]
    assert all(n <= 2 * most or part.length == 1 for n, part in zip(taken, parts, strict=True))
    joined = np.concatenate([part.locate(np.arange(part.length))[0] for part in parts])
    assert joined.tolist() == [0] * 10 + [1] * 4 + [2]


def test_the_price_follows_the_size_of_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SHARD_BYTES", 400)
    assert price() == 100
    entries = [entry(i, 1, 0, (60,)) for i in range(4)]
    assert found(entries) == [(0, 4)]
    assert found([entry(i, 1, 0, (100,)) for i in range(4)]) == []
