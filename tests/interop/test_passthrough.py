"""Stored chunks are handed on untouched where extents allow, and built where they do not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

import zlake
from zlake import limits
from zlake.context import Context
from zlake.interop.zarr_store import ZlakeStore
from zlake.session.opening import create_session
from zlake.storage import open_store
from zlake.testing.faults import FaultStore

ROWS = 6000  # of 1 KiB: several inner chunks of 256 KiB, and with a small shard size several shards


@pytest.fixture
def recorded(tmp_path) -> tuple[zlake.Dataset, FaultStore]:
    context = Context()
    store = FaultStore(open_store(str(tmp_path / "data"), context=context))
    return zlake.Dataset(create_session(store, context, overwrite=True)), store


@pytest.fixture
def small_shards(monkeypatch) -> Iterator[None]:
    monkeypatch.setattr(limits, "SHARD_BYTES", limits.MIB)
    return


def data(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (rows, 32, 32), dtype=np.uint8)


def get(store: ZlakeStore, key: str) -> bytes:
    found = sync(store.get(key, default_buffer_prototype()))
    assert found is not None
    return found.to_bytes()


def stored_values(ds: zlake.Dataset, name: str = "x") -> list[tuple[str, bytes]]:
    """Return the objects of a tensor's values, in the order of the segments."""
    entries, extents = ds[name]._column.base()
    order = [entries[i].segment for i in extents.segment.tolist()]
    store = ds._session.store
    found = []
    for segment in order:
        keys = list(store.list(f"segments/{segment}/{ds[name]._column.key}/values-data/c."))
        keys.sort(key=lambda key: int(key.rpartition("/")[2].split(".")[1]))
        found += [(key, store.read(key)) for key in keys]
    return found


def extended(recorded, parts, codec=None):
    ds, store = recorded
    ds.create_tensor("x", dtype="uint8", chunk_compression=codec)
    for seed, rows in enumerate(parts):
        ds.extend({"x": data(rows, seed)})
    wanted = np.concatenate([data(rows, seed) for seed, rows in enumerate(parts)])
    return ds, store, wanted


def array(store: ZlakeStore) -> zarr.Array:
    return zarr.open_array(store, path="x", mode="r")


@pytest.mark.parametrize("codec", [None, "zstd"])
@pytest.mark.usefixtures("small_shards")
def test_aligned_segments_are_presented_sharded_as_stored(recorded, codec):
    ds, _, wanted = extended(recorded, (2048, 1024, 1024 + 700), codec)
    # the last shard of the last segment is smaller than the others, unless it has as many chunks
    store = ds[: 2048 + 1024].zarr_store()
    found = array(store)
    assert found.shards is not None
    assert found.chunks[0] < found.shards[0]
    objects = [value for _, value in stored_values(ds)]
    for i in range(3):
        assert get(store, f"x/c.{i}.0.0") == objects[i]
    np.testing.assert_array_equal(found[:], wanted[: 2048 + 1024])


@pytest.mark.usefixtures("small_shards")
def test_reading_what_passes_through_reads_each_byte_once(recorded):
    ds, store, wanted = extended(recorded, (2048, 2048))
    found = array(ds.zarr_store())
    store.recorder.clear()
    np.testing.assert_array_equal(found[:], wanted)
    objects = stored_values(ds)
    reads = [each for each in store.recorder.select("read") if "/values-data/" in each.key]
    reads = reads[: len(reads) - len(objects)]  # stored_values read them all once more
    assert sorted({each.key for each in reads}) == sorted(key for key, _ in objects)
    assert sum(each.size for each in reads) <= 1.01 * sum(len(value) for _, value in objects)
    assert not store.recorder.select("local_path", "tensorstore_spec")  # no rows were read to build chunks


@pytest.mark.usefixtures("small_shards")
def test_one_row_of_a_shard_reads_its_index_and_one_chunk(recorded):
    ds, store, wanted = extended(recorded, (2048,))
    found = array(ds.zarr_store())
    store.recorder.clear()
    np.testing.assert_array_equal(found[700], wanted[700])
    reads = store.recorder.select("read", key="segments/")
    assert len(reads) == 2
    assert sum(each.size for each in reads) < limits.INNER_CHUNK_BYTES + 1000


@pytest.mark.parametrize("codec", [None, "zstd"])
@pytest.mark.usefixtures("small_shards")
def test_shards_of_other_sizes_still_hand_on_their_chunks(recorded, codec):
    ds, _, wanted = extended(recorded, (4096, 512), codec)  # the second segment is one smaller shard
    store = ds.zarr_store()
    found = array(store)
    assert found.shards is None
    assert found.chunks == (256, 32, 32)
    objects = b"".join(value for _, value in stored_values(ds))
    for i in range(4608 // 256):
        assert get(store, f"x/c.{i}.0.0") in objects
    np.testing.assert_array_equal(found[:], wanted)


def test_small_segments_of_equal_length_pass_through(recorded, monkeypatch):
    monkeypatch.setattr(limits, "COALESCE_FACTOR", 1000)
    ds, _, wanted = extended(recorded, (100, 100, 100, 30))
    store = ds[:300].zarr_store()
    assert ds.x._column.base()[1].n_extents == 4
    assert [get(store, f"x/c.{i}.0.0") for i in range(3)] == [value for _, value in stored_values(ds)[:3]]
    np.testing.assert_array_equal(array(store)[:], wanted[:300])


@pytest.mark.usefixtures("small_shards")
def test_chunks_beside_an_edit_are_built_and_the_others_are_not(recorded):
    ds, _, wanted = extended(recorded, (4096,))
    ds.x[1000] = np.zeros((32, 32), np.uint8)
    wanted[1000] = 0
    store = ds.zarr_store()
    node = store.hierarchy.arrays["x"]
    assert node.layout.chunk == (256, 32, 32)
    assert [i for i in range(16) if node.locate((i, 0, 0)) is None] == [1000 // 256]
    objects = b"".join(value for _, value in stored_values(ds))
    assert get(store, "x/c.0.0.0") in objects
    np.testing.assert_array_equal(array(store)[:], wanted)


@pytest.mark.parametrize(
    "view", [slice(1, None), slice(None, None, -1), slice(None, None, 2), [5, 5, 0, 4000], slice(100, 4000)], ids=str
)
def test_rows_off_the_grid_are_built(recorded, view):
    ds, _, wanted = extended(recorded, (4096,))
    store = ds[view].zarr_store()
    node = store.hierarchy.arrays["x"]
    assert all(node.locate((i, 0, 0)) is None for i in range(node.layout.objects[0]))
    np.testing.assert_array_equal(array(store)[:], wanted[view])


@pytest.mark.parametrize("stop", [256, 2048, 2100, 4096])
@pytest.mark.usefixtures("small_shards")
def test_a_view_of_the_first_rows_passes_through(recorded, stop):
    ds, _, wanted = extended(recorded, (4096,))
    store = ds[np.arange(stop)].zarr_store()
    node = store.hierarchy.arrays["x"]
    assert all(node.locate((i, 0, 0)) is not None for i in range(node.layout.objects[0]))
    np.testing.assert_array_equal(array(store)[:], wanted[:stop])


def test_whole_ragged_segments_pass_through_with_their_sidecars(recorded):
    ds, _ = recorded
    ds.create_tensor("x")
    ds.extend({"x": [np.arange(i % 7, dtype=np.float32) for i in range(1000)]})
    store = ds.zarr_store()
    nodes = {name: node for name, node in store.hierarchy.arrays.items() if name.startswith("x/")}
    assert sorted(nodes) == ["x/ids", "x/values-data", "x/values-offsets"]
    assert nodes.pop("x/ids").locate((0,)) is None  # they count up and are not stored
    for name, node in nodes.items():
        stored = node.locate((0,))
        assert stored is not None
        assert get(store, f"{name}/c.0") == ds._session.store.read(stored.key)


@pytest.mark.usefixtures("small_shards")
def test_ragged_values_pass_through_as_far_as_they_are_aligned(recorded):
    ds, _ = recorded
    ds.create_tensor("x")
    first = [np.full(1024, i, np.float32) for i in range(255)] + [np.full(512, -1, np.float32)] * 2
    ds.extend({"x": first})
    ds.extend({"x": [np.arange(i, dtype=np.float32) for i in range(50)]})
    store = ds.zarr_store()
    node = store.hierarchy.arrays["x/values-data"]
    assert node.layout.chunk == (65536,)
    assert [node.locate((i,)) is not None for i in range(5)] == [True, True, True, True, False]
    found = zarr.open_array(store, path="x/values-data", mode="r")[:]
    np.testing.assert_array_equal(found, np.concatenate(ds.x.numpy(aslist=True)))
