"""Both implementations carry over what a writer had in hand who lost a swap, and see the same conflicts."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest

import zlake
from tests.spec import second
from tests.spec.agreement import plain, same

Change = tuple[str, str, int, int]


def draw(chance: random.Random, count: int) -> list[Change]:
    """Draw changes: what is done, to which tensor or key, at which of three rows, and a value."""
    kinds = ["append", "update", "update", "pop", "info", "rename", "delete"]
    weights = [4, 4, 4, 3, 2, 1, 1]
    drawn = [(kind, chance.choice("ab")) for kind in chance.choices(kinds, weights, k=count)]
    # a tensor that is deleted or renamed is not touched again
    last = {name: at for at, (kind, name) in reversed(list(enumerate(drawn))) if kind in ("delete", "rename")}
    kept = [each for at, each in enumerate(drawn) if each[0] == "info" or at <= last.get(each[1], count)]
    return [(kind, name, chance.randrange(3), 20 + chance.randrange(3)) for kind, name in kept]


def by_zlake(ds: zlake.Dataset, changes: list[Change]) -> None:
    for kind, name, row, value in changes:
        if kind == "append":
            ds[name].append(np.array([value]))
        elif kind == "update":
            ds[name][row] = np.array([value])
        elif kind == "pop":
            ds[name].pop(row)
        elif kind == "info":
            ds.info[name] = value
        elif kind == "rename":
            ds.rename_tensor(name, f"{name}{value}")
        else:
            ds.delete_tensor(name)


def by_second(writer: second.Writer, changes: list[Change]) -> None:
    state = writer.state
    for kind, name, row, value in changes:
        if kind == "append":
            writer.append(name, [[value]])
        elif kind == "update":
            writer.update(name, row, [value])
        elif kind == "pop":
            writer.pop(name, row)
        elif kind == "info":
            state.info[name] = value
        elif kind == "rename":
            state[name].fields["name"] = f"{name}{value}"
        else:
            state.tensors = {key: tensor for key, tensor in state.tensors.items() if tensor.fields["name"] != name}


@pytest.mark.parametrize("seed", range(8))
def test_rebases_are_those_of_zlake(tmp_path: Path, seed: int) -> None:
    path, twin, chance = tmp_path / "x", tmp_path / "y", random.Random(seed)
    ds = zlake.empty(path)
    for name in "ab":
        ds.create_tensor(name, dtype="int64")
        ds[name].extend(np.arange(9).reshape(9, 1))
    if chance.random() < 0.5:
        ds.commit("base")
    late, writer = zlake.load(path), second.Writer(second.Dataset(path))
    mine, theirs = draw(chance, 4), draw(chance, 4)
    expected, found = set[int | None](), set[int | None]()
    try:
        with late:
            by_zlake(late, mine)
            other = zlake.load(path)
            by_zlake(other, theirs)
            if chance.random() < 0.5:
                other.commit("theirs")
            shutil.copytree(path, twin)
    except zlake.errors.ConflictError as error:
        expected = {sample for _, sample, _ in error.conflicts}
    writer.dataset = second.Dataset(twin)
    by_second(writer, mine)
    try:
        writer.flush()
    except second.ConflictError as error:
        found = {conflict.sample for conflict in error.conflicts}
    assert found == expected, (mine, theirs)
    one, other_state = second.Dataset(path).state("main"), second.Dataset(twin).state("main")
    assert one.tensors.keys() == other_state.tensors.keys()
    for key, tensor in one.tensors.items():
        assert tensor.fields == other_state.tensors[key].fields
        assert plain(list(tensor)) == plain(list(other_state.tensors[key]))
    assert one.info == other_state.info
    same(path)
    same(twin)
