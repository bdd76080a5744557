"""Paths, URLs and versions that cannot be: what is wrong, which value, and what would be right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import zlake
from tests.badinput.conftest import files, refused
from tests.damage.forge import forge, put
from zlake.errors import (
    DatasetCorruptError,
    DatasetExistsError,
    DatasetNotFoundError,
    EmptyCommitError,
    InvalidCredentialsError,
    InvalidOperationError,
    InvalidPathException,
    InvalidRefNameError,
    MissingDependencyError,
    PathNotEmptyException,
    ReadOnlyModeError,
    RefNotFoundError,
    StorageError,
    UnsupportedFormatError,
)
from zlake.session.session import Session

PATHS: list[tuple[Any, tuple[str, ...]]] = [
    (None, ("string or a pathlib.Path", "None")),
    (3, ("string or a pathlib.Path", "3")),
    (b"data", ("string or a pathlib.Path", "b'data'")),
    ("", ("non-empty",)),
    ("a\0b", ("without NUL",)),
    ("s3://", ("bucket name", "s3://my-bucket/data")),
    ("s3://Upper/x", ("'Upper'", "lower-case", "s3://my-bucket/data")),
    ("s3://bucket/a/../b", ("'..'", "not allowed")),
    ("s3://bucket/a\\b", ("not allowed",)),
    ("s3://bucket/x?versionId=1", ("query",)),
    ("gs://b", ("bucket name", "gs://my-bucket/data")),
    ("http://", ("host",)),
    ("https://example.org:port/x", ("'example.org:port'", "host")),
    ("mem://", ("mem://name",)),
    ("mem://a?b", ("'?'",)),
    ("file://host/x", ("three slashes", "'host'")),
    ("nosuchscheme://x/y", ("nosuchscheme",)),
    ("data@", ("no version", "path@branch")),
    ("@v1", ("no dataset", "path@version")),
]


@pytest.mark.parametrize(("path", "parts"), PATHS, ids=[repr(path)[:30] for path, _ in PATHS])
def test_paths_that_cannot_be(path: Any, parts: tuple[str, ...], tmp_path: Path) -> None:
    for call in (zlake.load, zlake.exists, zlake.delete, zlake.empty):
        with refused(tmp_path, InvalidPathException, *parts):
            call(path)


@pytest.mark.parametrize("scheme", ["s3", "gs", "http"])
def test_credentials_in_a_url_are_refused_and_not_repeated(scheme: str, tmp_path: Path) -> None:
    for url in (f"{scheme}://KEYID:SECRET@bucket/data", f"{scheme}://KEYID:SECRET@bucket"):
        with pytest.raises(InvalidPathException, match="credentials do not belong into a URL") as caught:
            zlake.load(url)
        assert "SECRET" not in str(caught.value)
        assert "KEYID" not in str(caught.value)


def test_an_at_sign_before_a_host_is_no_version() -> None:
    """Whatever is wrong with these, it is not the version."""
    with pytest.raises((MissingDependencyError, StorageError, InvalidPathException)) as caught:
        zlake.load("hdfs://me@host/data")
    assert "version" not in str(caught.value)


def test_files_are_no_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with refused(tmp_path, InvalidPathException, "file is a file", "folder"):
        zlake.empty(tmp_path / "file")
    with refused(tmp_path, InvalidPathException, "file is a file", "below/it cannot lie in it"):
        zlake.empty(tmp_path / "file" / "below" / "it")
    with refused(tmp_path, InvalidPathException, "is a file"):
        zlake.load(tmp_path / "file")


def test_a_file_in_the_place_of_a_folder_of_the_dataset(folder: Path) -> None:
    ds = zlake.load(folder)
    row = {"images": np.zeros((4, 4), np.uint8), "label": 0, "notes/text": ""}
    segments = folder / "segments"
    segments.rename(folder.parent / "aside")
    segments.write_text("a file")
    with refused(folder, StorageError, "could not write", "segments/"):
        ds.append(row)
    assert len(ds) == 4
    segments.unlink()
    (folder.parent / "aside").rename(segments)
    ds.append(row)
    assert len(zlake.load(folder)) == 5


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")
def test_places_where_nothing_can_be_made() -> None:
    with pytest.raises(StorageError, match=r"could not write 'zarr\.json'"):
        zlake.empty("/proc/zlake/data")


# ---------------------------------------------------------------- what is there already


def test_nothing_there(tmp_path: Path) -> None:
    with refused(tmp_path, DatasetNotFoundError, "no dataset", str(tmp_path / "none")):
        zlake.load(tmp_path / "none")
    with refused(tmp_path, DatasetNotFoundError, "no dataset", "force=True"):
        zlake.delete(tmp_path / "none")
    with refused(tmp_path, DatasetNotFoundError, "no dataset"):
        zlake.load(f"{tmp_path}/none@main")
    with refused(tmp_path, DatasetNotFoundError, "no dataset"):
        zlake.dataset(tmp_path / "none", read_only=True)
    with refused(tmp_path, DatasetNotFoundError, "no dataset"):
        zlake.like(tmp_path / "new", tmp_path / "none")
    assert not zlake.exists(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_there_already(folder: Path) -> None:
    with refused(folder, DatasetExistsError, str(folder), "load it", "overwrite=True"):
        zlake.empty(folder)
    with refused(folder, InvalidPathException, "no version 'main' yet"):
        zlake.empty(f"{folder}@main")


@pytest.mark.parametrize("overwrite", [False, True])
def test_something_else_there(tmp_path: Path, overwrite: bool) -> None:
    """``overwrite`` deletes datasets, and nothing else."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "todo.txt").write_text("mine")
    zarr.create_group(tmp_path / "group")
    zarr.create_array(tmp_path / "array", shape=(3,), dtype="int8")
    for name, example in (("notes", "'todo.txt'"), ("group", "'zarr.json'"), ("array", "'zarr.json'")):
        with refused(tmp_path, PathNotEmptyException, name, example, "choose an empty path"):
            zlake.empty(tmp_path / name, overwrite=overwrite)
    with refused(tmp_path, DatasetNotFoundError, "a Zarr group that is no zlake dataset"):
        zlake.load(tmp_path / "group")


def test_a_newer_version_is_neither_read_nor_overwritten(folder: Path) -> None:
    root = folder / "zarr.json"
    root.write_bytes(forge(root.read_bytes(), put("format_version", value=2)))
    with refused(folder, UnsupportedFormatError, "format version 2", "upgrade zlake"):
        zlake.load(folder)
    with refused(folder, DatasetExistsError, "already"):
        zlake.empty(folder)


def test_a_damaged_root(folder: Path) -> None:
    root = folder / "zarr.json"
    root.write_bytes(root.read_bytes()[:-20])
    with refused(folder, DatasetCorruptError, "the root of the dataset", "damaged or cut short"):
        zlake.load(folder)
    with refused(folder, DatasetExistsError, "already"):
        zlake.empty(folder)


# ---------------------------------------------------------------- versions


def test_versions_that_are_not_there(folder: Path) -> None:
    commit = zlake.load(folder).commit_id
    assert commit is not None
    for address, parts in (
        ("mian", ("'mian'", "did you mean 'main'?")),
        ("nothing", ("'nothing'", "there are ['main']")),
        (commit[:3], (repr(commit[:3]), "no branch, tag or commit")),
        (commit.upper(), (repr(commit.upper()), "no branch, tag or commit")),
        ("a" * 26, ("no commit", repr("a" * 26))),
        (zlake.load(folder)._session.head.snapshot.id, ("is no commit but a staged state",)),
    ):
        with refused(folder, RefNotFoundError, *parts):
            zlake.load(f"{folder}@{address}")
    with refused(folder, InvalidPathException, "'main'", "give the version once"):
        zlake.load(f"{folder}@main", ref="main")
    for ref in (3, b"main", ["main"], "a b", "a..b", "x.lock", "-/", "é", "a" * 241):
        with refused(folder, InvalidRefNameError, "cannot name a branch or tag"):
            zlake.load(folder, ref=ref)


def test_the_past_cannot_be_changed(folder: Path) -> None:
    ds = zlake.load(folder)
    old = zlake.load(folder, ref=ds.commit_id)
    with refused(folder, EmptyCommitError, "nothing to commit"):
        old.commit("again")  # a change would make a branch of its own
    staged = zlake.load(folder)._session.repository.at(ds._session.head.snapshot.id)
    old = zlake.Dataset(Session(ds._session.repository, staged))
    with refused(folder, ReadOnlyModeError, "past state that was never committed", "load a branch"):
        old.images.append(old.images[0].numpy())
    with refused(folder, ReadOnlyModeError, "past state"):
        old.commit("again")
    with refused(folder, ReadOnlyModeError, "past state"):
        old.info["a"] = 1
    reader = zlake.load(folder, read_only=True)
    with refused(folder, ReadOnlyModeError, "open read-only", "read_only=False"):
        reader.images.append(old.images[0].numpy())
    with refused(folder, ReadOnlyModeError, "open read-only"):
        reader.create_tensor("new")


# ---------------------------------------------------------------- copies


@pytest.mark.parametrize("verb", ["copy", "deepcopy", "push", "pull"])
def test_copies_to_where_the_dataset_is_and_with_half_a_worker(folder: Path, verb: str, tmp_path: Path) -> None:
    call = getattr(zlake.load(folder), verb)
    with refused(tmp_path, InvalidPathException, str(folder), "the dataset itself", "another one"):
        call(folder)
    for workers in (-1, "2", 0.5, True):
        with refused(tmp_path, InvalidOperationError, "num_workers", repr(workers), "0 or more"):
            call(tmp_path / "new", num_workers=workers)


# ---------------------------------------------------------------- credentials


@pytest.mark.parametrize(
    ("creds", "part"),
    [
        (3, "dictionary or 'ENV'"),
        ("secret-value", "dictionary or 'ENV'"),
        ({"key": "secret-value"}, "unknown keys ['key']"),
        ({"aws_access_key_id": "secret-value"}, "both aws_access_key_id and aws_secret_access_key"),
        ({"aws_access_key_id": 3, "aws_secret_access_key": "secret-value"}, "must be a string"),
        ({"aws_session_token": "secret-value"}, "without the keys"),
    ],
)
def test_credentials_that_cannot_be(creds: Any, part: str) -> None:
    with pytest.raises(InvalidCredentialsError) as caught:
        zlake.load("s3://bucket/data", creds=creds)
    assert part in str(caught.value)
    assert "secret-value" not in str(caught.value)


def test_nothing_was_made_on_the_way(tmp_path: Path) -> None:
    assert files(tmp_path) == {}
