"""What users do to a dataset: each is one call, or one block, that must happen wholly or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

import zlake
from zlake.context import Context
from zlake.format import paths
from zlake.session.opening import create_session, open_session
from zlake.storage.store import Store
from zlake.versions import refs

CONTEXT = Context(durable=False, threads=2)
Act = Callable[[zlake.Dataset], object]


@dataclass(frozen=True)
class Scenario:
    """A change, and the dataset that it is made to.

    Attributes
    ----------
    prepare
        Makes the dataset as it is before.
    act
        The change.
    parts
        What of it may be there alone, where it is several changes: the first of them, the first two, and so on.
    behind
        What another writer does after the session that acts was opened.
    again
        How a user goes on in the same session after an error: the same call, by default.
    context
        Of the session that acts.
    address
        Of the version that the session opens.
    unseen
        Nothing that a reader sees changes.
    collects
        It deletes objects.
    """

    prepare: Act
    act: Act
    parts: tuple[Act, ...] = ()
    behind: Act | None = None
    again: Act | None = None
    context: Context = CONTEXT
    address: str | None = None
    unseen: bool = False
    collects: bool = False


def create(store: Store, context: Context = CONTEXT) -> zlake.Dataset:
    return zlake.Dataset(create_session(store, context, overwrite=False))


def load(store: Store, context: Context = CONTEXT, address: str | None = None) -> zlake.Dataset:
    return zlake.Dataset(open_session(store, context, address, None))


def everything(store: Store) -> dict[str, Any]:
    """Everything that readers can see: each branch and tag, deleted ones as such."""
    branches: dict[str, Any] = {}
    for name in refs.branch_names(store):
        ref = refs.parse_branch(store, name, store.read(paths.branch_key(name)) or b"")
        known, found = known_name(name), "deleted" if ref.deleted else state(load(store, address=name))
        if known in branches:  # who died may leave one that has nothing of its own
            found = max(found, branches[known], key=lambda each: (each["staged"], len(each["log"])))
        branches[known] = found
    tags: dict[str, Any] = {}
    for name in refs.tag_names(store):
        tag = refs.find_tag(store, name)
        assert tag is not None
        tags[name] = "deleted" if tag.deleted else [commit["message"] for commit in load(store, address=name).commits]
    return {"branches": branches, "tags": tags}


def known_name(branch: str | None) -> str | None:
    """A branch's name without the id in it that a change at a past version gives it."""
    return "auto" if branch is not None and branch.startswith("auto_") else branch


def state(ds: zlake.Dataset) -> dict[str, Any]:
    """Everything that a reader can see of a branch, ids of what was written apart."""
    return {
        "tensors": {name: _tensor(tensor) for name, tensor in ds.tensors.items()},
        "groups": ds._session.groups,
        "info": dict(ds.info),
        "log": [commit["message"] for commit in ds.commits],
        "staged": ds.has_head_changes,
    }


def _tensor(tensor: zlake.Tensor) -> Any:
    samples = tensor.text() if tensor.base_htype == "text" else tensor.numpy(aslist=True)
    return tensor.htype, dict(tensor.info), [_sample(sample) for sample in samples]


def _sample(sample: Any) -> Any:
    if isinstance(sample, list):
        return [_sample(item) for item in sample]
    return sample if isinstance(sample, str) else (sample.shape, sample.tobytes())


def nothing(ds: zlake.Dataset) -> None:
    """Leave it as it was created."""


def few_rows(ds: zlake.Dataset) -> None:
    """Three kinds of tensors, three rows, one commit, and a fourth row staged on it."""
    ds.create_tensor("x", dtype="int32")
    ds.create_tensor("group/ragged", dtype="float32")
    ds.create_tensor("label", htype="class_label", class_names=["cat", "dog"])
    with ds:
        for i in range(3):
            ds.append(row(i))
    ds.commit("three rows")
    ds.append(row(3))


def row(i: int, label: Any = 0) -> dict[str, Any]:
    return {"x": np.full((2, 2), i, np.int32), "group/ragged": np.arange(i, dtype=np.float32), "label": label}


def single_rows(count: int, ds: zlake.Dataset) -> None:
    """As many flushes as rows, so that the next one gathers them."""
    ds.create_tensor("x", dtype="int32")
    for i in range(count):
        ds.x.append(i)


def many_rows(ds: zlake.Dataset) -> None:
    """Enough rows for pages of extents and of ids, once every other one is updated."""
    ds.create_tensor("x", dtype="int16")
    ds.x.extend(np.arange(2400, dtype=np.int16))
    ds.commit("many rows")


def many_commits(ds: zlake.Dataset) -> None:
    """As many commits as one document names: the next one writes a page of history."""
    single_rows(1, ds)
    for i in range(17):
        ds.commit(f"commit {i}", allow_empty=True)


def append(ds: zlake.Dataset) -> None:
    ds.append(row(5, "mouse"))  # a new class name


def append_all_kinds(ds: zlake.Dataset) -> None:
    """Every layout in one segment: encoded, text, sequence, a tiled sample, compressed chunks."""
    y, x = np.mgrid[:6, :7]
    pixels = np.stack([x * 30, y * 40, x + y], axis=2).astype(np.uint8)
    big = np.arange(30_000, dtype=np.uint8).reshape(150, 200)
    ds.append({"image": pixels, "text": "some text", "steps": [np.ones(2), np.zeros(3)], "big": big, "packed": big})


def all_kinds(ds: zlake.Dataset) -> None:
    ds.create_tensor("image", htype="image", sample_compression="jpeg")
    ds.create_tensor("text", htype="text")
    ds.create_tensor("steps", htype="sequence[generic]", dtype="float64")
    ds.create_tensor("big", dtype="uint8", tiling_threshold=10_000)
    ds.create_tensor("packed", dtype="uint8", chunk_compression="zstd")


def block(ds: zlake.Dataset) -> None:
    with ds:
        ds.append(row(5, "mouse"))
        ds.append(row(6))
        ds.x[0] = np.full((2, 2), 77, np.int32)
        ds.info["source"] = "block"


def filling_block(ds: zlake.Dataset) -> None:
    """A buffer that is full after the first row, and flushed before the second; the block does not outlive an error."""
    with ds:
        for i in (10, 11):
            ds.append(row(i))


def commit_block(ds: zlake.Dataset) -> None:
    """If the commit fails the block still ends with a flush."""
    with ds:
        ds.append(row(5))
        ds.commit("from within a block")


def update_several(ds: zlake.Dataset) -> None:
    ds[0:2].update({"x": np.zeros((2, 2, 2), np.int32), "label": ["dog", "mouse"]})


def update_every_other(ds: zlake.Dataset) -> None:
    ds.x[::2] = np.full(1200, -1, np.int16)


def others_append(ds: zlake.Dataset) -> None:
    ds.append(row(20))


def set_info(key: str, value: Any, ds: zlake.Dataset) -> None:
    ds.info[key] = value


def set_tensor_info(ds: zlake.Dataset) -> None:
    ds.label.info.update(class_names=[f"class {i}" for i in range(2000)])


def commit(ds: zlake.Dataset) -> None:
    ds.commit("the next one")


def side(ds: zlake.Dataset) -> None:
    """Two branches that differ, a tag, the tombstones of a tag and of a branch; something staged on each branch."""
    few_rows(ds)
    ds.commit("four rows")
    ds.tag("v1")
    ds.tag("old")
    ds.delete_tag("old")
    ds.checkout("gone", create=True)
    ds.append(row(40))
    ds.checkout("side", create=True)
    ds.delete_branch("gone")
    ds.append(row(41))
    ds.x[0] = np.full((2, 2), 50, np.int32)
    ds.commit("on side")
    ds.append(row(42))
    ds.checkout("main")
    ds.append(row(60))


def committed(ds: zlake.Dataset) -> None:
    few_rows(ds)
    ds.commit("four rows")


def make_branch(ds: zlake.Dataset) -> None:
    ds.checkout("new", create=True)


def make_branch_again(ds: zlake.Dataset) -> None:
    ds.checkout("gone", create=True)


def append_and_leave(ds: zlake.Dataset) -> None:
    with ds:
        ds.append(row(5))
        ds.checkout("side")
        ds.append(row(6))


def leave(ds: zlake.Dataset) -> None:
    """Go on where `append_and_leave` stopped: what it buffered is still there."""
    if ds.branch == "main":
        ds.checkout("side")
        ds.append(row(6))
    else:
        ds.flush()


def idempotent(prepare: Act, act: Act, **options: Any) -> Scenario:
    """A change that a session can simply make again after any error."""
    return Scenario(prepare, act, again=act, **options)


def ahead(ds: zlake.Dataset) -> None:
    """A branch that is ahead of main, with nothing staged anywhere."""
    few_rows(ds)
    ds.commit("four rows")
    ds.checkout("side", create=True)
    ds.append(row(41, "mouse"))
    ds.commit("on side")
    ds.checkout("main")


def apart(ds: zlake.Dataset) -> None:
    """Two branches that changed different samples, and each staged something."""
    side(ds)
    ds.pop(1)
    ds.commit("on main")
    ds.append(row(61))


def apart_and_committed(ds: zlake.Dataset) -> None:
    apart(ds)
    ds.commit("on main as well")
    ds.checkout("side")
    ds.commit("on side as well")
    ds.checkout("main")


def commit_side(ds: zlake.Dataset) -> None:
    """What a merge does first to the branch that it takes in."""
    ds.checkout("side")
    ds.commit("Auto commit before merging into main")
    ds.checkout("main")


def apart_and_tagged(ds: zlake.Dataset) -> None:
    apart_and_committed(ds)
    ds.tag("past")
    ds.commit("nothing", allow_empty=True)


def stand_on_a_branch(ds: zlake.Dataset) -> None:
    """What a change of a past commit does first."""
    ds._session.attach()


def commit_of(ds: zlake.Dataset, message: str) -> str:
    branches = {name: zlake.Dataset(open_session(ds._session.store, CONTEXT, name, True)) for name in ds.branches}
    return next(c["commit"] for each in branches.values() for c in each.commits if c["message"] == message)


MERGES = {
    "merge_forward": idempotent(ahead, lambda ds: ds.merge("side")),
    "merge": idempotent(apart, lambda ds: ds.merge("side"), parts=(commit_side,)),
    "merge_committed": idempotent(apart_and_committed, lambda ds: ds.merge("side", message="merged")),
    "merge_behind_others": idempotent(
        apart_and_committed, lambda ds: ds.merge("side", message="merged"), behind=others_append
    ),
    "merge_tag": idempotent(side, lambda ds: ds.merge("v1"), unseen=True),
    "merge_with_conflicts": idempotent(
        apart_and_committed,
        lambda ds: ds.merge("side", conflict_resolution="ours"),
    ),
    "cherry_pick": idempotent(apart_and_committed, lambda ds: ds.cherry_pick(commit_of(ds, "on side"))),
    "cherry_pick_on_staged": idempotent(apart, lambda ds: ds.cherry_pick(commit_of(ds, "on side"))),
    "revert": idempotent(apart_and_committed, lambda ds: ds.revert(commit_of(ds, "on main"))),
    "revert_newest": idempotent(apart_and_committed, lambda ds: ds.revert(commit_of(ds, "on main as well"))),
    "rebase": idempotent(apart_and_committed, lambda ds: ds.rebase("side")),
    "merge_at_past": idempotent(
        apart_and_tagged, lambda ds: ds.merge("side", message="merged"), parts=(stand_on_a_branch,), address="past"
    ),
    "cherry_pick_at_past": idempotent(
        apart_and_tagged,
        lambda ds: ds.cherry_pick(commit_of(ds, "on side")),
        parts=(stand_on_a_branch,),
        address="past",
    ),
    "gc": idempotent(apart_and_committed, lambda ds: ds.gc(grace=0), unseen=True, collects=True),
    "rebase_staged": idempotent(apart, lambda ds: ds.rebase("side")),
}


def in_pieces(ds: zlake.Dataset) -> None:
    """Tensors of several layouts in many small pieces, all of it committed."""
    ds.create_tensor("x", dtype="int32")
    ds.create_tensor("text", htype="text")
    ds.create_tensor("steps", htype="sequence[generic]", dtype="float64")
    ds.create_tensor("whole", dtype="int16")
    ds.whole.extend(np.arange(5, dtype=np.int16))
    for i in range(5):
        with ds:
            ds.x.append(np.full(2, i, np.int32))
            ds.text.append(f"text {i}")
            ds.steps.append([np.ones(j) for j in range(i % 3 + 1)])
    ds.x[3] = np.full(2, 30, np.int32)
    ds.x.pop(1)
    ds.commit("in pieces")


def in_pieces_and_staged(ds: zlake.Dataset) -> None:
    in_pieces(ds)
    ds.text[0] = "another text"
    ds.x.append(np.full(2, 40, np.int32))


def never_committed(ds: zlake.Dataset) -> None:
    single_rows(7, ds)


def many_commits_in_pieces(ds: zlake.Dataset) -> None:
    """As many commits as one document names: the next one writes a page of history, the one on top of it another."""
    single_rows(7, ds)
    for i in range(16):
        ds.commit(f"commit {i}", allow_empty=True)
    ds.x[3] = 30


def others_change_pieces(ds: zlake.Dataset) -> None:
    ds.x.append(np.full(2, 50, np.int32))
    ds.x[0] = np.full(2, 51, np.int32)
    ds.x.pop(1)
    ds.delete_tensor("text")


OPTIMIZE = {
    "optimize": idempotent(in_pieces, lambda ds: ds.optimize()),
    "optimize_staged": idempotent(in_pieces_and_staged, lambda ds: ds.optimize()),
    "optimize_never_committed": idempotent(never_committed, lambda ds: ds.optimize(), unseen=True),
    "optimize_with_history_page": idempotent(many_commits_in_pieces, lambda ds: ds.optimize()),
    "optimize_one": idempotent(few_rows, lambda ds: ds.optimize("x")),
    "optimize_behind_others": idempotent(in_pieces, lambda ds: ds.optimize(), behind=others_change_pieces),
    "rechunk": idempotent(committed, lambda ds: ds.rechunk(progressbar=False)),
}

ON_BRANCHES = {
    "branch": idempotent(few_rows, make_branch, parts=(lambda ds: ds.commit("Auto commit before checkout to new"),)),
    "branch_clean": idempotent(committed, make_branch),
    "branch_again": idempotent(
        side, make_branch_again, parts=(lambda ds: ds.commit("Auto commit before checkout to gone"),)
    ),
    "branch_of_past": idempotent(side, make_branch, address="v1"),
    "delete_branch": idempotent(side, lambda ds: ds.delete_branch("side")),
    "restore_branch": idempotent(side, lambda ds: ds.restore_branch("gone")),
    "tag": idempotent(side, lambda ds: ds.tag("v2", "side")),
    "delete_tag": idempotent(side, lambda ds: ds.delete_tag("v1")),
    "checkout": Scenario(side, lambda ds: ds.checkout("side"), unseen=True),
    "append_and_leave": Scenario(
        side,
        append_and_leave,
        parts=(lambda ds: ds.append(row(5)),),
        again=leave,
    ),
    "append_on_branch": Scenario(side, append, address="side"),
    "commit_on_branch": Scenario(side, commit, address="side"),
    "append_to_past": Scenario(side, append, parts=(stand_on_a_branch,), address="v1"),
    "reset": Scenario(side, lambda ds: ds.reset()),
    "reset_on_branch": Scenario(side, lambda ds: ds.reset(), address="side"),
}

SCENARIOS = {
    "create_tensor": Scenario(nothing, lambda ds: ds.create_tensor("a/b/x", htype="class_label", class_names=["one"])),
    "create_group": Scenario(nothing, lambda ds: ds.create_group("a/b")),
    "append": Scenario(few_rows, append),
    "append_one": Scenario(few_rows, lambda ds: ds["group/ragged"].append(np.ones(4, np.float32))),
    "append_kinds": Scenario(all_kinds, append_all_kinds),
    "extend": Scenario(few_rows, lambda ds: ds.extend({k: [v, v] for k, v in row(7).items()}, progressbar=True)),
    "extend_one": Scenario(few_rows, lambda ds: ds.x.extend(np.zeros((5, 2, 2), np.int32))),
    "coalesce": Scenario(partial(single_rows, 15), lambda ds: ds.x.append(15)),
    "block": Scenario(few_rows, block, again=lambda ds: ds.flush() if len(ds) == 6 else block(ds)),
    "update": Scenario(few_rows, lambda ds: ds.x.__setitem__(1, np.full((2, 2), 9, np.int32))),
    "update_several": Scenario(few_rows, update_several),
    "update_many": Scenario(many_rows, update_every_other),
    "pad": Scenario(few_rows, lambda ds: ds["group/ragged"].__setitem__(6, np.ones(2, np.float32))),
    "pop": Scenario(few_rows, lambda ds: ds.pop(1)),
    "pop_one": Scenario(few_rows, lambda ds: ds.x.pop()),
    "clear": Scenario(few_rows, lambda ds: ds.x.clear()),
    "info": Scenario(few_rows, partial(set_info, "licence", "CC0")),
    "large_info": Scenario(few_rows, partial(set_info, "names", [f"name {i}" for i in range(2000)])),
    "tensor_info": Scenario(few_rows, set_tensor_info),
    "rename_tensor": Scenario(few_rows, lambda ds: ds.rename_tensor("x", "y")),
    "rename_group": Scenario(few_rows, lambda ds: ds.rename_group("group", "other")),
    "delete_tensor": Scenario(few_rows, lambda ds: ds.delete_tensor("x")),
    "delete_group": Scenario(few_rows, lambda ds: ds.delete_group("group")),
    "commit": Scenario(few_rows, commit),
    "commit_block": Scenario(
        few_rows,
        commit_block,
        parts=(lambda ds: ds.append(row(5)),),
        again=lambda ds: ds.commit("from within a block"),
    ),
    "filling_block": Scenario(
        few_rows,
        filling_block,
        parts=(lambda ds: ds.append(row(10)),),
        again=lambda ds: ds.flush() if len(ds) == 6 else ds.append(row(11)),
        context=replace(CONTEXT, flush_bytes=20),
    ),
    **ON_BRANCHES,
    **MERGES,
    **OPTIMIZE,
    "commit_with_history_page": Scenario(many_commits, lambda ds: ds.commit("the 18th", allow_empty=True)),
    "append_behind_others": Scenario(few_rows, append, behind=others_append),
    "update_behind_others": Scenario(few_rows, update_several, behind=others_append),
    "pop_behind_others": Scenario(few_rows, lambda ds: ds.pop(0), behind=others_append),
    "commit_behind_others": Scenario(few_rows, commit, behind=others_append),
}
