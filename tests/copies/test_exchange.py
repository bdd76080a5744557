"""Commits pushed and pulled between clones."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

import zlake
from tests.copies.datasets import append, contents, history, load, memory, rich, samples, small
from tests.copies.test_clone import dataset
from tests.crash.walk import modes
from zlake.errors import (
    CollectedError,
    CommitError,
    ConflictError,
    DatasetNotFoundError,
    DivergedError,
    RefExistsError,
    RefNotFoundError,
    StagedChangesError,
    StorageError,
    UnrelatedDatasetsError,
)
from zlake.session.exchange import push
from zlake.testing import FaultStore, ProcessEnded
from zlake.versions.bring import How
from zlake.versions.clone import clone

from .datasets import CONTEXT


def send(ds, dest, branch=None, into=None, force=False, tags=False):
    how = How(workers=1)
    return push(ds._session, dest, CONTEXT, branch, into, force=force, tags=tags, how=how, single_writer=False)


def pair(fill=small):
    """A dataset, and a clone of its branch main."""
    ds, other = dataset(memory(), fill), memory()
    send(ds, other)
    return ds, other


def line(i):
    return {"x": np.full(2, i, np.int32), "text": f"line {i}"}


def test_a_push_makes_a_clone():
    ds, other = pair(rich)
    made = load(other)
    assert made.commits == ds.commits
    assert not made.has_head_changes  # what is staged does not travel
    assert made.meta["dataset_id"] == ds.meta["dataset_id"]
    assert made.verify(deep=True)


def test_a_clone_begun_with_another_branch_has_an_empty_main():
    ds, other = dataset(memory(), rich), memory()
    send(ds, other, "side")
    assert load(other, "side").commits[0]["message"] == "on the side"
    assert load(other).commits == []
    assert load(other).verify(deep=True)


def test_only_what_is_missing_travels():
    ds, other = pair(rich)
    ds.commit("staged rows")
    watched = FaultStore(other)
    done = send(ds, watched)
    assert done.commits == 1
    created = {each.key for each in watched.recorder.select("create") if not each.key.startswith("leases/")}
    assert len(created) == done.objects <= 20
    assert watched.recorder.count("swap") == 1
    assert send(ds, watched).objects == 0
    assert samples(load(other)) == samples(ds)
    assert load(other).verify(deep=True)


def test_tags():
    ds, other = dataset(memory(), rich), memory()
    assert send(ds, other, tags=True).tags == ("v1",)
    assert load(other).tags == ds.tags
    ds.tag("v2", ds.tags["v1"])
    ds.commit("more")
    load(other).tag("v2")
    before = contents(other)
    with pytest.raises(RefExistsError, match="v2"):
        send(ds, other, tags=True)
    assert contents(other) == before


def test_diverged():
    ds, other = pair()
    theirs = load(other)
    theirs.append(line(50))
    theirs.commit("theirs")
    ds.commit("ours")
    before = contents(other)
    with pytest.raises(DivergedError) as caught:
        send(ds, other)
    assert (caught.value.ours, caught.value.theirs) == (ds.commit_id, theirs.commit_id)
    assert contents(other) == before
    with pytest.raises(DivergedError):
        ds.pull(theirs)
    assert ds.pull(theirs, "main", into="theirs").commits == 1
    assert load(ds._session.store, "theirs").text[-1].text() == "line 50"
    send(ds, other, force=True)
    assert load(other).commits == ds.commits
    assert load(other).verify()
    assert ds.verify()


def test_staged_changes_of_the_destination():
    ds, other = pair()
    load(other).append(line(50))
    ds.commit("ours")
    with pytest.raises(StagedChangesError, match="staged changes"):
        send(ds, other)
    send(ds, other, force=True)
    assert load(other).text.text() == ["0", "1", "staged"]


def test_pull_keeps_what_is_staged_and_buffered():
    ds, other = pair()
    mine = load(other)
    mine.append(line(50))
    ds.commit("ours")
    with mine:
        mine.append(line(51))
        done = mine.pull(ds)
    assert done.commits == 1
    assert mine.text.text() == ["0", "1", "staged", "line 50", "line 51"]
    assert mine.commits == ds.commits
    assert mine.has_head_changes
    assert load(other).verify(deep=True)
    mine.commit("on top")
    assert ds.pull(mine).commits == 1
    assert ds.commit_id == mine.commit_id


def test_pull_refuses_what_conflicts_with_what_is_staged():
    ds, other = pair()
    mine = load(other)
    mine.text[0] = "mine"
    ds.text[0] = "yours"
    ds.commit("ours")
    before = mine.commit_id
    with pytest.raises(ConflictError):
        mine.pull(ds)
    assert load(other).commit_id == before
    assert load(other).text[0].text() == "mine"
    mine.pull(ds, force=True)
    assert mine.text[0].text() == "yours"


def test_a_destination_that_is_ahead_is_left_alone():
    ds, other = pair()
    theirs = load(other)
    theirs.commit("further", allow_empty=True)
    done = send(ds, other)
    assert done.before == done.commit == theirs.commit_id
    assert ds.pull(theirs).commit == theirs.commit_id


def test_bad_input(tmp_path):
    ds, other = pair()
    with pytest.raises(UnrelatedDatasetsError):
        send(ds, dataset(memory())._session.store)
    with pytest.raises(RefNotFoundError):
        send(ds, memory(), "none")
    with pytest.raises(RefNotFoundError):
        ds.pull(load(other), "none")
    with pytest.raises(DatasetNotFoundError):
        ds.pull(tmp_path / "none")
    with pytest.raises(CommitError, match="nothing is committed"):
        send(dataset(memory(), lambda ds: None), memory())
    with pytest.raises(zlake.errors.InvalidOperationError):
        ds[1:].push(tmp_path / "b")
    with pytest.raises(zlake.errors.InvalidPathException):
        ds.push(f"{tmp_path}/b@main")
    with pytest.raises(zlake.errors.InvalidPathException):
        send(ds, ds._session.store)
    with pytest.raises(TypeError):
        ds.push(tmp_path / "b", forse=True)
    assert not list(tmp_path.iterdir())


def test_a_writer_at_the_destination_between_look_and_swap():
    ds, other = pair()
    ds.commit("ours")

    class Busy(FaultStore):
        def swap(self, key, value, generation):
            if key.endswith("main.json") and not self.recorder.count("swap"):
                theirs = load(self.store)
                theirs.append(line(60))
                theirs.commit("theirs")
            return super().swap(key, value, generation)

    with pytest.raises(DivergedError):
        send(ds, Busy(other))
    assert load(other).text[-1].text() == "line 60"


def test_what_a_collector_takes_of_what_is_sent_is_sent_again():
    ds, other = pair()
    ds.append(line(70))
    ds.commit("ours")
    sent = load(ds._session.store)._session.head.snapshot.tensors[0].extents.segments[-1].segment

    class Collected(FaultStore):
        left = 1

        def list_info(self, prefix=""):
            if prefix == "gc/sweeps/" and self.left:
                self.left -= 1
                other.delete_prefix(f"segments/{sent}/")
            return super().list_info(prefix)

    collected = Collected(other)
    done = send(ds, collected)
    assert done.commit == ds.commit_id
    assert collected.recorder.select()[-1].key.startswith("leases/")
    assert collected.recorder.count("swap") == 1  # once, when all is there
    assert samples(load(other)) == samples(ds)
    assert load(other).verify(deep=True)


def test_a_branch_stays_if_what_is_sent_is_collected_again_and_again():
    ds, other = pair()
    before = contents(other)["refs/branches/main.json"]
    ds.append(line(70))
    ds.commit("ours")
    sent = load(ds._session.store)._session.head.snapshot.tensors[0].extents.segments[-1].segment

    class Busy(FaultStore):
        def list_info(self, prefix=""):
            if prefix == "gc/marks/":
                other.delete_prefix(f"segments/{sent}/")
            return super().list_info(prefix)

    with pytest.raises(CollectedError):
        send(ds, Busy(other))
    assert contents(other)["refs/branches/main.json"] == before
    assert not list(other.list("leases/"))
    found = load(other)
    assert found.commit_id == ds.commits[1]["commit"]
    assert found.verify()
    send(ds, other)
    assert samples(load(other)) == samples(ds)
    assert load(other).verify(deep=True)


@pytest.mark.parametrize("empty", [False, True])
def test_every_operation_goes_wrong(empty):
    ds, other = pair()
    start = {} if empty else contents(other)
    ds.commit("ours")

    def fresh():
        store = memory()
        for key, value in start.items():
            store.create(key, value)
        return store, FaultStore(store)

    store, faulty = fresh()
    send(ds, faulty, tags=True)
    goal = history(store)
    for n, operation in enumerate(list(faulty.recorder)):
        for mode in modes(operation):
            store, faulty = fresh()
            mode(faulty, n)
            with contextlib.suppress(StorageError, ProcessEnded, zlake.errors.CommitStateUnknownError):
                send(ds, faulty, tags=True)
            if "zarr.json" in contents(store):
                assert load(store).verify()
            send(ds, store, tags=True)
            assert history(store) == goal
            assert load(store).verify()


@pytest.mark.parametrize("a", ["file", "mem", "s3", "gs"])
@pytest.mark.parametrize("b", ["file", "mem", "s3", "gs"])
def test_between_all_storages(a, b, tmp_path, request):
    def place(kind, name):
        if kind in ("file", "mem"):
            return (tmp_path / name if kind == "file" else f"mem://copies-{a}-{b}-{name}"), None
        bucket = request.getfixturevalue("s3_bucket" if kind == "s3" else "gcs_bucket")
        return f"{bucket.url}/{name}", bucket.creds

    (source, creds), (dest, dest_creds) = place(a, "one"), place(b, "two")
    ds = zlake.empty(source, creds=creds, overwrite=True)
    small(ds)
    copy = ds.deepcopy(dest, creds=dest_creds, overwrite=True)
    assert samples(copy) == samples(ds)
    ds.commit("staged")
    copy.reset()
    assert ds.push(dest, creds=dest_creds).commits == 1
    copy.refresh()
    copy.append(line(9))
    copy.commit("back")
    assert ds.pull(dest, creds=dest_creds).commits == 1
    assert samples(copy) == samples(ds)
    place_three, creds_three = place(b, "three")
    third = ds[1:3].copy(place_three, creds=creds_three, overwrite=True)
    assert third.text.text() == ds.text[1:3].text()
    for each in (ds, copy, third):
        assert each.verify(deep=True)


def test_pushing_into_an_unfinished_clone():
    ds, other = dataset(memory(), rich), memory()
    broken = FaultStore(other)
    broken.end(lambda operation: operation.key == "zarr.json" and operation.name == "create")
    with pytest.raises(ProcessEnded):
        clone(ds._session.repository, broken)
    send(ds, other)
    assert load(other).verify(deep=True)
    append(ds, 5)
    ds.commit("x")
    assert load(other, "side").verify()


def test_what_is_staged_in_both_clones_and_committed_in_one_is_there_once():
    ds, copy = dataset(memory(), small), memory()
    ds.append(line(50), skip_ok=True)
    ds.x[0] = line(51)["x"]
    clone(ds._session.repository, copy)
    ds.commit("the same rows")
    ds.append(line(52), skip_ok=True)
    ds.commit("and one more")
    made = load(copy)
    assert made.has_head_changes
    made.pull(ds)
    assert samples(made) == samples(ds)
    assert not made.has_head_changes
    assert made.verify(deep=True)


def test_merging_into_a_first_state_that_others_have_just_committed():
    ds, copy = dataset(memory(), rich), memory()
    send(ds, copy, "side")
    one = load(copy)
    one.create_tensor("mine", dtype="int64")
    one.mine.append(7)
    two = load(copy)
    first = one.commit("by the other session")
    merged = two.merge("side")
    assert two.get_commit_details(merged)["parents"] == [first, load(copy, "side").commit_id]
    assert two.mine.numpy().tolist() == [[7]]
    assert two.verify()
