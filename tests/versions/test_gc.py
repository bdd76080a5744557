"""Each rule of collecting garbage by itself."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from tests.versions.lifetimes import DAY, Clocked, StoredWorld, Time, context_at
from tests.versions.support import Writer
from zlake.errors import (
    CollectedError,
    CollectionRefusedError,
    ReadOnlyModeError,
    StorageUnavailableError,
    UnsupportedOperationError,
)
from zlake.format import encode, paths
from zlake.format.documents import GcSweep, Ref, Snapshot
from zlake.storage.open import open_store
from zlake.storage.store import Capabilities, ObjectInfo
from zlake.testing.faults import FaultStore, on
from zlake.versions import branching, guard, refs, tags
from zlake.versions.gc import collect, seconds_of
from zlake.versions.gc_report import GcReport
from zlake.versions.lease import Lease
from zlake.versions.objects import Objects
from zlake.versions.reach import reach
from zlake.versions.repository import Repository
from zlake.versions.verify import verify_repository

_names = count()
GRACE = 7 * DAY


class Lake:
    """A dataset with one commit, and another whose rows were replaced since: its flushes are garbage."""

    def __init__(self, url: str = "") -> None:
        self.time = Time()
        self.store = Clocked(open_store(url or f"mem://gc-{next(_names)}"), self.time, skew=-1.5 * DAY)
        self.context = context_at(self.time, random.Random(7))
        self.world = StoredWorld(self.store)
        self.writer = Writer(Repository.create(self.store, self.context), self.world)
        self.key = self.writer.create()
        self.first = self.commit(1, 2, 3)

    @property
    def repository(self) -> Repository:
        return Repository.open(self.store, self.context)

    def commit(self, *values: int) -> str:
        self.writer.append(self.key, values)
        return self.writer.commit("more")

    def stage(self, *values: int) -> str:
        self.writer.append(self.key, values)
        return self.writer.flush().snapshot.id

    def orphan(self) -> str:
        (entry,) = self.world.write([(next(self.world.next_id), 0)], self.context)
        return entry.segment

    def collect(self, grace: Any = GRACE, **options: Any) -> GcReport:
        return collect(self.repository, grace, **options)

    def twice(self) -> GcReport:
        """Mark what is garbage, and delete it a grace period later."""
        self.collect()
        self.time.advance(GRACE)
        return self.collect()

    def has(self, each: str) -> bool:
        return any(f"/{each}/" in key for key in self.store.list())


@pytest.fixture
def lake() -> Lake:
    return Lake()


def test_two_phases(lake: Lake) -> None:
    segment = lake.orphan()
    report = lake.collect()
    assert (report.young.segments, report.young.objects, report.deleted.objects) == (1, 3, 0)
    assert (report.reachable.snapshots, report.reachable.segments) == (1, 1)
    lake.time.advance(GRACE)
    report = lake.collect()
    assert (report.marked.segments, report.young.segments) == (1, 0)
    assert "marked, to be deleted in 7 days" in str(report)
    lake.time.advance(GRACE - 1)
    report = lake.collect()
    assert (report.waiting.segments, report.marked.segments, report.deleted.segments) == (1, 0, 0)
    assert lake.has(segment)
    lake.time.advance(1)
    report = lake.collect()
    assert (report.deleted.segments, report.deleted.objects, report.deleted.bytes) == (1, 3, report.deleted.bytes)
    assert report.deleted.bytes > 0
    assert not lake.has(segment)
    assert not list(lake.store.list("gc/"))
    assert "nothing else" in str(lake.collect())


def test_what_is_reachable_again_is_not_deleted(lake: Lake) -> None:
    staged = lake.stage(4)
    commit = lake.commit(5)
    lake.time.advance(GRACE)
    lake.collect()
    tags.create(Objects(lake.store), lake.context, "kept", commit)
    lake.time.advance(GRACE)
    assert lake.collect().deleted.snapshots == 1  # the staged state that the commit took in
    assert not lake.has(staged)
    assert lake.has(commit)


def test_dry_run_changes_nothing(lake: Lake) -> None:
    lake.orphan()
    lake.time.advance(GRACE)
    before = set(lake.store.list())
    report = lake.collect(dry_run=True)
    assert (report.marked.segments, report.deleted.segments) == (1, 0)
    assert "would be marked" in str(report)
    assert set(lake.store.list()) == before
    assert lake.collect(0, dry_run=True).deleted.segments == 1
    assert set(lake.store.list()) == before
    lake.collect()
    lake.time.advance(GRACE)
    assert lake.collect(dry_run=True).deleted.segments == 1


def test_no_grace_deletes_at_once(lake: Lake) -> None:
    segment, staged = lake.orphan(), lake.stage(1)
    lake.commit(2)
    report = lake.collect(timedelta(0))
    assert (report.deleted.segments, report.deleted.snapshots) == (1, 1)
    assert not lake.has(segment)
    assert not lake.has(staged)
    assert not list(lake.store.list("gc/"))
    assert lake.writer.head.snapshot.id in guard.check_whole(Objects(lake.store), lake.writer.head.snapshot.id).commits


def test_a_deleted_branch_can_be_restored_for_the_grace_period(lake: Lake) -> None:
    objects = Objects(lake.store)
    branching.create(objects, lake.context, "side", lake.writer.head)
    side = Writer(lake.repository, lake.world)
    side.head = lake.repository.head("side")
    side.append(lake.key, [9])
    commit = side.commit("on the side")
    branching.delete(objects, lake.context, "side")
    lake.time.advance(GRACE - 10)
    lake.collect()
    assert lake.collect(dry_run=True).marked.snapshots == 0
    branching.restore(objects, lake.context, "side")
    assert verify_repository(lake.repository, deep=False).restorable == ()
    branching.delete(objects, lake.context, "side")
    assert verify_repository(lake.repository, deep=False).restorable == ("side",)
    lake.time.advance(GRACE + 1)
    assert lake.collect().marked.snapshots == 1
    branching.restore(objects, lake.context, "side")  # marked, but there: then it is no longer marked
    assert not list(lake.store.list("gc/marks/"))
    branching.delete(objects, lake.context, "side")
    lake.time.advance(GRACE + 1)
    assert lake.twice().deleted.snapshots == 1
    assert not lake.has(commit)
    with pytest.raises(Exception, match="can no longer be restored"):
        branching.restore(objects, lake.context, "side")
    assert verify_repository(lake.repository, deep=False).collected == ("side",)


def test_deleted_tags(lake: Lake) -> None:
    objects = Objects(lake.store)
    branching.create(objects, lake.context, "side", lake.writer.head)
    side = Writer(lake.repository, lake.world)
    side.head = lake.repository.head("side")
    side.append(lake.key, [9])
    commit = side.commit("on the side")
    tags.create(Objects(lake.store), lake.context, "v1", commit)
    branching.delete(objects, lake.context, "side")
    lake.time.advance(3 * GRACE)
    lake.twice()
    assert lake.has(commit)
    tags.delete(lake.store, lake.context, "v1")
    lake.time.advance(GRACE)
    lake.twice()
    assert not lake.has(commit)


def test_leases_keep_a_snapshot_and_what_writers_write(lake: Lake) -> None:
    staged = lake.stage(4)
    reader = Lease.take(lake.store, lake.context, staged, seconds=30 * int(DAY), writing=False)
    lake.commit(5)
    older = lake.orphan()
    lake.time.advance(10)
    writer = Lease.take(lake.store, lake.context, seconds=30 * int(DAY))
    younger = lake.orphan()
    lake.time.advance(GRACE)
    report = lake.twice()
    assert report.leases == 2
    assert report.leased.segments == 1
    assert report.deleted.segments == 1
    assert (lake.has(staged), lake.has(older), lake.has(younger)) == (True, False, True)
    writer.release()
    assert (lake.twice().deleted.segments, lake.has(younger)) == (1, False)
    reader.release()
    lake.twice()
    assert not lake.has(staged)
    assert not list(lake.store.list("leases/"))


def test_what_passes_from_a_lease_to_a_ref_while_both_are_read_is_kept(lake: Lake) -> None:
    staged = lake.stage(4)
    lake.commit(5)
    lease = Lease.take(lake.store, lake.context, staged, writing=False)

    class Passing(FaultStore):
        def list_info(self, prefix: str = "") -> Iterator[ObjectInfo]:
            yield from list(super().list_info(prefix))
            if prefix in ("refs/", "leases/"):
                ref = Ref(commit=lake.first, staged=staged, sequence=0, write_id="w" * 25 + "a")
                refs.create_branch(lake.store, "kept", ref)
                lease.release()

    collect(Repository.open(Passing(lake.store), lake.context), 0)
    assert Repository.open(lake.store, lake.context).head("kept").snapshot.id == staged
    guard.check_whole(Objects(lake.store), staged)


def test_lapsed_leases_keep_nothing_and_are_cleared(lake: Lake) -> None:
    staged = lake.stage(4)
    Lease.take(lake.store, lake.context, staged, seconds=3600, writing=False)
    lake.commit(5)
    lake.time.advance(3601 + GRACE)
    lake.twice()
    assert not lake.has(staged)
    assert not list(lake.store.list("leases/"))


def test_sessions_of_this_process_keep_what_they_stand_at(lake: Lake) -> None:
    staged = lake.stage(4)
    lake.commit(5)
    lake.collect(0, sessions=(staged, ""))
    assert lake.has(staged)
    lake.collect(0)
    assert not lake.has(staged)
    lake.collect(0, sessions=(staged,))  # gone before: nothing to keep


def test_foreign_objects_stay(lake: Lake) -> None:
    segment = lake.orphan()
    foreign = [
        f"segments/{segment}/notes.txt",
        f"commits/{'a' * 26}/readme.md",
        "segments/.DS_Store",
        "backup/zarr.json",
        "refs/branches/main.json~",
        "leases/readme",
        "gc/marks/readme",
        "notes.txt",
    ]
    for key in foreign:
        lake.store.create(key, b"mine")
    lake.time.advance(GRACE)
    report = lake.twice()
    assert report.deleted.segments == 1
    assert report.foreign == 3
    assert "left alone" in str(report)
    left = set(lake.store.list())
    assert left.issuperset(foreign)
    assert f"segments/{segment}/zarr.json" not in left


def test_leftovers_of_probes_and_collectors_go(lake: Lake) -> None:
    each = "b" * 26
    for key in (f"probe-{each}", f"gc/probe-{each}"):
        lake.store.create(key, b"x")
    lake.store.create(paths.sweep_key(each), encode(GcSweep(each, each)))
    lake.collect()
    assert lake.has(each) or f"probe-{each}" in set(lake.store.list())
    lake.time.advance(601)
    lake.collect()
    assert not [key for key in lake.store.list() if each in key]


@pytest.mark.parametrize("what", ["missing", "damaged", "branch", "main", "view", "ref"])
def test_nothing_is_deleted_where_it_cannot_be_known_what_is_needed(lake: Lake, what: str) -> None:
    lake.commit(4)
    lake.orphan()
    lake.time.advance(GRACE)
    lake.collect()
    lake.time.advance(GRACE)
    key = paths.snapshot_key(lake.first)
    if what == "missing":
        lake.store.inner.delete(key)
    elif what == "damaged":
        data = bytearray(lake.store.read(key) or b"")
        data[-4] ^= 1
        lake.store.inner.delete(key)
        lake.store.create(key, bytes(data))
    elif what == "branch":
        lake.store.create("refs/branches/other.json", b"{}")
    elif what == "main":
        lake.store.inner.delete("refs/branches/main.json")
    elif what == "view":
        lake.store.create(f"views/{'v' * 26}/zarr.json", b"{}")
    else:
        lake.store.create("refs/stashes/mine.json", b"{}")
    before = set(lake.store.list())
    for grace in (GRACE, 0):
        with pytest.raises(CollectionRefusedError):
            lake.collect(grace)
        with pytest.raises(CollectionRefusedError):
            lake.collect(grace, dry_run=True)
    assert set(lake.store.list()) == before


def test_a_damaged_mark_marks_nothing(lake: Lake) -> None:
    segment = lake.orphan()
    lake.time.advance(GRACE)
    lake.collect()
    (key,) = lake.store.list("gc/marks/")
    data = lake.store.read(key) or b""
    lake.store.delete(key)
    lake.store.create(key, data.replace(b"segments", b"segmentz"))
    lake.time.advance(GRACE)
    assert lake.collect().deleted.segments == 0
    assert lake.has(segment)
    lake.time.advance(GRACE)
    assert lake.collect().deleted.segments == 1


@pytest.mark.parametrize("grace", ["7d", -1, float("nan"), float("inf"), True, timedelta(days=-1), [1]])
def test_bad_grace(lake: Lake, grace: Any) -> None:
    with pytest.raises(CollectionRefusedError, match="grace is"):
        lake.collect(grace)
    assert seconds_of(None) == GRACE
    assert seconds_of(timedelta(hours=1)) == 3600
    assert seconds_of(5) == 5


def test_storages_that_cannot(lake: Lake) -> None:
    lake.store.capabilities = Capabilities(listable=False)
    with pytest.raises(UnsupportedOperationError, match="cannot list"):
        lake.collect()
    lake.store.capabilities = Capabilities(writable=False)
    with pytest.raises(ReadOnlyModeError):
        lake.collect()
    assert lake.collect(dry_run=True).reachable.snapshots == 1
    lake.store.capabilities = Capabilities()
    lake.store.time.now = -1e12  # no times are told
    lake.store.written.clear()
    with pytest.raises(UnsupportedOperationError, match="does not tell when"):
        lake.collect()


def test_a_storage_that_fails_while_it_deletes(lake: Lake) -> None:
    segments = [lake.orphan() for _ in range(3)]
    staged = lake.stage(1)
    lake.commit(2)
    lake.time.advance(GRACE)
    lake.collect()
    lake.time.advance(GRACE)
    broken = FaultStore(lake.store)
    broken.fail(StorageUnavailableError("gone"), on("delete", key="segments/"), times=None)
    with pytest.raises(StorageUnavailableError):
        collect(Repository.open(broken, lake.context), GRACE)
    assert not lake.has(staged)  # what names others goes first
    assert list(lake.store.list("gc/marks/"))
    assert not list(lake.store.list("gc/sweeps/"))
    assert lake.collect().deleted.segments == 3
    assert not any(map(lake.has, segments))


def test_a_collector_that_nobody_knows_of_looks_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = lake.orphan()
    lake.time.advance(GRACE)
    lake.collect()
    lake.time.advance(GRACE)
    looks = []
    list_info = lake.store.list_info

    def slow(prefix: str = "") -> Any:
        if prefix == paths.SEGMENTS:
            looks.append(prefix)
            if len(looks) == 1:
                lake.time.advance(301)  # the machine slept, and others take this collector for dead
        return list_info(prefix)

    monkeypatch.setattr(lake.store, "list_info", slow)
    report = lake.collect()
    assert len(looks) == 2
    assert report.deleted.segments == 1
    assert not lake.has(segment)


class TestGuard:
    """Who uses again what was out of reach."""

    def test_what_is_being_deleted_is_refused(self, lake: Lake) -> None:
        commit = lake.commit(4)
        each = "b" * 26
        lake.store.create(paths.sweep_key(each), encode(GcSweep(each, each)))
        with pytest.raises(CollectedError, match="at this moment"):
            guard.check_swept(Objects(lake.store), commit, context=lake.context, patience=0)
        lake.time.advance(600)  # whoever wrote this is dead
        guard.check_swept(Objects(lake.store), commit, context=lake.context, patience=0)

    @pytest.mark.parametrize(
        ("first", "steps"),
        [
            (encode(GcSweep("b" * 26, "b" * 26)), "+c -b +d -c"),  # c goes on with what b began, d began since
            (b"{}", "+d -b -d"),  # b may be anybody, so that d may go on with it
        ],
    )
    def test_it_waits_for_who_was_at_work_already(self, lake: Lake, first: bytes, steps: str) -> None:
        began = {"b": "b", "c": "b", "d": "d"}
        commit, left = lake.commit(4), steps.split()
        lake.store.create(paths.sweep_key("b" * 26), first)

        def sleep(_: float) -> None:
            what, name = left.pop(0)
            key = paths.sweep_key(name * 26)
            if what == "+":
                lake.store.create(key, encode(GcSweep(name * 26, began[name] * 26)))
            else:
                lake.store.delete(key)

        guard.check_swept(Objects(lake.store), commit, context=replace(lake.context, sleep=sleep))
        assert not left

    def test_what_is_gone_is_refused(self, lake: Lake) -> None:
        staged = lake.stage(4)
        lake.commit(5)
        guard.check_swept(Objects(lake.store), staged, context=lake.context)
        lake.collect(0)
        for thorough in (False, True):
            with pytest.raises(CollectedError, match="collected as garbage"):
                guard.check_swept(Objects(lake.store), staged, context=lake.context, thorough=thorough)

    def test_what_is_gone_in_part_is_refused(self, lake: Lake) -> None:
        staged = lake.stage(4)
        segment = lake.writer.head.snapshot.tensors[0].extents.segments[-1].segment
        lake.store.delete(f"segments/{segment}/zarr.json")
        with pytest.raises(CollectedError):
            guard.check_swept(Objects(lake.store), staged, context=lake.context, thorough=True)
        with pytest.raises(CollectedError):
            guard.check_whole(Objects(lake.store), staged)
        guard.check_swept(Objects(lake.store), staged, context=lake.context, thorough=True, known=[staged])

    def test_it_costs_little_where_nothing_is_collected(self, lake: Lake) -> None:
        for value in range(30):
            commit = lake.commit(value)
        store = FaultStore(lake.store)
        guard.check_swept(Objects(store), commit, context=lake.context)
        assert [operation.name for operation in store.recorder] == ["list_info", "list_info", "read"]

    def test_snapshots_that_stay_are_whole(self, lake: Lake) -> None:
        """A young snapshot that names old segments keeps them, though no ref names it."""
        old = lake.orphan()
        lake.time.advance(GRACE)
        lake.collect()  # marks the segment
        lake.time.advance(GRACE)
        state = lake.writer.state(lake.key)
        entry = state.extents.segments[0]
        from msgspec.structs import replace

        table = replace(state.extents, segments=(replace(entry, segment=old, rows=3, elements=3, inner=(3,)),))
        young = Snapshot(
            id="d" * 26, kind="staged", write_id="w" * 26, parents=(), time=1, tensors=(replace(state, extents=table),)
        )
        lake.store.create(paths.snapshot_key(young.id), encode(young))
        assert lake.collect().deleted.segments == 0
        assert reach(Objects(lake.store), [young.id]).segments == {old}
        guard.check_whole(Objects(lake.store), young.id)
        lake.time.advance(GRACE)
        lake.twice()
        assert not lake.has(old)
