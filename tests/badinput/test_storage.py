"""Storage that refuses, fills up or goes away under an open dataset: a clear error, nothing lost, and a way on."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from servers.s3 import S3Server

import zlake
from tests.badinput.conftest import files
from zlake.context import Context
from zlake.errors import (
    StorageError,
    StorageFullError,
    StoragePermissionError,
    StorageUnavailableError,
    ZlakeError,
)

CONTEXT = Context(durable=False, threads=2)
Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
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
        subprocess.run(["umount", "-l", str(folder)], check=True)  # lazily: maps of files keep it busy


def numbers(ds: zlake.Dataset) -> list[int]:
    return [int(sample[0]) for sample in ds.x.numpy()]


def test_a_disk_that_fills_up_and_is_freed_again(mount: Mount) -> None:
    folder = mount("size=2m")
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(1 << 20))
    ds = zlake.empty(folder / "ds", context=CONTEXT)
    ds.create_tensor("x", dtype="int64")
    acknowledged = 0

    def fill() -> None:
        nonlocal acknowledged
        while True:
            ds.x.append(np.full(10_000, acknowledged))
            acknowledged += 1

    with pytest.raises(StorageFullError, match="no space is left; free some, or write elsewhere") as caught:
        fill()
    assert str(folder / "ds") in str(caught.value)
    assert acknowledged > 3
    with pytest.raises(StorageFullError), ds:
        ds.x.extend(np.full((2, 10_000), 100))
    assert numbers(zlake.load(folder / "ds")) == list(range(acknowledged))
    assert zlake.load(folder / "ds").verify(deep=True)
    ballast.unlink()
    ds.flush()
    expected = [*range(acknowledged), 100, 100]
    assert numbers(ds) == numbers(zlake.load(folder / "ds")) == expected
    ds.commit("after all")
    assert zlake.load(folder / "ds").verify(deep=True)


def test_a_file_system_that_turns_read_only(mount: Mount) -> None:
    folder = mount("size=2m")
    ds = zlake.empty(folder / "ds")  # durable: without, files that were replaced stay open, and the mount is busy
    ds.create_tensor("x", dtype="int64")
    ds.x.append([1])
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    before = files(folder)
    for call in (lambda: ds.x.append([2]), lambda: ds.commit("no"), lambda: zlake.empty(folder / "new")):
        with pytest.raises(StoragePermissionError, match=r"could not write .*check the permissions"):
            call()
    assert files(folder) == before
    assert numbers(zlake.load(folder / "ds")) == [1]
    subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
    ds.x.append([2])
    assert numbers(zlake.load(folder / "ds")) == [1, 2]


@pytest.mark.parametrize(
    ("code", "error", "part"),
    [
        (errno.ENOSPC, StorageFullError, "free some"),
        (errno.EDQUOT, StorageFullError, "free some"),
        (errno.EROFS, StoragePermissionError, "permissions"),
        (errno.EACCES, StoragePermissionError, "permissions"),
        (errno.EIO, StorageError, "could not write"),
    ],
)
def test_what_the_system_says_is_translated(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: int, error: type[ZlakeError], part: str
) -> None:
    """The same without the right to mount: every write of a file fails with this number."""
    ds = zlake.load(folder)
    before = files(folder)

    def write(*_: Any) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "write", write)
    row = {"images": np.zeros((4, 4), np.uint8), "label": 0, "notes/text": ""}
    for call in (lambda: ds.append(row), lambda: ds.create_tensor("new"), lambda: ds.commit("no"), lambda: ds.pop()):
        with pytest.raises(error) as caught:
            call()
        assert part in str(caught.value)
        assert str(folder) in str(caught.value)
    monkeypatch.undo()
    assert files(folder) == before
    ds.append(row)
    assert len(zlake.load(folder)) == 5


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_a_folder_of_somebody_else(folder: Path) -> None:
    ds = zlake.load(folder)
    (folder / "segments").chmod(0o500)
    try:
        with pytest.raises(StoragePermissionError, match="check the permissions"):
            ds.images.append(np.zeros((4, 4), np.uint8))
    finally:
        (folder / "segments").chmod(0o700)
    assert len(zlake.load(folder).images) == 4


# ---------------------------------------------------------------- object stores


def test_a_bucket_that_vanishes_under_an_open_dataset(s3_server: S3Server, s3_bucket: Any) -> None:
    ds = zlake.empty(s3_bucket.url, creds=s3_bucket.creds, context=CONTEXT)
    ds.create_tensor("x", dtype="int64")
    ds.x.append([1])
    s3_server.delete_bucket(s3_bucket.name)
    for call in (
        lambda: ds.x.append([2]),
        lambda: ds.commit("gone"),
        lambda: ds.refresh(),
        lambda: zlake.load(s3_bucket.url, creds=s3_bucket.creds),
        lambda: zlake.exists(s3_bucket.url, creds=s3_bucket.creds),
    ):
        with pytest.raises(StorageError, match="the bucket does not exist") as caught:
            call()
        assert s3_bucket.name in str(caught.value)
    with pytest.raises(StorageError, match="the bucket does not exist"), ds:
        ds.x.append([3])
    # nothing that was buffered is lost
    assert len(ds.x) == 2


def test_a_bucket_that_never_was(s3_bucket: Any) -> None:
    for call in (zlake.load, zlake.empty, zlake.exists, zlake.delete):
        with pytest.raises(StorageError, match="the bucket does not exist") as caught:
            call("s3://no-such-bucket-zlake/data", creds=s3_bucket.creds)
        assert "no-such-bucket-zlake" in str(caught.value)


def test_a_service_that_does_not_answer(s3_bucket: Any) -> None:
    creds = {**s3_bucket.creds, "endpoint_url": "http://127.0.0.1:9"}
    with pytest.raises(StorageUnavailableError, match="check the address, the network and the endpoint") as caught:
        zlake.load(s3_bucket.url, creds=creds)
    assert s3_bucket.url in str(caught.value)
    assert s3_bucket.creds["aws_secret_access_key"] not in str(caught.value)


def test_credentials_that_are_refused(s3_bucket: Any) -> None:
    zlake.empty(s3_bucket.url, creds=s3_bucket.creds)
    anonymous = {"anonymous": True, "endpoint_url": s3_bucket.creds["endpoint_url"]}
    with pytest.raises(StoragePermissionError, match=r"access was refused; check .*creds="):
        zlake.load(s3_bucket.url, creds=anonymous)
    with pytest.raises(StoragePermissionError):
        zlake.load(s3_bucket.url, creds={"profile_name": "nobody", "endpoint_url": "http://127.0.0.1:9"})


def test_a_web_server_takes_no_writes(file_server: Any, tmp_path: Path) -> None:
    ds = zlake.empty(tmp_path / "ds")
    ds.create_tensor("x", dtype="int64")
    ds.x.append([1])
    before = files(tmp_path)
    shown = zlake.load(f"{file_server.url}/ds")
    assert numbers(shown) == [1]
    with pytest.raises(zlake.errors.ReadOnlyModeError):
        shown.x.append([2])
    with pytest.raises(zlake.errors.ReadOnlyModeError, match="cannot be written"):
        shown.read_only = False
    with pytest.raises(zlake.errors.ZlakeError):
        zlake.empty(f"{file_server.url}/new")
    assert files(tmp_path) == before
