"""Branches, tags, resets and a collector of garbage in the way of writers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

import zlake
from tests.interleave.play import Cast, Setting, play
from tests.interleave.scheduler import Dice, Sticky
from tests.interleave.steps import Refused, Step, append, block, commit, remove, update
from tests.model.world import Branch, World, Writer
from tests.scale import times
from zlake.errors import BranchDeletedError, CollectionRefusedError, RefExistsError, RefNotFoundError, StaleSessionError
from zlake.session.opening import open_session
from zlake.storage.store import Store

HOUR = 3600.0


def on_branch(change: Callable[[zlake.Dataset], Any], model: Callable[[World], None], name: str, *errors: Any) -> Step:
    """A step that changes no rows."""
    return Step(name, change, lambda world, writer, result: model(world), errors)


def delete_branch(name: str) -> Step:
    def model(world: World) -> None:
        if world.branches[name].deleted:
            raise Refused
        world.branches[name].deleted = True
        world.branches[name].sequence += 1

    return on_branch(lambda ds: ds.delete_branch(name), model, f"delete {name}", RefNotFoundError)


def restore_branch(name: str) -> Step:
    def model(world: World) -> None:
        if not world.branches[name].deleted:
            raise Refused
        world.branches[name].deleted = False
        world.branches[name].sequence += 2  # the tombstone is written anew first

    return on_branch(lambda ds: ds.restore_branch(name), model, f"restore {name}", RefExistsError)


def tag(name: str) -> Step:
    def model(world: World, writer: Writer, result: Any) -> None:
        if name in world.tags:
            raise Refused
        assert writer.commit is not None
        world.tags[name] = writer.commit

    return Step(f"tag {name}", lambda ds: ds.tag(name), model, (RefExistsError,))


def reset() -> Step:
    def model(world: World, writer: Writer, _: Any) -> None:
        assert writer.branch is not None
        branch = world.branches[writer.branch]
        if branch.staged is not writer.staged:
            raise Refused
        branch.sequence += 1
        branch.dropped, branch.staged = branch.sequence, None
        writer.adopt(world, writer.branch)
        writer.flushed = False

    return Step("reset", lambda ds: ds.reset(), model, (StaleSessionError,))


def collect() -> Step:
    """Marks and deletes; the clock of the storage does not move in a play, so nothing young is touched."""
    return Step("gc", lambda ds: ds.gc(HOUR), lambda world, writer, result: None, anyway=(CollectionRefusedError,))


def side(setting: Setting) -> None:
    """A branch beside ``main``, with a row of its own staged."""
    setting.ds.checkout("side", create=True)
    world, writer = setting.world, setting.writer
    made = setting.ds.commit_id
    assert made is not None
    if made not in world.commits:
        world.add("main", made, world.state("main"))
    world.branches["side"] = Branch(made)
    writer.adopt(world, "side")
    writer.flushed = False
    setting.do(append(50))


def garbage(setting: Setting) -> None:
    """Old flushes that nothing names, marked long ago, and ready to be deleted."""
    setting.do(append(60), append(61), commit("second"), append(62))
    setting.store.clock.advance(3 * HOUR)
    setting.do(append(63))
    setting.ds.gc(HOUR)
    setting.store.clock.advance(3 * HOUR)
    # what the writers start from is young again
    setting.do(append(64))


def one_by_one(store: Store, keys: Iterable[str], in_flight: int = 1) -> int:
    """Delete in the thread of the actor, so that each deletion waits for its turn."""
    wanted = list(keys)
    for key in wanted:
        store.delete(key)
    return len(wanted)


@pytest.fixture(autouse=True)
def _deletions_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zlake.versions.gc.delete_many", one_by_one)


GONE = (BranchDeletedError, StaleSessionError)
CASTS = {
    "branch deleted, written": Cast(
        [[delete_branch("side")], [append(1), append(2)]], ["main", "side"], prepare=side, also=GONE
    ),
    "branch deleted, committed": Cast(
        [[delete_branch("side"), restore_branch("side")], [append(1), commit("B")]], ["main", "side"], side, also=GONE
    ),
    "tag, tag": Cast([[tag("v1")], [commit("B"), tag("v1")]]),
    "reset, flush": Cast([[reset(), append(1)], [append(2), append(3)]], also=GONE),
    "gc, append": Cast([[append(1), append(2)], [append(3), update(101, 4)], [collect()]], prepare=garbage),
    "gc, commit": Cast([[append(1), commit("A")], [remove(102), commit("B")], [collect()]], prepare=garbage),
    "gc, block": Cast([[block(append(1), update(100, 2))], [collect(), append(5)], [collect()]], prepare=garbage),
}


@pytest.mark.parametrize("name", CASTS)
def test_random(name: str) -> None:
    for seed in range(times(40)):
        play(CASTS[name], Dice(seed), seed)
        play(CASTS[name], Sticky(seed), seed)


def test_the_collector_has_something_to_delete() -> None:
    """Otherwise the plays above would prove little."""
    cast = CASTS["gc, append"]
    play(cast, Dice(0), 0)
    assert cast.prepared is not None
    store = cast.prepared.store.twin("mem://play-garbage")
    before = len(store.objects)
    ds = zlake.Dataset(open_session(store, zlake.Context(clock=store.clock), None, None))
    assert ds.gc(HOUR)
    assert len(store.objects) < before
    assert ds.verify(deep=True)
