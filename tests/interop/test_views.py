"""Any rows of any kind of tensor: what the store presents is what zlake returns."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zlake
from tests.interop.datasets import every_kind, rows
from tests.interop.reading import assert_presents

TENSORS = ["dense", "labels", "ragged", "boxes", "photos", "captions", "notes", "clips", "words", "inner/deep/x"]
LENGTH = 25


@pytest.fixture(scope="module")
def edited(tmp_path_factory) -> zlake.Dataset:
    """Rows of many segments, some of them updated, some popped: extents of all sizes."""
    ds = every_kind(tmp_path_factory.mktemp("views") / "edited")
    ds.extend(rows(17, 9), skip_ok=True)
    for name, value in {"dense": np.zeros((3, 2), np.float32), "ragged": np.arange(7, dtype=np.int16)}.items():
        ds[name][3] = value
        ds[name][20] = value
    ds.boxes[6] = np.ones((3, 4), np.float32)
    ds.pop(11)
    return ds[TENSORS]


slices = st.builds(
    slice,
    st.none() | st.integers(-LENGTH, LENGTH),
    st.none() | st.integers(-LENGTH, LENGTH),
    st.none() | st.integers(-4, 4).filter(bool),
)
lists = st.lists(st.integers(0, LENGTH - 1), max_size=30)
masks = st.lists(st.booleans(), min_size=LENGTH, max_size=LENGTH).map(np.array)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=slices | lists | masks, names=st.sets(st.sampled_from(TENSORS), min_size=1).map(sorted))
def test_any_view(edited, key, names):
    assert len(edited) == LENGTH
    view = edited[names][key]
    assert_presents(zarr.open_group(view.zarr_store(), mode="r"), view)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=slices, second=slices)
def test_a_view_of_a_view(edited, first, second):
    view = edited[first][second]
    assert_presents(zarr.open_group(view.zarr_store(), mode="r"), view)


def test_one_row(edited):
    group = zarr.open_group(edited[7].zarr_store(), mode="r")
    np.testing.assert_array_equal(group["dense"][0], edited[7].dense.numpy())
    np.testing.assert_array_equal(group["ragged/values-data"][:], edited[7].ragged.numpy())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 60), length=st.integers(0, 60), chunk=st.integers(1, 7))
def test_offsets_cut_at_any_chunk(edited, start, length, chunk):
    """Parts of the offsets, which need no offsets before them, agree with the whole."""
    nodes = edited.zarr_store().hierarchy.arrays
    for path in ("ragged/values-offsets", "words/sequence-offsets", "photos/values-offsets", "boxes/values-data"):
        node = nodes[path]
        (size,) = node.layout.shape
        a, b = min(start, size), min(start + length, size)
        whole = node.read((slice(0, size, 1),))
        parts = [node.read((slice(i, min(i + chunk, b), 1),)) for i in range(a, b, chunk)]
        np.testing.assert_array_equal(np.concatenate([whole[:0], *parts]), whole[a:b])


def test_rows_that_a_shorter_tensor_lacks_are_left_out(tmp_path):
    ds = zlake.empty(tmp_path / "short")
    for name, length in {"long": 10, "short": 4}.items():
        ds.create_tensor(name)
        ds[name].extend(np.arange(length).reshape(-1, 1))
    group = zarr.open_group(ds[2:8].zarr_store(), mode="r")
    np.testing.assert_array_equal(group["long"][:, 0], np.arange(2, 8))
    np.testing.assert_array_equal(group["short"][:, 0], [2, 3])
    group = zarr.open_group(ds[[9, 1, 3, 8]].zarr_store(), mode="r")
    np.testing.assert_array_equal(group["short"][:, 0], [1, 3])
