"""Groups, arrays and attributes as zarr-python sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

import zlake
from tests.interop.datasets import every_kind, rows
from tests.interop.reading import assert_presents, assert_same, samples
from zlake.format.documents import DTYPES


def opened(ds: zlake.Dataset) -> zarr.Group:
    return zarr.open_group(ds.zarr_store(), mode="r", use_consolidated=True)


def test_every_kind_of_tensor_is_there(kinds):
    assert_presents(opened(kinds), kinds)


def test_each_commit_opens(kinds, kinds_path):
    commits = [entry["commit"] for entry in kinds.commits]
    for commit, length in zip(commits, (17, 12), strict=True):
        ds = zlake.load(f"{kinds_path}@{commit}")
        group = opened(ds)
        assert group["dense"].shape == (length, 3, 2)
        assert group.attrs["commit:id"] == commit
        assert_presents(group, ds)


def test_the_first_version_has_no_commit_and_no_arrays(tmp_path):
    ds = zlake.empty(tmp_path / "new")
    group = opened(ds)
    assert list(group) == []
    assert group.attrs.asdict() == {"dataset:id": ds.meta["dataset_id"], "dataset:branch": "main"}


def test_nodes_open_without_consolidated_metadata(kinds):
    plain = zarr.open_group(kinds.zarr_store(), mode="r", use_consolidated=False)
    assert sorted(plain) == sorted(opened(kinds))
    assert_presents(plain, kinds)
    inner = zarr.open_group(kinds.zarr_store(), path="inner/deep", mode="r")
    assert inner["x"].shape == (17, 4)


def test_root_attributes_identify_the_version(kinds):
    attributes = opened(kinds).attrs.asdict()
    newest = kinds.commits[0]
    assert attributes["commit:id"] == newest["commit"] == kinds.commit_id
    assert attributes["commit:author"] == newest["author"]
    assert attributes["commit:message"] == "five more"
    assert attributes["commit:time"].startswith(newest["time"].replace(" ", "T"))
    assert attributes["dataset:id"] == kinds.meta["dataset_id"]
    assert attributes["dataset:branch"] == "main"
    assert attributes["description"] == "every kind of tensor"
    assert attributes["dataset:tensors_without_dtype"] == ["later"]
    assert "commit:staged_on_top" not in attributes


def test_staged_rows_are_there_and_said_to_be_uncommitted(tmp_path):
    ds = every_kind(tmp_path / "staged")
    ds.dense.append(np.zeros((3, 2), np.float32))
    group = opened(ds)
    assert group["dense"].shape == (18, 3, 2)
    assert group["dense"].metadata.dimension_names[0] == "dense_sample"
    assert group.attrs["commit:id"] == ds.commit_id
    assert group.attrs["commit:staged_on_top"] == ds.meta["version"]


def test_tensor_attributes(kinds):
    group = opened(kinds)
    assert group["labels"].attrs.asdict() == {"htype": "class_label", "class_names": ["zero", "one", "two"]}
    assert group["dense"].attrs.asdict() == {"htype": "generic", "long_name": "a dense tensor"}
    assert group["photos"].attrs["sample_compression"] == "jpeg"
    assert group["photos"].attrs["sample_dtype"] == "uint8"
    assert group["clips"].attrs["htype"] == "sequence[generic]"
    assert group["ragged"].attrs["encoding-type"] == "awkward-array"


def test_rows_in_the_buffer_are_flushed_first(tmp_path):
    ds = zlake.empty(tmp_path / "buffered")
    ds.create_tensor("x")
    with ds:
        ds.x.append(np.arange(3))
        group = opened(ds)
        np.testing.assert_array_equal(group["x"][:], [[0, 1, 2]])
        ds.x.append(np.arange(3) + 1)
    np.testing.assert_array_equal(group["x"][:], [[0, 1, 2]])
    np.testing.assert_array_equal(opened(ds)["x"][:], [[0, 1, 2], [1, 2, 3]])


def test_a_store_stays_at_its_version(tmp_path):
    ds = every_kind(tmp_path / "moving")
    before = opened(ds)
    wanted = {name: samples(before[name]) for name in ("dense", "ragged", "words")}
    ds.ragged[3] = np.zeros(9, np.int16)
    ds.pop(0)
    ds.extend(rows(40, 3), skip_ok=True)
    for name, found in wanted.items():
        assert_same(samples(before[name]), found)
    assert_presents(opened(ds), ds)


def test_rows_updated_popped_and_of_other_shapes(tmp_path):
    ds = every_kind(tmp_path / "edited")
    ds.dense[4] = np.full((3, 2), 99, np.float32)
    ds.pop(2)
    assert_presents(opened(ds), ds)
    assert isinstance(opened(ds)["dense"], zarr.Array)
    ds.dense[5] = np.zeros((1, 7), np.float32)  # dense no more, though most segments are
    assert isinstance(opened(ds)["dense"], zarr.Group)
    assert_presents(opened(ds), ds)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("codec", [None, "zstd"])
def test_dtypes(tmp_path, dtype, codec):
    ds = zlake.empty(tmp_path / "dtypes")
    ds.create_tensor("x", dtype=dtype, chunk_compression=codec)
    ds.create_tensor("r", dtype=dtype, chunk_compression=codec)
    data = np.arange(-5, 7).reshape(4, 3).astype(dtype)
    ds.extend({"x": data, "r": [data[0, :i] for i in range(4)]})
    assert_presents(opened(ds), ds)
    assert_presents(opened(ds[::-1]), ds[::-1])


@pytest.mark.parametrize("htype", ["generic", "text", "class_label", "bbox", "sequence[generic]", "json"])
def test_tensors_without_rows(tmp_path, htype):
    ds = zlake.empty(tmp_path / "rowless")
    ds.create_tensor("x", htype=htype, **({"dtype": "float32"} if "generic" in htype else {}))
    group = opened(ds)
    assert samples(group["x"]) == []


def test_rows_all_popped_keep_the_sample_shape(tmp_path):
    ds = zlake.empty(tmp_path / "popped")
    ds.create_tensor("x")
    ds.extend({"x": np.ones((3, 2, 5), np.uint8)})
    assert opened(ds[3:])["x"].shape == (0, 2, 5)
    ds.x.clear()
    assert opened(ds)["x"].shape[0] == 0


def test_samples_of_size_zero(tmp_path):
    ds = zlake.empty(tmp_path / "hollow")
    ds.create_tensor("x")
    ds.create_tensor("y")
    ds.extend({"x": np.ones((3, 0, 4), np.uint8), "y": [np.ones(0), np.ones(2), np.ones(0)]})
    group = opened(ds)
    assert group["x"][:].shape == (3, 0, 4)
    assert_presents(group, ds)


def test_groups_and_views_of_groups(kinds):
    assert sorted(key for key, _ in opened(kinds).groups() if key in ("hollow", "inner")) == ["hollow", "inner"]
    inside = opened(kinds["inner"])
    assert sorted(inside) == ["deep"]
    np.testing.assert_array_equal(inside["deep/x"][:], kinds["inner/deep/x"].numpy())
    assert sorted(opened(kinds[["dense", "photos"]])) == ["dense", "hollow", "photos"]


def test_hidden_and_strangely_named_tensors(tmp_path):
    ds = zlake.empty(tmp_path / "names")
    names = ["c", "zarr.json", "sample", "ü/ö x", "a_b", "a/b", "values-data"]
    for i, name in enumerate(names):
        ds.create_tensor(name)
        ds[name].extend(np.full((2, i + 1), i))
    ds.create_tensor("unseen", hidden=True)
    ds.unseen.extend(np.ones((2, 2)))
    group = opened(ds)
    assert "unseen" not in group
    for i, name in enumerate(names):
        np.testing.assert_array_equal(group[name][:], np.full((2, i + 1), i))
    dimensions = {}
    for name in names:
        for dimension, size in zip(group[name].metadata.dimension_names, group[name].shape, strict=True):
            assert dimensions.setdefault(dimension, size) == size


def test_lengths_that_differ_do_not_share_a_dimension(tmp_path):
    ds = zlake.empty(tmp_path / "lengths")
    for name, length in {"a": 4, "b": 6, "c": 4, "d": 6, "e": 1}.items():
        ds.create_tensor(name)
        ds[name].extend(np.arange(length).reshape(-1, 1))
    found = {name: array.metadata.dimension_names[0] for name, array in opened(ds).arrays()}
    assert found == {"a": "a_sample", "b": "sample", "c": "c_sample", "d": "sample", "e": "e_sample"}


def test_a_huge_sample_is_divided_along_all_axes(tmp_path):
    ds = zlake.empty(tmp_path / "huge")
    ds.create_tensor("x")
    big = np.arange(3000 * 6000, dtype=np.uint8).reshape(1, 3000, 6000)
    ds.extend({"x": big})
    ds.extend({"x": big + 1})
    array = opened(ds[::-1])["x"]
    assert array.shape == (2, 3000, 6000)
    np.testing.assert_array_equal(array[0, 1000:1100, 5000:], (big + 1)[0, 1000:1100, 5000:])
    np.testing.assert_array_equal(array[1, 2990:, :70], big[0, 2990:, :70])


def test_damage_and_loss_are_errors(tmp_path):
    ds = zlake.empty(tmp_path / "damaged")
    ds.create_tensor("x")
    ds.create_tensor("r")
    ds.extend({"x": np.arange(100.0).reshape(10, 10), "r": [np.arange(i + 1) for i in range(10)]})
    ds = zlake.load(tmp_path / "damaged")
    group = opened(ds)
    keys = {name: next(tmp_path.glob(f"damaged/segments/*/{ds[name]._column.key}/values-data/c*")) for name in "xr"}
    stored = bytearray(keys["x"].read_bytes())
    stored[100] ^= 4
    keys["x"].write_bytes(stored)
    with pytest.raises(ValueError, match=r"(?i)checksum|crc32c"):
        group["x"][:]
    keys["r"].unlink()
    with pytest.raises(zlake.errors.ObjectNotFoundError, match="missing"):
        group["r/values-data"][:]


def test_the_folder_is_not_written_to(kinds, kinds_path: Path):
    def state() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in kinds_path.rglob("*")}

    before = state()
    assert_presents(opened(kinds), kinds)
    assert state() == before
