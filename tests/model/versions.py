"""Rules about branches, tags, checkout and reset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import rule

from tests.model.durable import DurableRules
from tests.model.rows import PICK, WHO
from tests.model.world import Branch
from zlake.errors import (
    BranchDeletedError,
    NothingToResetError,
    RefExistsError,
    RefNotFoundError,
    StaleSessionError,
    VersionControlError,
)

NAMES = ("main", "b0", "b1", "b2")
TAG_NAMES = ("v0", "v1", "b0", "b1", "v2", "v3", "v4")


def chosen(pick: int, every: Sequence[str], useful: Iterable[str]) -> str:
    """Choose a name: mostly one with which there is something to do."""
    names = sorted(useful)
    return names[pick // 8 % len(names)] if names and pick % 8 != 1 else every[pick // 8 % len(every)]


class VersionRules(DurableRules):
    """Making, leaving, deleting and restoring versions."""

    def part(self) -> None:
        """Branches, so that there is something to go to, to merge, and to delete."""
        for name in NAMES[1:3]:
            self.create_branch(1, name)

    @rule(who=WHO, what=st.sampled_from(("checkout", "checkout", "past", "create", "create", "rescue")), pick=PICK)
    def go(self, who: int, what: str, pick: int) -> None:
        match what:
            case "checkout":
                self.checkout(who, chosen(pick, NAMES, [*self.world.live(), *self.world.tags]))
            case "past":
                self.checkout_past(who, pick)
            case "create":
                self.create_branch(who, chosen(pick, NAMES, [n for n in NAMES if n not in self.world.live()]))
            case "rescue":
                self.rescue(who)

    @rule(
        who=WHO,
        what=st.sampled_from(("tag", "delete tag", "delete branch", "restore branch", "reset", "force reset")),
        pick=PICK,
    )
    def name(self, who: int, what: str, pick: int) -> None:
        match what:
            case "tag":
                self.tag(who, TAG_NAMES[pick % len(TAG_NAMES)])
            case "delete tag":
                self.delete_tag(who, chosen(pick, TAG_NAMES, self.world.tags))
            case "delete branch":
                open_here = {"main", self.writers[who].branch}
                self.delete_branch(who, chosen(pick, NAMES, [n for n in self.world.live() if n not in open_here]))
            case "restore branch":
                self.restore_branch(who, chosen(pick, NAMES, self.world.dead()))
            case "reset" | "force reset":
                self.reset(who, what == "force reset")

    # ------------------------------------------------------------ going elsewhere

    def checkout(self, who: int, name: str) -> None:
        writer = self.writers[who]
        if name not in self.world.live() and name not in self.world.tags:
            with pytest.raises(RefNotFoundError):
                self.ds[who].checkout(name)
            return
        branch = name if name in self.world.live() else None
        commit = None if branch else self.world.tags[name]
        changes = writer.edit.changes
        left = writer.branch
        if changes is None:
            return  # whether anything is flushed is not known
        if changes:
            if not self.publish(who, lambda: self.ds[who].checkout(name)):
                self.way_on(who)
                return
        else:
            self.ds[who].checkout(name)
        if branch is None or branch != left:
            writer.flushed = False
        elif changes:
            return
        writer.adopt(self.world, branch, commit)
        self.acted.add(who)

    def checkout_past(self, who: int, pick: int) -> None:
        reachable = self.world.reachable()
        writer = self.writers[who]
        if writer.edit.changes is not False or not reachable:
            return
        commit = reachable[pick % len(reachable)]
        self.ds[who].checkout(commit)
        writer.adopt(self.world, None, commit)
        writer.flushed = False
        self.acted.add(who)

    def create_branch(self, who: int, name: str) -> None:
        if name in self.world.live() or name in self.world.tags:
            with pytest.raises(RefExistsError):
                self.ds[who].checkout(name, create=True)
            return
        writer = self.writers[who]
        changes = writer.edit.changes
        if changes is None:
            return
        if writer.branch is not None and (changes or writer.staged is not None or writer.commit is None):
            if writer.refused(self.world) is not None or writer.carried(self.world).must:
                self.carry_off(who, name)
                return
            self.leave_committed(who, name)
        else:
            self.carry_off(who, name)
            return
        self.make_branch(name, Branch(writer.commit))
        writer.adopt(self.world, name)
        writer.flushed = False

    def leave_committed(self, who: int, name: str) -> None:
        """Make a branch and go there; what is staged or buffered on the one that is left is committed first."""
        writer = self.writers[who]
        left = writer.branch
        assert left is not None
        outcome = writer.carried(self.world)
        insists, empty = self.insists(who, False)
        self.ds[who].checkout(name, create=True)
        commit = self.ds[who].commit_id
        assert commit is not None
        if commit in self.world.commits:
            assert empty
            assert True not in insists
        else:
            assert insists or not empty
            self.world.add(left, commit, outcome.state)
        writer.adopt(self.world, left)

    def make_branch(self, name: str, branch: Branch) -> None:
        before = self.world.branches.get(name)
        if before is not None:
            assert before.deleted
            branch.sequence = branch.restarted = before.sequence + 1
            branch.dropped = before.dropped
        self.world.branches[name] = branch

    def carry_off(self, who: int, name: str) -> None:
        """Take what a session knows, and what it has buffered, to a new branch, without a commit."""
        writer = self.writers[who]
        changes = writer.edit.changes
        carried = writer.staged
        self.ds[who].checkout(name, create=True)
        self.make_branch(name, Branch(writer.commit, carried))
        branch = self.world.branches[name]
        writer.branch, writer.sequence, writer.staged = name, branch.sequence, carried
        writer.flushed = carried is not None
        if changes and not writer.blocks:
            branch.staged = writer.work
            branch.sequence += 1
            writer.adopt(self.world, name)
            writer.flushed = True
        self.acted.add(who)

    def rescue(self, who: int) -> None:
        """If the branch is no longer what the session knows, take what it knows and has buffered to a new one."""
        writer = self.writers[who]
        free = [name for name in NAMES if name not in self.world.live() and name not in self.world.tags]
        if free and writer.refused(self.world) is not None and writer.edit.changes is not None:
            self.carry_off(who, free[0])

    def way_on(self, who: int) -> None:
        if self.writers[who].refused(self.world) is not None and self.steps % 3:
            self.rescue(who)
        if self.writers[who].refused(self.world) is not None or self.writers[who].edit.changes is not False:
            self.drop(who)

    # ------------------------------------------------------------ names

    def tag(self, who: int, name: str) -> None:
        commit = self.writers[who].commit
        if name in self.world.live() or name in self.world.tags or name in self.world.spent_tags:
            with pytest.raises(RefExistsError):
                self.ds[who].tag(name)
        elif commit is None:
            with pytest.raises(VersionControlError):
                self.ds[who].tag(name)
        else:
            assert self.ds[who].tag(name) == commit
            self.world.tags[name] = commit
        assert self.ds[who].tags == self.world.tags

    def delete_tag(self, who: int, name: str) -> None:
        if name not in self.world.tags:
            with pytest.raises(RefNotFoundError):
                self.ds[who].delete_tag(name)
            return
        self.ds[who].delete_tag(name)
        del self.world.tags[name]
        self.world.spent_tags.add(name)

    def delete_branch(self, who: int, name: str) -> None:
        if name in ("main", self.writers[who].branch):
            with pytest.raises(VersionControlError):
                self.ds[who].delete_branch(name)
        elif name not in self.world.live():
            with pytest.raises(RefNotFoundError):
                self.ds[who].delete_branch(name)
        else:
            self.ds[who].delete_branch(name)
            branch = self.world.branches[name]
            branch.deleted, branch.died = True, self.clock.now
            branch.sequence += 1
        assert self.ds[who].branches == sorted(self.world.live())

    def restore_branch(self, who: int, name: str) -> None:
        if name in self.world.live() or (name in self.world.dead() and name in self.world.tags):
            with pytest.raises(RefExistsError):
                self.ds[who].restore_branch(name)
        elif name not in self.world.dead():
            with pytest.raises(RefNotFoundError):
                self.ds[who].restore_branch(name)
        else:
            self.ds[who].restore_branch(name)
            branch = self.world.branches[name]
            branch.deleted = False
            branch.sequence += 1
            self.compare_branch(name)

    # ------------------------------------------------------------ reset

    def reset(self, who: int, force: bool) -> None:
        writer = self.writers[who]
        changes = writer.edit.changes
        if changes is None:
            return
        self.acted.add(who)
        if writer.branch is None or (writer.staged is None and not force):
            if not changes and not force:
                with pytest.raises(NothingToResetError):
                    self.ds[who].reset()
                return
            self.ds[who].reset(force)
            writer.forget()
            return
        branch = self.world.branches[writer.branch]
        if branch.deleted:
            with pytest.raises(BranchDeletedError):
                self.ds[who].reset(force)
            return
        stale = branch.staged is not writer.staged and not (branch.staged is None and branch.commit == writer.commit)
        if not force and stale:
            with pytest.raises(StaleSessionError):
                self.ds[who].reset()
            return
        self.ds[who].reset(force)
        if branch.staged is not None:
            branch.sequence += 1
            branch.dropped, branch.staged = branch.sequence, None
        writer.adopt(self.world, writer.branch)
        writer.flushed = False
