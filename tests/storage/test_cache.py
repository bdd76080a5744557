from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from zlake.storage.cache import ObjectCache, default_folder


def _writer(data: bytes, calls: list[str] | None = None):
    def download(path: str) -> bool:
        if calls is not None:
            calls.append(path)
        Path(path).write_bytes(data)
        return True

    return download


def test_threads_fetch_an_object_once(tmp_path):
    cache = ObjectCache(tmp_path / "c", 10**6)
    calls: list[str] = []
    slow = threading.Event()

    def download(path):
        slow.wait(0.05)
        return _writer(b"x", calls)(path)

    threads = [threading.Thread(target=cache.fetch, args=("a", download)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_a_failed_download_leaves_nothing(tmp_path):
    cache = ObjectCache(tmp_path / "c", 10**6)

    def fail(path):
        Path(path).write_bytes(b"half")
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        cache.fetch("a", fail)
    assert cache.fetch("a", lambda path: False) is None
    assert os.listdir(tmp_path / "c") == []
    assert Path(cache.fetch("a", _writer(b"whole"))).read_bytes() == b"whole"


def test_what_a_crash_left_behind_goes_after_a_while(tmp_path):
    cache = ObjectCache(tmp_path / "c", 10**6)
    cache.fetch("a", _writer(b"x"))
    fresh, old = tmp_path / "c/fresh.part", tmp_path / "c/old.part"
    fresh.write_bytes(b"under way in another process")
    old.write_bytes(b"abandoned")
    os.utime(old, (time.time() - 7200,) * 2)
    cache.fetch("b", _writer(b"x"))
    assert fresh.exists()
    assert not old.exists()


def test_a_file_that_is_open_stays_readable(tmp_path):
    cache = ObjectCache(tmp_path / "c", 10)
    with open(cache.fetch("a", _writer(b"a" * 10)), "rb") as file:
        cache.fetch("b", _writer(b"b" * 10))
        assert file.read() == b"a" * 10
    assert cache.size() == 10


def test_processes_share_it_and_keep_to_the_bound(tmp_path):
    program = """
import sys
from pathlib import Path
from zlake.storage.cache import ObjectCache
cache = ObjectCache(sys.argv[1], 5000)
for step in range(60):
    name = str(step % 12)
    path = cache.fetch(name, lambda part: bool(Path(part).write_bytes(name.encode() * 1000)))
    try:
        assert Path(path).read_bytes() == name.encode() * 1000
    except FileNotFoundError:
        pass  # another process evicted it; readers fetch it again
"""
    commands = [[sys.executable, "-c", program, str(tmp_path / "c")] for _ in range(3)]
    running = [subprocess.Popen(command) for command in commands]
    assert [process.wait(60) for process in running] == [0] * 3
    ObjectCache(tmp_path / "c", 5000).fetch("last", _writer(b"x"))
    assert ObjectCache(tmp_path / "c", 5000).size() <= 5000


def test_only_the_user_may_look(tmp_path):
    cache = ObjectCache(tmp_path / "c", 10)
    cache.fetch("a", _writer(b"x"))
    assert (tmp_path / "c").stat().st_mode & 0o077 == 0


def test_where_it_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("ZLAKE_CACHE_DIR", "/somewhere")
    assert default_folder() == Path("/somewhere")
    monkeypatch.delenv("ZLAKE_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "zlake"
