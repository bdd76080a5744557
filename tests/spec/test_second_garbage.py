"""Both implementations keep the same alive, and delete the same."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

import zlake
from tests.spec import second
from tests.spec.agreement import HOUR, grow_old, same, same_garbage, story, written
from tests.spec.second import garbage


def test_a_branch_is_restored_until_it_was_collected(tmp_path: Path) -> None:
    path = tmp_path / "x"
    dataset, writer = written(path)
    second.make_branch(dataset, "side", writer.document["commit"])
    side = second.Writer(dataset, "side")
    side.append("text", ["on side"])
    side.commit("side")
    side.append("text", ["staged"])
    side.flush()
    second.delete_branch(dataset, "side")
    grow_old(path, 2 * HOUR)
    zlake.load(path).gc(HOUR)  # marks what it named
    assert list(garbage.marks(dataset, 0))
    second.restore_branch(dataset, "side")
    assert not list(garbage.marks(dataset, 0))
    assert zlake.load(f"{path}@side").text.text()[3:] == ["on side", "staged"]
    same(path)
    second.delete_branch(dataset, "side")
    grow_old(path, 2 * HOUR)
    for _ in range(2):
        zlake.load(path).gc(HOUR)
        grow_old(path, 2 * HOUR)
    with pytest.raises(second.RefError, match="collected"):
        second.restore_branch(dataset, "side")
    assert dataset.ref("branch", "side")[0]["deleted"]
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
