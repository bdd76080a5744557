from __future__ import annotations

import os
import threading
import uuid

import pytest

from zlake import limits
from zlake.context import Context
from zlake.errors import CorruptObjectError, ObjectExistsError, ObjectNotFoundError, StorageFullError
from zlake.storage import ObjectInfo, files, open_store, transfer
from zlake.storage.transfer import Moved, sizes
from zlake.testing import FaultStore, ProcessEnded, nth, on

OBJECTS = {"segments/a/c.0": b"one" * 1000, "segments/a/zarr.json": b"{}", "pages/b/zarr.json": b"", "commits/c": b"4"}


def memory():
    return open_store(f"mem://{uuid.uuid4()}")


def folder(path):
    return open_store(path, context=Context(durable=False))


def fill(store, objects=OBJECTS):
    store.create_many(objects.items())
    return list(store.list_info())


def contents(store):
    return {key: store.read(key) for key in store.list()}


def pairs():
    kinds = ("file", "mem", "s3", "gs")
    return [(a, b) for a in kinds for b in kinds]


@pytest.fixture
def place(request, tmp_path):
    def make(kind, name):
        if kind == "file":
            return folder(tmp_path / name)
        if kind == "mem":
            return memory()
        bucket = request.getfixturevalue("s3_bucket" if kind == "s3" else "gcs_bucket")
        return open_store(f"{bucket.url}/{name}", creds=bucket.creds)

    return make


@pytest.mark.parametrize(("source", "dest"), pairs())
def test_objects_arrive_between_all_storages(place, source, dest):
    a, b = place(source, "a"), place(dest, "b")
    infos = fill(a)
    moved = transfer.transfer(a, b, infos)
    assert contents(b) == OBJECTS
    if source == dest == "file":
        assert moved == Moved(linked=4)
    else:
        assert moved == Moved(objects=4, bytes=3003)
    again = transfer.transfer(a, b, infos, there={info.key: info for info in b.list_info()})
    assert again == Moved(present=4)


class TestLinks:
    @pytest.fixture
    def a(self, tmp_path):
        return folder(tmp_path / "a")

    @pytest.fixture
    def b(self, tmp_path):
        return folder(tmp_path / "b")

    def test_no_byte_is_read_or_written(self, a, b):
        infos = fill(a)
        source, dest = FaultStore(a), FaultStore(b)
        transfer.transfer(source, dest, infos)
        assert source.recorder.count("read") == dest.recorder.count("create") == 0
        assert dest.recorder.count("link") == 4
        for key in OBJECTS:
            assert os.path.samefile(a.local_path(key), b.local_path(key))

    def test_each_side_may_be_deleted(self, a, b):
        transfer.transfer(a, b, fill(a))
        a.delete_prefix()
        assert contents(b) == OBJECTS
        transfer.transfer(b, a, list(b.list_info()))
        b.delete_prefix()
        assert contents(a) == OBJECTS

    def test_a_link_counts_as_written_now(self, a, b):
        infos = fill(a)
        for key in OBJECTS:
            os.utime(a.local_path(key), (1000, 1000))
        b.create("now", b"x")
        now = next(b.list_info("now")).modified
        transfer.transfer(a, b, infos)
        assert all(info.modified >= now - 1 for info in b.list_info())

    def test_names_are_durable(self, tmp_path, monkeypatch):
        synced = []
        monkeypatch.setattr(files, "sync_folder", lambda path: synced.append(os.path.relpath(path, tmp_path)))
        a, b = open_store(tmp_path / "a"), open_store(tmp_path / "b")
        a.create("s/t/k", b"x")
        synced.clear()
        transfer.transfer(a, b, [ObjectInfo("s/t/k", 1, 0.0)])
        assert {"b/s/t", "b/s", "b"} <= set(synced)

    def test_unwanted(self, a, b):
        transfer.transfer(a, b, fill(a), links=False)
        assert contents(b) == OBJECTS
        assert not os.path.samefile(a.local_path("commits/c"), b.local_path("commits/c"))

    @pytest.mark.parametrize("reason", ["other file system", "not ours", "read-only"])
    def test_where_there_can_be_none_bytes_are_copied(self, a, b, monkeypatch, reason):
        infos = fill(a)

        def refuse(*args, **kwargs):
            raise OSError({"other file system": 18, "not ours": 1, "read-only": 30}[reason], reason)

        monkeypatch.setattr(files.os, "utime" if reason == "read-only" else "link", refuse)
        monkeypatch.setattr(files, "create", lambda path, value, **_: _plain_create(path, value))
        assert transfer.transfer(a, b, infos, workers=1) == Moved(objects=4, bytes=3003)
        assert contents(b) == OBJECTS

    def test_another_object_is_not_replaced(self, a, b):
        infos = fill(a)
        b.create("commits/c", b"other")
        with pytest.raises(ObjectExistsError, match="commits/c"):
            transfer.transfer(a, b, infos)
        assert b.read("commits/c") == b"other"

    def test_an_object_of_the_same_size_counts_as_there(self, a, b):
        infos = fill(a)
        b.create("commits/c", b"5")
        transfer.transfer(a, b, infos)
        assert b.read("commits/c") == b"5"

    def test_symbolic_links_are_not_followed(self, a, b, tmp_path):
        (tmp_path / "secret").write_bytes(b"x")
        fill(a)
        os.symlink(tmp_path / "secret", tmp_path / "a" / "commits" / "d")
        with pytest.raises(Exception, match="symbolic link"):
            transfer.transfer(a, b, [ObjectInfo("commits/d", 1, 0.0)])
        assert b.read("commits/d") is None


def _plain_create(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "xb") as file:
        file.write(value)
    return True


class TestReadAndCreate:
    def test_another_object_is_not_replaced(self):
        a, b = memory(), memory()
        infos = fill(a)
        b.create("commits/c", b"other")
        with pytest.raises(ObjectExistsError, match="commits/c"):
            transfer.transfer(a, b, infos)
        assert b.read("commits/c") == b"other"

    def test_an_object_that_has_gone_is_named(self):
        a, b = memory(), memory()
        infos = fill(a)
        a.delete("pages/b/zarr.json")
        with pytest.raises(ObjectNotFoundError, match="pages/b"):
            transfer.transfer(a, b, infos)

    def test_an_object_of_another_size_than_listed_is_damage(self):
        a, b = memory(), memory()
        fill(a)
        with pytest.raises(CorruptObjectError, match="listed with 7"):
            transfer.transfer(a, b, [ObjectInfo("commits/c", 7, 0.0)])
        assert b.read("commits/c") is None

    def test_unknown_sizes(self):
        a, b = memory(), memory()
        fill(a)
        assert transfer.transfer(a, b, [ObjectInfo(key, -1, 0.0) for key in OBJECTS]).bytes == 3003

    def test_bytes_in_memory_are_bounded(self, monkeypatch):
        monkeypatch.setattr(limits, "COPY_BYTES_IN_FLIGHT", 2500)
        lock, held, most = threading.Lock(), [0], [0]

        class Counting(FaultStore):
            def read(self, key, start=0, stop=None):
                value = super().read(key, start, stop)
                with lock:
                    held[0] += len(value)
                    most[0] = max(most[0], held[0])
                return value

            def create(self, key, value):
                outcome = super().create(key, value)
                with lock:
                    held[0] -= len(value)
                return outcome

        a, b = Counting(memory()), Counting(memory())
        infos = fill(a.store, {f"k/{i}": bytes(1000) for i in range(30)} | {"large": bytes(4000)})
        transfer.transfer(a, b, infos)
        assert len(contents(b.store)) == 31
        assert most[0] <= 4000
        assert held[0] == 0

    def test_progress(self):
        a, b = memory(), memory()
        seen = []
        transfer.transfer(a, b, fill(a), moved=seen.append)
        assert sum(seen) == 3003

    def test_the_first_failure_stops_it(self):
        a, b = memory(), FaultStore(memory())
        infos = fill(a, {f"k/{i:03}": b"x" for i in range(500)})
        b.fail(StorageFullError("full"), on("create", key="k/020"))
        with pytest.raises(StorageFullError):
            transfer.transfer(a, b, infos)
        assert b.recorder.count("create") < 150


@pytest.mark.parametrize("kind", ["file", "mem"])
def test_cut_short_anywhere_it_can_go_on(tmp_path, kind):
    infos = None
    for step in range(100):
        a, b = (folder(tmp_path / "a"), folder(tmp_path / f"b{step}")) if kind == "file" else (memory(), memory())
        infos = fill(a)
        broken = FaultStore(b)
        broken.end(nth(step // 2), moment=("before", "after")[step % 2])
        try:
            transfer.transfer(a, broken, infos, workers=1)
        except ProcessEnded:
            transfer.transfer(a, b, infos, there={info.key: info for info in b.list_info()})
            assert contents(b) == OBJECTS
            continue
        break
    assert step == 8


def test_listings():
    store = FaultStore(memory())
    store.store.create_many((f"{folder}/{i:03}/k", bytes(i)) for folder in ("segments", "pages") for i in range(100))
    few = [f"segments/{i:03}/" for i in range(3)]
    assert {key: info.size for key, info in sizes(store, few).items()} == {f"segments/{i:03}/k": i for i in range(3)}
    assert store.recorder.count("list_info") == 3
    store.recorder.clear()
    many = [f"segments/{i:03}/" for i in range(99)]
    assert len(sizes(store, many)) == 99
    assert store.recorder.count("list_info") == 1
    assert sizes(store, []) == {}
