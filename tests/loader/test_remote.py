"""Loading from object stores: many requests in flight, counted; credentials reach workers and nobody else."""

from __future__ import annotations

import pickle
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from servers.s3 import SECRET, TOKEN

import zlake
from loader.datasets import check, fill, flat, numbers, orders
from zlake.context import Context
from zlake.loader import block


class Gate:
    """Holds requests for values until so many are there at once; not for ever, since some must come first."""

    def __init__(self, app, wanted: int) -> None:
        self.app = app
        self.wanted = wanted
        self.patience = 1.0
        self.keys: list[str] = []
        self.peak = self._now = 0
        self._changed = threading.Condition()

    def __call__(self, environ, start_response):
        if environ["REQUEST_METHOD"] != "GET" or "/values-data/" not in environ["PATH_INFO"]:
            return self.app(environ, start_response)
        with self._changed:
            self.keys.append(environ["PATH_INFO"])
            self._now += 1
            self.peak = max(self.peak, self._now)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.peak >= self.wanted, timeout=self.patience)
        try:
            return self.app(environ, start_response)
        finally:
            with self._changed:
                self._now -= 1


@pytest.fixture
def gate(s3_server, monkeypatch):
    """A `Gate` before the server; nothing is held before ``wanted`` is raised."""
    found = Gate(s3_server._app, 0)
    monkeypatch.setattr(s3_server, "_app", found)
    return found


@pytest.fixture(scope="module")
def incompressible() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (160, 64, 1024), dtype=np.uint8)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("shuffle", [False, True])
def test_values_from_s3(s3_bucket, workers, shuffle):
    ds = fill(zlake.empty(s3_bucket.url, creds=s3_bucket.creds))
    fresh = zlake.load(s3_bucket.url, creds=s3_bucket.creds, read_only=True)
    loader = fresh.pytorch(batch_size=8, shuffle=shuffle, num_workers=workers)
    rows = [check(ds, batch) for batch in loader]
    assert sorted(flat(rows)) == list(range(37))
    local = numbers("mem://loader-remote", 37, overwrite=True)
    assert rows == orders(local.pytorch(batch_size=8, shuffle=shuffle))


def test_credentials_travel_hidden(s3_bucket):
    ds = numbers(s3_bucket.url, creds=s3_bucket.creds)
    stream = ds.pytorch(batch_size=50, num_workers=1).stream
    pickled = pickle.dumps(stream)
    for secret in (SECRET, TOKEN, "AKIAZLAKETEST"):
        assert secret.encode() not in pickled
        assert secret not in repr(stream)
        assert secret not in repr(stream.__getstate__())
    again = pickle.loads(pickled)
    assert [batch["x"].shape[0] for batch in again] == [50, 50]


def test_an_epoch_has_many_requests_in_flight(s3_bucket, gate, incompressible, monkeypatch):
    ds = zlake.empty(s3_bucket.url, creds=s3_bucket.creds)
    ds.create_tensor("x", dtype="uint8")
    ds.extend({"x": incompressible})
    ds.commit("ten megabytes")
    monkeypatch.setattr(block, "BLOCK_BYTES", 1)
    for shuffle in (False, True):
        fresh = zlake.load(s3_bucket.url, creds=s3_bucket.creds, read_only=True, context=Context(cache_bytes=0))
        gate.peak, gate.wanted = 0, 16
        for batch in fresh.pytorch(batch_size=4, shuffle=shuffle):
            assert np.array_equal(batch["x"].numpy(), incompressible[batch["index"].numpy()])
        assert gate.peak >= 16


def test_all_tensors_of_a_block_are_read_at_once(s3_bucket, gate):
    ds = zlake.empty(s3_bucket.url, creds=s3_bucket.creds)
    names = [f"x{i}" for i in range(6)]
    for name in names:
        ds.create_tensor(name, dtype="int64")
    ds.extend({name: np.arange(10)[:, None] for name in names})
    ds.commit("six tensors")
    fresh = zlake.load(s3_bucket.url, creds=s3_bucket.creds)
    gate.wanted, gate.patience = 6, 30.0
    assert len(list(fresh.pytorch(batch_size=10))) == 1
    assert gate.peak == 6


def test_what_is_asked_for_beforehand_is_bounded(s3_bucket, gate, incompressible, monkeypatch):
    ds = zlake.empty(s3_bucket.url, creds=s3_bucket.creds)
    ds.create_tensor("x", dtype="uint8")
    ds.extend({"x": incompressible})
    monkeypatch.setattr(block, "BLOCK_BYTES", 1)
    context = replace(Context(cache_bytes=0), reads_in_flight=4)
    fresh = zlake.load(s3_bucket.url, creds=s3_bucket.creds, read_only=True, context=context)
    batches = iter(fresh.pytorch(batch_size=4))
    next(batches)
    time.sleep(0.3)  # whatever was asked for has been by now
    # a batch is a chunk: 16 blocks begun, 2 with the threads, 1 yielded
    assert len(gate.keys) <= 16 + 2 + 1 + 1
    assert gate.peak <= 4
    assert len(list(batches)) == 39


def test_a_shuffled_epoch_reads_each_chunk_a_few_times(s3_bucket, gate):
    """Rows of a block that lie in one chunk share its read, and what was read is kept."""
    ds = zlake.empty(s3_bucket.url, creds=s3_bucket.creds)
    ds.create_tensor("x", dtype="uint8")
    ds.extend({"x": np.random.default_rng(1).integers(0, 255, (4000, 1024), dtype=np.uint8)})
    fresh = zlake.load(s3_bucket.url, creds=s3_bucket.creds, read_only=True)
    assert len(flat(orders(fresh.pytorch(batch_size=32, shuffle=True)))) == 4000
    assert len(gate.keys) <= 4 * 16
    before = len(gate.keys)
    assert len(flat(orders(fresh.pytorch(batch_size=32, shuffle=True, seed=1)))) == 4000
    assert len(gate.keys) == before


def test_over_http_and_the_file_scheme(tmp_path, file_server):
    ds = fill(zlake.empty(tmp_path / "ds"), 12)
    for url in (f"{file_server.url}/ds", f"file://{tmp_path / 'ds'}"):
        found = [check(ds, batch) for batch in zlake.load(url).pytorch(batch_size=5, shuffle=True)]
        assert sorted(flat(found)) == list(range(12))


def test_a_server_that_is_gone(s3_bucket, s3_server):
    from zlake.errors import StorageError

    ds = numbers(s3_bucket.url, creds=s3_bucket.creds)
    loader = zlake.load(s3_bucket.url, creds=s3_bucket.creds, read_only=True).pytorch(batch_size=10)
    s3_server.delete_bucket(ds.path.split("/")[2])
    with pytest.raises(StorageError):
        list(loader)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("zlake-loader")]
