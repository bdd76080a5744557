"""Stores and engine over S3 and HTTP."""

from __future__ import annotations

import pickle

import dask
import numpy as np
import xarray as xr
import zarr
from zarr.core.sync import sync

import zlake
from tests.interop.datasets import every_kind
from tests.interop.reading import assert_presents
from zlake import limits


def test_s3(s3_bucket):
    ds = every_kind(s3_bucket.url, creds=s3_bucket.creds)
    store = pickle.loads(pickle.dumps(ds.zarr_store()))
    assert_presents(zarr.open_group(store, mode="r"), ds)
    with xr.open_dataset(s3_bucket.url, engine="zlake", ref=ds.commit_id, creds=s3_bucket.creds) as found:
        np.testing.assert_array_equal(found.dense.values, ds.dense.numpy())
        assert s3_bucket.creds["aws_secret_access_key"] not in repr(found.dense.encoding) + repr(store)


def test_requests_for_a_part_of_a_shard(s3_bucket, s3_requests, monkeypatch):
    monkeypatch.setattr(limits, "SHARD_BYTES", limits.MIB)
    ds = zlake.empty(s3_bucket.url, creds=s3_bucket.creds)
    ds.create_tensor("x")
    data = np.random.default_rng(0).integers(0, 255, (2048, 32, 32), dtype=np.uint8)
    ds.extend({"x": data})
    ds.commit("two shards")
    s3_requests.clear()
    with xr.open_dataset(s3_bucket.url, engine="zlake", creds=s3_bucket.creds) as found:
        opening = s3_requests.keys("get")
        assert len(opening) <= 3
        assert not s3_requests.keys("list")
        np.testing.assert_array_equal(found.x[1100].values, data[1100])
    reads = s3_requests.requests[len(opening) :]
    assert [each.kind for each in reads if "segments/" in each.key].count("get") == 2  # the shard's index, one chunk
    assert all(each.range for each in reads if "segments/" in each.key)


def test_workers_open_the_dataset_by_themselves(s3_bucket, fork_server):
    ds = zlake.empty(s3_bucket.url, creds=s3_bucket.creds)
    ds.create_tensor("x")
    ds.extend({"x": np.arange(1000.0).reshape(500, 2)})
    with (
        xr.open_zarr(ds[1:].zarr_store(), chunks={}) as found,
        dask.config.set(scheduler="processes", **{"multiprocessing.context": "forkserver"}, num_workers=1),
    ):
        assert found.x.sum().compute() == np.arange(2, 1000).sum()


def test_http(tmp_path, file_server):
    ds = every_kind(tmp_path / "data")
    remote = zlake.load(f"{file_server.url}/data")
    store = remote.zarr_store()
    assert_presents(zarr.open_group(store, mode="r"), ds)
    for key in ("dense/c.0.0.0", "dense/c.1.0.0", "ragged/ids/c.0"):
        assert sync(store.getsize(key)) == sync(ds.zarr_store().getsize(key))
