"""How many extents are left, and how many rows are written, when small appends gather as `choose` says."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from zlake import limits
from zlake.extents.map import ExtentMap
from zlake.format.documents import SegmentTensor
from zlake.versions.coalesce import choose

ROW_BYTES = 3072


def grow(appends: list[int], row_bytes: int = ROW_BYTES) -> tuple[list[int], int]:
    """Append runs of rows; return the rows of each extent that is left, and the rows written in all."""
    sizes: list[int] = []
    written = 0
    for rows in appends:
        segments = [entry(n, row_bytes) for n in sizes]
        moved = choose(segments, ExtentMap.from_runs((i, 0, n) for i, n in enumerate(sizes)), rows, rows * row_bytes)
        taken = 0
        while taken < moved:
            taken += sizes.pop()
        assert taken == moved  # whole extents
        assert not moved or (taken + rows) * row_bytes <= limits.SHARD_BYTES
        sizes.append(taken + rows)
        written += taken + rows
    return sizes, written


def entry(rows: int, row_bytes: int) -> SegmentTensor:
    return SegmentTensor(segment="a" * 26, layout="dense", rows=rows, elements=rows, inner=(1,), bytes=rows * row_bytes)


def test_ten_thousand_single_rows() -> None:
    sizes, written = grow([1] * 10_000)
    assert sum(sizes) == 10_000
    assert len(sizes) <= 20
    assert written <= 8 * 10_000


def test_large_samples_are_left_where_they_are() -> None:
    sizes, written = grow([1] * 50, row_bytes=limits.SHARD_BYTES // 2)
    assert (len(sizes), written) == (50, 50)


@settings(deadline=None)
@given(st.lists(st.sampled_from([1, 1, 2, 3, 10, 100]), max_size=400))
def test_any_mixture(appends: list[int]) -> None:
    sizes, written = grow(appends, row_bytes=100)
    rows = sum(appends)
    assert sum(sizes) == rows
    assert len(sizes) <= 4 * (rows + 1).bit_length()
    assert written <= rows * (1 + (rows + 1).bit_length() / 2)


def test_what_updates_left_of_a_large_segment_is_not_copied() -> None:
    large, single = entry(1_000_000, 2), entry(1, 2)
    pieces = [(0, 0, 1_000_000)]
    for i in range(1, 13):  # row 70,000 * i is given another sample
        _, start, count = pieces.pop()
        row = 70_000 * i
        pieces += [(0, start, row - start), (i, 0, 1), (0, row + 1, start + count - row - 1)]
    assert choose([large] + [single] * 12, ExtentMap.from_runs(pieces), 1, 2) == 0
    pieces += [(i, 0, 1) for i in range(13, 16)]
    assert choose([large] + [single] * 15, ExtentMap.from_runs(pieces), 1, 2) == 3


def test_tiles_are_left_where_they_are() -> None:
    big = SegmentTensor(
        segment="a" * 26, layout="dense", rows=1, elements=1, inner=(1, 5, 5), shape=(10, 5), bytes=50_000
    )
    small = [entry(1, 100)] * 3
    extents = ExtentMap.from_runs((i, 0, 1) for i in range(4))
    assert choose([*small, big], extents, 1, 100) == 0
    assert choose([big, *small], extents, 1, 100) == 3
    assert choose([entry(1, 100), *small], extents, 1, 100) == 4
