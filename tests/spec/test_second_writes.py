"""What the second implementation writes, zlake reads and goes on with, also both at once."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path

import numpy as np
import pytest

import zlake
from tests.spec import second
from tests.spec.agreement import same, written


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
    for i in range(66):
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
    assert len(ds.commits) == 69
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


def test_a_creation_that_was_cut_short_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "x"
    dataset = second.create(path)
    (path / "refs/branches/main.json").unlink()
    zlake.load(path).create_tensor("x", dtype="int64")
    by_zlake = dataset.ref("branch", "main")[0]
    (path / "refs/branches/main.json").unlink()
    shutil.rmtree(path / "commits")
    writer = second.Writer(dataset)
    writer.create_tensor("x", dtype="int64")
    writer.flush()
    found = dataset.ref("branch", "main")[0]
    assert (found["sequence"], found["previous"]) == (by_zlake["sequence"], by_zlake["previous"])
    same(path)


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
