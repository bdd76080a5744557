"""The specification is enough for a second implementation: it reads what zlake wrote and goes on with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zlake
from tests.spec import second
from tests.spec.agreement import MADE, nothing, same, same_garbage
from tests.spec.second import garbage

EXAMPLES = Path(__file__).parents[2] / "spec" / "examples"
LISTED = json.loads((EXAMPLES / "examples.json").read_text(encoding="utf-8"))
DAMAGED = [example for example in LISTED["examples"] if example["name"] not in ("whole", "versions")]


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
    ((_, _, marked),) = garbage.marks(dataset, now)
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
