"""What makes no difference to a change: the dataset's past, what others do beside it, and how its documents are cut.

Continuous integration walks through each change as it stands; `make test-scale` in all of these surroundings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

import zlake
from tests.crash.exchanges import COLLECTIONS, EXCHANGES
from tests.crash.scenarios import OPTIMIZE, SCENARIOS, Act, Scenario, nothing
from tests.model.base import TIGHT
from tests.scale import times
from zlake import limits


@dataclass(frozen=True)
class Surroundings:
    """What a change happens in.

    Attributes
    ----------
    past
        What happened to the dataset before it is prepared.
    beside
        What another writer does after the session that acts was opened, besides what the scenario says.
    limits
        Limits of zlake that are set otherwise.
    """

    past: Act = nothing
    beside: Act = nothing
    limits: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def around(self, scenario: Scenario) -> Iterator[Scenario]:
        """The same change in these surroundings."""

        def prepare(ds: zlake.Dataset) -> None:
            self.past(ds)
            scenario.prepare(ds)

        def both(ds: zlake.Dataset) -> None:
            (scenario.behind or nothing)(ds)
            self.beside(ds)

        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.limits.items():
                patch.setattr(limits, name, value)
            behind = scenario.behind if self.beside is nothing else both
            yield replace(scenario, prepare=prepare, behind=behind)


def long(ds: zlake.Dataset) -> None:
    """More commits than one document names."""
    for i in range(20):
        ds.commit(f"long ago {i}", allow_empty=True)


def merged(ds: zlake.Dataset) -> None:
    """A merge, a reverted commit, a branch and a tag that were deleted, a tensor that came and went."""
    ds.create_tensor("past", dtype="int64")
    for i in range(5):
        ds.past.append(i)
    ds.commit("the past")
    ds.checkout("before", create=True)
    ds.past.append(5)
    ds.past[0] = 10
    ds.commit("on before")
    ds.checkout("main")
    ds.past.pop(2)
    popped = ds.commit("popped")
    ds.merge("before")
    ds.revert(popped)
    ds.tag("before-tag")
    ds.delete_tag("before-tag")
    ds.delete_branch("before")
    ds.delete_tensor("past")
    ds.commit("what was is past")


def name_it(ds: zlake.Dataset) -> None:
    ds.info["others"] = "were here"


def commit(ds: zlake.Dataset) -> None:
    """Commit what was staged, and stage more."""
    ds.commit("others' commit", allow_empty=True)
    name_it(ds)


def optimize(ds: zlake.Dataset) -> None:
    ds.optimize()


CHANGES = {**SCENARIOS, **EXCHANGES, **COLLECTIONS}
ALONE = {name for name, change in CHANGES.items() if change.unseen or change.collects}
ALONE |= {*OPTIMIZE, *EXCHANGES, "tag", "delete_tag", "delete_branch", "restore_branch", "reset"}
"""They do not take in what others did to the branch that is open, or refuse to."""
PAGED = {"update_many"}
"""They fill pages as these are: in small ones hundreds, each of them an operation that goes wrong."""

SURROUNDINGS = {
    "as it stands": Surroundings(),
    "small pages": Surroundings(limits=TIGHT),
    "long history": Surroundings(long),
    "merged history": Surroundings(merged),
    "merged history in small pages": Surroundings(merged, limits=TIGHT),
    "others stage": Surroundings(beside=name_it),
    "others commit": Surroundings(beside=commit),
    "others optimize": Surroundings(beside=optimize),
    "others optimize small pages": Surroundings(beside=optimize, limits=TIGHT),
    "others commit to a merged history in small pages": Surroundings(merged, commit, TIGHT),
}


def cases(names: Iterable[str]) -> list[tuple[str, str]]:
    """Changes, each in all surroundings that it can happen in."""
    some = list(SURROUNDINGS.items())[: times(1)]
    return [
        (name, each)
        for name in names
        for each, it in some
        if not (it.beside is not nothing and name in ALONE) and not (it.limits and name in PAGED)
    ]
