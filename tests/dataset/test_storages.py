"""The main path on object stores and over HTTP, and what it costs in requests."""

from __future__ import annotations

from pathlib import Path

import fsspec
import numpy as np
import pytest
import simplejpeg
from fsspec.implementations.memory import MemoryFileSystem
from servers.files import FileServer
from servers.fixtures import Bucket
from servers.s3 import S3Server

import zlake

X = np.random.default_rng(0).integers(0, 255, (300, 32, 32, 3), dtype=np.uint8)
RAGGED = [np.arange(n % 50, dtype=np.float32) for n in range(300)]
JPEGS = [simplejpeg.encode_jpeg(np.ascontiguousarray(x)) for x in X]


def fill(ds: zlake.Dataset) -> None:
    """Create three tensors with 300 rows."""
    with ds:
        ds.create_tensor("x", dtype="uint8")
        ds.create_tensor("r", dtype="float32")
        ds.create_tensor("image", htype="image", sample_compression="jpeg")
        ds.extend({"x": X, "r": RAGGED, "image": JPEGS})


def check(ds: zlake.Dataset) -> None:
    """Compare with what `fill` wrote."""
    np.testing.assert_array_equal(ds.x.numpy(), X)
    np.testing.assert_array_equal(ds.x[[299, 3, 3]].numpy(), X[[299, 3, 3]])
    assert [a.tolist() for a in ds.r[40:60].numpy(aslist=True)] == [a.tolist() for a in RAGGED[40:60]]
    assert ds.image[7].tobytes() == JPEGS[7]
    seen = [b["index"] for b in ds.pytorch(batch_size=64, shuffle=True, seed=3)]
    assert sorted(np.concatenate(seen).tolist()) == list(range(300))


@pytest.fixture(params=["s3", "gcs"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    return request.getfixturevalue(f"{request.param}_bucket")


def test_the_main_path(bucket: Bucket) -> None:
    ds = zlake.empty(bucket.url, creds=bucket.creds)
    fill(ds)
    first = ds.commit("three hundred rows")
    ds.x[0] = X[1]
    ds.pop(299)
    ds.commit("changed")
    check(zlake.load(f"{bucket.url}@{first}", creds=bucket.creds))
    again = zlake.load(bucket.url, creds=bucket.creds)
    assert len(again) == 299
    np.testing.assert_array_equal(again.x[0].numpy(), X[1])
    assert [c["message"] for c in again.commits] == ["changed", "three hundred rows"]
    assert zlake.exists(bucket.url, creds=bucket.creds)
    report = again.verify()
    assert report, report
    zlake.delete(bucket.url, creds=bucket.creds)
    assert not zlake.exists(bucket.url, creds=bucket.creds)


def test_two_writers_lose_nothing(bucket: Bucket) -> None:
    a = zlake.empty(bucket.url, creds=bucket.creds)
    a.create_tensor("x", dtype="int64")
    b = zlake.load(bucket.url, creds=bucket.creds)
    for i in range(6):
        a.append({"x": i})
        b.append({"x": 100 + i})
    found = zlake.load(bucket.url, creds=bucket.creds).x.numpy()[:, 0].tolist()
    assert sorted(found) == [*range(6), *range(100, 106)]
    assert [n for n in found if n < 100] == list(range(6))


def test_requests_of_opening_reading_and_committing(s3_bucket: Bucket, s3_requests: S3Server) -> None:
    ds = zlake.empty(s3_bucket.url, creds=s3_bucket.creds)
    fill(ds)
    ds.commit("one")
    for _ in range(3):
        ds.extend({"x": X[:9], "r": RAGGED[:9], "image": JPEGS[:9]})
        ds.commit("more")

    s3_requests.clear()
    ds = zlake.load(s3_bucket.url, creds=s3_bucket.creds)
    kinds = [request.kind for request in s3_requests.requests]
    assert set(kinds) == {"get"}
    assert len(kinds) <= 3

    for name, most in (("x", 2), ("r", 4), ("image", 4)):
        s3_requests.clear()
        ds[name][137].numpy()
        assert 1 <= len(s3_requests.requests) <= most, [(r.kind, r.key, r.range) for r in s3_requests.requests]
        assert {request.kind for request in s3_requests.requests} == {"get"}

    s3_requests.clear()
    ds.append({"x": X[0], "r": RAGGED[3], "image": JPEGS[0]})
    s3_requests.clear()
    ds.commit("row")
    assert len([r for r in s3_requests.requests if r.kind == "put"]) <= 3
    assert "list" not in {r.kind for r in s3_requests.requests}


def test_a_commit_with_its_rows_is_few_writes(s3_bucket: Bucket, s3_requests: S3Server) -> None:
    ds = zlake.empty(s3_bucket.url, creds=s3_bucket.creds)
    fill(ds)
    ds.commit("one")
    s3_requests.clear()
    with ds:
        ds.append({"x": X[0], "r": RAGGED[3], "image": JPEGS[0]})
        ds.commit("row")
    puts = s3_requests.keys("put")
    assert len([key for key in puts if not key.startswith("data/segments/")]) <= 3, puts
    assert "list" not in {r.kind for r in s3_requests.requests}


def test_http_serves_a_dataset_read_only(tmp_path: Path, file_server: FileServer) -> None:
    ds = zlake.empty(tmp_path / "ds")
    fill(ds)
    first = ds.commit("one")
    for found in (zlake.load(f"{file_server.url}/ds"), zlake.load(f"{file_server.url}/ds@{first}")):
        assert found.read_only
        check(found)
        with pytest.raises(zlake.errors.ReadOnlyModeError):
            found.append({"x": X[0], "r": RAGGED[0], "image": JPEGS[0]})


def test_vanished_and_missing_buckets_are_named(s3_server: S3Server, s3_bucket: Bucket) -> None:
    ds = zlake.empty(s3_bucket.url, creds=s3_bucket.creds)
    ds.create_tensor("x")
    ds.append({"x": 1})
    s3_server.delete_bucket(s3_bucket.name)
    with pytest.raises(zlake.errors.StorageError, match=s3_bucket.name):
        ds.append({"x": 2})
    assert len(ds) == 1
    with pytest.raises(zlake.errors.ZlakeError, match=s3_bucket.name):
        zlake.load(s3_bucket.url, creds=s3_bucket.creds)


def test_credentials_are_shown_nowhere(s3_server: S3Server, s3_bucket: Bucket) -> None:
    ds = zlake.empty(s3_bucket.url, creds=s3_bucket.creds)
    ds.create_tensor("x")
    ds.append({"x": 1})
    ds.commit("one")
    shown = [repr(ds), str(ds.meta), ds.path, repr(ds._session.store), repr(ds._session.repository)]
    try:
        zlake.load(f"{s3_bucket.url}-nothing", creds=s3_bucket.creds)
    except zlake.errors.ZlakeError as error:
        shown.append(repr(error))
    stored = b"".join(ds._session.store.read(key) for key in ds._session.store.list(""))
    for secret in ("aws_secret_access_key", "aws_session_token"):
        assert not any(s3_bucket.creds[secret] in text for text in shown)
        assert s3_bucket.creds[secret].encode() not in stored


class Shelf(MemoryFileSystem):
    """A file system of fsspec's that knows no conditional writes."""

    protocol = "zlakeshelf"


def test_storages_without_conditional_writes_need_a_single_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZLAKE_CACHE_DIR", str(tmp_path))
    fsspec.register_implementation("zlakeshelf", Shelf, clobber=True)
    path = "zlakeshelf://single-writer/ds"
    with pytest.raises(zlake.errors.UnsafeStorageError, match="single_writer=True"):
        zlake.empty(path)
    ds = zlake.empty(path, single_writer=True)
    fill(ds)
    first = ds.commit("one")
    check(zlake.load(f"{path}@{first}"))
    with pytest.raises(zlake.errors.UnsafeStorageError, match="single_writer=True"):
        zlake.load(path).append({"x": X[0], "r": RAGGED[0], "image": JPEGS[0]})
    again = zlake.load(path, single_writer=True)
    again.append({"x": X[0], "r": RAGGED[0], "image": JPEGS[0]})
    assert len(zlake.load(path)) == 301
