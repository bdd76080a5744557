from __future__ import annotations

import gc
import os
import threading
import uuid
import weakref
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from zlake.context import Context
from zlake.errors import InvalidPathException, MissingDependencyError, StorageError, StorageUnavailableError
from zlake.storage import Lost, Store, Written, open_store
from zlake.testing.store_tests import StoreTests


class BoxFileSystem(LocalFileSystem):
    """A protocol that TensorStore does not know, over local files."""

    protocol = "zlakebox"


class RamFileSystem(MemoryFileSystem):
    """The same over memory; counts fetches, and fails when told."""

    protocol = "zlakeram"
    fetched: ClassVar[list[str]] = []
    faults: ClassVar[list[Exception]] = []

    def get_file(self, rpath, lpath, **options):
        self.fetched.append(rpath)
        super().get_file(rpath, lpath, **options)

    def cat_file(self, path, start=None, end=None, **options):
        if self.faults:
            raise self.faults.pop()
        return super().cat_file(path, start, end, **options)


fsspec.register_implementation("zlakebox", BoxFileSystem, clobber=True)
fsspec.register_implementation("zlakeram", RamFileSystem, clobber=True)


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ZLAKE_CACHE_DIR", str(tmp_path / "cache"))
    RamFileSystem.fetched.clear()
    RamFileSystem.faults.clear()
    return tmp_path / "cache"


class TestFsspecFiles(StoreTests):
    @pytest.fixture
    def store(self, tmp_path) -> Store:
        return open_store(f"zlakebox://{tmp_path}/set")


class TestFsspecMemory(StoreTests):
    @pytest.fixture
    def store(self) -> Store:
        return open_store(f"zlakeram://{uuid.uuid4()}/set")


@pytest.fixture
def store() -> Store:
    return open_store(f"zlakeram://{uuid.uuid4()}/set")


def test_conditional_writes_are_not_claimed(store):
    assert not store.capabilities.conditional
    # Within one process they hold all the same.
    assert isinstance(store.create("a", b"1"), Written)
    assert store.create("a", b"2") == Lost()


def test_an_object_is_fetched_once(store, cache_folder):
    store.create("shard", b"0123456789")
    first = store.local_path("shard")
    assert first == store.local_path("shard")
    assert os.path.dirname(first) == str(cache_folder)
    assert len(RamFileSystem.fetched) == 1
    assert store.local_path("none") is None
    assert [name for name in os.listdir(cache_folder) if "part" in name] == []


def test_the_cache_keeps_to_its_bound():
    store = open_store(f"zlakeram://{uuid.uuid4()}", context=Context(disk_cache_bytes=2500))
    for i in range(5):
        store.create(f"s/{i}", bytes([i]) * 1000)
    for i in range(5):
        path = store.local_path(f"s/{i}")
        with open(path, "rb") as file:
            assert file.read() == bytes([i]) * 1000
    assert store._cache.size() == 2000
    store._cache.clear()
    assert store._cache.size() == 0


def test_what_was_used_last_stays():
    store = open_store(f"zlakeram://{uuid.uuid4()}", context=Context(disk_cache_bytes=2500))
    paths = []
    for i in range(2):
        store.create(f"s/{i}", bytes([i]) * 1000)
        paths.append(store.local_path(f"s/{i}"))
        os.utime(paths[-1], (i, i))
    store.local_path("s/0")
    store.create("s/2", b"2" * 1000)
    store.local_path("s/2")
    assert os.path.exists(paths[0])
    assert not os.path.exists(paths[1])


def test_tensorstore_reads_through_the_cache_even_when_it_is_too_small():
    import tensorstore as ts

    store = open_store(f"zlakeram://{uuid.uuid4()}", context=Context(disk_cache_bytes=10))
    for i in range(6):
        store.create(f"c/{i}", bytes([i]) * 1000)
    spec, context = store.tensorstore_spec("c/")
    kv = ts.KvStore.open(spec, context=context).result()
    for _ in range(2):
        found = [kv.read(str(i)) for i in range(6)]
        assert [each.result().value for each in found] == [bytes([i]) * 1000 for i in range(6)]


def test_the_loopback_serves_nobody_else(store):
    import http.client

    store.create("secret", b"x")
    spec, _ = store.tensorstore_spec("")
    connection = http.client.HTTPConnection(spec["base_url"].removeprefix("http://"))
    for path in ("/secret", "//secret", f"{spec['path']}../secret", f"{spec['path']}%2e%2e/secret", "/"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 404
    connection.request("GET", f"{spec['path']}secret")
    assert connection.getresponse().read() == b"x"


def test_one_loopback_serves_all_stores_and_arrays_that_outlive_them(tmp_path):
    import tensorstore as ts

    kvs = []
    for number in range(20):
        for _ in range(2):
            store = open_store(f"zlakebox://{tmp_path}/set{number}")
            store.create("a/b", b"%d" % number)
            spec, context = store.tensorstore_spec("a/")
            kvs.append((number, ts.KvStore.open(spec, context=context).result()))
    reference = weakref.ref(store)
    del store
    gc.collect()
    assert reference() is None
    assert [kv.read("b").result().value for _, kv in kvs] == [b"%d" % number for number, _ in kvs]
    assert len({kv.spec().to_json()["path"] for _, kv in kvs}) == 20
    assert [thread.name for thread in threading.enumerate()].count("zlake-loopback") == 1


def test_a_short_absence_is_waited_out(store):
    store.create("a", b"x")
    RamFileSystem.faults[:] = [ConnectionError("reset"), TimeoutError("slow")]
    assert store.read("a") == b"x"


def test_a_long_absence_is_an_error_of_the_tree(store):
    store.create("a", b"x")
    RamFileSystem.faults[:] = [ConnectionError(f"reset {i}") for i in range(9)]
    with pytest.raises(StorageUnavailableError, match=r"could not read 'a'"):
        store.read("a")


def test_unknown_protocols():
    with pytest.raises(InvalidPathException, match="nosuchprotocol"):
        open_store("nosuchprotocol://place/set")


def test_a_protocol_whose_package_is_missing():
    with pytest.raises(MissingDependencyError, match="package"):
        open_store("dropbox://place/set")


def test_passwords_in_urls_are_used_but_never_shown(monkeypatch):
    seen = []

    class Vault(MemoryFileSystem):
        protocol = "zlakevault"

        @staticmethod
        def _get_kwargs_from_urls(path):
            seen.append(path)
            return {}

        def cat_file(self, path, **options):
            raise OSError("refused for zlakevault://joe:hunter2@host/x password=hunter2")

    fsspec.register_implementation("zlakevault", Vault, clobber=True)
    store = open_store("zlakevault://joe:hunter2@host/x")
    assert any("joe:hunter2@host" in path for path in seen)
    assert store.url == "zlakevault://host/x"
    assert "hunter2" not in repr(store) + str(store) + repr(store.origin)
    with pytest.raises(StorageError) as caught:
        store.read("a")
    assert "hunter2" not in str(caught.value)
