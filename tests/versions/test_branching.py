"""Branches and tags as single objects: what each costs, answers that are lost, and writers that meet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from servers.fixtures import Bucket

import zlake
from tests.versions.support import World, Writer
from zlake.context import Context
from zlake.errors import (
    BranchDeletedError,
    CommitStateUnknownError,
    RefExistsError,
    RefNotFoundError,
    StorageUnavailableError,
    WriteStateUnknownError,
)
from zlake.session.opening import create_session, open_session
from zlake.storage.store import Lost, Store
from zlake.testing import FaultStore, on
from zlake.versions.repository import Repository

CONTEXT = Context(durable=False, threads=2)
READS = ("read", "read_versioned", "list", "list_info")
WRITES = ("create", "swap", "delete")


def dataset(store: Store, rows: int = 3, commits: int = 1) -> zlake.Dataset:
    ds = zlake.Dataset(create_session(store, CONTEXT, overwrite=False))
    ds.create_tensor("x", dtype="int64")
    for number in range(commits):
        ds.x.extend(np.arange(number * rows, number * rows + rows))
        ds.commit(f"commit {number}")
    return ds


def opened(store: Store, address: str | None = None) -> zlake.Dataset:
    return zlake.Dataset(open_session(store, CONTEXT, address, None))


# ---------------------------------------------------------------- cost


def spent(store: FaultStore, call: Callable[[], Any]) -> dict[str, int]:
    """How many requests of each kind a call makes."""
    store.recorder.clear()
    call()
    counts: dict[str, int] = {}
    for operation in store.recorder.select():
        counts[operation.name] = counts.get(operation.name, 0) + 1
    return counts


@pytest.mark.parametrize(("rows", "commits"), [(1, 1), (5, 40), (20_000, 3)])
def test_refs_cost_the_same_whatever_the_size(store: Store, rows: int, commits: int) -> None:
    ds = dataset(store, rows, commits)
    first = ds.commits[-1]["commit"]
    faults = FaultStore(store)
    ds = opened(faults)
    # reads: is there a branch of this name; is there a tag of this name, before and after
    assert spent(faults, lambda: ds.checkout("dev", create=True)) == {"read": 2, "read_versioned": 1, "swap": 1}
    assert spent(faults, lambda: ds.tag("v1")) == {"read": 2, "create": 1}
    ds.x.append(-1)
    fresh = opened(faults)
    assert spent(faults, lambda: fresh.checkout("dev")) == {"read": 1, "read_versioned": 1}
    assert spent(faults, lambda: fresh.checkout(first)).get("read", 0) <= 1
    fresh.checkout("dev")
    # a tag: no branch has its name; the tag, which carries its commit
    assert spent(faults, lambda: fresh.checkout("v1")) == {"read": 1, "read_versioned": 1}
    assert spent(faults, lambda: ds.checkout("main")) == {"read_versioned": 1}
    assert spent(faults, lambda: ds.delete_branch("dev")) == {"read_versioned": 1, "swap": 1}
    assert spent(faults, lambda: ds.delete_tag("v1")) == {"read_versioned": 1, "swap": 1}
    ds.x.append(-1)
    ds = opened(faults)
    assert spent(faults, ds.reset) == {"read": 1, "swap": 1}


def test_checkout_of_a_tag_in_a_fresh_session(store: Store) -> None:
    ds = dataset(store)
    ds.tag("v1")
    ds.x.append(9)
    ds.commit("more")
    faults = FaultStore(store)
    ds = opened(faults)
    assert spent(faults, lambda: ds.checkout("v1")) == {"read": 1, "read_versioned": 1}


# ---------------------------------------------------------------- answers that are lost

CALLS: dict[str, tuple[Callable[[zlake.Dataset], Any], Callable[[zlake.Dataset], bool]]] = {
    "branch": (lambda ds: ds.checkout("new", create=True), lambda ds: "new" in ds.branches),
    "again": (lambda ds: ds.checkout("gone", create=True), lambda ds: "gone" in ds.branches),
    "delete": (lambda ds: ds.delete_branch("dev"), lambda ds: "dev" not in ds.branches),
    "restore": (lambda ds: ds.restore_branch("gone"), lambda ds: "gone" in ds.branches),
    "tag": (lambda ds: ds.tag("v2"), lambda ds: "v2" in ds.tags),
    "untag": (lambda ds: ds.delete_tag("v1"), lambda ds: "v1" not in ds.tags),
    "reset": (lambda ds: ds.reset(), lambda ds: not ds.has_head_changes),
}


def prepared(store: Store) -> None:
    ds = dataset(store)
    for name in ("dev", "gone"):
        ds.checkout(name, create=True)
        ds.checkout("main")
    ds.delete_branch("gone")
    ds.tag("v1")


@pytest.mark.parametrize("name", CALLS)
def test_a_swap_that_landed_though_its_writer_was_told_otherwise(store: Store, name: str) -> None:
    call, done = CALLS[name]
    prepared(store)
    if name == "reset":
        opened(store).x.append(9)
    faults = FaultStore(store)
    ds = opened(faults)
    faults.answer(Lost(), on("swap", "create", key="refs/"))  # the write takes effect all the same
    call(ds)
    assert done(opened(store))
    assert ds.verify()


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_no_answer_at_all(store: Store, name: str, moment: Any) -> None:
    """It is not known what happened; the same call again finds out, and does not run into itself."""
    call, done = CALLS[name]
    prepared(store)
    if name == "reset":
        opened(store).x.append(9)
    faults = FaultStore(store)
    ds = opened(faults)
    faults.fail(WriteStateUnknownError("no answer"), on("swap", "create", key="refs/"), moment=moment)
    call_failed = len(faults.recorder.select())
    silent = faults.fail(
        StorageUnavailableError("no answer"),
        lambda operation: operation.name in READS and operation.index >= call_failed and _writes(faults) > 0,
        times=None,
    )
    with pytest.raises(CommitStateUnknownError, match="not known"):
        call(ds)
    faults.faults.remove(silent)
    assert done(opened(store)) == (moment == "after")
    call(ds)
    assert done(opened(store))
    call_again = {
        "branch": RefExistsError,
        "again": RefExistsError,
        "delete": BranchDeletedError,
        "tag": RefExistsError,
    }
    if name in call_again:
        with pytest.raises(call_again[name]):
            call(ds)
    assert ds.verify()


def _writes(faults: FaultStore) -> int:
    return len(faults.recorder.select("swap", "create", key="refs/"))


def _restore(ds: zlake.Dataset, commit: str) -> None:
    ds.restore_branch("gone")


def _branch_at(ds: zlake.Dataset, commit: str) -> None:
    ds.checkout(commit)
    ds.checkout("new", create=True)


def _tag_at(ds: zlake.Dataset, commit: str) -> None:
    ds.tag("new", commit)


@pytest.mark.parametrize("call", [_restore, _branch_at, _tag_at])
def test_what_no_ref_may_reach_is_kept_and_looked_at_before_a_ref_names_it(store: Store, call: Any) -> None:
    prepared(store)
    ds = opened(store)
    ds.checkout("dev")
    ds.x.append(9)
    commit = ds.commit("on dev")
    faults = FaultStore(store)
    ds = opened(faults)
    faults.recorder.clear()
    call(ds, commit)
    done = [f"{each.name} {each.key}" for each in faults.recorder]
    at = [i for i, each in enumerate(done) if each.startswith(("create leases/", "delete leases/"))]
    looks = [i for i, each in enumerate(done) if each == "list_info gc/sweeps/"]
    (named,) = (i for i, each in enumerate(done) if each.startswith(("create refs/", "swap refs/")))
    assert at[0] < looks[0] <= looks[-1] < named < at[-1]
    assert not list(store.list("leases/"))


def test_an_answer_lost_at_the_look_behind(store: Store) -> None:
    """The branch is there, but whether a tag of its name is there too is not known: neither success nor failure."""
    prepared(store)
    faults = FaultStore(store)
    ds = opened(faults)
    faults.fail(
        StorageUnavailableError("gone"), lambda op: op.name == "read" and "tags/new" in op.key and _writes(faults) > 0
    )
    with pytest.raises(CommitStateUnknownError, match="branch 'new'"):
        ds.checkout("new", create=True)
    assert ds.branch == "main"
    ds.checkout("new", create=True)
    assert ds.branch == "new"
    ds.x.append(7)
    assert opened(store, "new").x.numpy().reshape(-1).tolist() == [0, 1, 2, 7]


# ---------------------------------------------------------------- a branch and a tag at the same moment


def test_a_branch_and_a_tag_of_one_name_never_stay_both(store: Store) -> None:
    prepared(store)
    faults = FaultStore(store)
    ds, other = opened(faults), opened(store)
    faults.faults.append(_before(on("swap", key="refs/branches/same"), lambda: other.tag("same")))
    with pytest.raises(RefExistsError, match="has a tag 'same'"):
        ds.checkout("same", create=True)
    assert "same" not in opened(store).branches
    assert "same" in opened(store).tags
    faults.faults.append(_before(on("create", key="refs/tags/twin"), lambda: other.checkout("twin", create=True)))
    with pytest.raises(RefExistsError, match="has a branch 'twin'"):
        ds.tag("twin")
    assert "twin" in opened(store).branches
    assert "twin" not in opened(store).tags


def _before(when: Any, act: Callable[[], object]) -> Any:
    from zlake.testing import Fault

    def happen(operation: Any) -> None:
        act()

    return Fault(when, happen)


# ---------------------------------------------------------------- many at once


@pytest.fixture(params=["files", "s3", "gcs"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Any]:
    if request.param == "files":
        return str(tmp_path / "ds"), None
    bucket: Bucket = request.getfixturevalue(f"{request.param}_bucket")
    return bucket.url, bucket.creds


def outcomes(calls: list[Callable[[], object]]) -> list[object]:
    """Make all calls at once, and return what each came to."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        barrier.wait()
        try:
            call()
        except Exception as error:
            return type(error)
        return True

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def start(place: tuple[str, Any]) -> Callable[..., zlake.Dataset]:
    url, creds = place
    ds = zlake.empty(url, creds=creds, context=CONTEXT)
    ds.create_tensor("x", dtype="int64")
    ds.x.extend([0, 1, 2])
    ds.commit("three rows")
    return lambda ref=None: zlake.load(url, creds=creds, ref=ref, context=CONTEXT)


def test_one_of_many_makes_a_branch_and_one_deletes_it(place: tuple[str, Any]) -> None:
    load = start(place)
    sessions = [load() for _ in range(4)]
    for _ in range(3):
        made = outcomes([lambda ds=ds: ds.checkout("dev", create=True) for ds in sessions])
        assert sorted(made, key=str) == sorted([True, *[RefExistsError] * 3], key=str)
        assert load("dev").branches == ["dev", "main"]
        for ds in sessions:
            ds.checkout("main")
        gone = outcomes([lambda ds=ds: ds.delete_branch("dev") for ds in sessions])
        assert sorted(gone, key=str) == sorted([True, *[BranchDeletedError] * 3], key=str)
        assert load().branches == ["main"]
        back = outcomes([lambda ds=ds: ds.restore_branch("dev") for ds in sessions])
        assert sorted(back, key=str) == sorted([True, *[RefExistsError] * 3], key=str)
        sessions[0].delete_branch("dev")
    assert load().verify()


def test_one_of_many_makes_a_tag_and_one_deletes_it(place: tuple[str, Any]) -> None:
    load = start(place)
    sessions = [load() for _ in range(4)]
    commits = []
    for number, ds in enumerate(sessions):
        ds.checkout(f"branch-{number}", create=True)
        ds.x.append(number)
        commits.append(ds.commit(f"on {number}"))
    made = outcomes([lambda ds=ds: ds.tag("v1") for ds in sessions])
    assert sorted(made, key=str) == sorted([True, *[RefExistsError] * 3], key=str)
    assert load().tags == {"v1": commits[made.index(True)]}
    gone = outcomes([lambda ds=ds: ds.delete_tag("v1") for ds in sessions])
    assert sorted(gone, key=str) == sorted([True, *[RefNotFoundError] * 3], key=str)
    assert load().tags == {}


def test_a_branch_that_is_deleted_while_many_write_to_it(place: tuple[str, Any]) -> None:
    """What was acknowledged is on the branch when it is restored; the rest is buffered, and goes to new branches."""
    load = start(place)
    load().checkout("dev", create=True)
    writers = [load("dev") for _ in range(3)]
    acknowledged: list[int] = []
    rescued: list[int] = []

    def write(ds: zlake.Dataset, number: int) -> None:
        for i in range(100 * number, 100 * number + 100):
            try:
                with ds:
                    ds.x.append(i)
            except BranchDeletedError:
                ds.checkout(f"rescue-{number}", create=True)
                rescued.append(i)
                return
            acknowledged.append(i)

    def remove() -> None:
        while len(acknowledged) < 6:
            pass
        load().delete_branch("dev")

    calls = [lambda ds=ds, n=n: write(ds, n) for n, ds in enumerate(writers, 1)]
    assert outcomes([*calls, remove]) == [True] * 4
    assert len(rescued) == 3
    ds = load()
    ds.restore_branch("dev")
    values = load("dev").x.numpy().reshape(-1).tolist()
    assert sorted(values) == [0, 1, 2, *sorted(acknowledged)]
    for i in rescued:
        found = load(f"rescue-{i // 100}").x.numpy().reshape(-1).tolist()
        assert found[-1] == i
        assert {*found} >= {0, 1, 2, *(a for a in acknowledged if a // 100 == i // 100)}
    assert ds.verify()


def test_branches_of_many_writers_share_their_past(store: Store, context: Context) -> None:
    world = World()
    writer = Writer(Repository.create(store, context), world)
    key = writer.create()
    writer.append(key, range(3))
    writer.commit("start")
    heads = [writer.repository.create_branch(f"b{i}", writer.head) for i in range(5)]
    for i, head in enumerate(heads):
        other = writer.reopen()
        other.head = head
        other.append(key, [10 + i])
        other.commit(f"on {i}")
    for i in range(5):
        other = writer.reopen()
        other.head = other.repository.resolve(f"b{i}")
        assert other.values(key) == [0, 1, 2, 10 + i]
    assert writer.reopen().values(key) == [0, 1, 2]
