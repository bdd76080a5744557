"""The second implementation finds the differences, conflicts and merged states that zlake finds."""

from __future__ import annotations

import random
import shutil
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zlake
from tests.spec import second
from tests.spec.agreement import plain, same, written


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


@pytest.mark.parametrize("seed", range(8))
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
    take, expected, found = chance.choice([None, True, False]), set[Any](), set[Any]()
    try:
        ds.merge("side", {None: None, True: "theirs", False: "ours"}[take])
    except zlake.errors.MergeConflictError as error:
        expected = {(conflict.tensor, conflict.sample_id) for conflict in error.conflicts}
    try:
        writer.merge(target, take=take)
    except second.ConflictError as error:
        found = {(conflict.tensor or "", conflict.sample) for conflict in error.conflicts}
    assert {sample for _, sample in found} == {sample for _, sample in expected}
    mine, theirs = dataset.state("main"), second.Dataset(tmp_path / "y").state("main")
    assert mine.tensors.keys() == theirs.tensors.keys()
    for key, tensor in mine.tensors.items():
        other = theirs.tensors[key]
        assert (tensor.fields, tensor.ids) == (other.fields, other.ids)
        assert plain(list(tensor)) == plain(list(other))
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
