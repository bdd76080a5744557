"""Verification finds every flipped byte and every missing object, and says what still reads."""

from __future__ import annotations

import google_crc32c
import numpy as np
import pytest
from msgspec.structs import replace

from tests.versions.support import new_tensor
from zlake import limits
from zlake.context import Context
from zlake.extents.map import ExtentMap
from zlake.format import encode, paths
from zlake.format.documents import Tag
from zlake.segments.block import Block
from zlake.segments.write import write_segment
from zlake.storage.store import Store
from zlake.versions.changes import Changes, RowChanges
from zlake.versions.refs import parse_tag
from zlake.versions.repository import Repository
from zlake.versions.verify import verify_repository


def dense(ids: list[int]) -> Block:
    return Block(
        "dense", np.dtype("int32"), np.array(ids, np.uint64), [np.arange(len(ids) * 3, dtype="i4").reshape(-1, 3)], (3,)
    )


def ragged(ids: list[int]) -> Block:
    sizes = np.arange(len(ids)) + 1
    offsets = np.append(0, sizes.cumsum())
    return Block("ragged", np.dtype("float32"), np.array(ids, np.uint64), [np.ones(offsets[-1], "f4")], (), offsets)


def encoded(ids: list[int]) -> Block:
    offsets = np.arange(len(ids) + 1) * 3
    shapes = np.ones((len(ids), 2), np.int64)
    return Block("encoded", np.dtype("uint8"), np.array(ids, np.uint64), [b"abc"] * len(ids), (), offsets, shapes)


@pytest.fixture
def repository(store: Store, context: Context) -> Repository:
    repository = Repository.create(store, context)
    fields = {
        "d": {"dtype": "int32", "ndim": 1},
        "r": {"dtype": "float32", "ndim": 1},
        "e": {"dtype": "uint8", "ndim": 2},
    }
    states = {name: new_tensor(context, name, **kinds) for name, kinds in fields.items()}
    head = repository.flush(
        repository.head(),
        Changes(
            tensors={state.key: state for state in states.values()},
            tensor_info={states["d"].key: {"names": ["x" * 100] * 100}},
        ),
    )
    for start in (10, 50):
        for ids in ([start, start + 3, start + 1], [start + 7]):
            blocks = {states["d"].key: dense(ids), states["r"].key: ragged(ids), states["e"].key: encoded(ids)}
            entries = write_segment(
                store, context.new_id(), {key: (block, "raw") for key, block in blocks.items()}, context
            )
            rows = {
                key: RowChanges(
                    segments=(entry,),
                    appended=ExtentMap.from_runs([(0, 0, len(ids))]),
                    appended_ids=np.array(ids, np.uint64),
                )
                for key, entry in entries.items()
            }
            head = repository.flush(head, Changes(rows=rows))
        if start == 10:
            head = repository.commit(head, message="first")
            repository.create_tag("v1", str(head.commit_id))
    return repository


def reachable(repository: Repository) -> list[str]:
    """Keys of all objects but staged snapshots that were replaced."""
    report = verify_repository(repository)
    head = repository.head()
    live = {head.ref.staged, head.ref.commit}
    assert report.ok
    assert {version.id for version in report.versions} == live
    return [key for key in repository.store.list() if not key.startswith("commits/") or key.split("/")[1] in live]


def put(store: Store, key: str, value: bytes) -> None:
    store.delete(key)
    store.create(key, value)


def test_a_whole_dataset(repository: Repository) -> None:
    report = verify_repository(repository)
    assert report.ok
    assert bool(report)
    assert report.damages == ()
    assert [version.kind for version in report.versions] == ["staged", "commit"]
    assert all(version.intact for version in report.versions)
    assert "all whole" in str(report)
    assert report.objects == len(reachable(repository))


def test_every_flipped_byte_is_found(repository: Repository) -> None:
    store = repository.store
    random = np.random.default_rng(5)
    for key in reachable(repository):
        data = store.read(key)
        assert data is not None
        for at in {0, len(data) - 1, *random.integers(0, len(data), 3).tolist()}:
            damaged = bytearray(data)
            damaged[at] ^= 1 << int(random.integers(8))
            put(store, key, bytes(damaged))
            report = verify_repository(Repository(store, repository.context, repository.root))
            assert [damage.key for damage in report.damages] == [key], (key, at, str(report))
            assert not report
        put(store, key, data)
    assert verify_repository(repository).ok


def test_every_missing_object_is_found(repository: Repository) -> None:
    store = repository.store
    for key in reachable(repository):
        data = store.read(key)
        assert data is not None
        if key.startswith("refs/tags/"):
            continue  # a tag that is not there was never made
        store.delete(key)
        report = verify_repository(Repository(store, repository.context, repository.root))
        assert [(damage.key, "missing" in damage.reason) for damage in report.damages] == [(key, True)]
        put(store, key, data)


def test_what_still_reads(repository: Repository) -> None:
    store = repository.store
    staged = repository.head().snapshot
    state = next(state for state in staged.tensors if state.name == "r")
    late = state.extents.segments[-1].segment
    key = next(key for key in store.list(f"segments/{late}/{state.key}/values-data/"))
    store.delete(key)
    report = verify_repository(repository)
    assert [(v.kind, v.intact, v.damaged_tensors) for v in report.versions] == [
        ("staged", False, ("r",)),
        ("commit", True, ()),
    ]
    assert "damaged tensors ['r']" in str(report)
    assert verify_repository(repository, deep=False).ok


def test_an_id_twice(repository: Repository, context: Context) -> None:
    head = repository.head()
    key = next(state.key for state in head.snapshot.tensors if state.name == "d")
    entry = write_segment(repository.store, context.new_id(), {key: (dense([10]), "raw")}, context)[key]
    rows = RowChanges(
        segments=(entry,), appended=ExtentMap.from_runs([(0, 0, 1)]), appended_ids=np.array([10], np.uint64)
    )
    repository.flush(head, Changes(rows={key: rows}))
    for deep in (False, True):
        report = verify_repository(repository, deep=deep)
        assert ["twice" in damage.reason for damage in report.damages] == [True]


def test_exchanged_objects_are_found(repository: Repository) -> None:
    store = repository.store
    objects = {key: store.read(key) or b"" for key in store.list("segments/") if not key.endswith("zarr.json")}
    found = 0
    for key, data in objects.items():
        for other, value in objects.items():
            if other <= key or value == data or len(value) != len(data):
                continue
            put(store, key, value)
            put(store, other, data)
            report = verify_repository(Repository(store, repository.context, repository.root))
            assert {damage.key for damage in report.damages} == {key, other}
            put(store, key, data)
            put(store, other, value)
            found += 1
    assert found > 3


def test_entries_that_differ_between_versions(repository: Repository, context: Context) -> None:
    snapshot = repository.snapshot(str(repository.head().commit_id))
    (first, *rest) = snapshot.tensors
    entry = first.extents.segments[0]
    table = replace(first.extents, segments=(replace(entry, bytes=entry.bytes + 1), *first.extents.segments[1:]))
    other = replace(snapshot, id=context.new_id(), tensors=(replace(first, extents=table), *rest))
    repository.store.create(paths.snapshot_key(other.id), encode(other))
    tag = Tag(name="odd", commit=other.id, write_id=context.new_id(), snapshot=other)
    repository.store.create(paths.tag_key("odd"), encode(tag))
    for deep in (False, True):
        report = verify_repository(repository, deep=deep)
        (damage,) = report.damages
        assert damage.reason == f"tensor {first.name!r}: another version says otherwise of segment {entry.segment}"
        assert [version.damaged_tensors for version in report.versions if not version.intact] == [(first.name,)]
        assert "all others read" in str(report)


def test_a_tag_that_carries_something_else_than_its_commit(repository: Repository) -> None:
    commit = repository.resolve("v1").snapshot
    key = paths.tag_key("v1")
    tag = parse_tag(repository.store, "v1", repository.store.read(key) or b"")
    assert tag.snapshot == commit
    put(repository.store, key, encode(replace(tag, snapshot=replace(commit, message="another"))))
    report = verify_repository(repository)
    (damage,) = report.damages
    assert (damage.key, damage.reason) == (
        key,
        f"carries something else than {paths.snapshot_key(commit.id)}, which is what counts",
    )
    assert all(version.intact for version in report.versions)
    repository.delete_tag("v1")
    repository.create_tag("v2", commit.id)
    assert verify_repository(repository).ok


@pytest.mark.parametrize("checks", [True, False])
def test_a_chunk_that_was_left_out_of_a_shard(
    repository: Repository, context: Context, monkeypatch: pytest.MonkeyPatch, checks: bool
) -> None:
    """Also one that is nothing but zeros, which readers may take for granted."""
    monkeypatch.setattr(limits, "INNER_CHUNK_BYTES", 24)
    monkeypatch.setattr(limits, "SHARD_BYTES", 96)
    head, store = repository.head(), repository.store
    key = next(state.key for state in head.snapshot.tensors if state.name == "d")
    block = Block("dense", np.dtype("int32"), np.arange(100, 111).astype(np.uint64), [np.zeros((11, 3), "i4")], (3,))
    entry = write_segment(store, context.new_id(), {key: (block, "raw")}, context)[key]
    if not checks:
        entry = replace(entry, checks=b"")
    rows = RowChanges(segments=(entry,), appended=ExtentMap.from_runs([(0, 0, 11)]), appended_ids=block.ids)
    repository.flush(head, Changes(rows={key: rows}))
    assert verify_repository(repository).ok
    last = f"segments/{entry.segment}/{key}/values-data/c.1.0"
    data = bytearray(store.read(last) or b"")
    chunks = entry.shard[0] // entry.inner[0]
    index = np.frombuffer(data[-16 * chunks - 4 : -4], "<u8").copy()
    assert index[-2:].tolist() == [2**64 - 1] * 2  # beyond the edge
    index[:2] = 2**64 - 1
    data[-16 * chunks - 4 :] = index.tobytes() + google_crc32c.value(index.tobytes()).to_bytes(4, "little")
    put(store, last, bytes(data))
    report = verify_repository(repository)
    assert [(damage.key, damage.reason) for damage in report.damages] == [(last, "chunk 0 of the shard is missing")]
