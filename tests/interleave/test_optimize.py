"""Compaction beside writers, a merge, another compaction and a collector of garbage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import zlake
from tests.interleave.play import Cast, Setting, play
from tests.interleave.scheduler import Dice, Fate, Odometer, Sticky
from tests.interleave.steps import Step, X, append, block, commit, delete_tensor, refresh, remove, rename, update
from tests.interleave.test_versions import collect, garbage, one_by_one, side
from tests.model.world import World, Writer
from tests.scale import times
from zlake.errors import CommitStateUnknownError
from zlake.session.opening import open_session


def optimize(everything: bool = False) -> Step:
    """Changes no row; follow it by `refresh`: where there is nothing to do it does not read the branch again."""

    def model(world: World, writer: Writer, result: Any) -> None:
        assert writer.branch is not None
        branch = world.branches[writer.branch]
        staged = branch.staged
        if result is not None:
            world.add(writer.branch, result, world.committed(writer.branch))
            branch.staged = None if staged is None else replace(staged)
        writer.adopt(world, writer.branch)

    def real(ds: zlake.Dataset) -> str | None:
        call = ds.rechunk if everything else ds.optimize
        options: dict[str, Any] = {"progressbar": False}
        try:
            return call(**options).commit
        except CommitStateUnknownError:
            return call(**options).commit  # which finds out

    return Step("rechunk" if everything else "optimize", real, model)


def merge_side() -> Step:
    """Takes in the branch that `committed_side` makes; it appended one row."""

    def model(world: World, writer: Writer, result: Any) -> None:
        assert writer.branch is not None
        state = world.state(writer.branch)
        table = state.tables[X]
        theirs = world.branches["side"].commit
        assert theirs is not None
        if result == theirs:  # fast-forward
            world.branches[writer.branch].commit = theirs
        else:
            world.add(writer.branch, result, state.with_table(X, rows={**table.rows, 50: 50}), theirs)
        writer.adopt(world, writer.branch)

    return Step("merge side", lambda ds: ds.merge("side"), model)


def committed_side(setting: Setting) -> None:
    side(setting)
    setting.do(commit("on side"))
    setting.ds.checkout("main")
    setting.writer.adopt(setting.world, "main")
    setting.do(append(105), append(106))


def nothing_staged(setting: Setting) -> None:
    setting.do(append(105), update(101, 201), commit("second"))


CASTS = {
    "append": Cast([[optimize(), refresh(), append(1)], [append(2), append(3)]]),
    "append to what is committed": Cast([[optimize(), refresh(), append(1)], [append(2)]], prepare=nothing_staged),
    "update, remove": Cast(
        [[optimize(), refresh(), update(103, 7)], [update(100, 2), append(5)], [remove(102), remove(104)]]
    ),
    "same rows": Cast([[optimize(), refresh(), update(102, 7)], [update(102, 8)], [optimize(True), refresh()]]),
    "block": Cast([[optimize(True), refresh()], [block(append(1), update(100, 2), remove(103)), commit("B")]]),
    "commit": Cast([[optimize(), refresh(), append(1), commit("A")], [append(2), commit("B")]]),
    "commit of what is staged": Cast([[optimize(), refresh()], [commit("B"), append(1)]]),
    "two at once": Cast([[optimize(), refresh()], [optimize(True), refresh()], [append(1), update(102, 2)]]),
    "tensors": Cast([[optimize(True), refresh(), append(1)], [delete_tensor(2)], [rename(1, "z"), remove(100)]]),
    "merge": Cast([[optimize(), refresh(), append(1)], [merge_side(), append(2)]], prepare=committed_side),
    "merge, update": Cast([[optimize(True), refresh()], [merge_side()], [update(101, 5)]], prepare=committed_side),
    "gc": Cast([[optimize(), refresh(), append(1)], [append(2), update(101, 3)], [collect()]], prepare=garbage),
}
LOST = ("append", "append to what is committed", "update, remove", "commit", "two at once", "merge")
SMALL = {
    "append": Cast([[optimize()], [append(2), append(3)]]),
    "append to what is committed": Cast([[optimize()], [append(2), commit("B")]], prepare=nothing_staged),
    "update, remove": Cast([[optimize(True)], [update(100, 2)], [remove(102)]]),
    "two at once": Cast([[optimize()], [optimize(True)], [append(1)]], prepare=nothing_staged),
}


@pytest.fixture(autouse=True)
def _deletions_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zlake.versions.gc.delete_many", one_by_one)


@pytest.mark.parametrize("name", CASTS)
def test_random(name: str) -> None:
    for seed in range(times(30)):
        play(CASTS[name], Dice(seed), seed)
        play(CASTS[name], Sticky(seed), seed)


@pytest.mark.parametrize("name", LOST)
@pytest.mark.parametrize("fate", ["answer lost", "late"])
def test_lost_answers(name: str, fate: Fate) -> None:
    """One write of a play is answered by an error: it took effect, or will, at any later time."""
    cast = replace(CASTS[name], fates=[fate], prepared=None)
    for seed in range(times(25)):
        play(cast, Sticky(seed), seed)


@pytest.mark.parametrize("name", SMALL)
def test_every_order_of_swaps(name: str) -> None:
    """All orders there are of what is done to the branch; nothing else can be seen by the others."""
    cast = replace(SMALL[name], steps=lambda operation, key: key.startswith("refs/"))
    odometer = Odometer()
    play(cast, odometer, 0, late_answers=False)
    while odometer.turn():
        play(cast, odometer, 0, late_answers=False)


def test_there_is_something_to_do() -> None:
    """Otherwise the plays above would prove little."""
    for name, cast in CASTS.items():
        play(cast, Dice(0), 0)
        assert cast.prepared is not None
        store = cast.prepared.store.twin(f"mem://play-optimize-{name}")
        ds = zlake.Dataset(open_session(store, zlake.Context(clock=store.clock), None, None))
        assert ds.optimize(), name
        assert ds.verify(deep=True)
