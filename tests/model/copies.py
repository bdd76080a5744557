"""Rules about copies of a dataset: going on in them, and commits that travel between clones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import rule

import zlake
from tests.model.check import Checker
from tests.model.gc import CollectRules
from tests.model.reached import Names, Reached
from tests.model.rows import PICK, WHO
from tests.model.state import State
from tests.model.store import WatchedStore
from tests.model.threeway import bring, same
from tests.model.versions import NAMES
from tests.model.world import Branch, World, Writer
from zlake.errors import (
    ConflictError,
    DivergedError,
    RefExistsError,
    StagedChangesError,
    UnrelatedDatasetsError,
)
from zlake.session import copying
from zlake.versions.clone import clone


@dataclass
class Side:
    """A dataset with its model, as the machine keeps the one that is at work."""

    store: WatchedStore
    world: World
    checker: Checker
    reached: Reached
    ds: list[zlake.Dataset]
    writers: list[Writer]
    family: int
    """The same for clones of one dataset."""
    alive: Names = frozenset()
    lost: dict[str, float] | None = None


_FIELDS = ("store", "world", "checker", "reached", "ds", "writers", "family", "alive", "lost")


@dataclass
class Sending:
    """What a push or pull comes to: an error, or what it does to the branch of the destination."""

    error: type[Exception] | None = None
    moves: bool = False
    tip: str = ""
    staged: State | None = None
    tags: tuple[str, ...] = ()
    late: bool = False
    """Whether the error comes when the branch has moved: a tag has the name of a branch there."""


class CopyRules(CollectRules):
    """A second dataset beside the one at work, made of it."""

    def start(self) -> None:
        super().start()
        self.family = 0
        self.other: Side | None = None

    @rule(
        who=WHO,
        what=st.sampled_from(("deepcopy", "copy", "switch", "push", "push", "pull", "pull", "trade", "trade")),
        pick=PICK,
        flags=st.sampled_from(range(16)),
    )
    def copying(self, who: int, what: str, pick: int, flags: int) -> None:
        if self.writers[who].edit.changes is not False and what != "push":
            self.flush(who)
        elif what == "copy" and pick % 4 == 0:
            self.copy(who, flags)
        elif self.other is None or (what == "deepcopy" and pick % 4 == 0):
            self.deepcopy(who)
        elif what == "trade":
            self.trade(who, pick, flags)
        elif what in ("push", "pull"):
            source = self.other.world if what == "pull" else self.world
            branch = source.live()[pick % len(source.live())]
            into = branch if flags & 3 else NAMES[pick // 16 % len(NAMES)]
            self.exchange(who, what == "pull", branch, into, flags)
        else:
            self.switch()

    @rule(
        who=WHO, what=st.sampled_from(("trade", "trade", "push", "pull")), pick=PICK, flags=st.sampled_from(range(16))
    )
    def more_copying(self, who: int, what: str, pick: int, flags: int) -> None:
        """The same: there is much to go through between two datasets."""
        self.copying(who, what, pick, flags)

    # ------------------------------------------------------------ both datasets

    def switch(self) -> None:
        """Go on in the other dataset."""
        assert self.other is not None
        here = Side(*(getattr(self, name) for name in _FIELDS))
        for name in _FIELDS:
            setattr(self, name, getattr(self.other, name))
        self.other = here
        self.acted = {0, 1}

    def beside(self, store: WatchedStore, world: World, family: int) -> None:
        """Open a dataset that was made, and put it beside the one at work."""
        ds = [zlake.Dataset(self.open(store)) for _ in range(2)]
        writers = [Writer("main", State(), None) for _ in ds]
        for writer in writers:
            writer.adopt(world, "main")
        self.other = Side(store, world, Checker(store), Reached(store), ds, writers, family, frozenset(), {})

    def pass_days(self, days: int) -> None:
        for _ in range(2 if self.other else 0):
            self.switch()
            self.note()
        super().pass_days(days)
        for ds in self.other.ds if self.other else ():
            ds._session.keep()

    def look_back(self) -> None:
        for _ in range(2 if self.other else 1):
            self.checker.look_at_all()
            super().look_back()
            if self.other is not None:
                self.switch()

    # ------------------------------------------------------------ copies

    def deepcopy(self, who: int) -> None:
        """Make a clone, and go on in it: everything is there."""
        store = self.make_store()
        clone(self.ds[who]._session.repository, store)
        world = World(self.clock)
        world.commits = dict(self.world.commits)
        world.branches = {name: replace(branch) for name, branch in self.world.branches.items()}
        world.tags, world.spent_tags = dict(self.world.tags), set(self.world.spent_tags)
        self.beside(store, world, self.family)
        self.switch()
        for name in world.live():
            self.compare_branch(name)
        assert self.ds[0].tags == world.tags
        assert self.ds[0].branches == sorted(world.live())
        assert self.stored().keys() >= self.reached.from_refs(0.0)

    def copy(self, who: int, flags: int) -> None:
        """Copy a version, or some of its rows, to a dataset of its own, and go on in it."""
        ds, state = self.ds[who], self.writers[who].work
        if not state.tables:
            return
        shortest = min(len(table.rows) for table in state.tables.values())
        part = None
        if flags % 2 and shortest:
            begin, end = sorted((flags % (shortest + 1), flags // 2 % (shortest + 1)))
            part = ds[begin:end]._rows
            tables = {
                key: replace(table, rows=dict(list(table.rows.items())[begin:end]))
                for key, table in state.tables.items()
            }
            state = replace(state, tables=tables)
        store, chosen = self.make_store(), copying.Part(tuple(ds.tensors), "", part)
        how = {"overwrite": False, "single_writer": False, "how": copying.How(progressbar=False)}
        session = copying.copy(ds._session.pinned(), chosen, store, self.context, **how)  # type: ignore[arg-type]
        world = World(self.clock)
        world.branches["main"] = Branch(None, state, sequence=session.head.ref.sequence)
        self.beside(store, world, self.fresh())
        self.switch()
        self.compare_branch("main")
        assert self.do_commit(who, False)
        self.refresh(1 - who, True)

    # ------------------------------------------------------------ commits that travel

    def trade(self, who: int, pick: int, flags: int) -> None:
        """Change one branch in both clones, in the one without a commit or in both with one; then push or pull it."""
        name = self.writers[who].branch
        assert self.other is not None
        if name not in self.world.live() or name not in self.other.world.live():
            return
        assert name is not None
        if flags & 8 and self.world.committed(name) is not self.other.world.committed(name):
            self.exchange(who, False, name, name, 13)
        for side in range(2):
            self.switch()
            if side == 0:
                self.checkout(who, name)
            if self.writers[who].branch == name:
                self.rows(
                    who,
                    ("extend one", "update", "pop one")[(pick + side * (pick // 3)) % 3],
                    pick,
                    [pick // 9 + side * (flags // 4)],
                )
                self.flush(who)
            if self.writers[who].branch == name and (side == 0 or flags & 1):
                self.do_commit(who, False)
        if self.writers[who].edit.changes is False:
            self.exchange(who, bool(flags & 2), name, name, flags)

    def exchange(self, who: int, pull: bool, branch: str, into: str, flags: int) -> None:
        """Push a branch to the other clone, or pull one of its branches."""
        assert self.other is not None
        source, dest = (self.other.world, self.world) if pull else (self.world, self.other.world)
        force, tags = flags > 12, bool(flags & 4)
        plan = self.planned(source, dest, branch, into, force, tags, pull)
        call = self.ds[who].pull if pull else self.ds[who].push

        def act() -> Any:
            assert self.other is not None
            return call(self.other.ds[0], branch, force, into=into, tags=tags, progressbar=False)

        before = dest.branches.get(into)
        known = set().union(*(dest.ancestors(dest.branches[name].commit) for name in dest.live()))
        first = None if before is None else before.commit
        done = self.carried_out(act, plan)
        if plan.moves and (plan.error is None or plan.late):
            self.arrived(source, dest, into, plan, pull, force)
        for name in plan.tags:
            dest.tags[name] = source.tags[name]
        if done is not None:
            assert (done.before, done.commit) == (first, dest.branches[into].commit)
            assert done.commits == (len(source.ancestors(plan.tip) - known) if plan.moves else 0)
            assert done.tags == plan.tags
        writer = self.writers[who]
        if pull and done is not None and writer.branch == into:
            writer.adopt(self.world, into)
        self.acted.add(who)
        self.checker.look()
        self.other.checker.look()

    def carried_out(self, act: Callable[[], Any], plan: Sending) -> Any:
        if plan.error is None:
            return act()
        with pytest.raises(plan.error) as found:
            act()
        assert found.type is plan.error
        return None

    def planned(
        self, source: World, dest: World, branch: str, into: str, force: bool, tags: bool, pull: bool
    ) -> Sending:
        assert self.other is not None
        tip = source.branches[branch].commit
        if self.family != self.other.family:
            return Sending(UnrelatedDatasetsError)
        assert tip is not None
        behind = source.ancestors(tip)
        labels = []
        for name, commit in sorted(source.tags.items()) if tags else ():
            if commit in behind and dest.tags.get(name, commit) != commit:
                return Sending(RefExistsError)
            if commit in behind and name not in dest.tags and name not in dest.spent_tags:
                labels.append(name)
        plan = self.moving(dest, into, force, pull, tip, behind, source.state_of(tip))
        if plan.error is None:
            live = {*dest.live(), into} if plan.moves else set(dest.live())
            taken = [name for name in labels if name in live]
            plan.tags = tuple(labels[: labels.index(taken[0])] if taken else labels)
            plan.late = bool(taken)
            plan.error = RefExistsError if taken else None
        return plan

    def moving(
        self, dest: World, into: str, force: bool, pull: bool, tip: str, behind: set[str], state: State
    ) -> Sending:
        """Say what becomes of the branch of the destination."""
        before = dest.branches.get(into)
        plan = Sending(moves=True, tip=tip)
        if before is not None and not before.deleted:
            if before.commit == tip or (not force and tip in dest.ancestors(before.commit)):
                return Sending(tip=tip)
            if before.staged is not None and not pull and not force:
                return Sending(StagedChangesError)
            if not force and before.commit is not None and before.commit not in behind:
                return Sending(DivergedError)
            if before.staged is not None and not force:
                carried = bring(dest.committed(into), before.staged, state, lambda _: None)
                if carried.refused:
                    return Sending(RefExistsError if into in dest.tags else ConflictError)
                plan.staged = None if same(state, carried.state) else carried.state
        return Sending(RefExistsError) if into in dest.tags else plan

    def arrived(self, source: World, dest: World, into: str, plan: Sending, pull: bool, force: bool) -> None:
        """Note that the branch of the destination names a commit of the source."""
        behind = source.ancestors(plan.tip)
        for commit in behind:
            dest.commits.setdefault(commit, source.commits[commit])
        before = dest.branches.get(into)
        if before is None:
            dest.branches[into] = Branch(plan.tip)
            return
        forward = before.commit is None or before.commit in behind
        before.sequence += 1
        if before.deleted or not forward:
            before.restarted = before.sequence
        if before.staged is not None and not before.deleted and force:
            before.dropped = before.sequence
        before.commit, before.staged, before.deleted = plan.tip, plan.staged, False
