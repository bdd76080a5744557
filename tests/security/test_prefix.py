"""No name, link or stored metadata leads outside a dataset's prefix."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zlake
from zlake.context import Context
from zlake.errors import (
    InvalidKeyError,
    InvalidTensorGroupNameError,
    InvalidTensorNameError,
    StoragePermissionError,
    TensorDoesNotExistError,
    ZlakeError,
)
from zlake.storage import open_store

OUTSIDE = "belongs to somebody else"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset beside a folder that is none of its business."""
    ds = zlake.empty(tmp_path / "ds", context=Context(durable=False))
    ds.create_tensor("x", dtype="int32")
    ds.create_tensor("packed", dtype="int32", chunk_compression="zstd")
    ds.create_tensor("text", htype="text")
    with ds:
        for i in range(3):
            ds.append({"x": np.full(4, i, np.int32), "packed": np.full(4, i, np.int32), "text": str(i)})
    ds.commit("three rows")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text(OUTSIDE)
    return tmp_path / "ds"


def snapshot_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read(folder: Path, cache_bytes: int) -> Any:
    ds = zlake.load(folder, context=Context(cache_bytes=cache_bytes))
    return ds.x.numpy(), ds.packed.numpy(), ds.text.text(), ds.commits


def outcome(folder: Path, cache_bytes: int) -> str:
    try:
        read(folder, cache_bytes)
    except StoragePermissionError as error:
        return "refused" if "symbolic link" in str(error) else str(error)
    except ZlakeError as error:
        return str(error)
    return "not needed"


@pytest.mark.parametrize("cache_bytes", [0, 1 << 20])
def test_links_to_objects_elsewhere_are_not_followed(folder: Path, cache_bytes: int) -> None:
    """Whoever followed one would find something else."""
    outside = folder.parent / "outside" / "file"
    outcomes = Counter()
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        aside = folder.parent / "aside"
        os.replace(path, aside)
        path.symlink_to(outside)
        found = outcome(folder, cache_bytes)
        assert found in ("refused", "not needed"), path
        outcomes[found] += 1
        os.replace(aside, path)
    assert outcomes["refused"] >= 6  # root, branch, commit, values of three tensors
    read(folder, cache_bytes)


@pytest.mark.parametrize("cache_bytes", [0, 1 << 20])
def test_links_to_folders_elsewhere_are_not_followed(folder: Path, cache_bytes: int) -> None:
    """Not even to a copy of the very folder that belongs there, in which everything is rubbish."""
    outcomes = Counter()
    for number, path in enumerate(sorted(path for path in folder.rglob("*") if path.is_dir())):
        elsewhere = folder.parent / "outside" / str(number)
        shutil.copytree(path, elsewhere)
        for file in elsewhere.rglob("*.*"):
            if file.is_file():
                file.write_text(OUTSIDE)
        aside = folder.parent / "aside"
        os.replace(path, aside)
        path.symlink_to(elsewhere)
        found = outcome(folder, cache_bytes)
        assert found in ("refused", "not needed"), path
        outcomes[found] += 1
        path.unlink()
        os.replace(aside, path)
    assert outcomes["refused"] >= 8
    read(folder, cache_bytes)


@pytest.mark.parametrize("name", ["segments", "commits", "refs", "refs/branches", "pages"])
def test_nothing_is_written_through_a_link(folder: Path, name: str) -> None:
    outside = folder.parent / "outside"
    target = outside / "target"
    path = folder / name
    if path.exists():
        shutil.copytree(path, target)
        shutil.rmtree(path)
    else:
        target.mkdir()
    path.symlink_to(target)
    before = snapshot_of(outside)

    def write() -> None:
        ds = zlake.load(folder)
        ds.x.append(np.zeros(4, np.int32))
        ds.info["large"] = "x" * 10_000

    with pytest.raises(StoragePermissionError, match="symbolic link"):
        write()
    assert snapshot_of(outside) == before


def test_deleting_stays_inside(folder: Path) -> None:
    outside = folder.parent / "outside"
    (folder / "segments" / "link").symlink_to(outside)
    (folder / "file").symlink_to(outside / "file")
    zlake.empty(folder, overwrite=True)
    assert (outside / "file").read_text() == OUTSIDE
    zlake.delete(folder)
    assert (outside / "file").read_text() == OUTSIDE


def test_the_folder_itself_may_be_a_link(folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)
    ds = zlake.load(link)
    ds.x.append(np.zeros(4, np.int32))
    assert len(zlake.load(folder).x) == 4


EVIL = ["../x", "a/../../b", "..", "/etc/passwd", "a\0b", "a\\b", "a//b", "a/", ".", "", "\ud800", "a\nb"]


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("url", ["file", "mem"])
def test_keys_stay_inside_on_every_storage(tmp_path: Path, name: str, url: str) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "x").write_text(OUTSIDE)
    store = open_store(str(tmp_path / "inside") if url == "file" else "mem://inside")
    for call in (
        lambda: store.read(name),
        lambda: store.create(name, b"x"),
        lambda: store.swap(name, b"x", b"\2"),
        lambda: store.delete(name),
        lambda: store.local_path(name),
        lambda: store.read_versioned(name),
    ):
        with pytest.raises(InvalidKeyError):
            call()
    assert (tmp_path / "x").read_text() == OUTSIDE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inside", "x"]


@pytest.mark.parametrize("name", [name for name in EVIL if name not in ("/etc/passwd", "a/", "a\\b")])
def test_names_that_could_lead_outside_are_refused_and_change_nothing(folder: Path, name: str) -> None:
    before = snapshot_of(folder.parent)
    ds = zlake.load(folder)
    for call, error in (
        (lambda: ds.create_tensor(name), InvalidTensorNameError),
        (lambda: ds.create_group(name), InvalidTensorGroupNameError),
        (lambda: ds.rename_tensor("x", name), InvalidTensorNameError),
        (lambda: ds[name], TensorDoesNotExistError),
        (lambda: ds.delete_tensor(name), TensorDoesNotExistError),
    ):
        with pytest.raises(error) as caught:
            call()
        assert "\0" not in str(caught.value)
        assert "\n" not in str(caught.value)
    assert snapshot_of(folder.parent) == before


@pytest.mark.parametrize("name", [name for name in EVIL if name])
def test_refs_that_could_lead_outside_are_refused(folder: Path, name: str) -> None:
    with pytest.raises(ZlakeError, match=r"cannot name a branch or tag|without NUL"):
        zlake.load(folder, ref=name)
    with pytest.raises(ZlakeError):
        zlake.load(f"{folder}@{name}")


def test_names_of_tensors_never_become_keys(folder: Path) -> None:
    ds = zlake.load(folder)
    for name in ("a\\b", "C:", "con", "x.__lock", "%2e%2e", "ünïcödé/☃", "zarr.json", "refs"):
        ds.create_tensor(name, dtype="int8")
        ds[name].append(1)
    keys = " ".join(zlake.storage.open_store(folder).list())
    assert keys.isascii()
    assert all(part not in keys for part in ("\\", ":", "con/", "__lock", "%"))
    assert zlake.load(folder)["ünïcödé/☃"].numpy().tolist() == [[1]]
