"""Every segment on disk opens with zarr-python and xarray alone."""

from __future__ import annotations

import numpy as np
import xarray as xr
import zarr

from tests.interop.reading import ENCODED, assert_same, expected, samples


def segment_nodes(ds, folder, name):
    """Return the tensor's groups in its segments, opened without zlake, in the order of its rows."""
    entries, extents = ds[name]._column.base()
    for segment, start, count in extents.runs():
        assert (start, count) == (0, entries[segment].rows)  # nothing in this dataset was cut
        path = folder / "segments" / entries[segment].segment
        yield zarr.open_group(path, mode="r", use_consolidated=True)[ds[name]._column.key]


def test_zarr_alone(kinds, kinds_path):
    for name in kinds.tensors:
        found = [sample for node in segment_nodes(kinds, kinds_path, name) for sample in samples(node)]
        assert_same(found, expected(kinds[name]) if name != "later" else [])


def test_xarray_alone(kinds, kinds_path):
    keys = {tensor._column.key: name for name, tensor in kinds.tensors.items()}
    opened = {name: [] for name in kinds.tensors}
    segments = sorted((kinds_path / "segments").iterdir())
    assert len(segments) >= 2
    for segment in segments:
        with xr.open_datatree(segment, engine="zarr") as tree:
            for key, node in tree.children.items():
                assert node.attrs["ragged:rows"] == node.sizes["sample"] if "sample" in node.sizes else True
                opened[keys[key]].append(node.to_dataset().load())
    assert sum(found.sizes["sample"] for found in opened["dense"]) == 17
    values = np.concatenate([found["values-data"].values for found in opened["dense"]])
    np.testing.assert_array_equal(np.sort(values, axis=0), np.sort(kinds.dense.numpy(), axis=0))
    assert {name for name, found in opened.items() if found} == {*kinds.tensors} - {"later"}
    assert set(ENCODED) <= set(opened)


def test_commits_are_groups_that_zarr_opens(kinds, kinds_path):
    for entry in kinds.commits:
        group = zarr.open_group(kinds_path / "commits" / entry["commit"], mode="r")
        assert group.attrs["commit:message"] == entry["message"]
        assert group.attrs["commit:id"] == entry["commit"]
