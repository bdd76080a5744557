from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from zlake.context import Context
from zlake.errors import (
    InvalidPathException,
    ReadOnlyModeError,
    StorageError,
    StorageFullError,
    StoragePermissionError,
)
from zlake.storage import Lost, Request, Store, Written, files, open_store
from zlake.testing.store_tests import StoreTests


class TestLocalStore(StoreTests):
    @pytest.fixture
    def store(self, tmp_path) -> Store:
        return open_store(tmp_path / "set")


class TestLocalStoreWithoutFsync(StoreTests):
    @pytest.fixture
    def store(self, tmp_path) -> Store:
        return open_store(f"file://{tmp_path}/set", context=Context(durable=False))


class TestLocalStoreWithoutNamelessFiles(StoreTests):
    @pytest.fixture
    def store(self, tmp_path, monkeypatch) -> Store:
        monkeypatch.setattr(files, "_NAMELESS", 0)
        return open_store(tmp_path / "set")


class TestLocalStoreWithoutLinks(StoreTests):
    @pytest.fixture
    def store(self, tmp_path, monkeypatch) -> Store:
        def link(*args, **options):
            raise OSError(errno.EPERM, "no links here")

        monkeypatch.setattr(os, "link", link)
        return open_store(tmp_path / "set")


@pytest.fixture
def store(tmp_path) -> Store:
    return open_store(tmp_path / "set")


def _names(folder) -> list[str]:
    found = [os.path.join(base, name) for base, _, names in os.walk(folder) for name in names]
    return sorted(os.path.relpath(path, folder) for path in found)


@pytest.mark.parametrize("nameless", [True, False])
def test_only_the_objects_are_on_disk(store, tmp_path, monkeypatch, nameless):
    if not nameless:
        monkeypatch.setattr(files, "_NAMELESS", 0)
    store.create("a/b", b"1")
    store.create("a/b", b"2")
    store.swap("a/b", b"3", store.read_versioned("a/b").generation)
    assert _names(tmp_path / "set") == ["a/b"]


def test_lock_files_and_foreign_files_are_no_objects(store, tmp_path):
    store.create("a/b", b"1")
    (tmp_path / "set/a/c.__lock").write_bytes(b"left behind by a crash")
    (tmp_path / "set/bad:name").write_bytes(b"not ours")
    assert list(store.list()) == ["a/b"]
    assert store.delete_prefix() == 1
    assert _names(tmp_path / "set") == ["bad:name"]


def test_deleting_everything_removes_the_folders(store, tmp_path):
    store.create_many((f"a/{i}/c", b"x") for i in range(3))
    store.create("b/c", b"x")
    assert store.delete_prefix("a/") == 3
    assert os.listdir(tmp_path / "set") == ["b"]
    store.delete_prefix()
    assert not (tmp_path / "set").exists()
    assert isinstance(store.create("a/0/c", b"again"), Written)


def test_folders_are_no_objects(store):
    store.create("a/b", b"1")
    assert store.read("a") is None
    assert store.read("a", 2) is None
    assert store.read("a/b/c") is None
    assert store.create("a", b"x") == Lost()
    with pytest.raises(StorageError, match="'a/b/c'"):
        store.create("a/b/c", b"x")


def test_a_generation_is_of_the_bytes_and_not_of_the_clock(store, tmp_path):
    # Two swaps within one tick of the clock can leave the same inode with the same time.
    store.create("ref", b"one")
    path = tmp_path / "set/ref"
    generation = store.read_versioned("ref").generation
    before = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_ino == before.st_ino
    assert store.swap("ref", b"three", generation) == Lost()
    assert store.read("ref") == b"two"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="nothing lists the open files")
@pytest.mark.parametrize("durable", [False, True])
def test_few_replaced_files_stay_open(tmp_path, durable):
    def open_files() -> int:
        found = 0
        for link in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # that of this very listing
                found += str(tmp_path) in os.readlink(link)
        return found

    store = open_store(tmp_path / "set", context=Context(durable=durable))
    store.create("ref", b"0")
    for number in range(50):
        generation = store.read_versioned("ref").generation
        assert isinstance(store.swap("ref", f"{number + 1}".encode(), generation), Written)
        assert store.swap("ref", b"stale", generation) == Lost()
    assert store.read("ref") == b"50"
    assert open_files() <= (0 if durable else 8)
    del store
    assert open_files() == 0


def test_a_folder_where_a_ref_should_be_is_not_swapped(store, tmp_path):
    (tmp_path / "set/ref").mkdir(parents=True)
    assert store.swap("ref", b"x", b"another generation") == Lost()


def test_processes_that_swap_lose_nothing(store, tmp_path):
    program = """
import sys
from zlake.storage import Written, open_store
from zlake.context import Context
store = open_store(sys.argv[1], context=Context(durable=False))
for step in range(40):
    while True:
        found = store.read_versioned("sum")
        value = f"{int(found.value.split()[0]) + 1} {sys.argv[2]}-{step}".encode()
        if isinstance(store.swap("sum", value, found.generation), Written):
            break
"""
    store.create("sum", b"0 start")
    commands = [[sys.executable, "-c", program, str(tmp_path / "set"), str(me)] for me in range(4)]
    running = [subprocess.Popen(command) for command in commands]
    assert [process.wait(60) for process in running] == [0] * 4
    assert store.read("sum").split()[0] == b"160"


def test_a_kill_leaves_whole_objects_or_none(tmp_path):
    program = """
import sys
from zlake.storage import open_store
store = open_store(sys.argv[1])
print("ready", flush=True)
for i in range(10**6):
    store.create(f"{sys.argv[2]}/{i}", bytes([i % 251]) * 300_000)
"""
    for round_ in range(6):
        command = [sys.executable, "-c", program, str(tmp_path / "set"), str(round_)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        process.stdout.readline()
        threading.Event().wait(0.01 * (round_ + 1))
        process.kill()
        process.wait()
    store = open_store(tmp_path / "set")
    keys = list(store.list())
    assert keys
    for key in keys:
        i = int(key.split("/")[1])
        assert store.read(key) == bytes([i % 251]) * 300_000
    assert _names(tmp_path / "set") == sorted(keys)


# ---------------------------------------------------------------- links


def test_links_inside_are_not_followed(store, tmp_path):
    store.create("a/b", b"1")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_bytes(b"secret")
    os.symlink(tmp_path / "outside/secret", tmp_path / "set/a/link")
    os.symlink(tmp_path / "outside", tmp_path / "set/dir")
    for operation in (
        lambda: store.read("a/link"),
        lambda: store.read("dir/secret"),
        lambda: store.read_versioned("dir/secret"),
        lambda: store.read_many([Request("dir/secret")]),
        lambda: store.local_path("a/link"),
        lambda: store.local_path("dir/secret"),
        lambda: store.create("dir/new", b"x"),
        lambda: store.start_create("dir/new", b"x").result(),
        lambda: store.swap("dir/secret", b"x", b"g"),
        lambda: store.delete("dir/secret"),
        lambda: list(store.list("dir/")),
        lambda: store.tensorstore_spec("dir/"),
    ):
        with pytest.raises(StoragePermissionError):
            operation()
    assert list(store.list()) == ["a/b"]
    store.delete_prefix()
    assert (tmp_path / "outside/secret").read_bytes() == b"secret"
    assert sorted(os.listdir(tmp_path / "outside")) == ["secret"]


def test_the_folder_itself_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    os.symlink(tmp_path / "real", tmp_path / "alias")
    store = open_store(tmp_path / "alias")
    store.create("a/b", b"1")
    assert store.read("a/b") == b"1"
    assert (tmp_path / "real/a/b").read_bytes() == b"1"


# ---------------------------------------------------------------- refusals


def test_a_file_is_no_dataset(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(InvalidPathException, match="is a file"):
        open_store(tmp_path / "file")


def test_read_only(tmp_path, store):
    store.create("a", b"1")
    reader = open_store(tmp_path / "set", read_only=True)
    assert not reader.capabilities.writable
    assert reader.read("a") == b"1"
    for operation in (
        lambda: reader.create("b", b"x"),
        lambda: reader.start_create("b", b"x"),
        lambda: reader.swap("a", b"x", b"g"),
        lambda: reader.delete("a"),
        lambda: reader.delete_prefix(),
        lambda: reader.create_many([("b", b"x")]),
    ):
        with pytest.raises(ReadOnlyModeError, match="read-only"):
            operation()
    assert list(reader.list()) == ["a"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (errno.ENOSPC, StorageFullError),
        (errno.EDQUOT, StorageFullError),
        (errno.EACCES, StoragePermissionError),
        (errno.EROFS, StoragePermissionError),
        (errno.EIO, StorageError),
    ],
)
@pytest.mark.parametrize("operation", ["create", "start_create", "create_many"])
def test_a_failing_disk(store, tmp_path, monkeypatch, code, expected, operation):
    def write(descriptor, data):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "write", write)
    calls = {
        "create": lambda: store.create("a/b", b"x"),
        "start_create": lambda: store.start_create("a/b", b"x").result(),
        "create_many": lambda: store.create_many([("a/b", b"x")]),
    }
    with pytest.raises(expected, match="could not write 'a/b'") as caught:
        calls[operation]()
    assert str(tmp_path / "set") in str(caught.value)
    monkeypatch.undo()
    assert _names(tmp_path) == []
    assert isinstance(store.create("a/b", b"x"), Written)


@pytest.fixture
def mount(tmp_path):
    """Mount a small file system of its own and return its folder; needs the right to."""
    folder = tmp_path / "mounted"
    folder.mkdir()

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            subprocess.run(command, capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("no right to mount")
        return folder

    yield mount
    if os.path.ismount(folder):
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(mount):
    store = open_store(mount("size=1m") / "set")
    store.create("ref", b"one")
    generation = store.read_versioned("ref").generation
    with pytest.raises(StorageFullError, match="free some"):
        store.create("big", bytes(2 << 20))
    with pytest.raises(StorageFullError):
        store.create_many((f"many/{i}", bytes(300_000)) for i in range(8))
    with pytest.raises(StorageFullError):
        store.swap("ref", bytes(2 << 20), generation)
    assert store.read("ref") == b"one"
    assert store.read("big") is None
    store.delete_prefix("many/")
    assert isinstance(store.swap("ref", b"two", generation), Written)


@pytest.mark.parametrize("broken", ["s/t", "s", "."])
def test_all_names_on_the_way_are_durable_before_a_create_returns(tmp_path, monkeypatch, broken):
    synced = []

    def sync(path):
        synced.append(os.path.relpath(path, tmp_path / "set"))
        if synced[-1] == broken and tmp_path.joinpath("broken").exists():
            raise OSError(errno.EIO, "the device is gone")

    monkeypatch.setattr(files, "sync_folder", sync)
    store = open_store(tmp_path / "set")
    assert store.create("s/t/k", b"x")
    assert {"s/t", "s", ".", ".."} <= set(synced)
    tmp_path.joinpath("broken").touch()
    other = open_store(tmp_path / "set")
    other.delete_prefix()
    with pytest.raises(StorageError, match="the device is gone"):
        other.create("s/t/k", b"x")


def test_a_read_only_file_system(mount):
    store = open_store(mount("ro,size=1m") / "set")
    with pytest.raises(StoragePermissionError, match="could not write 'a'"):
        store.create("a", b"x")
    assert store.read("a") is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_a_folder_of_somebody_else(tmp_path):
    (tmp_path / "set").mkdir(mode=0o500)
    store = open_store(tmp_path / "set")
    with pytest.raises(StoragePermissionError):
        store.create("a", b"x")
