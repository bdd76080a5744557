"""Versions and views copied to datasets of their own."""

from __future__ import annotations

import contextlib
import os

import numpy as np
import pytest

import zlake
from tests.copies.datasets import CONTEXT, append, contents, folder, load, memory, rich, samples, small
from tests.copies.test_clone import dataset
from tests.crash.walk import modes
from zlake.errors import (
    DatasetExistsError,
    InvalidPathException,
    PathNotEmptyException,
    RowIndexError,
    StorageError,
    TensorDoesNotExistError,
)
from zlake.session.copying import Part, copy
from zlake.testing import FaultStore, ProcessEnded
from zlake.versions.bring import How

ONE = How(workers=1)


def part(ds, rows=None):
    return Part(tuple(ds.meta["tensors"]), rows=rows)


def copied(ds, dest, rows=None):
    made = copy(ds._session, part(ds, rows), dest, CONTEXT, overwrite=False, single_writer=False, how=ONE)
    return zlake.Dataset(made)


@pytest.fixture(scope="module")
def original():
    return dataset(memory(), rich)


def test_a_version_without_its_history(original):
    made = copied(original, memory())
    assert samples(made) == samples(original)
    assert dict(made.info) == dict(original.info)
    assert dict(made.label.info) == dict(original.label.info)
    assert made._session.groups == original._session.groups
    assert (made.commits, made.has_head_changes) == ([], True)
    assert made.meta["dataset_id"] != original.meta["dataset_id"]
    assert load(made._session.store).verify(deep=True)
    append(made, 70)
    made.commit("its own")
    assert load(made._session.store).verify(deep=True)


def test_segments_are_shared_between_folders(tmp_path):
    ds = dataset(folder(tmp_path / "a"), rich)
    dest = folder(tmp_path / "b")
    watched = FaultStore(dest)
    copied(ds, watched)
    data = [key for key in dest.list("segments/") if not key.endswith("zarr.json")]
    assert data
    assert all(os.path.samefile(ds._session.store.local_path(key), dest.local_path(key)) for key in data)
    before = samples(ds)
    zlake.delete(tmp_path / "a")
    assert samples(load(dest)) == before
    assert load(dest).verify(deep=True)


@pytest.mark.parametrize("rows", [slice(1, 4), [5, 2, 2, 0], slice(None, None, -1), 3, []])
def test_rows(original, rows):
    names = ["x", "g/ragged", "label", "text", "steps"]
    made = original[names][0:8][rows].copy("mem://copies-rows", overwrite=True)
    found, whole = samples(made), samples(original)
    for name in names:
        expected = whole[name][:8]
        picked = [expected[i] for i in rows] if isinstance(rows, list) else expected[rows]
        assert found[name] == ([picked] if isinstance(rows, int) else picked)
    assert made.verify(deep=True)  # also that no id is there twice


def test_a_group_and_some_tensors(original):
    assert list(original["g"].copy("mem://copies-group", overwrite=True).tensors) == ["ragged"]
    made = zlake.copy(original, "mem://copies-some", tensors=["text", "g/ragged"], overwrite=True)
    assert list(made.tensors) == ["g/ragged", "text"] or list(made.tensors) == ["text", "g/ragged"]
    assert made.verify(deep=True)


def test_a_past_version(tmp_path):
    ds = dataset(folder(tmp_path / "a"))
    made = zlake.copy(f"{tmp_path}/a@v1", tmp_path / "b", context=CONTEXT)
    assert made.text.text() == ["0", "1"]
    assert ds.text.text() == ["0", "1", "staged"]


def test_a_segment_of_which_little_is_left_is_written_anew():
    ds = dataset(memory(), lambda ds: ds.create_tensor("x", dtype="int64"))
    ds.x.extend(np.arange(1000))
    ds.x.pop(list(range(10, 1000)))
    made = copied(ds, memory())
    assert made.x.numpy().ravel().tolist() == list(range(10))
    assert not set(made._session.store.list("segments/")) & set(ds._session.store.list("segments/"))


def test_bad_input(tmp_path):
    ds = dataset(folder(tmp_path / "a"))
    ds.text.append("longer")
    before = contents(ds._session.store)
    with pytest.raises(InvalidPathException):
        ds.copy(tmp_path / "a", overwrite=True)
    with pytest.raises(InvalidPathException):
        ds.copy(f"{tmp_path}/b@v1")
    with pytest.raises(TensorDoesNotExistError):
        ds.copy(tmp_path / "b", tensors=["none"])
    with pytest.raises(RowIndexError, match="'x'"):
        ds[0:4].copy(tmp_path / "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "notes.txt").write_text("mine")
    with pytest.raises(PathNotEmptyException):
        ds.copy(tmp_path / "c", overwrite=True)
    assert not (tmp_path / "b").exists()
    assert contents(ds._session.store) == before
    ds.copy(tmp_path / "b")
    with pytest.raises(DatasetExistsError):
        ds.copy(tmp_path / "b")


@pytest.mark.parametrize("rows", [None, 1])
def test_every_operation_goes_wrong(rows):
    ds = dataset(memory(), small)
    goal = samples(copied(ds, memory(), rows))
    faulty = FaultStore(memory())
    copied(ds, faulty, rows)
    operations = list(faulty.recorder)
    for n, operation in enumerate(operations):
        for mode in modes(operation):
            dest = memory()
            faulty = FaultStore(dest)
            mode(faulty, n)
            done = False
            with contextlib.suppress(StorageError, ProcessEnded, zlake.errors.CommitStateUnknownError):
                copied(ds, faulty, rows)
                done = True
            if "zarr.json" in contents(dest):
                assert samples(load(dest)) == goal
            if not done:
                try:
                    copied(ds, dest, rows)
                except DatasetExistsError:
                    assert n >= len(operations) - 2
            assert samples(load(dest)) == goal
            assert load(dest).verify()
