"""Merges, and commits that are made again, while others write to either branch, commit, and merge themselves."""

from __future__ import annotations

import pytest

from tests.interleave.joining import cherry_pick, merge, rebase, revert
from tests.interleave.play import Cast, Setting, play
from tests.interleave.scheduler import Dice, Fate, Sticky
from tests.interleave.steps import append, block, commit, remove, set_info, update
from tests.model.world import Branch
from tests.scale import times


def go(setting: Setting, name: str) -> None:
    """Go to a branch; make it, at the newest commit, if there is none."""
    world, writer = setting.world, setting.writer
    create = name not in world.branches
    setting.ds.checkout(name, create=create)
    if create:
        made = setting.ds.commit_id
        assert made is not None
        assert writer.branch is not None
        if made not in world.commits:
            world.add(writer.branch, made, world.state(writer.branch))
        world.branches[name] = Branch(made)
    writer.adopt(world, name)
    writer.flushed = False


def apart(setting: Setting) -> None:
    """``main`` and ``side`` have parted: two rows of ``side`` are its own, one it changed, and one more is staged."""
    go(setting, "side")
    setting.do(append(50), update(102, 51), commit("on side"))
    setting.ds.tag("picked")
    setting.world.tags["picked"] = setting.world.branches["side"].commit or ""
    setting.do(append(52))
    go(setting, "main")
    setting.do(append(60), commit("on main"))
    setting.ds.tag("undone")
    setting.world.tags["undone"] = setting.world.branches["main"].commit or ""
    setting.do(append(61))


def committed(setting: Setting) -> None:
    """The same, with nothing staged."""
    apart(setting)
    setting.do(commit("on main as well"))
    go(setting, "side")
    setting.do(commit("on side as well"))
    go(setting, "main")


def ahead(setting: Setting) -> None:
    """``side`` is ahead of ``main``, which has nothing of its own."""
    setting.do(commit("start"))
    go(setting, "side")
    setting.do(append(50), commit("on side"))
    go(setting, "main")


SIDE = ["main", "side"]
CASTS = {
    "merge, append": Cast([[merge("side")], [append(1), append(2)]], prepare=apart),
    "merge, update": Cast([[merge("side")], [update(101, 1), update(102, 2)]], prepare=apart),
    "merge, remove": Cast([[merge("side")], [remove(102), append(1)]], prepare=committed),
    "merge, commit": Cast([[merge("side"), append(3)], [append(1), commit("B")]], prepare=committed),
    "merge, commit of staged rows": Cast([[merge("side")], [commit("B"), append(1)]], prepare=apart),
    "merge, merge": Cast([[merge("side")], [merge("side"), append(1)]], prepare=committed),
    "merge, merge of staged rows": Cast([[merge("side")], [merge("side")]], prepare=apart),
    "merge for ours, update": Cast([[merge("side", "ours")], [update(102, 2)]], prepare=committed),
    "merge for theirs, update": Cast([[merge("side", "theirs")], [update(102, 2), append(1)]], prepare=committed),
    "merge, append there": Cast([[merge("side")], [append(1), append(2)]], SIDE, prepare=apart),
    "merge, update there": Cast([[merge("side")], [update(103, 1), remove(100)]], SIDE, prepare=apart),
    "merge, commit there": Cast([[merge("side")], [append(1), commit("B")]], SIDE, prepare=apart),
    "merge both ways": Cast([[merge("side"), append(1)], [merge("main"), append(2)]], SIDE, prepare=committed),
    "merge both ways, staged": Cast([[merge("side")], [merge("main")]], SIDE, prepare=apart),
    "forward, append": Cast([[merge("side")], [append(1)]], prepare=ahead),
    "forward, commit": Cast([[merge("side"), append(2)], [append(1), commit("B")]], prepare=ahead),
    "forward, append there": Cast([[merge("side"), append(2)], [append(1), commit("B")]], SIDE, prepare=ahead),
    "forward, forward": Cast([[merge("side")], [merge("side"), append(1)]], prepare=ahead),
    "merge, block": Cast([[merge("side")], [block(append(1), update(100, 2), set_info("a", 1))]], prepare=committed),
    "three": Cast([[merge("side")], [append(1)], [append(2), commit("C")]], ["main", "main", "side"], prepare=apart),
    "pick, commit": Cast([[cherry_pick("picked")], [append(1), commit("B")]], prepare=apart),
    "pick, pick": Cast([[cherry_pick("picked")], [cherry_pick("picked"), append(1)]], prepare=committed),
    "pick, update": Cast([[cherry_pick("picked")], [update(102, 1), commit("B")]], prepare=apart),
    "pick, merge": Cast([[cherry_pick("picked")], [merge("side")]], prepare=committed),
    "revert, commit": Cast([[revert("undone")], [append(1), commit("B")]], prepare=apart),
    "revert, remove": Cast([[revert("undone")], [remove(60), commit("B")]], prepare=committed),
    "revert, revert": Cast([[revert("undone"), append(1)], [revert("undone")]], prepare=committed),
    "rebase, commit": Cast([[rebase("side")], [append(1), commit("B")]], prepare=committed),
    "rebase, append": Cast([[rebase("side")], [append(1), update(102, 2)]], prepare=apart),
    "rebase, commit there": Cast([[rebase("side")], [append(1), commit("B")]], SIDE, prepare=apart),
    "rebase, merge": Cast([[rebase("side")], [merge("side")]], prepare=committed),
}
LOST = ("merge, append", "merge, commit", "merge, merge", "forward, forward", "pick, commit", "revert, commit")


@pytest.mark.parametrize("name", CASTS)
def test_random(name: str) -> None:
    for seed in range(times(16)):
        play(CASTS[name], Dice(seed), seed)
        play(CASTS[name], Sticky(seed), seed)


@pytest.mark.parametrize("name", LOST)
@pytest.mark.parametrize("fate", ["answer lost", "late"])
def test_lost_answers(name: str, fate: Fate) -> None:
    """One write of a play is answered by an error: it took effect, or will, at any later time."""
    cast = Cast(CASTS[name].acts, prepare=CASTS[name].prepare, fates=[fate])
    for seed in range(times(20)):
        play(cast, Sticky(seed), seed)
