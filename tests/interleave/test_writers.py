"""Two writers, and three, of one branch."""

from __future__ import annotations

import pytest

from tests.interleave.play import Cast, play
from tests.interleave.scheduler import Dice, Fate, Odometer, Sticky
from tests.interleave.steps import (
    append,
    block,
    commit,
    create_tensor,
    delete_tensor,
    refresh,
    remove,
    rename,
    set_info,
    update,
)
from tests.scale import times

CASTS = {
    "append, append": Cast([[append(1), append(2)], [append(11), append(12, 13)]]),
    "append, update, remove": Cast([[append(1)], [update(101, 2)], [remove(101)]]),
    "update, update": Cast([[update(101, 1), append(5)], [update(101, 2), update(102, 3)]]),
    "same update": Cast([[update(101, 7)], [update(101, 7), append(8)]]),
    "update, remove": Cast([[update(101, 1), update(100, 3)], [remove(101), remove(102)]]),
    "remove, remove": Cast([[remove(101), append(1)], [remove(101), remove(103)]]),
    "commit, commit": Cast([[append(1), commit("A")], [append(2), commit("B")]]),
    "commit, commit of one staged row": Cast([[commit("A")], [commit("B")], [commit("C", allow_empty=True)]]),
    "commit, flush": Cast([[commit("A"), append(1)], [append(2), commit("B")]]),
    "block, block": Cast(
        [[block(append(1), update(101, 2), append(3))], [block(update(102, 4), remove(100), append(5)), commit("B")]]
    ),
    "tensors": Cast([[delete_tensor(2), append(1)], [append(2, key=2)], [rename(2, "z")]]),
    "names": Cast([[create_tensor("z", 3), append(1, key=3)], [create_tensor("z", 4)], [rename(1, "z")]]),
    "infos": Cast([[set_info("a", 1), set_info("b", 1)], [set_info("a", 2), refresh(), set_info("a", 3)]]),
}
LOST = ("append, append", "update, remove", "commit, commit", "commit, flush", "block, block", "tensors", "infos")
SMALL = ("append, append", "append, update, remove", "commit, commit", "update, update", "block, block")


@pytest.mark.parametrize("name", CASTS)
def test_random(name: str) -> None:
    for seed in range(times(60)):
        play(CASTS[name], Dice(seed), seed)
        play(CASTS[name], Sticky(seed), seed)


@pytest.mark.parametrize("name", LOST)
@pytest.mark.parametrize("fate", ["answer lost", "late"])
def test_lost_answers(name: str, fate: Fate) -> None:
    """One write of a play is answered by an error: it took effect, or will, at any later time."""
    cast = Cast(CASTS[name].acts, fates=[fate])
    for seed in range(times(40)):
        play(cast, Sticky(seed), seed)


@pytest.mark.parametrize("name", SMALL)
def test_every_order_of_swaps(name: str) -> None:
    """All orders there are of what is done to the branch; nothing else can be seen by the others."""
    cast = Cast(CASTS[name].acts, steps=lambda operation, key: key.startswith("refs/"))
    odometer = Odometer()
    play(cast, odometer, 0, late_answers=False)
    while odometer.turn():
        play(cast, odometer, 0, late_answers=False)
