"""Two implementations take turns on one dataset: whatever the one has left, the other goes on with."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zlake
from tests.spec import second
from tests.spec.agreement import HOUR, same, same_garbage, written

Rows = list[int]


def rows_of(path: Path, branch: str) -> Rows:
    """Return the rows of a branch, as both say."""
    tensor = second.Dataset(path).state(branch)["x"]
    found = [int(value.max()) for value in tensor]
    assert found == [int(value.max()) for value in zlake.load(f"{path}@{branch}", read_only=True).x.numpy(aslist=True)]
    return found


def change(path: Path, branch: str, rows: Rows, chance: random.Random, *, by_zlake: bool) -> Rows:
    """Append, update, and remove a row, staged or in a commit; return what the branch holds then."""
    new, at = np.full((2, 2), chance.randrange(100), np.int32), chance.randrange(len(rows))
    tensor: Any
    if by_zlake:
        ds = zlake.load(f"{path}@{branch}")
        tensor = ds.x
        tensor.append(new)
        tensor[at] = new + 1
        tensor.pop(0)
        if chance.random() < 0.7:
            ds.commit("zlake")
    else:
        writer = second.Writer(second.Dataset(path), branch)
        writer.append("x", [new])
        writer.update("x", at, new + 1)
        writer.pop("x", 0)
        if chance.random() < 0.7:
            writer.commit("second")
        else:
            writer.flush()
    value = int(new.max())
    return [value + 1 if row == at else old for row, old in enumerate([*rows, value])][1:]


def merge(path: Path, branch: str, other: str, *, by_zlake: bool) -> None:
    """Merge a branch, if nothing stands against it; nothing of it may be staged."""
    dataset = second.Dataset(path)
    if dataset.ref("branch", other)[0]["staged"] is not None:
        second.Writer(dataset, other).commit("before a merge")
    before = dataset.folder.read(f"refs/branches/{branch}.json")
    try:
        if by_zlake:
            zlake.load(f"{path}@{branch}").merge(other)
        else:
            second.Writer(dataset, branch).merge(dataset.ref("branch", other)[0]["commit"])
    except (second.ConflictError, zlake.errors.MergeConflictError):
        assert dataset.folder.read(f"refs/branches/{branch}.json") == before


def turn_branches(path: Path, branches: list[str], name: str, at: str, *, by_zlake: bool) -> None:
    """Delete a branch, or make it where another one stands."""
    dataset = second.Dataset(path)
    ds = zlake.load(path)
    if name in branches:
        branches.remove(name)
        if by_zlake:
            ds.delete_branch(name)
        else:
            second.delete_branch(dataset, name)
    else:
        branches.append(name)
        commit = dataset.ref("branch", at)[0]["commit"]
        if by_zlake:
            ds.checkout(commit)
            ds.checkout(name, create=True)
        else:
            second.make_branch(dataset, name, commit)


@pytest.mark.parametrize("seed", range(4))
def test_each_goes_on_with_what_the_other_has_left(tmp_path: Path, seed: int) -> None:
    path, chance = tmp_path / "x", random.Random(seed)
    written(path)
    branches = ["main"]
    for _ in range(24):
        kind, branch, by_zlake = chance.random(), chance.choice(branches), chance.random() < 0.5
        if kind < 0.6:
            rows = rows_of(path, branch)
            assert change(path, branch, rows, chance, by_zlake=by_zlake) == rows_of(path, branch)
        elif kind < 0.8:
            merge(path, branch, chance.choice(branches), by_zlake=by_zlake)
        else:
            turn_branches(path, branches, chance.choice(["one", "two"]), branch, by_zlake=by_zlake)
        zlake.load(path).gc(HOUR)
    same(path)
    same_garbage(path, 0)
    zlake.load(path).gc(0)
    same(path)
