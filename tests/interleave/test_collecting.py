"""Collectors of garbage in the way of merges, of versions that come back from nowhere, and of commits that arrive.

Nothing that anybody was told is there may be deleted. Who makes an old version reachable again while it is collected is
either in time, and keeps all of it, or is told that it is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

import zlake
from tests.interleave.joining import GONE, cherry_pick, merge
from tests.interleave.play import Cast, Setting, play
from tests.interleave.scheduler import Dice, Sticky, is_swap_of_ref
from tests.interleave.steps import Refused, Step, append, commit, publish, remove
from tests.interleave.test_merging import apart, committed, go
from tests.interleave.test_versions import HOUR, collect, delete_branch, one_by_one, restore_branch
from tests.model.world import Branch, World, Writer
from tests.scale import times
from zlake.errors import BranchDeletedError, CollectedError, CollectionRefusedError, RefExistsError, RefNotFoundError
from zlake.session.opening import open_session
from zlake.storage import open_store
from zlake.storage.store import Store
from zlake.versions.clone import clone


@pytest.fixture(autouse=True)
def _deletions_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zlake.versions.gc.delete_many", one_by_one)


# ---------------------------------------------------------------- datasets


def stale(setting: Setting) -> None:
    """Let everything that nothing names be marked, and the marks be old enough."""
    setting.store.clock.advance(3 * HOUR)
    setting.ds.gc(HOUR)
    setting.store.clock.advance(3 * HOUR)


def marked(prepare: Callable[[Setting], None]) -> Callable[[Setting], None]:
    """A dataset with old flushes that nothing names, marked and ready to be deleted."""

    def make(setting: Setting) -> None:
        prepare(setting)
        stale(setting)

    return make


def lost_branch(setting: Setting) -> None:
    """A branch ``old`` with a commit and a staged row of its own, deleted long ago."""
    setting.do(commit("start"))
    go(setting, "old")
    setting.do(append(50), commit("on old"), append(51))
    go(setting, "main")
    setting.ds.delete_branch("old")
    setting.world.branches["old"].deleted = True
    setting.world.branches["old"].sequence += 1
    setting.do(append(60))
    stale(setting)


def lost_push(setting: Setting) -> None:
    """A clone has commits that were pushed to a branch ``theirs`` once, which was deleted long ago."""
    setting.do(commit("start"))
    other = SOURCES[setting.store.url] = open_store(f"{setting.store.url}-clone")
    clone(setting.ds._session.repository, other)
    theirs = zlake.Dataset(open_session(other, setting.context, "main", None))
    writer = Writer("main", setting.world.state("main"), setting.writer.commit)
    last = setting.world.branches["main"].commit
    assert last is not None
    for row in (70, 71):
        theirs["x"].append(row)
        made = theirs.commit(f"row {row} elsewhere")
        writer.append(1, {row: row})
        setting.world.record(made, writer.work, last)
        last = made
        if row == 70:
            theirs.checkout("early", create=True)
            theirs.checkout("main")
    theirs.push(setting.ds, "main", into="theirs", progressbar=False)
    setting.world.branches["theirs"] = Branch(last, deleted=True, sequence=1)
    setting.ds.delete_branch("theirs")
    setting.do(append(60))
    stale(setting)


SOURCES: dict[str, Store] = {}
"""Clones from which plays push, by the dataset that was prepared."""


# ---------------------------------------------------------------- steps


def restore(name: str) -> Step:
    return replace(restore_branch(name), anyway=GONE)


def tag_at(name: str, commit_id: str) -> Step:
    def model(world: World, writer: Writer, _: object) -> None:
        if name in world.tags or name in world.spent_tags:
            raise Refused
        world.tags[name] = commit_id

    return Step(f"tag {commit_id}", lambda ds: ds.tag(name, commit_id), model, (RefExistsError,), anyway=GONE)


def branch_at(name: str, commit_id: str) -> Step:
    """Make a branch at an old commit."""

    def model(world: World, writer: Writer, _: object) -> None:
        writer.adopt(world, None, commit_id)
        world.branches[name] = Branch(commit_id)
        writer.adopt(world, name)
        writer.flushed = False

    def real(ds: zlake.Dataset) -> None:
        ds.checkout(commit_id)
        ds.checkout(name, create=True)

    return Step(f"branch at {commit_id}", real, model, anyway=GONE)


def write_at(commit_id: str, row: int) -> Step:
    """Append to an old commit, which makes a branch by itself."""

    def model(world: World, writer: Writer, _: object) -> None:
        writer.adopt(world, None, commit_id)
        name = f"auto_{row}"
        world.branches[name] = Branch(commit_id)
        writer.adopt(world, name)
        writer.append(1, {row: row})
        publish(world, writer)

    def real(ds: zlake.Dataset) -> None:
        ds.checkout(commit_id)
        ds["x"].append(row)

    return Step(f"append to {commit_id}", real, model, anyway=(*GONE, BranchDeletedError))


def write_upon(name: str, row: int) -> Step:
    """Append to a branch that somebody makes."""

    def model(world: World, writer: Writer, _: object) -> None:
        if name not in world.branches or world.branches[name].deleted:
            raise Refused
        writer.adopt(world, name)
        writer.append(1, {row: row})
        publish(world, writer)

    def real(ds: zlake.Dataset) -> None:
        ds.checkout(name)
        ds["x"].append(row)

    return Step(f"append {row} upon {name}", real, model, (RefNotFoundError,))


def soon(name: str, step: Step) -> Step:
    """A step that is taken as soon as there is a branch, if it comes to be in time."""

    def real(ds: zlake.Dataset) -> Any:
        for _ in range(20):
            if name in ds.branches:
                break
        return step.real(ds)

    return replace(step, real=real)


def push(into: str, name: str = "main") -> Step:
    """Somebody pushes commits to the dataset: all, or the first."""

    def model(world: World, writer: Writer, _: object) -> None:
        last, first, *_ = world.log(world.branches["theirs"].commit)
        commit = last if name == "main" else first
        branch = world.branches.setdefault(into, Branch(deleted=True))
        if not branch.deleted:
            if branch.commit != commit:
                raise Refused
            return
        world.branches[into] = Branch(commit, sequence=branch.sequence + 1, restarted=branch.sequence + 1)

    def real(ds: zlake.Dataset) -> str:
        source = SOURCES[next(url for url in SOURCES if ds._session.store.url.startswith(f"{url}-"))]
        theirs = zlake.Dataset(open_session(source, ds._session.context, "main", True))
        commit = theirs.push(ds, name, into=into, progressbar=False, num_workers=1).commit
        assert commit is not None
        return commit

    return Step(f"push {name} into {into}", real, model, anyway=(CollectedError,))


def at_once() -> Step:
    """Collect without a grace period: whoever only names old versions beside it is told the truth all the same."""
    return Step("gc at once", lambda ds: ds.gc(0), lambda world, writer, result: None, anyway=(CollectionRefusedError,))


def old(world: World) -> str:
    commit = world.branches["old"].commit
    assert commit is not None
    return commit


def at_refs(name: str, key: str) -> bool:
    """What decides whether somebody sees a collector, or what another one has brought."""
    return name == "delete" or key.startswith(("refs/", "gc/sweeps/", "leases/"))


Acts = Sequence[Sequence[Step]]


def with_old(act: Callable[[str], Acts]) -> Callable[[World], Acts]:
    return lambda world: act(old(world))


SIDE = ["main", "side"]
CASTS = {
    "merge, gc": Cast([[merge("side")], [collect()]], prepare=marked(committed)),
    "merge of staged rows, gc": Cast([[merge("side")], [collect(), append(1)]], prepare=marked(apart)),
    "merge, append, gc": Cast([[merge("side")], [append(1), remove(100)], [collect()]], prepare=marked(apart)),
    "merge both ways, gc": Cast(
        [[merge("side")], [merge("main")], [collect()]], ["main", "side", "main"], prepare=marked(committed)
    ),
    "merge, branch deleted, gc": Cast([[merge("side")], [delete_branch("side"), collect()]], prepare=marked(committed)),
    "restore, gc": Cast([[restore("old")], [collect()]], prepare=lost_branch),
    "restore, gc, gc": Cast([[restore("old")], [collect()], [collect()]], prepare=lost_branch),
    "restore, append, gc": Cast([[restore("old"), merge("old")], [collect(), append(1)]], prepare=lost_branch),
    "restore, gc at once": Cast([[restore("old")], [at_once()]], prepare=lost_branch),
    "delete and restore, gc": Cast(
        [[delete_branch("side"), restore("side")], [collect(), append(1)]], prepare=marked(apart)
    ),
    "delete and restore, gc at once": Cast(
        [[delete_branch("side"), restore("side")], [at_once()]], prepare=marked(apart)
    ),
    "tag, gc": Cast(with_old(lambda c: [[tag_at("v1", c)], [collect()]]), prepare=lost_branch),
    "tag, gc at once": Cast(with_old(lambda c: [[tag_at("v1", c)], [at_once()]]), prepare=lost_branch),
    "tag, tag, gc": Cast(
        with_old(lambda c: [[tag_at("v1", c)], [tag_at("v2", c), append(1)], [collect()]]), prepare=lost_branch
    ),
    "branch, gc": Cast(with_old(lambda c: [[branch_at("new", c)], [collect()]]), prepare=lost_branch),
    "branch, gc at once": Cast(with_old(lambda c: [[branch_at("new", c)], [at_once()]]), prepare=lost_branch),
    "write to the past, gc": Cast(with_old(lambda c: [[write_at(c, 1)], [collect()]]), prepare=lost_branch),
    "write to the past, gc, gc": Cast(
        with_old(lambda c: [[write_at(c, 1)], [collect()], [collect(), append(2)]]), prepare=lost_branch
    ),
    "merge of the past, gc": Cast(with_old(lambda c: [[merge(c, by_id=True)], [collect()]]), prepare=lost_branch),
    "pick from the past, gc": Cast(
        with_old(lambda c: [[cherry_pick(c, by_id=True)], [collect()]]), prepare=lost_branch
    ),
    "push, gc": Cast([[push("theirs")], [collect()]], prepare=lost_push),
    "push, push, gc": Cast([[push("theirs")], [push("elsewhere")], [collect()]], prepare=lost_push),
    "push, restore, gc": Cast([[push("theirs")], [restore("theirs")], [collect()]], prepare=lost_push),
    "push, push on top, gc": Cast(
        [[push("more", "early")], [push("elsewhere")], [collect()]], prepare=lost_push, steps=at_refs
    ),
    "push, append, gc": Cast([[push("theirs")], [collect(), append(1)]], prepare=lost_push),
    "restore, write upon it, gc": Cast(
        [[restore("old")], [soon("old", write_upon("old", 1))], [collect()]], prepare=lost_branch, steps=at_refs
    ),
    "branch, write upon it, gc": Cast(
        with_old(lambda c: [[branch_at("new", c)], [soon("new", write_upon("new", 1))], [collect()]]),
        prepare=lost_branch,
        steps=at_refs,
    ),
    "branch, merge of it, gc": Cast(
        with_old(lambda c: [[branch_at("new", c)], [soon("new", merge("new"))], [collect()]]),
        prepare=lost_branch,
        steps=at_refs,
    ),
    "merge of the past, append, gc": Cast(
        with_old(lambda c: [[merge(c, by_id=True)], [append(1)], [collect()]]), prepare=lost_branch
    ),
}


def killed(cast: Cast) -> Cast:
    """A process ends where it swaps a ref: what it has not looked at yet, nobody will."""
    return replace(cast, fates=("killed",), struck=is_swap_of_ref, prepared=None)


KILLS = (
    "restore, gc",
    "restore, gc at once",
    "tag, gc",
    "branch, gc",
    "push, gc",
    "push, push, gc",
    "push, push on top, gc",
    "push, append, gc",
)
CASTS |= {f"{name}, killed": killed(CASTS[name]) for name in KILLS}


@pytest.mark.parametrize("name", CASTS)
def test_random(name: str) -> None:
    for seed in range(times(16)):
        play(CASTS[name], Dice(seed), seed)
        play(CASTS[name], Sticky(seed), seed)
