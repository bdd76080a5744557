"""Whole datasets copied with their history."""

from __future__ import annotations

import contextlib
import os

import numpy as np
import pytest

import zlake
from tests.copies.datasets import CONTEXT, append, contents, folder, history, load, memory, rich, samples, small
from tests.crash.walk import modes
from zlake.errors import (
    DatasetCorruptError,
    DatasetExistsError,
    InvalidOperationError,
    InvalidPathException,
    PathNotEmptyException,
    ReadOnlyModeError,
    StorageError,
    UnsupportedOperationError,
)
from zlake.session.opening import create_session
from zlake.storage import open_store
from zlake.storage.store import Capabilities
from zlake.storage.transfer import Moved
from zlake.testing import FaultStore, ProcessEnded, on
from zlake.versions.bring import How
from zlake.versions.clone import clone
from zlake.versions.repository import Repository

ONE = How(workers=1)


def dataset(store, fill=small):
    ds = zlake.Dataset(create_session(store, CONTEXT, overwrite=False))
    fill(ds)
    return ds


def repository(store):
    return Repository.open(store, CONTEXT)


@pytest.fixture(scope="module")
def original():
    store = memory()
    dataset(store, rich)
    return store


def test_everything_is_there_and_verifies(original):
    copy = memory()
    moved = clone(repository(original), copy)
    assert history(copy) == history(original)
    assert load(copy).verify(deep=True)
    before, after = contents(original), contents(copy)
    assert after.items() <= before.items()
    assert {key for key in before if not key.startswith(("commits/", "segments/", "pages/"))} <= after.keys()
    assert moved == Moved(objects=moved.objects, bytes=moved.bytes)
    data = [value for key, value in after.items() if not key.startswith("refs/") and key != "zarr.json"]
    assert (moved.objects, moved.bytes) == (len(data), sum(map(len, data)))


def test_what_no_ref_reaches_stays_behind(original):
    before = contents(original)
    copy = memory()
    clone(repository(original), copy)
    gone = before.keys() - contents(copy).keys()
    assert any(key.startswith("commits/") for key in gone)  # staged snapshots that were superseded
    load(copy).gc(grace=0)
    reached = contents(copy).keys()
    assert history(copy) == history(original)
    assert {key for key in reached if key.startswith("segments/")} <= before.keys()


def test_views_go_along():
    source, copy = memory(), memory()
    dataset(source)
    source.create(f"views/{'v' * 26}/zarr.json", b"a view")
    clone(repository(source), copy)
    assert copy.read(f"views/{'v' * 26}/zarr.json") == b"a view"


def test_a_deleted_branch_can_be_restored_in_the_clone(original):
    copy = memory()
    clone(repository(original), copy)
    ds = load(copy)
    ds.restore_branch("lost")
    assert load(copy, "lost").commits[0]["message"] == "to be deleted"
    assert ds.verify()
    with pytest.raises(zlake.errors.RefExistsError):
        ds.tag("gone")


def test_a_deleted_branch_that_was_collected_in_part_is_a_tombstone_in_the_clone():
    source = memory()
    ds = dataset(source, rich)
    lost = ds._session.repository.deleted_branches()["lost"].commit
    source.delete(f"commits/{lost}/zarr.json")
    copy = memory()
    clone(repository(source), copy)
    assert "refs/branches/lost.json" in contents(copy)
    assert history(copy) == history(source)


def test_both_sides_go_on_alone(original):
    a, b = memory(), memory()
    clone(repository(original), a)
    clone(repository(a), b)
    append(load(a), 50)
    append(load(b), 60)
    load(b).commit("here")
    assert len(load(a).x) == len(load(b).x)
    assert load(a).text[-1].text() == "row 50"
    assert load(b).text[-1].text() == "row 60"
    assert load(a).verify()
    assert load(b).verify()


class TestFolders:
    def test_bytes_are_shared_and_each_side_lives_without_the_other(self, tmp_path):
        source, copy = folder(tmp_path / "a"), folder(tmp_path / "b")
        dataset(source, rich)
        before = history(source)
        a, b = FaultStore(source), FaultStore(copy)
        moved = clone(repository(a), b)
        assert (moved.objects, moved.bytes) == (0, 0)
        assert moved.linked == b.recorder.count("link")
        assert a.recorder.count("read", key="segments/") == b.recorder.count("create", key="segments/") == 0
        for key in source.list("refs/"):
            assert not os.path.samefile(source.local_path(key), copy.local_path(key))
        for key in copy.list("segments/"):
            assert os.path.samefile(source.local_path(key), copy.local_path(key))
        append(load(source), 50)
        load(source).gc(grace=0)
        assert history(copy) == before
        zlake.delete(tmp_path / "a")
        assert history(copy) == before
        assert load(copy).verify(deep=True)

    def test_collecting_in_the_clone_does_not_harm_the_source(self, tmp_path):
        source, copy = folder(tmp_path / "a"), folder(tmp_path / "b")
        dataset(source, rich)
        before = history(source)
        clone(repository(source), copy)
        ds = load(copy)
        ds.reset()
        ds.delete_branch("side")
        ds.gc(grace=0)
        assert load(copy).verify(deep=True)
        assert history(source) == before
        assert load(source).verify(deep=True)

    def test_files_of_its_own(self, tmp_path):
        source, copy = folder(tmp_path / "a"), folder(tmp_path / "b")
        dataset(source)
        assert clone(repository(source), copy, how=How(links=False)).linked == 0
        assert not any(os.path.samefile(source.local_path(key), copy.local_path(key)) for key in copy.list())

    def test_inside_the_source_or_the_source_itself(self, tmp_path):
        dataset(folder(tmp_path / "a"))
        before = contents(folder(tmp_path / "a"))
        os.symlink(tmp_path / "a", tmp_path / "link")
        for place in ("a", "a/sub", "a/segments", "link", "link/sub", "b/../a"):
            with pytest.raises(InvalidPathException, match=r"the dataset itself|inside the dataset"):
                zlake.deepcopy(tmp_path / "a", str(tmp_path / place), overwrite=True)
        assert contents(folder(tmp_path / "a")) == before

    def test_a_folder_that_holds_the_source(self, tmp_path):
        dataset(folder(tmp_path / "above" / "a"))
        with pytest.raises(PathNotEmptyException, match="a/"):
            zlake.deepcopy(tmp_path / "above" / "a", tmp_path / "above", overwrite=True)
        assert load(folder(tmp_path / "above" / "a")).verify()


def test_one_place_under_two_addresses_is_noticed():
    class Alias(FaultStore):
        def __init__(self, store):
            super().__init__(store)
            self.url = "mem://alias/"

    source = memory()
    dataset(source)
    before = contents(source)
    with pytest.raises(InvalidPathException, match="the same place"):
        clone(repository(source), Alias(source), overwrite=True)
    assert contents(source) == before


class TestDestination:
    def test_a_dataset_is_not_overwritten_unless_told(self):
        source, dest = memory(), memory()
        dataset(source)
        dataset(dest, lambda ds: ds.create_tensor("theirs"))
        before = contents(dest)
        with pytest.raises(DatasetExistsError, match="overwrite=True"):
            clone(repository(source), dest)
        assert contents(dest) == before
        clone(repository(source), dest, overwrite=True)
        assert history(dest) == history(source)
        assert contents(dest).items() <= contents(source).items()

    def test_foreign_objects_are_never_deleted(self):
        source, dest = memory(), memory()
        dataset(source)
        dest.create("photo.jpg", b"mine")
        for overwrite in (False, True):
            with pytest.raises(PathNotEmptyException, match=r"photo\.jpg"):
                clone(repository(source), dest, overwrite=overwrite)
        assert contents(dest) == {"photo.jpg": b"mine"}

    def test_what_is_left_of_another_dataset(self):
        source, dest = memory(), memory()
        dataset(source)
        dataset(dest)
        dest.delete("zarr.json")
        before = contents(dest)
        with pytest.raises(PathNotEmptyException, match="another dataset"):
            clone(repository(source), dest)
        assert contents(dest) == before
        clone(repository(source), dest, overwrite=True)
        assert history(dest) == history(source)

    def test_what_another_tool_copied_of_it_is_gone_on_with(self, original):
        dest = memory()
        some = list(contents(original).items())[:-1]  # the root is last
        for key, value in some:
            dest.create(key, value)
        moved = clone(repository(original), dest)
        assert moved.objects == 0
        assert moved.present > 20
        assert history(dest) == history(original)

    def test_an_unfinished_clone_of_another_dataset(self):
        source, other, dest = memory(), memory(), memory()
        dataset(source)
        dataset(other)
        broken = FaultStore(dest)
        broken.end(on("create", key="refs/"))
        with pytest.raises(ProcessEnded):
            clone(repository(other), broken)
        with pytest.raises(PathNotEmptyException, match="cut short"):
            clone(repository(source), dest)
        clone(repository(source), dest, overwrite=True)
        assert contents(dest).items() <= contents(source).items()

    def test_it_is_no_dataset_while_it_is_unfinished(self):
        source, dest = memory(), memory()
        dataset(source)
        broken = FaultStore(dest)
        broken.end(on("create", key="zarr.json"))
        with pytest.raises(ProcessEnded):
            clone(repository(source), broken)
        with pytest.raises(zlake.errors.DatasetNotFoundError):
            load(dest)
        with pytest.raises(PathNotEmptyException):
            create_session(dest, CONTEXT, overwrite=False)
        create_session(dest, CONTEXT, overwrite=True)
        assert len(contents(dest)) == 2

    def test_read_only(self, tmp_path):
        source = memory()
        dataset(source)
        with pytest.raises(ReadOnlyModeError):
            clone(repository(source), open_store(tmp_path / "b", read_only=True))
        assert not (tmp_path / "b").exists()

    def test_a_version_in_a_path(self, tmp_path):
        dataset(folder(tmp_path / "a"))
        with pytest.raises(InvalidPathException, match="without a version"):
            zlake.deepcopy(tmp_path / "a", f"{tmp_path}/b@main")
        with pytest.raises(InvalidPathException, match="all its versions"):
            zlake.deepcopy(f"{tmp_path}/a@v1", tmp_path / "b")


class TestSource:
    def test_damage_is_found_before_anything_is_written(self):
        for prefix in ("segments/", "pages/", "commits/"):
            source, dest = memory(), memory()
            dataset(source, rich)
            spare = source.read("refs/branches/lost.json")  # what a tombstone names may be gone
            whole = (key for key in clone_keys(source) if key.startswith(prefix) and key.endswith("zarr.json"))
            key = next(key for key in whole if key.split("/")[1].encode() not in spare)
            source.delete(key)
            with pytest.raises(DatasetCorruptError, match=key):
                clone(repository(source), dest)
            assert contents(dest) == {}

    def test_one_that_cannot_be_listed(self):
        class Web(FaultStore):
            def __init__(self, store):
                super().__init__(store)
                self.capabilities = Capabilities(writable=False, listable=False)

        source = memory()
        dataset(source)
        with pytest.raises(UnsupportedOperationError, match="pull"):
            clone(repository(Web(source)), memory())

    def test_it_may_be_written_to_meanwhile(self):
        class Busy(FaultStore):
            def read_many(self, requests):
                if requests and requests[0].key.startswith("refs/"):
                    found = super().read_many(requests)
                    append(load(self.store), 60)
                    load(self.store).commit("meanwhile")
                    load(self.store).delete_branch("side")
                    return found
                return super().read_many(requests)

        source, dest = memory(), memory()
        dataset(source, rich)
        before = history(source)
        clone(repository(Busy(source)), dest)
        assert history(dest) == before
        assert load(dest).verify(deep=True)
        assert history(source) != before

    def test_a_view_or_some_tensors(self):
        ds = dataset(memory())
        with pytest.raises(InvalidOperationError, match="view"):
            ds[1:].deepcopy("mem://never")
        with pytest.raises(InvalidOperationError, match="all tensors"):
            zlake.deepcopy(ds, "mem://never", tensors=["x"])
        with pytest.raises(TypeError, match="unexpected"):
            zlake.deepcopy(ds, "mem://never", overwite=True)
        with pytest.warns(UserWarning, match="token"):
            ds.deepcopy("mem://copies-warned", token="t", scheduler="threaded")

    def test_one_without_commits(self):
        ds = dataset(memory(), lambda ds: ds.create_tensor("x"))
        assert list(ds.deepcopy("mem://copies-uncommitted").tensors) == ["x"]
        unborn = memory()
        dataset(unborn, lambda ds: None)
        unborn.delete("refs/branches/main.json")
        dest = memory()
        clone(repository(unborn), dest)
        load(dest).create_tensor("y")
        assert load(dest).verify()

    def test_what_is_buffered_goes_along(self):
        ds = dataset(memory())
        with ds:
            ds.append({"x": np.full(2, 9, np.int32), "text": "buffered"})
            copy = ds.deepcopy("mem://copies-buffered", progressbar=False)
        assert copy.text[-1].text() == "buffered"
        assert copy.meta["dataset_id"] == ds.meta["dataset_id"]


def clone_keys(store):
    copy = memory()
    clone(repository(store), copy)
    return list(contents(copy))


@pytest.mark.parametrize("overwrite", [False, True])
def test_every_operation_at_the_destination_goes_wrong(overwrite):
    source, before = memory(), memory()
    dataset(source)
    if overwrite:
        dataset(before, lambda ds: ds.create_tensor("theirs"))
    start, goal = contents(before), history(source)

    def fresh():
        store = memory()
        for key, value in start.items():
            store.create(key, value)
        return store, FaultStore(store)

    store, faulty = fresh()
    clone(repository(source), faulty, overwrite=overwrite, how=ONE)
    operations = list(faulty.recorder)
    assert len(operations) > 20
    for n, operation in enumerate(operations):
        for mode in modes(operation):
            store, faulty = fresh()
            mode(faulty, n)
            acknowledged = False
            with contextlib.suppress(StorageError, ProcessEnded):
                clone(repository(source), faulty, overwrite=overwrite, how=ONE)
                acknowledged = True
            if contents(store) != start and "zarr.json" in contents(store):
                assert overwrite or history(store) == goal
                assert load(store).verify()
            if not acknowledged:
                try:
                    clone(repository(source), store, overwrite=overwrite, how=ONE)
                except DatasetExistsError:  # all of it was there, and the note gone: nobody heard of the last step
                    assert n == len(operations) - 1
            assert history(store) == goal
            assert contents(store).items() <= contents(source).items()
            assert load(store).verify()


def test_every_operation_at_the_source_goes_wrong():
    source = memory()
    dataset(source)
    goal = history(source)
    faulty = FaultStore(source)
    clone(repository(faulty), memory(), how=ONE)
    for n, operation in enumerate(list(faulty.recorder)):
        for mode in modes(operation):
            dest, faulty = memory(), FaultStore(source)
            mode(faulty, n)
            with contextlib.suppress(StorageError, ProcessEnded):
                clone(repository(faulty), dest, how=ONE)
            assert "zarr.json" not in contents(dest) or history(dest) == goal
            if "zarr.json" not in contents(dest):
                clone(repository(source), dest, how=ONE)
            assert history(dest) == goal
            assert load(dest).verify()


def test_a_clone_that_is_gone_on_with_sends_nothing_twice(original):
    dest = memory()
    broken = FaultStore(dest)
    broken.end(on("create", key="commits/"))
    with pytest.raises(ProcessEnded):
        clone(repository(original), broken, how=ONE)
    left = contents(dest)
    moved = clone(repository(original), dest)
    assert moved.present == len(left) - 1  # the note
    assert moved.objects == sum(1 for key in contents(dest) if key.startswith("commits/"))
    assert history(dest) == history(original)


def test_a_source_that_went_on_before_the_clone_is_gone_on_with():
    source, dest = memory(), memory()
    ds = dataset(source)
    broken = FaultStore(dest)
    broken.end(on("create", key="zarr.json"))
    with pytest.raises(ProcessEnded):
        clone(repository(source), broken)
    ds.commit("went on")
    ds.tag("v2")
    clone(repository(source), dest)
    assert history(dest) == history(source)
    assert load(dest).verify()


def test_two_clones_at_once_to_one_place():
    import threading

    source, dest = memory(), memory()
    dataset(source, rich)
    barrier, outcomes = threading.Barrier(2), []

    def run():
        barrier.wait()
        try:
            outcomes.append(clone(repository(source), dest))
        except (DatasetExistsError, PathNotEmptyException) as error:
            outcomes.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert any(isinstance(outcome, Moved) for outcome in outcomes)
    assert history(dest) == history(source)
    assert load(dest).verify(deep=True)


def test_a_dataset_is_returned(tmp_path):
    ds = dataset(folder(tmp_path / "a"), rich)
    copy = zlake.deepcopy(tmp_path / "a", tmp_path / "b", num_workers=3, progressbar=False, context=CONTEXT)
    assert copy.branch == "main"
    assert samples(copy) == samples(ds)
    assert copy.has_head_changes
    again = ds.deepcopy(tmp_path / "b", overwrite=True, hard_links=False, context=CONTEXT)
    assert samples(again) == samples(ds)
