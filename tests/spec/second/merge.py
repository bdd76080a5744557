"""Merge bases (7.13), and carrying changes over to another state (7.6, 7.14)."""

from __future__ import annotations

import heapq
from collections import Counter
from typing import Any, NamedTuple

from tests.spec.second.dataset import Dataset, State, Tensor
from tests.spec.second.diff import Changes, compare
from tests.spec.second.documents import Body

UNDECIDABLE = {"dtype", "ndim", "htype", "sequence", "sample_compression", "chunk_compression"}
UNDECIDED = {"dtype": None, "ndim": None, "htype": "unspecified"}


class Conflict(NamedTuple):
    """What cannot be carried over: the sample of a tensor, or else what of it or of the dataset."""

    tensor: str | None
    sample: int | None
    what: str


def common_ancestors(dataset: Dataset, one: str, other: str) -> list[str]:
    """Return the best common ancestors of two commits, the first of them the merge base (7.13)."""
    reached: Counter[str] = Counter({one: 1})
    reached[other] |= 2
    commits = {each: dataset.snapshot(each, "commit") for each in reached}
    waiting = [(-commit["generation"], each) for each, commit in commits.items()]
    heapq.heapify(waiting)
    taken = []
    while waiting:
        _, each = heapq.heappop(waiting)
        if reached[each] == 3:  # from both sides, and not (4) from one that was taken
            taken.append(commits[each])
            reached[each] |= 4
        for parent in commits[each]["parents"]:
            if parent not in commits:
                commits[parent] = dataset.snapshot(parent, "commit")
                heapq.heappush(waiting, (-commits[parent]["generation"], parent))
            reached[parent] |= reached[each]
    return [each["id"] for each in sorted(taken, key=lambda c: (-c["generation"], -c["time"], c["id"]))]


def start(dataset: Dataset, one: str | None, other: str | None) -> State:
    """Return the state that a merge of two commits starts from (7.13)."""
    if one is None or other is None:
        return State()
    first, *others = common_ancestors(dataset, one, other) or [None]
    state = dataset.load(first)
    for each in others:
        before = dataset.load(next(iter(common_ancestors(dataset, first, each)), None))
        state, _ = carry(dataset, before, dataset.load(each), state, delete=True)
    return state


def carry(
    dataset: Dataset, base: State, new: State, onto: State, *, delete: bool = False, take: bool = False
) -> tuple[State, list[Conflict]]:
    """Carry what lies between ``base`` and ``new`` over to a state (7.14 steps 3 and 4).

    Conflicts are decided for that state, with ``take`` for the new one. With ``delete`` tensors that the new state
    lacks are deleted (7.6); a merge keeps them. Class names that both sides changed are a conflict here: to unite them
    is left out.
    """
    ours, theirs = compare(dataset, base, new), compare(dataset, base, onto)
    result, conflicts = onto.copy(), list[Conflict]()
    for key in {**base.tensors, **new.tensors}:
        old, mine, there = (state.tensors.get(key) for state in (base, new, onto))
        if mine is None:
            assert old is not None
            if delete and there is not None:
                if theirs[key]:  # rows; a deletion goes over other changes of the tensor
                    conflicts.append(Conflict(there.fields["name"], None, "deleted here, changed there"))
                if take or not theirs[key]:
                    del result.tensors[key]
        elif there is not None:
            conflicts += _rows(old or Tensor({}), mine, result.tensors[key], ours[key], theirs[key], take=take)
            conflicts += _fields(old, mine, result.tensors[key], take=take)
        elif old is None:
            result.tensors[key] = mine.copy()
        elif ours[key] or mine.fields != old.fields:
            conflicts.append(Conflict(mine.fields["name"], None, "changed here, deleted there"))
            if take:
                result.tensors[key] = mine.copy()
    info = _members(base.info, new.info, result.info, take=take)
    conflicts += [Conflict(None, None, f"info {each!r}") for each in info]
    conflicts += _names(onto, result, take=take)
    result.groups += [each for each in new.groups if each not in [*base.groups, *result.groups]]
    gone = {each for each in base.groups if each not in new.groups}
    gone -= {each for each in gone for name in result.named if name.startswith(f"{each}/")}
    result.groups = [each for each in result.groups if each not in gone]
    return result, conflicts


def _names(onto: State, result: State, *, take: bool) -> list[Conflict]:
    """Take back what gave two tensors one name (2.4), or the tensor that had it, and report it."""
    found = list[Conflict]()
    while True:
        count = Counter(tensor.fields["name"] for tensor in result.tensors.values())
        there = {key: tensor.fields["name"] for key, tensor in onto.tensors.items()}
        twice = {key: name for key, t in result.tensors.items() if count[name := t.fields["name"]] > 1}
        if not twice:
            return found
        for key, name in twice.items():
            if (there.get(key) == name) is not take:
                continue
            if take or key not in there:
                del result.tensors[key]
            else:
                result.tensors[key].fields["name"] = there[key]
            found.append(Conflict(name, None, "the name of two tensors"))


def _rows(old: Tensor, mine: Tensor, result: Tensor, ours: Changes, theirs: Changes, *, take: bool) -> list[Conflict]:
    there = dict(result.rows)
    # an update to the content that the row had is none
    removed, updated = set(theirs.removed), {e for e in theirs.updated if there[e].content != old.rows[e].content}
    changed = [each for each in ours.updated if mine.rows[each].content != old.rows[each].content]
    found = [each for each in ours.added if each in there and there[each].content != mine.rows[each].content]
    found += [each for each in changed if each in updated and there[each].content != mine.rows[each].content]
    found += [each for each in changed if each in removed]
    found += [each for each in ours.removed if each in updated]
    decided = set() if take else set(found)
    taken = {*ours.added, *changed} - decided
    # rows that are there stay where they are, the others come behind in the order of the new state
    result.rows |= {each: row for each, row in mine.rows.items() if each in taken}
    for each in set(ours.removed) - decided:
        result.rows.pop(each, None)
    return [Conflict(result.fields["name"], each, "sample") for each in found]


def _fields(old: Tensor | None, mine: Tensor, result: Tensor, *, take: bool) -> list[Conflict]:
    before: Body = UNDECIDED if old is None else old.fields
    one, other = mine.fields, dict(result.fields)
    info = other.pop("info")
    found = _members(before, {name: value for name, value in one.items() if name != "info"}, other, take=take)
    found += [f"info {name!r}" for name in _members(before.get("info", {}), one["info"], info, take=take)]
    result.fields = {**other, "info": info}
    return [Conflict(result.fields["name"], None, each) for each in found]


def _members(before: Body, mine: Body, result: Body, *, take: bool) -> list[str]:
    """Carry over each member of an object that was set or taken away; return those set differently on both sides."""
    absent, found = object(), list[str]()

    def get(members: Body, name: str) -> Any:
        return members.get(name, absent)

    for name in {**before, **mine}:
        old, new, there = get(before, name), get(mine, name), get(result, name)
        if new in (old, there):
            continue
        if there != old:
            found.append(name)
        if there != old and not take:
            continue
        if new is absent:
            result.pop(name, None)
        else:
            result[name] = new
    return found
