"""Rules about flushing, committing, refreshing and opening again."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import rule

from tests.model.rows import WHO, RowRules
from tests.model.world import Branch
from zlake.errors import BranchDeletedError, EmptyCommitError


class DurableRules(RowRules):
    """What makes changes last, and shows those of others."""

    @rule(who=WHO, what=st.sampled_from(("flush", "refresh", "discard", "reopen")))
    def durable(self, who: int, what: str) -> None:
        match what:
            case "flush":
                self.flush(who)
            case "refresh" | "discard":
                self.refresh(who, what == "discard")
            case "reopen":
                self.reopen(who)

    def flush(self, who: int) -> None:
        if not self.publish(who, self.ds[who].flush):
            self.way_on(who)

    def refresh(self, who: int, discard: bool) -> None:
        writer = self.writers[who]
        if discard:
            self.drop(who)
            return
        self.acted.add(who)
        changes, outcome = writer.edit.changes, writer.carried(self.world)
        gone = writer.branch is not None and self.world.branches[writer.branch].deleted
        # a session that is told that it is stale goes on from what the branch is now: that is what refresh is for
        if not self.attempt(who, self.ds[who].refresh, BranchDeletedError if gone else None, outcome):
            self.way_on(who)
            return
        session = self.ds[who]._session
        if changes or (changes is None and session.head.ref.sequence != self.sequence_of(session.head.branch)):
            self.stage(writer, session.head.branch, outcome.state)
        if changes is not False:
            writer.flushed = writer.flushed or (True if changes else None)
        writer.adopt(self.world, session.head.branch, writer.commit)

    def drop(self, who: int) -> None:
        """Forget what is buffered, and see what others have done."""
        writer = self.writers[who]
        if writer.branch is not None and self.world.branches[writer.branch].deleted:
            with pytest.raises(BranchDeletedError):
                self.ds[who].refresh(discard=True)
            self.reopen(who)
            return
        self.ds[who].refresh(discard=True)
        writer.adopt(self.world, writer.branch, writer.commit)
        self.acted.add(who)

    def way_on(self, who: int) -> None:
        self.drop(who)

    def reopen(self, who: int) -> None:
        """A new process: whatever the old one has not flushed is gone."""
        writer = self.writers[who]
        branch = writer.branch if writer.branch in self.world.live() else "main"
        self.ds[who] = self.load(branch)
        writer.adopt(self.world, branch)
        writer.flushed, writer.blocks = False, 0
        self.acted.add(who)

    @rule(who=WHO, allow=st.booleans())
    def commit(self, who: int, allow: bool) -> None:
        self.do_commit(who, allow)

    def do_commit(self, who: int, allow: bool) -> bool:
        """Commit; say whether there is a new commit."""
        message = f"commit {self.fresh()}"
        made = self.committing(who, allow, lambda: self.ds[who].commit(message, allow_empty=allow, author="me"))
        return made is not None

    def insists(self, who: int, allow: bool) -> tuple[list[bool | None], bool]:
        """Return what speaks for a commit even if there is nothing to commit, and whether there is nothing."""
        writer = self.writers[who]
        branch = Branch(writer.commit) if writer.branch is None else self.world.branches[writer.branch]
        nothing_known = writer.commit is not None and writer.staged is None
        nothing_there = branch.commit is not None and branch.staged is None and writer.refused(self.world) is None
        changes = writer.edit.changes
        return [sure for sure in (allow, writer.flushed, changes) if sure is not False], nothing_known or nothing_there

    def committing(self, who: int, allow: bool, act: Callable[[], str | None]) -> str | None:
        """Carry out a commit; return its id, or None where there was nothing to commit or it was refused."""
        self.acted.add(who)
        writer = self.writers[who]
        refused, outcome = writer.refused(self.world), writer.carried(self.world)
        insists, empty = self.insists(who, allow)
        made: list[str | None] = []
        try:
            fine = self.attempt(who, lambda: made.append(act()), refused, outcome)
        except EmptyCommitError:
            assert empty
            assert True not in insists
            return None
        assert insists or not empty, "an empty commit was made"
        if not fine:
            self.drop(who)
            return None
        name = self.ds[who].branch
        assert name is not None
        if writer.branch is None:
            assert name.startswith("auto_")
            self.world.branches[name] = Branch(writer.commit)
        commit = made[0] or self.ds[who].commit_id
        assert commit is not None
        self.world.add(name, commit, outcome.state)
        writer.adopt(self.world, name)
        writer.flushed = False
        return commit
