from __future__ import annotations

import pickle

import pytest
import tensorstore as ts
from servers.files import FileServer

from zlake.errors import (
    InvalidPathException,
    ReadOnlyModeError,
    StorageUnavailableError,
    UnsafeStorageError,
    UnsupportedOperationError,
)
from zlake.storage import Request, Store, open_store, probe


@pytest.fixture
def store(file_server: FileServer, tmp_path) -> Store:
    local = open_store(tmp_path / "set")
    local.create("a/b", b"0123456789")
    local.create("grüße/x", b"unicode")
    local.create("empty", b"")
    return open_store(f"{file_server.url}/set")


@pytest.mark.parametrize(("start", "stop"), [(0, None), (2, 5), (-3, None), (4, 99), (20, None), (3, 3)])
def test_reads(store, start, stop):
    assert store.read("a/b", start, stop) == b"0123456789"[start:stop]
    assert store.read_many([Request("a/b", start, stop), Request("none")]) == [b"0123456789"[start:stop], None]


def test_more_reads(store):
    assert store.read("grüße/x") == b"unicode"
    assert store.read("empty") == b""
    assert store.read("none") is None
    assert store.read_versioned("a/b").value == b"0123456789"
    assert store.local_path("a/b") is None
    assert pickle.loads(pickle.dumps(store)).read("a/b", 1, 3) == b"12"


def test_tensorstore_reads(store):
    spec, context = store.tensorstore_spec("a/")
    kv = ts.KvStore.open(spec, context=context).result()
    assert kv.read("b", byte_range=slice(2, 4)).result().value == b"23"
    assert kv.read("c").result().state == "missing"


def test_nothing_can_be_written_or_listed(store):
    for write in (
        lambda: store.create("x", b""),
        lambda: store.start_create("x", b""),
        lambda: store.swap("x", b"", b"g"),
        lambda: store.delete("x"),
    ):
        with pytest.raises(ReadOnlyModeError, match="only be read"):
            write()
    with pytest.raises(UnsupportedOperationError):
        store.list()
    with pytest.raises(UnsupportedOperationError):
        store.list_info()
    with pytest.raises(UnsafeStorageError):
        probe(store)


def test_a_server_that_is_not_there():
    with pytest.raises(StorageUnavailableError, match="could not read 'zarr"):
        open_store("http://127.0.0.1:9/set").read("zarr.json")


@pytest.mark.parametrize("url", ["http://", "http:///path", "https://host:port/x", "http://joe:secret@host/x"])
def test_malformed_urls(url):
    with pytest.raises(InvalidPathException) as caught:
        open_store(url)
    assert "secret" not in str(caught.value)
