"""Branches, commits and writers of the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.model.state import Edit, Key, Outcome, State, carry
from tests.model.threeway import bring
from zlake.errors import BranchDeletedError, StaleSessionError

EMPTY = State()


@dataclass(frozen=True)
class Commit:
    """A commit under the id that zlake gave it."""

    id: str
    parents: tuple[str, ...]
    state: State
    generation: int
    time: float


@dataclass
class Branch:
    """What a branch names: the newest commit and what is staged on it."""

    commit: str | None = None
    staged: State | None = None
    deleted: bool = False
    sequence: int = 0
    dropped: int = -1
    """The sequence at which what was staged was dropped last."""
    restarted: int = -1
    """The sequence at which it was made anew in place of a deleted one."""
    died: float = 0.0


class World:
    """A dataset with all its versions."""

    def __init__(self, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.clock = clock
        self.branches: dict[str, Branch] = {"main": Branch()}
        self.commits: dict[str, Commit] = {}
        self.tags: dict[str, str] = {}
        self.spent_tags: set[str] = set()
        """Names of tags that were deleted: they are not used again."""

    def committed(self, name: str) -> State:
        commit = self.branches[name].commit
        return EMPTY if commit is None else self.commits[commit].state

    def state(self, name: str) -> State:
        staged = self.branches[name].staged
        return self.committed(name) if staged is None else staged

    def live(self) -> list[str]:
        return [name for name, branch in self.branches.items() if not branch.deleted]

    def dead(self) -> list[str]:
        return [name for name, branch in self.branches.items() if branch.deleted]

    def log(self, commit: str | None) -> list[str]:
        """Return the ids along first parents, newest first."""
        found = []
        while commit is not None:
            found.append(commit)
            parents = self.commits[commit].parents
            commit = parents[0] if parents else None
        return found

    def ancestors(self, commit: str | None) -> set[str]:
        """Return a commit and all that lead to it."""
        found: set[str] = set()
        waiting = [commit] if commit is not None else []
        while waiting:
            each = waiting.pop()
            if each not in found:
                found.add(each)
                waiting.extend(self.commits[each].parents)
        return found

    def reachable(self) -> list[str]:
        """Return the commits that lead to a branch or tag, in an order that is the same in each process."""
        tips = [*self.tags.values(), *(self.branches[name].commit for name in self.live())]
        return sorted(set().union(*(self.ancestors(tip) for tip in tips)))

    def bases(self, a: str | None, b: str | None) -> set[str]:
        """Return the best common ancestors of two commits: those that lead to no other one."""
        common = self.ancestors(a) & self.ancestors(b)
        return common - {
            parent for each in common for direct in self.commits[each].parents for parent in self.ancestors(direct)
        }

    def add(self, name: str, commit: str, state: State, *more_parents: str) -> None:
        """Let a new commit follow the newest one of a branch."""
        branch = self.branches[name]
        first = () if branch.commit is None else (branch.commit,)
        self.record(commit, state, *first, *more_parents)
        branch.commit, branch.staged = commit, None
        branch.sequence += 1

    def record(self, commit: str, state: State, *parents: str) -> None:
        """Note that there is a commit."""
        assert commit not in self.commits
        generation = 1 + max((self.commits[parent].generation for parent in parents), default=0)
        self.commits[commit] = Commit(commit, parents, state, generation, self.clock())

    def state_of(self, commit: str | None) -> State:
        return EMPTY if commit is None else self.commits[commit].state

    def before(self, commit: str) -> State:
        """Return the state that a commit follows first."""
        parents = self.commits[commit].parents
        return self.state_of(parents[0] if parents else None)

    def best(self, commits: set[str]) -> list[str]:
        """Return commits in the order in which they are chosen as a merge base."""
        found = [self.commits[each] for each in commits]
        return [each.id for each in sorted(found, key=lambda each: (-each.generation, -each.time, each.id))]

    def meeting(self, a: str | None, b: str | None) -> State:
        """Return the state from which a merge of two commits starts: what their merge bases make merged."""
        bases = self.best(self.bases(a, b))
        state = self.state_of(bases[0] if bases else None)
        for other in bases[1:]:
            first = self.best(self.bases(bases[0], other))
            start = self.state_of(first[0] if first else None)
            state = bring(start, self.state_of(other), state, lambda _: "ours").state
        return state


@dataclass
class Writer:
    """What one session knows and has not flushed.

    Attributes
    ----------
    branch
        None at a past commit.
    base
        The state that it started from.
    work
        The same with its own changes.
    commit, staged, sequence
        What the branch said when it was read.
    flushed
        Whether the session has flushed since its last commit; None where that may be.
    """

    branch: str | None
    base: State
    commit: str | None
    staged: State | None = None
    sequence: int = 0
    work: State = EMPTY
    touched: frozenset[tuple[Key, int]] = frozenset()
    schema: frozenset[Key] = frozenset()
    blocks: int = 0
    flushed: bool | None = False

    def __post_init__(self) -> None:
        self.work = self.base

    @property
    def edit(self) -> Edit:
        return Edit(self.base, self.work, self.touched, self.schema)

    def forget(self) -> None:
        """Drop what is not flushed."""
        self.work, self.touched, self.schema = self.base, frozenset(), frozenset()

    def refused(self, world: World) -> type[Exception] | None:
        """Return the error that a write to the branch ends with, whatever it changes."""
        branch = None if self.branch is None else world.branches[self.branch]
        if branch is None:
            return None
        if branch.deleted:
            return BranchDeletedError
        stale = branch.restarted > self.sequence or (branch.dropped > self.sequence and self.staged is not None)
        return StaleSessionError if stale else None

    def carried(self, world: World) -> Outcome:
        """Return what the branch becomes when this writer's changes are flushed."""
        return carry(self.edit, self.base if self.branch is None else world.state(self.branch))

    def adopt(self, world: World, name: str | None, commit: str | None = None) -> None:
        """Stand at a branch as it is now, or at a commit."""
        self.branch = name
        if name is not None:
            branch = world.branches[name]
            self.base, self.commit = world.state(name), branch.commit
            self.staged, self.sequence = branch.staged, branch.sequence
        else:
            assert commit is not None
            self.base, self.commit = world.commits[commit].state, commit
            self.staged, self.sequence = None, 0
        self.forget()

    # ------------------------------------------------------------ changes

    def append(self, key: Key, rows: dict[int, int]) -> None:
        table = self.work.tables[key]
        self.work = self.work.with_table(key, rows={**table.rows, **rows})

    def update(self, key: Key, values: dict[int, int]) -> None:
        table = self.work.tables[key]
        self.work = self.work.with_table(key, rows={**table.rows, **values})
        before = self.base.tables.get(key)
        self.touched |= {(key, i) for i in values if before is not None and i in before.rows}

    def remove(self, key: Key, ids: set[int]) -> None:
        table = self.work.tables[key]
        if ids:
            kept = {i: value for i, value in table.rows.items() if i not in ids}
            self.work = self.work.with_table(key, rows=kept)
            self.touched -= {(key, i) for i in ids}

    def set_schema(self, key: Key, **changes: Any) -> None:
        self.work = self.work.with_table(key, **changes)
        self.schema |= {key}

    def set_info(self, info: dict[str, Any]) -> None:
        self.work = replace(self.work, info=info)


@dataclass
class Ids:
    """Which sample ids of zlake stand for those of the model: learnt when first seen, and the same ever after."""

    real: dict[tuple[Key, int], int] = field(default_factory=dict)
    taken: dict[tuple[Key, int], int] = field(default_factory=dict)

    def learn(self, key: Key, ids: list[int], found: list[int]) -> None:
        for mine, theirs in zip(ids, found, strict=True):
            assert self.real.setdefault((key, mine), theirs) == theirs, "a row has changed its sample id"
            assert self.taken.setdefault((key, theirs), mine) == mine, "two rows have one sample id"

    def model(self, key: Key, theirs: int | None) -> int | None:
        return None if theirs is None else self.taken.get((key, theirs))
