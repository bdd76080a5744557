"""Parts of samples: what NumPy selects, and nothing else is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.segments.blocks import dense, numbers, ragged
from tests.segments.reading import PATHS, check_owned, put, rows_of, small_chunks, source_of
from zlake import limits
from zlake.context import Context
from zlake.errors import InvalidKeyTypeError, ObjectNotFoundError, RowIndexError
from zlake.format.paths import tensor_prefix
from zlake.segments.gather import gather_array, gather_list
from zlake.segments.region import Region
from zlake.segments.source import open_source
from zlake.storage import open_store

SHAPE = (6, 5, 4)


def outer(sample: np.ndarray, keys: tuple[Any, ...]) -> np.ndarray:
    """Index each axis on its own."""
    at = next((i for i, key in enumerate(keys) if key is Ellipsis), None)
    if at is not None:
        keys = (*keys[:at], *[slice(None)] * (sample.ndim - len(keys) + 1), *keys[at + 1 :])
    axis = 0
    for key in keys:
        sample = sample[(slice(None),) * axis + (key,)]
        axis += not isinstance(key, int)
    return sample


REGIONS: list[tuple[Any, ...]] = [
    (),
    (0,),
    (-1,),
    (slice(1, 3),),
    (slice(None, None, 2), 3),
    (slice(None, None, -1),),
    (slice(4, 1, -2), slice(None), -2),
    ([5, 0, 0, 2],),
    ([1, 3], slice(None), [0, 2]),
    (2, [True, False, True, False, False]),
    (..., 1),
    (slice(2, 4), ..., slice(1, 3)),
    (1, 2, 3),
    (slice(3, 3),),
    ([],),
    (np.array([-1, 1]), np.int64(2)),
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("region", REGIONS, ids=str)
def test_regions_of_dense_rows(path: str, region: tuple[Any, ...], tmp_path: Path) -> None:
    values = numbers((30, *SHAPE), "float64")
    with small_chunks(4096, 16384):
        source = source_of(path, tmp_path, dense(values, 2))
    for rows in (slice(0, 30, 1), slice(3, 28, 4), np.array([29, 0, 7, 7])):
        expected = np.stack([outer(sample, region) for sample in values[rows]])
        found = gather_array(rows_of(rows), [source], region).result()
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found, expected)
        check_owned(found)
        listed = gather_list(rows_of(rows), [source], region).result()
        np.testing.assert_array_equal(np.stack(listed), expected)
        assert all(isinstance(sample, np.ndarray) for sample in listed)
        out = np.zeros(expected.shape)
        assert gather_array(rows_of(rows), [source], region, out=out).result() is out
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("path", PATHS)
def test_regions_of_ragged_rows(path: str, tmp_path: Path) -> None:
    samples = [numbers((n, 5), "int16", n) for n in range(3, 20)]
    source = source_of(path, tmp_path, ragged(samples))
    for region in ((0,), (slice(1, 3), -1), ([2, 0], [0, 4]), (..., slice(None, None, -1))):
        expected = [outer(sample, region) for sample in samples]
        for found, sample in zip(
            gather_list(rows_of(slice(0, 17, 1)), [source], region).result(), expected, strict=True
        ):
            np.testing.assert_array_equal(found, sample)
    crops = gather_array(rows_of(slice(0, 17, 1)), [source], (slice(0, 3),)).result()
    np.testing.assert_array_equal(crops, np.stack([sample[:3] for sample in samples]))


axis_keys = st.one_of(
    st.integers(-4, 3),
    st.slices(4),
    st.lists(st.integers(-4, 3), max_size=5),
    st.lists(st.booleans(), min_size=4, max_size=4),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.lists(axis_keys, max_size=3))
def test_a_region_is_what_numpy_selects(keys: list[Any]) -> None:
    sample = numbers((4, 4, 4), "int32")
    plain = [
        np.asarray(key, dtype=bool if key and isinstance(key[0], bool) else int) if isinstance(key, list) else key
        for key in keys
    ]
    found = Region(keys).of(sample)
    expected = outer(sample, tuple(plain))
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)
    assert Region(keys).box((4, 4, 4)).shape == expected.shape


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ((6,), "index 6 .* axis 0"),
        ((0, -6), "index -6 .* axis 1"),
        (([0, 9],), "axis 0"),
        (([True],), "mask"),
        ((0, 0, 0, 0), "3 axes"),
    ],
)
def test_regions_that_leave_the_sample(region: tuple[Any, ...], message: str) -> None:
    with pytest.raises(RowIndexError, match=message):
        Region(region).of(np.zeros(SHAPE))


@pytest.mark.parametrize("key", [None, 1.5, "a", True, [1.0], [[1]], {1}])
def test_keys_that_are_none(key: Any) -> None:
    with pytest.raises(InvalidKeyTypeError, match="cannot index an axis"):
        Region((key,))


def test_two_ellipses() -> None:
    with pytest.raises(InvalidKeyTypeError, match="one Ellipsis"):
        Region((..., ...))


@pytest.mark.parametrize("codec", ["raw", "zstd"])
def test_a_region_of_a_tiled_sample_reads_its_tiles_alone(
    codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TILING_THRESHOLD_BYTES", 1024)
    values = numbers((1, 40, 60), "int32")
    store = open_store(str(tmp_path))
    with small_chunks(256, 256):
        entry, key = put(store, dense(values), codec)
    assert entry.inner[1] < 40
    assert entry.inner[2] < 60
    source = open_source(store, entry, key, values.dtype, Context())
    plan = rows_of(slice(0, 1, 1))
    np.testing.assert_array_equal(gather_array(plan, [source]).result(), values)
    np.testing.assert_array_equal(source.one(0), values[0])

    high, wide = entry.inner[1:]
    folder = tmp_path / tensor_prefix(entry.segment, key) / "values-data"
    kept = {folder / f"c.0.{i}.{j}" for i in (0, 2) for j in (1, 2)}
    for file in set(folder.iterdir()) - kept:
        file.unlink()
    again = open_source(open_store(str(tmp_path), context=Context(cache_bytes=0)), entry, key, values.dtype, Context())
    rows = [high - 1, 2 * high]  # the first and the third row of tiles
    region = (rows, slice(wide, 3 * wide))
    np.testing.assert_array_equal(gather_array(plan, [again], region).result(), values[:, rows, wide : 3 * wide])
    with pytest.raises(ObjectNotFoundError):
        gather_array(plan, [again], (slice(0, 2 * high),)).result()
