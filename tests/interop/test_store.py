"""The conformance tests of zarr-python's stores, as far as they apply to one that cannot be written."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype

import zlake
from zlake.interop.zarr_store import ZlakeStore

RANGES = [
    (None, slice(None)),
    (RangeByteRequest(1, 4), slice(1, 4)),
    (RangeByteRequest(5, 10**9), slice(5, None)),
    (OffsetByteRequest(7), slice(7, None)),
    (OffsetByteRequest(10**9), slice(0, 0)),
    (SuffixByteRequest(6), slice(-6, None)),
    (SuffixByteRequest(10**9), slice(None)),
    (SuffixByteRequest(0), slice(0, 0)),
]
KEYS = ["zarr.json", "dense/zarr.json", "dense/c.0.0.0", "ragged/ids/c.0", "inner/deep/x/c.1.0"]


@pytest.fixture
def store(kinds: zlake.Dataset) -> ZlakeStore:
    return kinds.zarr_store()


async def everything(store: Store, prefix: str = "") -> list[str]:
    return sorted([key async for key in store.list_prefix(prefix)])


async def get(store: Store, key: str, wanted: Any = None) -> bytes | None:
    found = await store.get(key, default_buffer_prototype(), wanted)
    return None if found is None else found.to_bytes()


def test_it_is_a_read_only_store(store):
    assert isinstance(store, Store)
    assert store.read_only
    assert (store.supports_writes, store.supports_deletes, store.supports_listing) == (False, False, True)
    with pytest.raises(AttributeError):
        store.read_only = False


async def test_writing_is_refused(store):
    value = default_buffer_prototype().buffer.from_bytes(b"x")
    for attempt in (store.set("a", value), store.delete("zarr.json"), store.set_if_not_exists("a", value)):
        with pytest.raises(ValueError, match="read-only mode and does not support writing"):
            await attempt
    for attempt in (store.clear(), store.delete_dir("dense")):
        with pytest.raises(NotImplementedError):
            await attempt
    assert await store.exists("zarr.json")


async def test_opening_and_closing(kinds):
    view = kinds._view()
    with await ZlakeStore.open(kinds._session, view) as store:
        assert store._is_open
        with pytest.raises(ValueError, match="store is already open"):
            await store._open()
    assert not store._is_open


@pytest.mark.parametrize(("wanted", "part"), RANGES)
@pytest.mark.parametrize("key", KEYS)
async def test_get_ranges(store, key, wanted, part):
    whole = await get(store, key)
    assert whole
    assert await get(store, key, wanted) == whole[part]


async def test_get_of_nothing(store):
    for key in ("nothing", "dense/c.9.0.0", "dense/c.0.0", "dense/c.00.0.0", "dense/c.-1.0.0", "dense/c", "c.0", ""):
        assert await get(store, key) is None
        assert not await store.exists(key)
        with pytest.raises(FileNotFoundError):
            await store.getsize(key)


async def test_a_range_that_is_none(store):
    with pytest.raises(TypeError, match="Unexpected byte_range"):
        await get(store, "zarr.json", (0, 2))
    with pytest.raises(TypeError, match="Unexpected byte_range"):
        await get(store, "dense/c.0.0.0", (0, 2))


async def test_sizes(store):
    for key in await everything(store):
        assert await store.getsize(key) == len(await get(store, key))
    assert await store.getsize_prefix("dense") == sum(
        [len(await get(store, key)) for key in await everything(store, "dense/")]
    )


async def test_many_at_once(store):
    prototype = default_buffer_prototype()
    requests = [(key, wanted) for key in KEYS for wanted, _ in RANGES]
    found = await store.get_partial_values(prototype, [*requests, ("nothing", None)])
    assert found[-1] is None
    assert [buffer.to_bytes() for buffer in found[:-1]] == [await get(store, *request) for request in requests]


async def test_listing(store):
    keys = await everything(store)
    assert sorted([key async for key in store.list()]) == keys
    assert len(set(keys)) == len(keys)
    assert {"zarr.json", "dense/zarr.json", "dense/c.0.0.0", "dense/c.1.0.0", "inner/deep/x/c.0.0"} <= set(keys)
    for key in keys:
        assert await store.exists(key)
    for prefix in ("dense", "dense/", "dense/c.1", "inner/de", "inner/deep/x/c.0.0", "nothing", "ragged/ids/"):
        assert await everything(store, prefix) == [key for key in keys if key.startswith(prefix)]


async def test_listing_folders(store):
    keys = await everything(store)
    folders = {"", *("/".join(key.split("/")[:i]) for key in keys for i in range(1, key.count("/") + 1))}
    for folder in folders:
        prefix = f"{folder}/" if folder else ""
        wanted = sorted({key[len(prefix) :].split("/")[0] for key in keys if key.startswith(prefix)})
        assert sorted([name async for name in store.list_dir(folder)]) == wanted
        assert sorted([name async for name in store.list_dir(prefix)]) == wanted
    assert [name async for name in store.list_dir("nothing")] == []


async def test_is_empty(store, tmp_path):
    assert not await store.is_empty("")
    assert not await store.is_empty("dense")
    assert await store.is_empty("den")


def test_equality_and_hash(kinds, kinds_path):
    store = kinds.zarr_store()
    assert store == kinds.zarr_store() == zlake.load(kinds_path).zarr_store()
    assert hash(store) == hash(zlake.load(kinds_path).zarr_store())
    others = [kinds[:5], kinds[["dense"]], kinds["inner"], zlake.load(f"{kinds_path}@{kinds.commits[1]['commit']}")]
    assert len({store, *(other.zarr_store() for other in others)}) == 5
    assert kinds[[1, 2]].zarr_store() == kinds[[1, 2]].zarr_store() != kinds[[1, 3]].zarr_store()
    assert store != "a store"


async def test_pickling(kinds):
    for ds in (kinds, kinds[3:9], kinds[[8, 2, 2]], kinds["inner"]):
        store = ds.zarr_store()
        twin = pickle.loads(pickle.dumps(store))
        assert twin == store
        assert hash(twin) == hash(store)
        assert twin.read_only
        keys = await everything(store)
        assert await everything(twin) == keys
        for key in keys:
            assert await get(twin, key) == await get(store, key)
        assert pickle.loads(pickle.dumps(twin)) == store


def test_a_dataset_in_memory_does_not_pickle():
    ds = zlake.empty("mem://interop-pickle", overwrite=True)
    store = ds.zarr_store()
    with pytest.raises(zlake.errors.MemoryDatasetCanNotBePickledError):
        pickle.dumps(store)


def test_the_repr_says_where_and_which(kinds, kinds_path):
    assert repr(kinds.zarr_store()) == f"<ZlakeStore {kinds_path} at {kinds.commit_id}>"
    assert repr(kinds[2:5].zarr_store()) == f"<ZlakeStore {kinds_path} at {kinds.commit_id}, 3 rows>"
