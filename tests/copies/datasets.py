"""Datasets to copy, and what can be seen of them."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np

import zlake
from zlake.context import Context
from zlake.session.opening import open_session
from zlake.storage import open_store
from zlake.storage.store import Store

CONTEXT = Context(durable=False, threads=2)
_names = count()


def memory() -> Store:
    return open_store(f"mem://copies-{next(_names)}")


def folder(path: Any) -> Store:
    return open_store(path, context=CONTEXT)


def contents(store: Store) -> dict[str, bytes]:
    return {key: store.read(key) or b"" for key in store.list()}


def load(store: Store, address: str | None = None) -> zlake.Dataset:
    return zlake.Dataset(open_session(store, CONTEXT, address, None))


def row(i: int) -> dict[str, Any]:
    return {
        "x": np.full((2, 3), i, np.int32),
        "g/ragged": np.arange(i % 7, dtype=np.float32),
        "label": i % 3,
        "text": f"row {i}",
        "steps": [np.full(2, i, np.int64)] * (i % 3),
    }


def tensors(ds: zlake.Dataset) -> None:
    ds.create_tensor("x", dtype="int32")
    ds.create_tensor("g/ragged", dtype="float32")
    ds.create_tensor("label", htype="class_label", class_names=[f"class {i}" for i in range(600)])  # a large info
    ds.create_tensor("text", htype="text")
    ds.create_tensor("steps", htype="sequence[generic]", dtype="int64")
    ds.create_tensor("secret", dtype="int8", hidden=True)
    ds.create_group("empty/inside")
    ds.info["licence"] = "CC0"


def append(ds: zlake.Dataset, *numbers: int) -> None:
    with ds:
        for i in numbers:
            ds.append(row(i), skip_ok=True)


def rich(ds: zlake.Dataset) -> None:
    """Branches, a merge, tags, tombstones, staged rows, pages of history, of extents and of ids, large infos."""
    tensors(ds)
    append(ds, *range(6))
    ds.commit("six rows")
    ds.create_tensor("many", dtype="int16")
    ds.many.extend(np.arange(2400, dtype=np.int16))
    ds.commit("many rows")
    ds.many[::2] = np.full(1200, -1, np.int16)
    ds.commit("many updates")
    for i in range(36):
        ds.commit(f"empty {i}", allow_empty=True)
    ds.tag("v1")
    ds.checkout("side", create=True)
    append(ds, 10, 11)
    ds.commit("on the side")
    ds.checkout("main")
    append(ds, 20)
    ds.commit("on main")
    ds.merge("side")
    ds.tag("gone")
    ds.delete_tag("gone")
    ds.checkout("lost", create=True)
    append(ds, 30)
    ds.commit("to be deleted")
    ds.checkout("main")
    ds.delete_branch("lost")
    append(ds, 40, 41)  # staged


def small(ds: zlake.Dataset) -> None:
    """Two commits, a tag and a staged row."""
    ds.create_tensor("x", dtype="int32")
    ds.create_tensor("text", htype="text")
    for i in range(2):
        ds.append({"x": np.full(2, i, np.int32), "text": str(i)})
        ds.commit(f"row {i}")
    ds.tag("v1")
    ds.append({"x": np.full(2, 7, np.int32), "text": "staged"})


def samples(ds: zlake.Dataset, rows: Any = slice(None)) -> dict[str, list[Any]]:
    """Every tensor's samples, hidden ones too, in a form that compares."""
    found = {}
    for name in ds.meta["tensors"]:
        tensor = ds[name.removeprefix(ds._group)]
        if tensor.base_htype == "text":
            found[name] = tensor[rows].text() if len(tensor) else []
        elif len(tensor):
            found[name] = [_plain(sample) for sample in tensor[rows].numpy(aslist=True)]
        else:
            found[name] = []
    return found


def _plain(sample: Any) -> Any:
    if isinstance(sample, list):
        return [_plain(item) for item in sample]
    return sample.shape, str(sample.dtype), sample.tobytes()


def history(store: Store) -> dict[str, Any]:
    """Everything that the refs of a dataset lead to, as a reader sees it."""
    main = load(store)
    found: dict[str, Any] = {"tags": main.tags, "branches": main.branches}
    for name in [*main.branches, *main.tags]:
        ds = load(store, name)
        found[name] = (samples(ds), dict(ds.info), ds._session.groups, ds.commits, ds.has_head_changes)
    return found
