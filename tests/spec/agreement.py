"""What both implementations have to agree about, and datasets that either of them has written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

import zlake
from tests.format.test_emitted import validate
from tests.spec import second

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
    ds.x.append(np.resize(np.arange(251, dtype=np.uint8), (4100, 4100)))
    ds.x.append(np.ones((2, 2), np.uint8))
    return ds


def nothing(path: Path) -> zlake.Dataset:
    return zlake.empty(path)


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


MADE = (story, long_history, pages, tiled, nothing)
"""Ways to make a dataset with zlake."""
