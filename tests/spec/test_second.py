"""The specification is enough for a second implementation: what either writes, the other reads and goes on with."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zlake
from tests.format.test_emitted import validate
from tests.spec import second
from tests.spec.second import garbage

EXAMPLES = Path(__file__).parents[2] / "spec" / "examples"
LISTED = json.loads((EXAMPLES / "examples.json").read_text(encoding="utf-8"))
DAMAGED = [example for example in LISTED["examples"] if example["name"] not in ("whole", "versions")]
HOUR = 3600


def values(tensor: Any) -> list[Any]:
    """Return what zlake says of all rows."""
    if tensor.htype in ("text", "json", "list", "tag"):
        read = {"text": "text", "json": "dict"}.get(tensor.htype, "list")
        return [getattr(tensor[row], read)() for row in range(len(tensor))]
    if tensor.htype == "image":
        return [(tensor[row].tobytes(), tensor[row].shape) for row in range(len(tensor))]
    return tensor.numpy(aslist=True)


def plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [plain(each) for each in value] if isinstance(value, list) else value


def same_version(path: Path, address: str) -> None:
    """Both say the same of a version."""
    ds = zlake.load(f"{path}@{address}", read_only=True)
    dataset = second.Dataset(path)
    state = dataset.state(address)
    assert {n for n, t in state.named.items() if not t.fields.get("options", {}).get("hidden")} == set(ds.tensors)
    assert state.info == dict(ds.info)
    for name, tensor in state.named.items():
        assert tensor.ids == ds[name].ids().tolist()
        assert tensor.fields["info"] == dict(ds[name].info)
        assert plain([tensor[row] for row in range(len(tensor))]) == plain(values(ds[name]))
    commits = [] if state.snapshot is None else dataset.log(state.snapshot)
    assert [(c["id"], c.get("message", "")) for c in commits] == [(c["commit"], c["message"]) for c in ds.commits]
    assert ds.has_head_changes == (state.snapshot is not None and state.snapshot["kind"] == "staged")


def same(path: Path) -> None:
    """Both say the same of a dataset: refs, all versions, what is garbage; and it is whole."""
    ds = zlake.load(path, read_only=True)
    dataset = second.Dataset(path)
    branches, tags = (
        {n: b for n, b in dataset.refs(kind).items() if not b.get("deleted")} for kind in ("branch", "tag")
    )
    assert set(branches) == set(ds.branches)
    assert {name: tag["commit"] for name, tag in tags.items()} == ds.tags
    commits = [dataset.log(state.snapshot) for name in branches if (state := dataset.state(name)).snapshot is not None]
    for address in {*branches, *tags, *(commit["id"] for log in commits for commit in log[::8])}:
        same_version(path, address)
    report = ds.verify(deep=True)
    assert report, report
    validate(path)


def same_garbage(path: Path, grace: float) -> second.Verdict:
    """Both decide the same about what to delete and what to mark."""
    report = zlake.load(path).gc(grace, dry_run=True)
    verdict = second.judge(second.Dataset(path), grace, report.time)
    for found, amount in ((verdict.doomed, report.deleted), (verdict.marked, report.marked)):
        counts = [sum(kind == each for kind, _ in found) for each in ("commits", "pages", "segments")]
        assert counts == [amount.snapshots, amount.pages, amount.segments]
    return verdict


def grow_old(path: Path, seconds: float) -> None:
    for written in path.rglob("*"):
        at = written.stat().st_mtime - seconds
        os.utime(written, (at, at))


def story(path: Path) -> zlake.Dataset:
    """Write with zlake what branches are made of."""
    ds = zlake.empty(path)
    with ds:
        ds.create_tensor("x", dtype="int64")
        ds.create_tensor("ragged", dtype="float32")
        ds.create_tensor("boxes", dtype="int32")
        ds.create_tensor("group/text", htype="text")
        ds.create_tensor("json", htype="json", sample_compression="lz4")
        ds.create_tensor("label", htype="class_label", class_names=["cat", "dog"])
        ds.create_tensor("clip", htype="sequence", dtype="uint8")
        for i in range(12):
            ds.append(
                {
                    "x": np.array([i, i]),
                    "ragged": np.arange(i % 4, dtype=np.float32),
                    "boxes": np.full((i % 3, 4), i, np.int32),
                    "group/text": f"text {i}",
                    "json": {"i": [i, None, 1.5]},
                    "label": ["cat", "dog"][i % 2],
                    "clip": [np.full(3, j, np.uint8) for j in range(i % 3)],
                }
            )
        ds.info["about"] = "a story"
    ds.commit("rows")
    ds.tag("v1")
    ds.tag("gone")
    ds.delete_tag("gone")
    ds.checkout("side", create=True)
    ds.x[3] = np.array([-3, -3])
    ds.boxes[1] = np.zeros((5, 4), np.int32)
    ds.pop(5)
    ds.rename_tensor("ragged", "waves")
    ds.commit("side")
    ds.checkout("other", create=True)
    ds.label.append("bird")
    ds.info["long"] = "z" * 9000
    ds.commit("other")
    ds.checkout("main")
    ds.x[7] = np.array([-7, -7])
    ds.json.append({})
    ds.create_group("hollow")
    ds.commit("main")
    ds.merge("side")
    ds.delete_branch("side")
    ds.x.append(np.array([99, 99]))
    return ds


def long_history(path: Path) -> zlake.Dataset:
    ds = zlake.empty(path)
    ds.create_tensor("x", dtype="int64")
    for i in range(85):
        ds.x.append(np.array([i]))
        ds.commit(f"number {i}")
    return ds


def pages(path: Path) -> zlake.Dataset:
    ds = zlake.empty(path)
    ds.create_tensor("x", dtype="int64")
    ds.x.extend(np.arange(9000).reshape(-1, 3))
    ds.commit("rows")
    with ds:
        for row in range(0, 3000, 2):
            ds.x[row] = np.zeros(3, np.int64)
    ds.commit("every other row")
    ds.x.pop(list(range(0, 2000, 3)))
    return ds


def tiled(path: Path) -> zlake.Dataset:
    ds = zlake.empty(path)
    ds.create_tensor("x", dtype="uint8")
    ds.x.append(np.arange(4800 * 4800, dtype=np.uint32).astype(np.uint8).reshape(4800, 4800))
    ds.x.append(np.ones((2, 2), np.uint8))
    return ds


def nothing(path: Path) -> zlake.Dataset:
    return zlake.empty(path)


MADE = (story, long_history, pages, tiled, nothing)


@pytest.mark.parametrize("make", MADE, ids=lambda make: make.__name__)
def test_reads_what_zlake_wrote(tmp_path: Path, make: Callable[[Path], zlake.Dataset]) -> None:
    make(tmp_path / "x")
    same(tmp_path / "x")
    same_garbage(tmp_path / "x", 0)


@pytest.mark.parametrize("name", ["whole", "versions"])
def test_reads_the_examples(name: str) -> None:
    same(EXAMPLES / name)


def test_the_whole_example_has_every_layout() -> None:
    tensors = second.Dataset(EXAMPLES / "whole").state("main").tensors.values()
    layouts = {(part.layout, bool(part.shard)) for tensor in tensors for part, _ in tensor.places}
    assert layouts == {(layout, sharded) for layout in ("dense", "ragged", "encoded") for sharded in (False, True)}


def test_the_example_of_versions_has_what_branches_leave_behind() -> None:
    dataset = second.Dataset(EXAMPLES / "versions")
    merged, before, _ = dataset.log(dataset.state("main").snapshot)
    # the second parent is what the tombstone of the branch names
    assert merged["parents"] == [before["id"], dataset.ref("branch", "side")[0]["commit"]]
    for address in ("side", "old"):
        with pytest.raises(AssertionError):
            dataset.state(address)
    now = dataset.folder.written("zarr.json")
    ((_, lease),) = garbage.leases(dataset, now)
    assert lease == {"document": "lease/1", "id": lease["id"], "number": 0, "snapshot": merged["id"], "seconds": 3600}
    ((_, marked),) = garbage.marks(dataset, now)
    staged = dataset.state("main").snapshot
    assert marked
    assert not marked & garbage.reached(dataset, {staged["id"]})


@pytest.mark.parametrize("example", DAMAGED, ids=lambda example: example["name"])
def test_refuses_the_damaged_examples(example: dict[str, str]) -> None:
    def read_everything() -> None:
        dataset = second.Dataset(EXAMPLES / example["name"])
        state = dataset.state("main")
        for version in (state, *(dataset.state(commit["id"]) for commit in dataset.log(state.snapshot))):
            for tensor in version.tensors.values():
                list(tensor)

    if example["error"] is None:
        read_everything()
    else:
        with pytest.raises((AssertionError, FileNotFoundError)):
            read_everything()


@pytest.mark.parametrize("make", MADE, ids=lambda make: make.__name__)
def test_goes_on_where_zlake_stopped_and_the_other_way_round(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    path = tmp_path / "x"
    ds = make(path)
    writer = second.Writer(second.Dataset(path))
    before = len(writer.state["x"]) if make is not nothing else 0
    if make is nothing:
        writer.create_tensor("x", dtype="int64")
    rank = writer.state["x"].fields.get("ndim") or 1
    one = np.ones((2,) * rank, writer.state["x"].fields["dtype"])
    writer.append("x", [one, one])
    writer.flush()
    ds.refresh()
    ds.x.append(2 * one)
    writer.append("x", [3 * one])  # on a state that is no longer the newest
    writer.commit("both")
    ds.refresh()
    assert [int(row.max()) for row in ds.x.numpy(aslist=True)[before:]] == [1, 1, 2, 3]
    ds.x.append(4 * one)
    ds.commit("zlake")
    assert [commit["message"] for commit in ds.commits[:2]] == ["zlake", "both"]
    same(path)


def written(path: Path) -> tuple[second.Dataset, second.Writer]:
    dataset = second.create(path)
    writer = second.Writer(dataset)
    writer.create_tensor("x", dtype="int32")
    writer.create_tensor("group/ragged", dtype="float64")
    writer.create_tensor("boxes", dtype="uint8")
    writer.create_tensor("text", htype="text")
    writer.create_tensor("json", htype="json")
    writer.append("x", [np.full((2, 2), i) for i in range(6)])
    writer.append("group/ragged", [np.arange(i) for i in range(6)])
    writer.append("boxes", [np.full((i % 3, 4), i) for i in range(6)])
    writer.append("text", ["", "ünïcödé", "three"])
    writer.append("json", [{}, [1, None], "s"])
    writer.state.info["about"] = "x" * 5000
    writer.state.groups.append("hollow")
    writer.commit("first", "Ada <ada@example.org>")
    return dataset, writer


def test_zlake_reads_what_it_writes(tmp_path: Path) -> None:
    path = tmp_path / "x"
    _, writer = written(path)
    writer.update("x", 1, np.zeros((3, 3)))
    writer.append("x", [np.full((1, 2), 9)])
    writer.update("text", 0, "changed")
    writer.pop("group/ragged", 2)
    writer.flush()
    same(path)
    ds = zlake.load(path)
    assert [row.max() for row in ds.x.numpy(aslist=True)] == [0, 0, 2, 3, 4, 5, 9]
    assert ds.text.text() == ["changed", "ünïcödé", "three"]
    assert ds.json.dict() == [{}, [1, None], "s"]
    assert "hollow" in ds.groups
    assert ds.commits[0]["author"] == "Ada <ada@example.org>"
    changes = {(row.tensor, row.change, row.row_before, row.row_after) for row in ds.diff().rows()}
    assert changes == {
        ("x", "updated", 1, 1),
        ("x", "added", None, 6),
        ("text", "updated", 0, 0),
        ("group/ragged", "removed", 2, None),
    }


def test_long_histories_and_extent_maps(tmp_path: Path) -> None:
    path = tmp_path / "x"
    dataset, writer = written(path)
    for i in range(70):
        writer.append("text", [f"{i}"])
        writer.commit(f"{i}")
    writer.append("x", [np.full((2, 2), i) for i in range(2400)])
    writer.commit("rows")
    for row in range(0, 2400, 2):
        writer.pop("x", row // 2)
    writer.commit("every other row is gone")
    state = dataset.state("main")
    (table,) = (t["extents"] for t in state.snapshot["tensors"] if t["name"] == "x")
    assert table["pages"]
    assert state.snapshot["diff"]["tensors"][0]["removed"]["page"]
    same(path)
    ds = zlake.load(path)
    assert len(ds.commits) == 73
    ds.x[5] = np.zeros((2, 2), np.int32)
    ds.commit("zlake")
    same(path)


def test_branches_tags_and_tombstones(tmp_path: Path) -> None:
    path = tmp_path / "x"
    dataset, writer = written(path)
    first = writer.document["commit"]
    second.make_branch(dataset, "side", first)
    second.make_tag(dataset, "v1", first)
    second.make_tag(dataset, "v2", first)
    second.delete_tag(dataset, "v2")
    for name in ("side", "main", "v1"):
        with pytest.raises(second.RefError):
            second.make_branch(dataset, name, first)
    for name in ("side", "v1", "v2"):
        with pytest.raises(second.RefError):
            second.make_tag(dataset, name, first)
    same(path)
    side = second.Writer(dataset, "side")
    side.append("text", ["on side"])
    side.commit("side")
    second.delete_branch(dataset, "side")
    side.append("text", ["too late"])
    with pytest.raises(second.RefError):
        side.commit("too late")
    same(path)
    ds = zlake.load(path)
    with pytest.raises(zlake.errors.RefNotFoundError):
        ds.checkout("v2")
    with pytest.raises(zlake.errors.BranchDeletedError):
        ds.checkout("side")
    ds.restore_branch("side")
    same(path)
    second.delete_branch(dataset, "side")
    second.make_branch(dataset, "side", first)
    same(path)
    ds.checkout("side")
    ds.text.append("again")
    ds.commit("again")
    same(path)


def edit(ds: zlake.Dataset, chance: random.Random) -> None:
    """Change rows of a dataset, now and then the schema."""
    with ds:
        for _ in range(chance.randrange(1, 5)):
            names, kind = list(ds.tensors), chance.randrange(16)
            if (kind == 15 and len(names) < 4) or not names:
                if (new := f"{chance.choice('ab')}{chance.randrange(3)}") not in names:
                    ds.create_tensor(new, dtype="int64")
                continue
            name = chance.choice(names)
            tensor = ds[name]
            if kind < 5 or len(tensor) < 4:
                tensor.append(np.array([chance.randrange(9)]))
            elif kind < 8:
                tensor[chance.randrange(len(tensor))] = np.array([chance.randrange(3)])
            elif kind < 10:
                tensor.pop(chance.randrange(len(tensor)))
            elif kind == 10:
                ds.info[chance.choice("ab")] = chance.randrange(3)
            elif kind == 11:
                tensor.info[chance.choice("ab")] = chance.randrange(2)
            elif kind == 12 and (new := f"{name[0]}{chance.randrange(3)}") not in names:
                ds.rename_tensor(name, new)
            elif kind == 13:
                group = chance.choice("gh")
                (ds.delete_group if group in ds.groups else ds.create_group)(group)
            elif kind == 14 and chance.random() < 0.3:
                if chance.random() < 0.5:
                    tensor.clear()
                else:
                    ds.delete_tensor(name)


def history(path: Path, chance: random.Random) -> zlake.Dataset:
    """Write two branches with zlake that were merged now and then."""
    ds = zlake.empty(path)
    for name in "ab":
        ds.create_tensor(name, dtype="int64")
        ds[name].extend(np.arange(5).reshape(5, 1))
    ds.commit("first")
    ds.checkout("side", create=True)
    for _ in range(12):
        branch = chance.choice(["main", "side"])
        ds.checkout(branch)
        edit(ds, chance)
        if chance.random() < 0.7:
            ds.commit(f"{chance.random()}", allow_empty=True)
        with suppress(zlake.errors.MergeError):  # what goes together by no rule
            if chance.random() < 0.4:
                other = zlake.load(f"{path}@{({'main': 'side', 'side': 'main'})[branch]}", read_only=True)
                ds.merge(chance.choice(other.commits[:3])["commit"], chance.choice(["ours", "theirs"]))
    for branch in ("side", "main"):
        ds.checkout(branch)
        if branch == "side" or chance.random() < 0.5:
            ds.commit("last", allow_empty=True)
    return ds


@pytest.mark.parametrize("seed", range(12))
def test_differences_and_merges_are_those_of_zlake(tmp_path: Path, seed: int) -> None:
    path, chance = tmp_path / "x", random.Random(seed)
    ds = history(path, chance)
    dataset = second.Dataset(path)
    addresses = ["main", "side", *(c["id"] for b in ("main", "side") for c in dataset.log(dataset.state(b).snapshot))]
    addresses = list(dict.fromkeys(addresses))
    for before, after in pairwise(chance.sample(addresses, len(addresses))):
        same_diff(ds, dataset, before, after)
    shutil.copytree(path, tmp_path / "y")
    target, writer = dataset.ref("branch", "side")[0]["commit"], second.Writer(second.Dataset(tmp_path / "y"))
    expected, found = set[Any](), set[Any]()
    try:
        ds.merge("side")
    except zlake.errors.MergeConflictError as error:
        expected = {(conflict.tensor, conflict.sample_id) for conflict in error.conflicts}
    try:
        writer.merge(target, "Merge")
    except second.ConflictError as error:
        found = {(conflict.tensor or "", conflict.sample) for conflict in error.conflicts}
    assert {sample for _, sample in found} == {sample for _, sample in expected}
    mine, theirs = dataset.state("main"), second.Dataset(tmp_path / "y").state("main")
    for tensor, other in zip(mine.tensors.values(), theirs.tensors.values(), strict=True):
        assert tensor.fields == other.fields
        assert tensor.ids == other.ids
    assert plain([list(t) for t in mine.tensors.values()]) == plain([list(t) for t in theirs.tensors.values()])
    assert (mine.info, set(mine.groups)) == (theirs.info, set(theirs.groups))
    same(tmp_path / "y")
    assert found or zlake.load(tmp_path / "y").merge("side") is None


def same_diff(ds: zlake.Dataset, dataset: second.Dataset, before: str, after: str) -> None:
    expected = {(row.sample_id, row.change) for row in ds.diff(before, after).rows()}
    changes = second.compare(dataset, dataset.state(before), dataset.state(after)).values()
    found = {
        (each, kind) for rows in changes for kind in ("added", "updated", "removed") for each in getattr(rows, kind)
    }
    assert found == expected, (before, after)


def test_a_conflict_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x"
    dataset, writer = written(path)
    second.make_branch(dataset, "side", writer.document["commit"])
    side = second.Writer(dataset, "side")
    for each, value in ((writer, 1), (side, 2)):
        each.update("x", 4, np.full((2, 2), 90 + value))
        each.append("text", [f"{value}"])
        each.commit(f"{value}")
    sample = writer.state["x"].ids[4]
    before = dataset.folder.keys("")
    with pytest.raises(second.ConflictError) as caught:
        writer.merge(side.document["commit"])
    assert [(conflict.tensor, conflict.sample) for conflict in caught.value.conflicts] == [("x", sample)]
    assert dataset.folder.keys("") == before
    ds = zlake.load(path)
    with pytest.raises(zlake.errors.MergeConflictError) as refused:
        ds.merge("side")
    assert [(conflict.tensor, conflict.sample_id) for conflict in refused.value.conflicts] == [("x", sample)]


def test_writers_of_both_kinds_meet(tmp_path: Path) -> None:
    path = tmp_path / "x"
    _, writer = written(path)
    late = second.Writer(second.Dataset(path))
    ds = zlake.load(path)
    ds.text.append("zlake")
    writer.append("text", ["second"])
    writer.commit("second")  # lost to zlake's flush, and carried over
    ds.commit("zlake")
    late.update("text", 0, "late")
    late.append("text", ["late"])
    late.commit("late")
    assert zlake.load(path).text.text() == ["late", "ünïcödé", "three", "zlake", "second", "late"]
    writer.update("text", 0, "lost")
    with pytest.raises(second.ConflictError):
        writer.commit("conflict")
    ds = zlake.load(path)
    ds.text.append("dropped")
    stale = second.Writer(second.Dataset(path))
    stale.append("text", ["stale"])
    ds.reset()
    with pytest.raises(second.RefError):
        stale.commit("what it knows was dropped")
    same(path)


def zlake_commits(path: Path, count: int) -> None:
    ds = zlake.load(path)
    for i in range(count):
        ds.text.append(f"zlake {i}")
        ds.commit(f"zlake {i}")


def second_commits(path: Path, count: int) -> None:
    writer = second.Writer(second.Dataset(path))
    for i in range(count):
        writer.append("text", [f"second {i}"])
        writer.commit(f"second {i}")


def test_writers_of_both_kinds_at_once(tmp_path: Path) -> None:
    path, count = tmp_path / "x", 20
    written(path)
    spawn = multiprocessing.get_context("spawn")
    running = [spawn.Process(target=target, args=(path, count)) for target in (zlake_commits, second_commits)]
    for process in running:
        process.start()
    for process in running:
        process.join()
    assert [process.exitcode for process in running] == [0, 0]
    ds = zlake.load(path)
    for kind in ("zlake", "second"):
        rows = [text for text in ds.text.text() if text.startswith(kind)]
        assert rows == [f"{kind} {i}" for i in range(count)]
    assert len(ds.commits) == 1 + 2 * count
    same(path)


def test_garbage_is_what_zlake_finds(tmp_path: Path) -> None:
    path = tmp_path / "x"
    ds = story(path)
    del ds
    dataset = second.Dataset(path)
    assert same_garbage(path, 0).doomed
    same_garbage(path, HOUR)
    grow_old(path, 2 * HOUR)
    assert same_garbage(path, HOUR).marked
    lease = second.Lease(dataset, dataset.log(dataset.state("main").snapshot)[0]["id"], 60, writing=True)
    lease.renew()
    writer = second.Writer(dataset)
    writer.append("x", [np.array([5, 5])])
    writer.flush()
    writer.append("x", [np.array([6, 6])])
    dropped = writer.flush()
    writer.commit("the staged states before are garbage, and young")
    same_garbage(path, 0)
    zlake.load(path).gc(HOUR)
    same_garbage(path, HOUR)
    grow_old(path, 2 * HOUR)  # the lease lapses by that
    verdict = same_garbage(path, HOUR)
    assert verdict.doomed
    assert ("commits", dropped) in verdict.candidates - verdict.doomed
    before = {("/".join(key.split("/")[:1]), key.split("/")[1]) for key in dataset.folder.keys("") if "/" in key}
    zlake.load(path).gc(HOUR)
    after = {("/".join(key.split("/")[:1]), key.split("/")[1]) for key in dataset.folder.keys("") if "/" in key}
    kinds = ("commits", "pages", "segments")
    assert {each for each in before - after if each[0] in kinds} == verdict.doomed
    same(path)


def test_leases_keep_what_nothing_names(tmp_path: Path) -> None:
    path = tmp_path / "x"
    dataset, writer = written(path)
    writer.append("text", ["staged"])
    staged = writer.flush()
    lease = second.Lease(dataset, staged, HOUR)
    zlake.load(path).reset()
    assert ("commits", staged) not in same_garbage(path, 0).doomed
    assert second.Dataset(path).load(staged)["text"][3] == "staged"
    grow_old(path, HOUR - 60)
    zlake.load(path).gc(0)
    lease.renew()
    grow_old(path, HOUR - 60)
    zlake.load(path).gc(0)
    assert second.Dataset(path).load(staged)["text"][3] == "staged"
    lease.end()
    assert ("commits", staged) in same_garbage(path, 0).doomed
    zlake.load(path).gc(0)
    with pytest.raises(FileNotFoundError):
        dataset.snapshot(staged)
    same(path)


def test_time_is_that_of_the_storage(tmp_path: Path) -> None:
    path = tmp_path / "x"
    dataset, writer = written(path)
    writer.append("text", ["on the way"])
    writer._write_rows()
    grow_old(path, 30)
    assert same_garbage(path, 60).candidates == set()
    assert len(same_garbage(path, 20).candidates) == 1
    second.Lease(dataset, None, HOUR, writing=True)
    writer.update("text", 0, "since the lease")
    writer._write_rows()
    time.sleep(0.05)
    assert len(same_garbage(path, 0).candidates) == 1
