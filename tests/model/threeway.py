"""What lies between two states, carried over to a third one, sample by sample: merges in the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from tests.model.state import Key, State, Table

_MISSING = object()
_copies = count(1 << 50)


@dataclass(frozen=True)
class Clash:
    """Something that both sides changed in ways that do not go together.

    Attributes
    ----------
    tensor
        Its name where the sides parted, or the name that two tensors would have.
    sample_id
        Of the model; None where it is about the tensor as a whole, or the dataset.
    base, ours, theirs
        Values of the sample; None where there is none.
    """

    tensor: str
    sample_id: int | None = None
    base: int | None = None
    ours: int | None = None
    theirs: int | None = None

    @property
    def name(self) -> tuple[str, int | None]:
        return self.tensor, self.sample_id


Decide = Callable[[Clash], str | None]
"""Answers ``"ours"`` (the state that takes the changes), ``"theirs"``, or None to leave it."""


@dataclass
class Brought:
    """A state with changes brought to it, what nobody decided about, and what everybody was asked about.

    ``unlike`` says whether tensors of different kinds were to be joined; ``names`` lists names that two tensors would
    have after all that was decided.
    """

    state: State
    left: list[Clash] = field(default_factory=list)
    asked: list[Clash] = field(default_factory=list)
    unlike: bool = False
    names: list[str] = field(default_factory=list)

    @property
    def refused(self) -> bool:
        return bool(self.left or self.unlike or self.names)


class UnclearError(Exception):
    """Some tensor has got its dtype and rank from samples that are gone again, which the model does not follow."""


def check_clear(base: State, target: State) -> None:
    """Raise if nothing but that may have become of a tensor between two states."""
    for key in base.tables.keys() & target.tables.keys():
        was, now = base.tables[key], target.tables[key]
        if not was.rows and not now.rows and was.settled != now.settled:
            raise UnclearError


def same(a: State, b: State) -> bool:
    """Whether two states differ by no more than the order of their rows."""
    return a.info == b.info and _plain(a) == _plain(b)


def _plain(state: State) -> Any:
    return {key: (table.name, table.rows, table.info) for key, table in state.tables.items()}


def bring(
    base: State, target: State, onto: State, decide: Decide, *, deletions: bool = True, force: bool = False
) -> Brought:
    """Make on ``onto`` the changes that lead from ``base`` to ``target``.

    Parameters
    ----------
    decide
        Who decides about conflicts.
    deletions
        Delete the tensors that the target deleted.
    force
        Take tensors whose names clash as new ones, or join them.
    """
    return _Bring(base, target, onto, decide, force).run(deletions)


class _Bring:
    def __init__(self, base: State, target: State, onto: State, decide: Decide, force: bool) -> None:
        self.base, self.target, self.onto = base, target, onto
        self.force = force
        self.ask = decide
        self.out = Brought(onto)
        self.tables = dict(onto.tables)
        self.named: list[Key] = []  # tensors whose names come from the target

    def theirs(self, clash: Clash) -> bool:
        side = self.ask(clash)
        self.out.asked.append(clash)
        if side is None:
            self.out.left.append(clash)
        return side == "theirs"

    def run(self, deletions: bool) -> Brought:
        for key, theirs in self.target.tables.items():
            was, ours = self.base.tables.get(key), self.onto.tables.get(key)
            if ours is not None:
                self.both(key, was, ours, theirs)
            elif was is None or self.comes_back(was, theirs):
                self.tables[key] = theirs
                self.named.append(key)
        for key, was in self.base.tables.items() if deletions else ():
            ours = self.onto.tables.get(key)
            if key in self.target.tables or ours is None:
                continue
            if was.rows == ours.rows or self.theirs(Clash(was.name)):
                del self.tables[key]
        info = self.info("", self.base.info, self.onto.info, self.target.info)
        for key in self.named:
            self.one_name(key)
        names = [table.name for table in self.tables.values()]
        self.out.names = [name for name in set(names) if names.count(name) > 1 and not self.out.left]
        self.out.state = State(self.tables, info)
        return self.out

    # ------------------------------------------------------------ tensors

    def comes_back(self, was: Table, theirs: Table) -> bool:
        """Decide about a tensor that is gone here."""
        if (was.name, was.info, was.rows) == (theirs.name, theirs.info, theirs.rows):
            return False
        return (self.force and was.name != theirs.name) or self.theirs(Clash(was.name))

    def both(self, key: Key, was: Table | None, ours: Table, theirs: Table) -> None:
        if was is None:
            was = Table(theirs.name if theirs.name == ours.name else "", ours.kind)
        elif self.force and was.name != theirs.name and ours.name not in (was.name, theirs.name):
            made = next(_copies)
            self.tables[made] = theirs
            self.named.append(made)
            return
        name = ours.name
        renamed = theirs.name not in (was.name, ours.name)
        if renamed and (ours.name == was.name or self.theirs(Clash(was.name or ours.name))):
            name = theirs.name
            self.named.append(key)
        info = self.info(was.name or ours.name, was.info, ours.info, theirs.info)
        rows = self.rows(was.name or ours.name, was.rows, ours.rows, theirs.rows)
        self.tables[key] = replace(ours, name=name, info=info, rows=rows, settled=ours.settled or theirs.settled)

    def rows(self, name: str, was: dict[int, int], ours: dict[int, int], theirs: dict[int, int]) -> dict[int, int]:
        made, back = dict(ours), {}
        for i, before in was.items():
            here, there = ours.get(i), theirs.get(i)
            if there in (before, here):
                continue
            if here != before and not self.theirs(Clash(name, i, before, here, there)):
                continue
            if there is None:
                del made[i]
            elif here is None:
                back[i] = there
            else:
                made[i] = there
        for i, there in theirs.items():
            if i in was:
                continue
            if i not in ours:
                back[i] = there
            elif ours[i] != there and self.theirs(Clash(name, i, None, ours[i], there)):
                made[i] = there
        return {**made, **back}

    def info(self, name: str, was: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
        made = dict(ours)
        for key in {**was, **theirs}:
            before, here, there = was.get(key, _MISSING), ours.get(key, _MISSING), theirs.get(key, _MISSING)
            if there in (before, here) or (here != before and not self.theirs(Clash(name))):
                continue
            if there is _MISSING:
                del made[key]
            else:
                made[key] = there
        return made

    # ------------------------------------------------------------ names

    def one_name(self, key: Key) -> None:
        """Decide about another tensor that has the name of this one."""
        table = self.tables[key]
        others = [k for k, other in self.tables.items() if other.name == table.name and k != key]
        if not others:
            return
        other = others[0]
        if self.force and other in self.onto.tables and other not in self.base.tables:
            self.join(key, other)
            return
        left = len(self.out.left)
        if self.theirs(Clash(table.name)):
            del self.tables[other]
        elif len(self.out.left) > left:
            return  # what would come of it is nobody's concern
        elif key in self.onto.tables:
            self.tables[key] = replace(table, name=self.onto.tables[key].name)
        else:
            del self.tables[key]

    def join(self, key: Key, other: Key) -> None:
        """Append the rows of a tensor to one that was created here under its name; what the target did to it beside
        that is left out."""
        theirs, onto = self.target.tables.get(key, self.tables[key]), self.tables[other]
        if key in self.onto.tables:
            self.tables[key] = self.onto.tables[key]
        else:
            del self.tables[key]
        if theirs.kind != onto.kind:
            self.out.unlike = True
            return
        self.tables[other] = replace(
            onto,
            rows={**onto.rows, **theirs.rows},
            info={**theirs.info, **onto.info},
        )
