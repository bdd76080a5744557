"""Rules about flushing, committing, refreshing and opening again."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis.stateful import rule

from tests.model.rows import WHO, RowRules
from zlake.errors import ConflictError, EmptyCommitError


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
        if self.writable(who) and not self.publish(who, self.ds[who].flush):
            self.drop(who)

    def refresh(self, who: int, discard: bool) -> None:
        writer = self.writers[who]
        if not self.writable(who):
            self.ds[who].refresh()
        elif discard or not self.publish(who, self.ds[who].refresh):
            self.drop(who)
        else:
            writer.adopt(self.world, writer.branch)
        self.acted.add(who)

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
        if self.writable(who):
            self.do_commit(who, allow)

    def do_commit(self, who: int, allow: bool) -> bool:
        """Commit; say whether there is a new commit."""
        self.acted.add(who)
        writer = self.writers[who]
        assert writer.branch is not None
        branch = self.world.branches[writer.branch]
        changes, outcome = writer.edit.changes, writer.carried(self.world)
        insists = [sure for sure in (allow, writer.flushed, changes) if sure is not False]
        nothing_known = writer.commit is not None and not writer.staged
        nothing_there = branch.commit is not None and branch.staged is None
        empty = not insists and (nothing_known or nothing_there)
        message = f"commit {len(self.world.commits)}"
        try:
            made = self.ds[who].commit(message, allow_empty=allow, author="me")
        except ConflictError as error:
            self.expect_conflicts(error, outcome)
            if not writer.blocks:
                writer.forget()
            self.drop(who)
            return False
        except EmptyCommitError:
            assert empty or True not in insists
            assert nothing_known or nothing_there
            return False
        assert not empty
        assert not outcome.must
        self.world.add(writer.branch, made, outcome.state, message)
        writer.adopt(self.world, writer.branch)
        writer.flushed = False
        return True
