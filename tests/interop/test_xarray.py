"""The store and the engine in xarray, with and without dask."""

from __future__ import annotations

import subprocess
import sys

import dask
import numpy as np
import pytest
import xarray as xr

import zlake
from tests.interop.datasets import every_kind
from zlake.interop.xarray import ZlakeBackend


def assert_equal(found: xr.Dataset, ds: zlake.Dataset, names=("dense", "labels")) -> None:
    assert sorted(found.data_vars) == sorted(names)
    for name in names:
        np.testing.assert_array_equal(found[name].values, ds[name].numpy(), strict=True)


def test_open_zarr_on_a_store(kinds):
    with xr.open_zarr(kinds.zarr_store()) as found:
        assert found.sizes == {"sample": 17, "dense_dim_1": 3, "dense_dim_2": 2, "labels_dim_1": 1}
        assert found.attrs["commit:id"] == kinds.commit_id
        assert_equal(found, kinds)


@pytest.mark.parametrize("chunks", [None, {}, {"sample": -1}])
def test_views_in_open_zarr(kinds, chunks):
    for key in (slice(3, 15), slice(None, None, -2), [4, 4, 16, 0], slice(0, 0)):
        with xr.open_zarr(kinds[key].zarr_store(), chunks=chunks) as found:
            assert_equal(found, kinds[key])


def test_the_engine_opens_every_commit(kinds, kinds_path):
    for entry in kinds.commits:
        ds = zlake.load(f"{kinds_path}@{entry['commit']}")
        with xr.open_dataset(kinds_path, engine="zlake", ref=entry["commit"]) as found:
            assert found.attrs["commit:message"] == entry["message"]
            assert_equal(found, ds)
        with xr.open_dataset(f"{kinds_path}@{entry['commit']}", engine="zlake") as found:
            assert_equal(found, ds)


def test_the_engine_reads_lazily(kinds_path, monkeypatch):
    built = []
    from zlake.interop.nodes import ArrayNode

    build = ArrayNode.build
    monkeypatch.setattr(ArrayNode, "build", lambda self, index: built.append(index) or build(self, index))
    with xr.open_dataset(kinds_path, engine="zlake") as found:
        assert not built
        assert found.dense.isel(sample=16).values.tolist() == [[16.0, 16.0]] * 3
        assert built == [(1, 0, 0)]


def test_groups(kinds, kinds_path):
    with xr.open_dataset(kinds_path, engine="zlake", group="inner/deep") as found:
        assert_equal(found, kinds["inner/deep"], ["x"])
    with xr.open_dataset(kinds_path, engine="zlake", group="ragged") as found:
        assert found["values-data"].values.tolist() == np.concatenate(kinds.ragged.numpy(aslist=True)).tolist()
        assert "zarr_conventions" not in found.attrs


def test_datatree(kinds, kinds_path):
    with xr.open_datatree(kinds_path, engine="zlake") as tree:
        assert set(tree.groups) >= {"/", "/inner", "/inner/deep", "/ragged", "/photos", "/hollow", "/words"}
        assert_equal(tree.to_dataset(), kinds)
        np.testing.assert_array_equal(tree["inner/deep/x"].values, kinds["inner/deep/x"].numpy())
    with xr.open_datatree(kinds.zarr_store(), engine="zlake") as tree:
        assert_equal(tree.to_dataset(), kinds)
    with xr.open_datatree(kinds_path, engine="zlake", group="inner") as tree:
        assert tree.groups == ("/", "/deep")
    found = xr.open_groups(kinds_path, engine="zlake")
    assert_equal(found["/inner/deep"], kinds["inner/deep"], ["x"])


def test_a_tree_of_tensors_of_many_lengths_is_aligned(tmp_path):
    ds = every_kind(tmp_path / "lengths")
    for i, name in enumerate(["dense", "ragged", "words", "inner/deep/x"]):
        for _ in range(i + 1):
            ds[name].append(ds[name][0].numpy())
    with xr.open_datatree(tmp_path / "lengths", engine="zlake") as tree:
        assert tree["inner/deep/x"].shape == (21, 4)
        assert tree["dense"].dims[0] == "dense_sample"
        assert tree["labels"].dims[0] == "sample"


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_dask(kinds, scheduler, fork_server):
    wanted = kinds.dense.numpy().sum(axis=0) + 1
    with xr.open_zarr(kinds.zarr_store(), chunks={}) as found:
        lazy = found.dense.sum("sample") + 1
        assert lazy.chunks is not None
        with dask.config.set(scheduler=scheduler, **{"multiprocessing.context": "forkserver"}, num_workers=2):
            np.testing.assert_array_equal(lazy.compute().values, wanted)


def test_dask_chunks_are_runs_of_whole_chunks(tmp_path):
    ds = zlake.empty(tmp_path / "chunks")
    ds.create_tensor("x")
    ds.create_tensor("wide")
    data = np.random.default_rng(0).integers(0, 255, (20_000, 32, 32), dtype=np.uint8)
    ds.x.extend(data)
    ds.wide.extend(np.ones((3, 2_000_000)))
    with xr.open_dataset(tmp_path / "chunks", engine="zlake", chunks={}) as found:
        assert found.x.chunks[0] == (20_000,)  # one shard
        assert found.wide.chunks[0] == (2, 1)  # two shards of two rows
    with xr.open_dataset(ds[1:].zarr_store(), engine="zlake", chunks={}) as found:
        assert found.x.chunks[0] == (16 * 1024, 19_999 - 16 * 1024)  # built chunks of 1 MiB, 16 to a task
        np.testing.assert_array_equal(found.x.mean("sample").values, data[1:].mean(axis=0))


def test_dask_names_depend_on_the_version_and_the_rows_alone(kinds, kinds_path):
    name = dask.base.tokenize(kinds.zarr_store())
    assert name == dask.base.tokenize(zlake.load(kinds_path).zarr_store())
    assert name != dask.base.tokenize(kinds[:5].zarr_store())


def test_datasets_in_memory():
    ds = zlake.empty("mem://interop-xarray", overwrite=True)
    ds.create_tensor("x")
    ds.extend({"x": np.arange(6.0).reshape(3, 2)})
    with xr.open_zarr(ds.zarr_store()) as found:
        assert_equal(found, ds, ["x"])
    with xr.open_dataset("mem://interop-xarray", engine="zlake") as found:
        assert_equal(found, ds, ["x"])


def test_info_means_to_xarray_what_it_says(tmp_path):
    ds = zlake.empty(tmp_path / "cf")
    ds.create_tensor("days")
    ds.extend({"days": np.array([[0], [31]])})
    ds.days.info["units"] = "days since 2001-01-01"
    with xr.open_dataset(tmp_path / "cf", engine="zlake") as found:
        assert found.days.values.ravel().astype("datetime64[D]").astype(str).tolist() == ["2001-01-01", "2001-02-01"]
    with xr.open_dataset(tmp_path / "cf", engine="zlake", decode_times=False) as found:
        assert_equal(found, ds, ["days"])


def test_round_trip_through_netcdf(kinds, tmp_path):
    with xr.open_zarr(kinds.zarr_store()) as found:
        found.to_netcdf(tmp_path / "out.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "out.nc", engine="h5netcdf") as found:
        assert_equal(found, kinds)
        assert found.attrs["commit:id"] == kinds.commit_id
    with xr.open_datatree(kinds.path, engine="zlake") as tree:
        tree.to_netcdf(tmp_path / "tree.nc", engine="h5netcdf")


def test_attributes_that_netcdf_cannot_hold_become_text(tmp_path):
    ds = zlake.empty(tmp_path / "attributes")
    ds.create_tensor("x")
    ds.extend({"x": np.ones((2, 2))})
    plain = {"a": 1, "b": 1.5, "c": "text", "d": [1, 2.5], "e": ["x", "y"]}
    ds.info.update({**plain, "f": {"g": [1]}, "h": True, "i": None, "j": [[1]], "k": [1, "x"], "l": []})
    ds.x.info["deep"] = {"y": 1}
    with xr.open_dataset(tmp_path / "attributes", engine="zlake") as found:
        assert {key: found.attrs[key] for key in plain} == plain
        assert [found.attrs[key] for key in "fhijkl"] == ['{"g": [1]}', "true", "null", "[[1]]", '[1, "x"]', "[]"]
        assert found.x.attrs["deep"] == '{"y": 1}'
        found.to_netcdf(tmp_path / "out.nc", engine="h5netcdf")
    with xr.open_zarr(ds.zarr_store()) as found:
        assert found.attrs["f"] == {"g": [1]}


def test_drop_variables(kinds_path):
    with xr.open_dataset(kinds_path, engine="zlake", drop_variables=["labels"]) as found:
        assert list(found.data_vars) == ["dense"]


def test_what_cannot_be_opened(kinds_path, tmp_path):
    for bad, error in {
        tmp_path / "nothing": zlake.errors.DatasetNotFoundError,
        f"{kinds_path}@nothing": zlake.errors.RefNotFoundError,
    }.items():
        with pytest.raises(error):
            xr.open_dataset(bad, engine="zlake")
    with pytest.raises(zlake.errors.InvalidPathException, match="give the version once"):
        xr.open_dataset(f"{kinds_path}@main", engine="zlake", ref="main")
    with pytest.raises(zlake.errors.InvalidPathException, match="by its path or URL"):
        xr.open_dataset(b"bytes", engine="zlake")


def test_guessing(kinds, kinds_path, tmp_path):
    backend = ZlakeBackend()
    assert backend.guess_can_open(kinds_path)
    assert backend.guess_can_open(f"{kinds_path}@{kinds.commit_id}")
    assert backend.guess_can_open(kinds.zarr_store())
    import zarr

    zarr.open_group(tmp_path / "plain", mode="w", zarr_format=3)
    for other in (tmp_path, tmp_path / "nothing", tmp_path / "plain", "s3://bucket/data", "", 3, b"x"):
        assert not backend.guess_can_open(other)
    with xr.open_dataset(kinds_path) as found:
        assert_equal(found, kinds)


def test_the_engine_is_registered_and_loaded_on_demand():
    assert "zlake" in xr.backends.list_engines()
    code = "import sys, zlake; print([m for m in ('xarray', 'zarr', 'dask') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
