"""Compaction as users of a dataset meet it: samples, ids and diffs stay, and reading takes few requests."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zlake
from tests.interop.datasets import rows as of_every_kind
from zlake import limits
from zlake.context import Context
from zlake.errors import (
    CommitError,
    FormatError,
    InvalidOperationError,
    ObjectNotFoundError,
    ReadOnlyModeError,
    StorageFullError,
    TensorDoesNotExistError,
)
from zlake.session.diff import Diff
from zlake.session.opening import create_session, open_session, store_at
from zlake.testing import FaultStore, on

CONTEXT = Context(durable=False, threads=2)


def shown(ds: zlake.Dataset) -> dict[str, Any]:
    """All samples with their ids."""
    return {
        name: (tensor.ids().tolist(), [_plain(sample) for sample in _samples(tensor)])
        for name, tensor in ds.tensors.items()
    }


def _samples(tensor: zlake.Tensor) -> Any:
    if tensor.htype == "image":
        return [sample.tobytes() for sample in tensor]
    return tensor.data()["value"] if tensor.htype in ("text", "json") else tensor.numpy(aslist=True)


def _plain(sample: Any) -> Any:
    if isinstance(sample, list):
        return [_plain(item) for item in sample]
    return (sample.shape, sample.dtype.str, sample.tobytes()) if isinstance(sample, np.ndarray) else sample


def extents(tensor: zlake.Tensor) -> int:
    return tensor._column.base()[1].n_extents


def no_change(ds: zlake.Dataset, before: str, after: str) -> bool:
    """Whether a diff of two versions finds nothing, as a whole and row by row."""
    diff = Diff(ds._session, *((each, ds._session.repository.snapshot(each)) for each in (before, after)), None)
    return not diff.tensors and not list(diff.rows()) and "no changes" in str(diff)


def of_all_kinds(path: Any, **options: Any) -> zlake.Dataset:
    ds = zlake.empty(path, overwrite=True, **options)
    ds.create_tensor("dense")
    ds.create_tensor("labels", htype="class_label", class_names=["zero", "one", "two"])
    ds.create_tensor("ragged")
    ds.create_tensor("boxes", htype="bbox")
    ds.create_tensor("photos", htype="image", sample_compression="jpeg")
    ds.create_tensor("captions", htype="text")
    ds.create_tensor("notes", htype="json")
    ds.create_tensor("clips", htype="sequence[generic]")
    ds.create_tensor("words", htype="sequence[generic]")
    ds.create_tensor("packed", dtype="int64", chunk_compression="zstd")
    ds.create_tensor("inner/deep/x", hidden=True)
    ds.create_tensor("later", hidden=True)
    return ds


def single_rows(ds: zlake.Dataset, count: int) -> None:
    given = of_every_kind(0, count)
    given["packed"] = [np.arange(i % 3) for i in range(count)]
    ds.extend({name: samples[:3] for name, samples in given.items()}, skip_ok=True)
    for i in range(3, count):
        ds.append({name: samples[i] for name, samples in given.items()}, skip_ok=True)


def test_every_kind_after_many_single_rows(tmp_path: Path) -> None:
    ds = of_all_kinds(tmp_path / "ds")
    single_rows(ds, 48)
    rng = random.Random(1)
    other = of_every_kind(20, 25)
    for i in range(25):
        at = rng.randrange(len(ds))
        ds[at].update({name: samples[i] for name, samples in other.items()})
        if i % 3 == 0:
            ds.pop(rng.randrange(len(ds)))
    before = shown(ds)
    start = ds.commit("many small changes")
    report = ds.optimize()
    assert report
    assert report.commit == ds.commit_id != start
    assert (report.extents_after, report.segments_after) == (11, 1)
    assert report.extents_before > 11 * 20
    assert report.segments_before > 10
    assert shown(ds) == before
    assert all(extents(tensor) == 1 for name, tensor in ds.tensors.items() if name != "later")
    assert not ds.has_head_changes
    assert [commit["message"] for commit in ds.commits] == ["Optimize", "many small changes"]
    assert no_change(ds, start, report.commit)
    assert ds.merge(start) is None
    again = ds.optimize()
    assert (bool(again), again.commit, again.bytes_written) == (False, None, 0)
    assert again.extents_before == again.extents_after == 11
    assert ds.commit_id == report.commit
    assert ds.verify(deep=True)
    fresh = zlake.load(tmp_path / "ds")
    assert shown(fresh) == before
    assert shown(zlake.load(f"{tmp_path / 'ds'}@{start}")) == before


def test_a_thousand_appends_updates_and_pops() -> None:
    ds = zlake.empty("mem://optimize-thousand", overwrite=True)
    ds.create_tensor("x", dtype="int64")
    ds.create_tensor("y", dtype="float32")
    rng = random.Random(0)
    x: list[int] = []
    for i in range(1000):
        ds.append({"x": i, "y": np.full(i % 5, i, np.float32)})
        x.append(i)
        if i % 4 == 0:
            at = rng.randrange(len(x))
            ds.x[at] = x[at] = -i
        if i % 9 == 0:
            at = rng.randrange(len(x))
            ds.pop(at)
            del x[at]
    before, start = shown(ds), ds.commit("a thousand")
    assert extents(ds.x) > 20
    report = ds.optimize(message="tidied up", num_workers=2)
    assert (report.extents_after, report.segments_after) == (2, 1)
    assert ds.commits[0]["message"] == "tidied up"
    assert shown(ds) == before
    assert ds.x.numpy().ravel().tolist() == x
    assert report.commit is not None
    assert no_change(ds, start, report.commit)
    assert no_change(ds, report.commit, start)
    assert not ds.optimize()
    ds.gc(grace=0)
    assert shown(ds) == before
    assert ds.verify(deep=True)
    ds.pop(3)
    ds.x[0] = 77
    assert ds.optimize("x").extents_after == 1


def test_what_is_staged_stays_staged() -> None:
    ds = zlake.empty("mem://optimize-staged", overwrite=True)
    ds.create_tensor("x", dtype="int64")
    ds.x.extend(np.arange(40))
    for i in range(0, 40, 3):
        ds.x[i] = -i
    first = ds.commit("forty")
    committed = shown(ds)
    ds.x[1] = 100
    ds.pop(5)
    before = shown(ds)
    changes = ds.diff(as_dict=True)["tensors"][0]
    report = ds.optimize()
    assert report.commit is not None
    assert report.extents_after == extents(ds.x) == 1
    assert ds.has_head_changes
    assert shown(ds) == before
    after = ds.diff(as_dict=True)["tensors"][0]
    assert {**after, "commit_id": None} == {**changes, "commit_id": None}
    assert [c.change for c in ds.diff().rows("x")] == ["removed", "updated"]
    ds.reset()
    assert ds.commit_id == report.commit
    assert shown(ds) == committed
    assert extents(ds.x) < 8
    assert no_change(ds, first, report.commit)


def test_what_was_never_committed_is_not_committed() -> None:
    ds = zlake.empty("mem://optimize-uncommitted", overwrite=True)
    ds.create_tensor("x", dtype="int64")
    for i in range(30):
        ds.x.append(i)
    before = shown(ds)
    report = ds.optimize()
    assert report
    assert (report.commit, report.extents_after, ds.commit_id) == (None, 1, None)
    assert "staged" in str(report)
    assert ds.has_head_changes
    assert shown(zlake.load("mem://optimize-uncommitted")) == before
    ds.commit("now")
    assert shown(ds) == before
    assert ds.verify(deep=True)


def test_a_commit_that_would_lie_in_more_pieces_stays() -> None:
    ds = zlake.empty("mem://optimize-pieces", overwrite=True)
    ds.create_tensor("x", dtype="int64")
    ds.x.extend(np.arange(100))
    first = ds.commit("one piece")
    for row in (10, 40, 70):
        ds.pop(row)
    report = ds.optimize()
    assert (report.extents_before, report.extents_after, report.commit) == (4, 1, None)
    assert ds.commit_id == first
    assert extents(zlake.load(f"mem://optimize-pieces@{first}").x) == 1
    ds.commit("three rows less")
    assert len(ds.diff(first, as_dict=True)) == 2
    assert [change.change for change in ds.diff(first).rows("x")] == ["removed"] * 3


def test_what_is_buffered_is_flushed_first() -> None:
    ds = zlake.empty("mem://optimize-block", overwrite=True)
    ds.create_tensor("x", dtype="int64")
    for i in range(5):
        ds.x.append(i)
    with ds:
        ds.x.append(5)
        assert ds.optimize().extents_after == 1
        ds.x.append(6)
    assert zlake.load("mem://optimize-block").x.numpy().ravel().tolist() == list(range(7))


@pytest.mark.parametrize("what", ["optimize", "rechunk"])
def test_tensors_that_others_renamed_or_deleted_meanwhile(what: str) -> None:
    ds = zlake.empty(f"mem://{what}-renamed", overwrite=True)
    for name in ("x", "gone"):
        ds.create_tensor(name, dtype="int64")
    for value in range(8):
        ds.append({"x": value, "gone": value})
    ds.commit("row by row")
    other = zlake.load(ds.path)
    other.rename_tensor("x", "y")
    other.delete_tensor("gone")
    with ds:
        ds.x.append(8)
        report = ds.optimize() if what == "optimize" else ds.rechunk(progressbar=False)
    assert report.segments_before > report.segments_after == 1
    assert list(ds.tensors) == ["y"]
    assert ds.y.numpy().reshape(-1).tolist() == list(range(9))


def test_named_tensors_and_groups() -> None:
    ds = zlake.empty("mem://optimize-named", overwrite=True)
    for name in ("x", "group/a", "group/b"):
        ds.create_tensor(name, dtype="int64")
    for i in range(10):
        ds.append({"x": i, "group/a": i, "group/b": i})
    ds.commit("ten")
    assert ds.optimize("group").extents_after == 2
    assert [extents(ds[name]) for name in ("x", "group/a", "group/b")] == [extents(ds.x), 1, 1]
    assert extents(ds.x) > 1
    assert not ds["group"].optimize()
    assert ds.optimize(["x", "group/a", "x"]).extents_after == 2
    assert extents(ds.x) == 1
    ds["group/a"].append(5)
    ds["group"].optimize("a")
    assert extents(ds["group/a"]) == 1


def test_rechunk_writes_everything_anew_in_the_present_settings() -> None:
    ds = zlake.empty("mem://rechunk", overwrite=True)
    ds.create_tensor("x", dtype="int64")
    ds.create_tensor("empty", dtype="int64")
    ds.x.extend(np.arange(50).reshape(-1, 1))
    ds.commit("fifty")
    assert not ds.optimize()
    old = ds.x._column.base()[0][0]
    before = shown(ds)
    report = ds.rechunk("x", 2, "threaded", False)
    assert report.commit == ds.commit_id
    new = ds.x._column.base()[0][0]
    assert new.segment != old.segment
    assert shown(ds) == before
    column = ds.x._column
    with ds:
        column.state = replace_setting(column.state, "zstd")
        column.schema_changed = True
    assert ds.rechunk(progressbar=False)
    assert ds.x._column.base()[0][0].codec == "zstd"
    assert shown(ds) == before
    assert not ds.rechunk("empty", progressbar=False)
    assert ds.verify(deep=True)


def replace_setting(state: Any, compression: str) -> Any:
    import msgspec

    return msgspec.structs.replace(state, chunk_compression=compression)


def test_large_samples_stay_tiled_and_shapes_stay_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TILING_THRESHOLD_BYTES", 10_000)
    monkeypatch.setattr(limits, "INNER_CHUNK_BYTES", 4_000)
    monkeypatch.setattr(limits, "SHARD_BYTES", 40_000)
    ds = zlake.empty("mem://optimize-tiled", overwrite=True, context=replace(CONTEXT, flush_bytes=40_000))
    ds.create_tensor("x", dtype="uint8")
    big = np.arange(30_000, dtype=np.uint32).astype(np.uint8).reshape(150, 200)
    for i in range(5):
        ds.x.append(np.full((2, 2 + i % 2), i, np.uint8))
    ds.x.append(big)
    for i in range(5):
        ds.x.append(np.full((2, 2), i, np.uint8))
    for i in range(200):
        ds.x.append(np.full((10, 20), i, np.uint8))
    before, start = shown(ds), ds.commit("all")
    report = ds.optimize()
    assert report.commit is not None
    assert shown(ds) == before
    entries = {entry.segment: entry for entry in ds.x._column.base()[0]}
    assert sorted((e.layout, e.shape, e.rows) for e in entries.values() if e.shape == (150, 200)) == [
        ("dense", (150, 200), 1)
    ]
    assert sum(entry.rows for entry in entries.values() if entry.shape == (10, 20)) > 100
    assert no_change(ds, start, report.commit)
    assert not ds.optimize()
    assert ds.rechunk(progressbar=False)
    assert {e.shape for e in ds.x._column.base()[0] if e.layout == "dense"} >= {(150, 200), (10, 20)}
    assert shown(ds) == before
    assert ds.verify(deep=True)


def test_rechunk_divides_large_samples_that_were_written_with_others(monkeypatch: pytest.MonkeyPatch) -> None:
    ds = zlake.empty("mem://rechunk-tiles", overwrite=True, context=CONTEXT)
    ds.create_tensor("x", dtype="uint8")
    big = np.arange(40_000, dtype=np.uint32).astype(np.uint8).reshape(200, 200)
    ds.x.extend([np.zeros((2, 3), np.uint8), big, big + 1, np.ones((4, 3), np.uint8), np.ones((5, 3), np.uint8)])
    before, start = shown(ds), ds.commit("together")
    assert [entry.layout for entry in ds.x._column.base()[0]] == ["ragged"]
    monkeypatch.setattr(limits, "SHARD_BYTES", 40_000)
    monkeypatch.setattr(limits, "TILING_THRESHOLD_BYTES", 10_000)
    monkeypatch.setattr(limits, "INNER_CHUNK_BYTES", 4_000)
    assert not ds.optimize()
    report = ds.rechunk(progressbar=False)
    entries = ds.x._column.base()[0]
    assert [(entry.layout, entry.rows) for entry in entries] == [
        ("dense", 1),
        ("dense", 1),
        ("dense", 1),
        ("ragged", 2),
    ]
    assert all(entry.inner[1] < 200 for entry in entries[1:3])
    assert shown(ds) == before
    assert report.commit is not None
    assert no_change(ds, start, report.commit)
    assert not ds.optimize()
    assert ds.rechunk(progressbar=False).extents_after == 3  # the two large ones are of one shape
    assert ds.verify(deep=True)


@pytest.mark.parametrize("workers", [0, 3])
def test_memory_is_bounded_by_segments(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    monkeypatch.setattr(limits, "SHARD_BYTES", 4_000)
    ds = zlake.empty("mem://optimize-bounded", overwrite=True, context=replace(CONTEXT, flush_bytes=1_000))
    ds.create_tensor("x", dtype="int64")
    ds.create_tensor("y", dtype="uint8")
    for i in range(100):
        ds.append({"x": np.full(40, i), "y": np.full(3, i, np.uint8)})
    before = shown(ds)
    ds.commit("rows")
    report = ds.optimize(num_workers=workers)
    assert shown(ds) == before
    segments = ds.x._column.base()[0]
    assert len(segments) <= report.segments_after <= len(segments) + 1
    assert max(entry.rows for entry in segments) * 320 <= 4_400
    assert extents(ds.y) == 1
    assert not ds.optimize()
    assert ds.verify(deep=True)


def test_long_extents_are_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SHARD_BYTES", 4_000)
    store = FaultStore(store_at("mem://optimize-untouched", None, CONTEXT))
    ds = zlake.Dataset(create_session(store, CONTEXT, overwrite=True))
    ds.create_tensor("x", dtype="int64")
    ds.x.extend(np.arange(1000))
    for i in range(20):
        ds.x.append(i)
    ds.commit("long and short")
    long = ds.x._column.base()[0][0].segment
    store.recorder.clear()
    report = ds.optimize()
    assert (report.extents_after, report.segments_after) == (2, 2)
    assert ds.x._column.base()[0][0].segment == long
    assert not [o for o in store.recorder if o.name == "read" and long in o.key]
    # one segment, one commit, one swap
    created = sorted(o.key.partition("/")[0] for o in store.recorder if o.name in ("create", "swap"))
    assert created == ["commits", "refs", "segments", "segments"]
    assert report.bytes_written < 1_500
    store.recorder.clear()
    assert not ds.optimize()
    assert store.recorder.count("create", "swap", "list") == 0


def test_reading_in_order_opens_few_objects() -> None:
    url = "mem://optimize-requests"
    ds = zlake.empty(url, overwrite=True, context=CONTEXT)
    ds.create_tensor("x", dtype="int64")
    ds.create_tensor("words", htype="text")
    for i in range(300):
        ds.append({"x": np.full(5, i), "words": f"word {i}"})
        if i % 2:
            ds.x[i // 2] = np.full(5, -i)
    ds.commit("rows")

    def requests() -> tuple[int, Any]:
        store = FaultStore(store_at(url, None, CONTEXT))
        read = zlake.Dataset(open_session(store, CONTEXT, None, None))
        found = read.x.numpy().tolist(), read.words.text()
        return store.recorder.count("read", "read_versioned", "tensorstore_spec", "local_path"), found

    before, samples = requests()
    ds.optimize()
    after, same = requests()
    assert same == samples
    assert before > 15
    assert after <= 8


def test_a_long_table_of_extents_fits_the_document_again() -> None:
    ds = zlake.empty("mem://optimize-pages", overwrite=True, context=CONTEXT)
    ds.create_tensor("x", dtype="int16")
    ds.x.extend(np.arange(5000, dtype=np.int16))
    ds.commit("rows")
    ds.x[::2] = np.full(2500, -1, np.int16)
    start = ds.commit("every other row updated")
    assert ds.x._column.state.extents.pages
    before = shown(ds)
    report = ds.optimize()
    assert (report.extents_before, report.extents_after) == (5000, 1)
    assert not ds.x._column.state.extents.pages
    assert shown(ds) == before
    assert report.commit is not None
    assert no_change(ds, start, report.commit)


def test_others_write_meanwhile() -> None:
    """What others append, update, delete and stage between the copying and the swap is there, and not committed."""
    url = "mem://optimize-others"
    plain = store_at(url, None, CONTEXT)
    ds = zlake.Dataset(create_session(plain, CONTEXT, overwrite=True))
    ds.create_tensor("x", dtype="int64")
    ds.create_tensor("y", dtype="int64")
    for i in range(20):
        ds.append({"x": i, "y": i})
    start = ds.commit("twenty")
    store = FaultStore(plain)
    mine = zlake.Dataset(open_session(store, CONTEXT, None, None))

    def interfere(_: Any) -> None:
        other = zlake.Dataset(open_session(plain, CONTEXT, None, None))
        other.x.append(20)
        other.x[3] = 300
        other.x.pop(7)
        other.delete_tensor("y")

    fault = store.fail(StorageFullError("not raised"), on("create", key="commits/"))
    fault.act = interfere
    report = mine.optimize()
    assert report.commit is not None
    expected = [0, 1, 2, 300, 4, 5, 6, *range(8, 21)]
    assert mine.x.numpy().ravel().tolist() == expected
    assert list(mine.tensors) == ["x"]
    assert mine.has_head_changes
    assert [commit["message"] for commit in mine.commits] == ["Optimize", "twenty"]
    found = zlake.load(f"{url}@{report.commit}", context=CONTEXT)
    assert no_change(ds, start, report.commit)
    assert found.x.numpy().ravel().tolist() == list(range(20))
    assert mine.verify(deep=True)
    # the others go on from what they know, by sample id
    ds.x[4] = 400
    ds.x.pop(0)
    assert zlake.load(url, context=CONTEXT).x.numpy().ravel().tolist() == [1, 2, 300, 400, 5, 6, *range(8, 21)]


def test_a_branch_made_before_is_merged_after() -> None:
    ds = zlake.empty("mem://optimize-merge", overwrite=True, context=CONTEXT)
    ds.create_tensor("x", dtype="int64")
    for i in range(20):
        ds.x.append(i)
    ds.commit("twenty")
    ds.checkout("side", create=True)
    ds.x[2] = 200
    ds.x.pop(9)
    ds.x.append(20)
    ds.commit("on side")
    ds.checkout("main")
    ds.x[5] = 500
    ds.commit("on main")
    assert ds.optimize()
    ds.merge("side")
    assert ds.x.numpy().ravel().tolist() == [0, 1, 200, 3, 4, 500, 6, 7, 8, *range(10, 21)]
    assert ds.optimize()
    ds.checkout("side")
    ds.optimize()
    ds.merge("main")
    assert ds.x.numpy().ravel().tolist() == [0, 1, 200, 3, 4, 500, 6, 7, 8, *range(10, 21)]
    assert ds.verify(deep=True)


def test_revert_and_cherry_pick_of_a_compaction_change_nothing() -> None:
    ds = zlake.empty("mem://optimize-revert", overwrite=True, context=CONTEXT)
    ds.create_tensor("x", dtype="int64")
    for i in range(20):
        ds.x.append(i)
    ds.commit("twenty")
    report = ds.optimize()
    ds.x[3] = -3
    ds.commit("one")
    before = shown(ds)
    assert report.commit is not None
    ds.revert(report.commit)
    assert shown(ds) == before
    ds.cherry_pick(report.commit)
    assert shown(ds) == before


def test_old_segments_are_collected() -> None:
    ds = zlake.empty("mem://optimize-gc", overwrite=True, context=CONTEXT)
    ds.create_tensor("x", dtype="int64")
    for i in range(30):
        ds.x.append(i)
    ds.optimize()
    assert ds.gc(grace=0).deleted.segments >= 30
    assert ds.x.numpy().ravel().tolist() == list(range(30))
    assert len(zlake.load("mem://optimize-gc", context=CONTEXT)) == 30
    assert ds.verify(deep=True).unreachable == 0


def test_sessions_that_were_open_before_go_on() -> None:
    ds = fragmented("mem://optimize-open")
    reader = zlake.load("mem://optimize-open", read_only=True, context=CONTEXT)
    writer = zlake.load("mem://optimize-open", context=CONTEXT)
    before = shown(reader)
    ds.optimize()
    ds.rechunk(progressbar=False)
    assert shown(reader) == shown(writer) == before
    with writer:
        writer.x[4] = 44
        writer.x.append(10)
        writer.pop(0)
    reader.refresh()
    assert reader.x.numpy().ravel().tolist() == [1, 2, 3, 44, *range(5, 11)]
    assert reader.x.ids().tolist()[:-1] == before["x"][0][1:]
    assert reader.verify(deep=True)


@pytest.mark.parametrize("service", ["s3_bucket", "gcs_bucket"])
def test_buckets(service: str, request: pytest.FixtureRequest) -> None:
    bucket = request.getfixturevalue(service)
    ds = zlake.empty(f"{bucket.url}/ds", creds=bucket.creds)
    ds.create_tensor("x", dtype="int64")
    ds.create_tensor("words", htype="text")
    for i in range(9):
        ds.append({"x": np.full(3, i), "words": f"word {i}"})
    ds.x[4] = np.full(3, 40)
    start, before = ds.commit("nine"), shown(ds)
    report = ds.optimize(num_workers=1)
    assert (report.extents_after, report.segments_after) == (2, 1)
    fresh = zlake.load(f"{bucket.url}/ds", creds=bucket.creds)
    assert shown(fresh) == before
    assert report.commit == fresh.commit_id
    assert no_change(fresh, start, report.commit)
    assert not fresh.optimize()
    assert fresh.verify(deep=True)


def test_nothing_at_all() -> None:
    ds = zlake.empty("mem://optimize-nothing", overwrite=True, context=CONTEXT)
    for call in (ds.optimize, ds.rechunk):
        report = call()
        assert not report
        assert str(report) == "nothing to do: 0 extents in 0 segments"
    ds.create_tensor("x", dtype="int64")
    assert not ds.rechunk()
    ds.x.append(1)
    assert not ds.optimize(tensors=[])
    assert not ds.optimize()
    assert str(ds.rechunk(progressbar=False)).startswith("1 extent in 1 segment became 1 extent in 1 segment, ")
    assert ds.commit_id is None


# ---------------------------------------------------------------- bad input


def fragmented(url: str) -> zlake.Dataset:
    ds = zlake.empty(url, overwrite=True, context=CONTEXT)
    ds.create_tensor("x", dtype="int64")
    for i in range(9):
        ds.x.append(i)
    ds.commit("nine")
    ds.x.append(9)
    return ds


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"tensors": "y"}, TensorDoesNotExistError, "'y'"),
        ({"tensors": ["x", "xx"]}, TensorDoesNotExistError, "did you mean 'x'"),
        ({"tensors": 5}, TypeError, "by name, not as 5"),
        ({"tensors": ["x", None]}, TypeError, "by name, not as None"),
        ({"num_workers": -1}, InvalidOperationError, "0 or more, not -1"),
        ({"num_workers": 1.5}, InvalidOperationError, "not 1.5"),
        ({"num_workers": True}, InvalidOperationError, "not True"),
        ({"message": 3}, CommitError, "is text, not 3"),
        ({"message": "m" * 10_000}, CommitError, "at most 8,192 bytes"),
    ],
)
def test_bad_arguments(options: dict[str, Any], error: type[Exception], says: str) -> None:
    ds = fragmented("mem://optimize-bad")
    before = ds._session.head
    with pytest.raises(error, match=says):
        ds.optimize(**options)
    assert zlake.load("mem://optimize-bad")._session.head.ref == before.ref
    if "message" not in options:
        with pytest.raises(error, match=says):
            ds.rechunk(**options, progressbar=False)
    with pytest.raises(InvalidOperationError, match="threaded, processed, serial, ray, not 'dask'"):
        ds.rechunk(scheduler="dask")


def test_versions_that_cannot_change() -> None:
    ds = fragmented("mem://optimize-past")
    past = zlake.load(f"mem://optimize-past@{ds.commit_id}", context=CONTEXT)
    with pytest.raises(InvalidOperationError, match="checkout a branch first"):
        past.optimize()
    assert past.branches == ["main"]
    reader = zlake.load("mem://optimize-past", read_only=True, context=CONTEXT)
    for call in (reader.optimize, reader.rechunk):
        with pytest.raises(ReadOnlyModeError):
            call()
    for view in (ds[2:5], ds[["x"]]):
        with pytest.raises(InvalidOperationError, match="cannot be called on a Dataset view"):
            view.optimize()
        with pytest.raises(InvalidOperationError, match="cannot be called on a Dataset view"):
            view.rechunk()
    assert extents(zlake.load("mem://optimize-past", context=CONTEXT).x) > 1


@pytest.mark.parametrize("prefix", ["segments/", "commits/"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_full_storage_changes_nothing(prefix: str, workers: int) -> None:
    plain = fragmented("mem://optimize-full")._session.store
    store = FaultStore(plain)
    ds = zlake.Dataset(open_session(store, CONTEXT, None, None))
    before, head = shown(ds), ds._session.head
    fault = store.fail(StorageFullError("the storage is full"), on("create", key=prefix), times=None)
    with pytest.raises(StorageFullError):
        ds.optimize(num_workers=workers)
    assert zlake.load("mem://optimize-full", context=CONTEXT)._session.head.ref == head.ref
    assert shown(ds) == before
    store.faults.remove(fault)
    assert ds.optimize(num_workers=workers).extents_after == 1
    assert shown(ds) == before
    assert ds.has_head_changes


def test_damaged_rows_are_not_copied() -> None:
    ds = fragmented("mem://optimize-damaged")
    head, store = ds._session.head, ds._session.store
    entries, extents_ = ds.x._column.base()
    lost = entries[int(extents_.segment[-1])].segment
    for key in list(store.list(f"segments/{lost}/")):
        store.delete(key)
    fresh = zlake.load("mem://optimize-damaged", context=CONTEXT)
    with pytest.raises((FormatError, ObjectNotFoundError), match=lost):
        fresh.optimize()
    assert zlake.load("mem://optimize-damaged", context=CONTEXT)._session.head.ref == head.ref
    assert fresh.x[:3].numpy().ravel().tolist() == [0, 1, 2]
