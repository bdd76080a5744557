"""One writer: staging, committing, reopening, what the manifest says, what it costs."""

from __future__ import annotations

import numpy as np
import pytest

from tests.versions.support import World, Writer, ids_in
from tests.versions.tap import Tap
from zlake import limits
from zlake.context import Context
from zlake.errors import (
    DatasetCorruptError,
    DatasetExistsError,
    DatasetNotFoundError,
    EmptyCommitError,
    ReadOnlyModeError,
    RefNotFoundError,
)
from zlake.extents.map import ExtentMap
from zlake.format import encode, paths
from zlake.format.documents import Diff, Tag, TensorDiff
from zlake.storage.store import Store
from zlake.versions.changes import Changes, RowChanges
from zlake.versions.repository import Repository


@pytest.fixture
def writer(store: Store, context: Context) -> Writer:
    return Writer(Repository.create(store, context), World())


def test_rows_survive_flush_commit_and_reopening(writer: Writer) -> None:
    key = writer.create()
    writer.append(key, "abc")
    writer.flush()
    assert writer.reopen().values(key) == ["a", "b", "c"]
    assert writer.reopen().head.commit_id is None
    first = writer.commit("one")
    writer.update(key, 1, "B")
    writer.delete(key, 0)
    writer.append(key, "d")
    writer.flush()
    again = writer.reopen()
    assert again.values(key) == ["B", "c", "d"]
    assert again.head.commit_id == first
    second = again.commit("two")
    assert again.reopen().values(key) == ["B", "c", "d"]
    old = again.repository.resolve(first)
    assert old.branch is None
    again.head = old
    assert again.values(key) == ["a", "b", "c"]
    assert [(c.id, c.message, c.parents) for c in again.repository.log(writer.reopen().head.snapshot)] == [
        (second, "two", (first,)),
        (first, "one", ()),
    ]


def test_manifest_adds_up_over_flushes(writer: Writer) -> None:
    key = writer.create()
    ids = writer.append(key, "abcdef")
    writer.flush()
    assert writer.head.snapshot.diff.tensors[0].created
    writer.update(key, 0, "A")  # new in this commit, so not an update of it
    writer.delete(key, 1)
    writer.flush()
    (diff,) = writer.head.snapshot.diff.tensors
    assert ids_in(diff.appended) == [ids[0], *ids[2:]]
    assert diff.updated == diff.removed == TensorDiff(key=key).updated
    writer.commit("one")
    new = writer.append(key, "gh")
    writer.flush()
    writer.update(key, 0, "AA")
    writer.update(key, 5, "G")  # the first of the new rows
    writer.flush()
    writer.update(key, 1, "C")
    writer.delete(key, 0, 6)
    writer.commit("two")
    (diff,) = writer.head.snapshot.diff.tensors
    assert ids_in(diff.appended) == [new[0]]
    assert ids_in(diff.updated) == [ids[2]]
    assert ids_in(diff.removed) == [ids[0]]
    assert not diff.created
    assert writer.values(key) == ["C", "d", "e", "f", "G"]


def test_clear(writer: Writer) -> None:
    key = writer.create()
    writer.append(key, "abc")
    writer.commit("one")
    writer.append(key, "d")
    writer.flush()
    writer.clear(key)
    new = writer.append(key, "e")
    writer.flush()
    (diff,) = writer.head.snapshot.diff.tensors
    assert diff.cleared
    assert ids_in(diff.appended) == new
    assert not diff.removed.count
    assert writer.values(key) == ["e"]


def test_schema_changes(writer: Writer) -> None:
    x, y = writer.create("x", dtype=None, ndim=None), writer.create("g/y")
    writer.groups = ("g",)
    writer.infos[x] = {"unit": "m"}
    writer.info = {"title": "t"}
    writer.commit("one")
    snapshot = writer.head.snapshot
    assert {s.name: s.info.value for s in snapshot.tensors} == {"x": {"unit": "m"}, "g/y": {}}
    assert snapshot.groups == ("g",)
    assert snapshot.diff.groups_created == ("g",)
    assert snapshot.diff.info_updated
    import msgspec

    writer.tensors[x] = msgspec.structs.replace(writer.state(x), name="z", dtype="uint8", ndim=1)
    writer.removed.append(y)
    writer.groups = ()
    writer.flush()
    (state,) = writer.head.snapshot.tensors
    assert (state.name, state.dtype, state.ndim, state.info.value) == ("z", "uint8", 1, {"unit": "m"})
    assert writer.head.snapshot.diff.tensors == (
        TensorDiff(key=y, deleted=True),
        TensorDiff(key=x, renamed_from="x"),
    )
    assert writer.head.snapshot.diff.groups_deleted == ("g",)
    writer.tensors[x] = msgspec.structs.replace(writer.state(x), name="x")
    writer.groups = ("g",)
    writer.flush()
    assert writer.head.snapshot.diff == Diff(tensors=(TensorDiff(key=y, deleted=True),))


def test_a_tensor_made_and_dropped_between_commits_leaves_no_trace(writer: Writer) -> None:
    writer.commit("one", allow_empty=True)
    key = writer.create()
    writer.append(key, "a")
    writer.flush()
    writer.removed.append(key)
    writer.flush()
    assert writer.head.snapshot.tensors == ()
    assert writer.head.snapshot.diff == Diff()


def test_large_info_has_an_object_of_its_own(writer: Writer) -> None:
    key = writer.create()
    names = {"class_names": [f"class {i}" for i in range(20_000)]}
    writer.infos[key] = names
    writer.commit("one")
    info = writer.state(key).info
    assert info.value == {}
    assert len(encode(writer.head.snapshot)) < 4096
    fresh = writer.reopen().repository
    assert fresh.load_info(info) == names
    assert fresh.load_info(writer.head.snapshot.info) == {}


def test_empty_commits(writer: Writer) -> None:
    first = writer.commit("the first commit always counts")
    with pytest.raises(EmptyCommitError, match="nothing to commit"):
        writer.commit("again")
    second = writer.commit("again", allow_empty=True)
    assert writer.head.snapshot.parents == (first,)
    assert writer.head.snapshot.generation == 2
    assert writer.repository.head().commit_id == second
    assert writer.flush() is writer.head


def test_a_past_version_cannot_be_written(writer: Writer) -> None:
    commit = writer.commit("one")
    writer.head = writer.repository.resolve(commit)
    writer.create()
    with pytest.raises(ReadOnlyModeError, match="past version"):
        writer.flush()


# ---------------------------------------------------------------- opening


def test_cold_open_takes_three_reads_and_no_listing(store: Store, context: Context) -> None:
    writer = Writer(Repository.create(store, context), World())
    key = writer.create()
    writer.append(key, "abc")
    writer.commit("one")
    for staged in (False, True):
        if staged:
            writer.append(key, "d")
            writer.flush()
        tap = Tap(store)
        head = Repository.open(tap, context).resolve("main")
        assert head.snapshot == writer.head.snapshot
        assert [op for op, _, _ in tap.take()] == ["read"] * 3


def test_opening_what_is_not_there(store: Store, context: Context) -> None:
    with pytest.raises(DatasetNotFoundError, match="no dataset"):
        Repository.open(store, context)
    store.create("zarr.json", b'{"zarr_format":3,"node_type":"group","attributes":{}}')
    with pytest.raises(DatasetNotFoundError, match="no zlake dataset"):
        Repository.open(store, context)


def test_a_damaged_root(store: Store, context: Context) -> None:
    Repository.create(store, context)
    found = store.read_versioned("zarr.json")
    assert found.value is not None
    store.swap("zarr.json", found.value.replace(b"created", b"crEated"), found.generation)
    with pytest.raises(DatasetCorruptError, match="root"):
        Repository.open(store, context)


def test_creating_twice(store: Store, context: Context) -> None:
    Repository.create(store, context)
    with pytest.raises(DatasetExistsError):
        Repository.create(store, context)


def test_unknown_addresses_suggest_near_ones(writer: Writer) -> None:
    commit = writer.commit("one")
    repository = writer.repository
    with pytest.raises(RefNotFoundError, match="did you mean 'main'"):
        repository.resolve("mian")
    with pytest.raises(RefNotFoundError, match="no commit"):
        repository.resolve("a" * 26)
    tag = Tag("v1", commit, repository.context.new_id(), snapshot=repository.snapshot(commit))
    repository.store.create(paths.tag_key("v1"), encode(tag))
    assert repository.resolve("v1").snapshot.id == commit
    deleted = Tag(name="v2", commit=commit, write_id=tag.write_id, deleted=True)
    repository.store.create(paths.tag_key("v2"), encode(deleted))
    with pytest.raises(RefNotFoundError, match="v2"):
        repository.resolve("v2")


def test_committed_and_at(writer: Writer) -> None:
    repository = writer.repository
    assert repository.committed(repository.head()).snapshot.tensors == ()
    key = writer.create()
    commit = writer.commit("one")
    writer.append(key, "a")
    writer.flush()
    assert repository.committed(writer.head).snapshot.id == commit
    assert repository.at(writer.head.snapshot.id, "main").branch == "main"
    past = repository.at(commit, "main")
    assert (past.branch, past.snapshot.id) == (None, commit)
    assert repository.at("").snapshot.tensors == ()


def test_a_missing_object_is_named(writer: Writer) -> None:
    writer.commit("one")
    key = paths.snapshot_key(writer.head.snapshot.id)
    writer.repository.store.delete(key)
    with pytest.raises(DatasetCorruptError, match=key):
        writer.reopen()


def test_a_lost_branch_is_damage_not_an_empty_dataset(writer: Writer) -> None:
    writer.commit("one")
    writer.repository.store.delete(paths.branch_key("main"))
    with pytest.raises(DatasetCorruptError, match="has commits"):
        writer.reopen()


# ---------------------------------------------------------------- cost


def test_commits_cost_the_same_whatever_came_before(store: Store, context: Context) -> None:
    tap = Tap(store)
    writer = Writer(Repository.create(tap, context), World(), coalesce=True)
    key = writer.create()
    writer.commit("start")
    costs = []
    n = 1500
    for i in range(n):
        writer.append(key, [i])
        tap.take()
        writer.commit(f"commit {i}")
        requests = tap.take()
        assert len([op for op, _, _ in requests if op != "read"]) <= 3
        assert sum(op == "read" for op, _, _ in requests) == 0
        costs.append(sum(size for _, _, size in requests))
    assert np.mean(costs[-100:]) < 1.5 * np.mean(costs[100:200])
    assert writer.reopen().values(key) == list(range(n))
    assert len(writer.state(key).extents.extents) <= 40
    fresh = Tap(store)
    log = Repository.open(fresh, context).log(writer.head.snapshot)
    fresh.take()
    assert [c.message for c in log] == [*(f"commit {i}" for i in reversed(range(n))), "start"]
    assert len(fresh.take()) <= n / 64 + 2


def test_history_pages_link_up_for_a_session_that_knows_none_of_them(store: Store, context: Context) -> None:
    writer = Writer(Repository.create(store, context), World())
    for i in range(90):
        if i % 7 == 0:
            writer = writer.reopen()
        writer.commit(str(i), allow_empty=True)
    log = list(writer.reopen().repository.log(writer.head.snapshot))
    assert [c.message for c in log] == [str(i) for i in reversed(range(90))]
    assert writer.head.snapshot.generation == 90


def _bulk(writer: Writer, key: str, segments: int, rows: int) -> None:
    """Append many segments of many rows at once."""
    entries, runs, ids = [], [], []
    for _ in range(segments):
        start = next(writer.world.next_id) * 10_000
        content = [(start + i, start + i) for i in range(rows)]
        entries.extend(writer.world.write(content, writer.repository.context))
        ids.extend(sample_id for sample_id, _ in content)
        runs.append((len(runs), 0, rows))
    rows_changes = RowChanges(
        segments=tuple(entries), appended=ExtentMap.from_runs(runs), appended_ids=np.array(ids, np.uint64)
    )
    writer.head = writer.repository.flush(writer.head, Changes(rows={key: rows_changes}), writer.world)


def test_long_maps_go_to_pages_that_appends_share(store: Store, context: Context) -> None:
    tap = Tap(store)
    writer = Writer(Repository.create(tap, context), World(), coalesce=True)
    key = writer.create()
    writer.flush()
    _bulk(writer, key, 3000, 2)
    pages = writer.state(key).extents.pages
    assert len(pages) == 1
    rows = writer.stored(key)
    assert len(rows) == 6000
    writer.commit("bulk")
    tap.take()
    writer.append(key, ["new"])
    writer.commit("append")
    assert [op for op, _, _ in tap.take()] == ["create", "swap"]
    assert writer.state(key).extents.pages == pages
    assert len(encode(writer.head.snapshot)) < 32_768
    writer = writer.reopen()
    assert writer.values(key) == [value for _, value in rows] + ["new"]
    writer.update(key, 5, "five")
    writer.delete(key, 5999)
    writer.flush()
    expected = [value for _, value in rows]
    expected[5] = "five"
    assert writer.reopen().values(key) == [*expected[:5999], "new"]
    # many appends that cannot be gathered (as large segments cannot) make few pages
    for _ in range(40):
        _bulk(writer, key, 100, 1)
    table = writer.state(key).extents
    assert len(table.pages) <= 16
    assert all(page.extents <= limits.PAGE_EXTENTS for page in table.pages)
    assert sum(page.rows for page in table.pages) + sum(e.count for e in table.extents) == 10_000
    assert len(writer.reopen().values(key)) == 10_000


def test_an_update_rewrites_only_the_page_it_touches(store: Store, context: Context) -> None:
    writer = Writer(Repository.create(store, context), World())
    key = writer.create()
    writer.flush()
    for _ in range(3):
        _bulk(writer, key, 1000, 1)
    before = writer.state(key).extents.pages
    assert len(before) == 3
    writer.update(key, 1500, "new")
    writer.flush()
    after = writer.state(key).extents.pages
    assert (after[0], after[-1]) == (before[0], before[2])
    assert 2 < len(after[1:-1]) < 10  # what is edited once is cut smaller, for it is edited again
    assert sum(page.rows for page in after[1:-1]) == before[1].rows
    assert writer.reopen().values(key)[1500] == "new"
    writer.update(key, 1500, "newer")
    writer.flush()
    again = writer.state(key).extents.pages
    assert sum(a != b for a, b in zip(after, again, strict=True)) == 1


def test_many_scattered_updates_page_their_ids(writer: Writer) -> None:
    key = writer.create()
    ids = writer.append(key, range(5000))
    writer.commit("one")
    for row in range(0, 5000, 2):
        writer.update(key, row, -row)
    writer.flush()
    (diff,) = writer.head.snapshot.diff.tensors
    assert diff.updated.page
    assert diff.updated.count == 2500
    again = writer.reopen()
    again.delete(key, 0)
    again.commit("two")
    (diff,) = again.head.snapshot.diff.tensors
    assert diff.updated.count == 2499
    assert ids_in(diff.removed) == [ids[0]]
    assert len(encode(again.head.snapshot)) < limits.DOCUMENT_BYTES // 4
