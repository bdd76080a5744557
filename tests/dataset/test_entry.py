"""Creating, opening, copying the structure of, and deleting datasets."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import zlake
from zlake.errors import (
    DatasetExistsError,
    DatasetHandlerError,
    DatasetNotFoundError,
    DatasetTooLargeToDelete,
    InvalidPathException,
    PathNotEmptyException,
    ReadOnlyModeError,
    RefNotFoundError,
    TensorDoesNotExistError,
)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "data" / "set")


def test_looking_for_a_dataset_creates_nothing(path: str) -> None:
    assert not zlake.exists(path)
    for miss in (lambda: zlake.load(path), lambda: zlake.delete(path), lambda: zlake.dataset(path, read_only=True)):
        with pytest.raises(DatasetNotFoundError, match="no dataset at") as caught:
            miss()
        assert isinstance(caught.value, (DatasetHandlerError, FileNotFoundError))
    zlake.delete(path, force=True)
    assert not Path(path).parent.exists()


def test_empty_dataset_load_and_overwrite(path: str) -> None:
    first = zlake.dataset(path, verbose=False)
    first.create_tensor("x")
    assert zlake.exists(path)
    assert zlake.exists(Path(path))
    assert list(zlake.dataset(path).tensors) == ["x"]
    with pytest.raises(DatasetExistsError, match="overwrite=True") as caught:
        zlake.empty(path)
    assert isinstance(caught.value, FileExistsError)
    assert list(zlake.empty(path, overwrite=True).tensors) == []
    assert list(zlake.dataset(path, overwrite=True).tensors) == []
    assert zlake.dataset(path, read_only=True, overwrite=True).read_only


def test_a_path_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    for refused in (lambda: zlake.empty(tmp_path, overwrite=True), lambda: zlake.dataset(tmp_path)):
        with pytest.raises(PathNotEmptyException, match=r"photo\.jpg"):
            refused()
    for missing in (lambda: zlake.load(tmp_path), lambda: zlake.delete(tmp_path)):
        with pytest.raises(DatasetNotFoundError):
            missing()
    with pytest.raises(InvalidPathException, match="a dataset is a folder"):
        zlake.load(tmp_path / "photo.jpg")
    assert (tmp_path / "photo.jpg").read_bytes() == b"x"
    zlake.delete(tmp_path, force=True)
    assert not tmp_path.exists()


def test_versions_in_paths(path: str) -> None:
    ds = zlake.empty(path)
    ds.create_tensor("x")
    ds.append({"x": 1})
    first = ds.commit("one")
    ds.append({"x": 2})
    assert [len(zlake.load(f"{path}@{ref}")) for ref in (first, "main")] == [1, 2]
    assert [len(zlake.load(path, ref=ref)) for ref in (first, "main")] == [1, 2]
    assert [len(zlake.dataset(path, ref=first)), len(zlake.dataset(f"{path}@{first}"))] == [1, 1]
    assert zlake.exists(f"{path}@{first}")
    with pytest.raises(InvalidPathException, match="once"):
        zlake.load(f"{path}@{first}", ref="main")
    with pytest.raises(RefNotFoundError, match="nothing"):
        zlake.load(f"{path}@nothing")
    with pytest.raises(InvalidPathException, match="names no version"):
        zlake.load(f"{path}@")
    for refused in (
        lambda: zlake.empty(f"{path}@new"),
        lambda: zlake.dataset(f"{path}@new", overwrite=True),
        lambda: zlake.delete(f"{path}@{first}"),
    ):
        with pytest.raises(InvalidPathException, match="without"):
            refused()
    with pytest.raises(DatasetNotFoundError):
        zlake.dataset(f"{path}2@{first}")
    assert len(zlake.load(path)) == 2


@pytest.mark.parametrize("bad", [None, 3, "", b"bytes", "hub://org/name", "nothing://a/b"])
def test_bad_paths_are_refused(bad: object) -> None:
    for function in (zlake.load, zlake.empty, zlake.dataset, zlake.exists, zlake.delete):
        with pytest.raises(InvalidPathException):
            function(bad)


def test_arguments_of_deep_lake_are_ignored_with_a_warning(path: str) -> None:
    with pytest.warns(UserWarning, match="token= has no meaning"):
        ds = zlake.empty(path, token="secret", org_id=None, verbose=True)
    with pytest.warns(UserWarning, match="lock_timeout"):
        assert zlake.load(path, lock_timeout=3, creds={}).path == ds.path
    with pytest.raises(TypeError, match="did you mean 'overwrite'"):
        zlake.empty(path, overwrit=True)


def test_deleting_leaves_nothing_and_large_ones_need_a_word(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ds = zlake.empty(path)
    ds.create_tensor("x", dtype="uint8")
    ds.append({"x": np.zeros(1000, np.uint8)})
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["zlake.dataset.entry"], "_LARGE_BYTES", 999)
        with pytest.raises(DatasetTooLargeToDelete, match="large_ok=True"):
            zlake.delete(path)
        assert zlake.load(path).x.numpy().shape == (1, 1000)
        zlake.delete(path, large_ok=True)
    assert not zlake.exists(path)
    assert not Path(path).exists()
    assert Path(path).parent.exists()
    zlake.empty(path)


def test_like_takes_structure_settings_and_info(path: str) -> None:
    source = zlake.empty(path)
    source.create_tensor("g/label", htype="class_label", class_names=["a", "b"])
    source.create_tensor("image", htype="sequence[image]", sample_compression="png")
    source.create_tensor("x", dtype="float32", chunk_compression="zstd", hidden=True)
    source.create_group("empty")
    source.info["licence"] = "CC0"
    source["g/label"].info["note"] = "n"
    source.append({"g/label": "b", "image": []})
    made = zlake.like("mem://like", path, overwrite=True)
    assert list(made.tensors) == ["g/label", "image"]
    assert sorted(made.groups) == ["empty", "g"]
    assert (len(made), made.info.licence, made["g/label"].info.note) == (0, "CC0", "n")
    assert made["g/label"].info.class_names == ["a", "b"]
    assert (made.image.htype, made.image.meta["sample_compression"]) == ("sequence[image]", "png")
    other = zlake.empty("mem://like-into", overwrite=True)
    assert zlake.like(other, source, tensors=["x"]) is other
    assert (other["x"].dtype, other["x"].hidden, other["x"].meta["chunk_compression"]) == (np.float32, True, "zstd")
    with pytest.raises(TensorDoesNotExistError):
        zlake.like("mem://like-never", path, tensors=["image", "nothing"])
    assert not zlake.exists("mem://like-never")


def test_read_only_can_be_set_and_lifted(path: str) -> None:
    ds = zlake.empty(path)
    ds.create_tensor("x")
    ds.read_only = True
    with pytest.raises(ReadOnlyModeError, match="read_only=False"):
        ds.append({"x": 1})
    ds.read_only = False
    with ds:
        ds.append({"x": 1})
        ds.read_only = True
    assert len(zlake.load(path)) == 1
    past = zlake.load(f"{path}@main", read_only=True)
    past.read_only = False
    past.append({"x": 2})
    assert len(zlake.load(path)) == 2
