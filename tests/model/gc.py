"""Rules about time that passes, and collecting garbage."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import rule

from tests.model.looking import LookRules
from tests.model.reached import Names, Reached, folder_of
from tests.model.rows import PICK, WHO
from tests.model.versions import TAG_NAMES
from zlake import limits
from zlake.errors import CollectedError, RefNotFoundError
from zlake.format import decode, paths
from zlake.format.documents import Ref

DAY = 86_400.0
GRACE = float(limits.GC_GRACE_SECONDS)


class CollectRules(LookRules):
    """Garbage is collected: nothing is lost that anything reaches, or reached lately, and what nothing reaches goes."""

    def start(self) -> None:
        super().start()
        self.reached = Reached(self.store)
        self.alive: Names = frozenset()
        """What branches and tags reached when they were last looked at."""
        self.lost: dict[str, float] = {}
        """When that which they reached once was found to be out of their reach."""

    @rule(
        who=WHO,
        what=st.sampled_from(("days", "collect", "later", "later", "dry", "twice", "at once", "forget", "forget")),
        pick=PICK,
    )
    def time(self, who: int, what: str, pick: int) -> None:
        match what:
            case "forget":
                self.forget(who, pick)
            case "days":
                self.pass_days(4)
            case "collect" | "later":
                self.pass_days(8 * (what == "later"))
                self.collect(who, GRACE)
            case "dry":
                self.look_only(who)
            case "twice":
                self.collect_twice(who)
            case "at once":
                self.collect_at_once(who)

    def pass_days(self, days: int) -> None:
        """Let days go by on which both sessions are in use."""
        self.note()
        for _ in range(days):
            self.clock.advance(DAY)
            for ds in self.ds:
                ds._session.keep()

    def note(self) -> None:
        """Look what is out of reach now that was not."""
        alive = self.reached.from_refs(0.0)
        self.lost |= dict.fromkeys(self.alive - alive, self.clock.now)
        for name in alive:
            self.lost.pop(name, None)
        self.alive = alive

    def stored(self) -> dict[str, float]:
        """Return when the newest object of each snapshot, page and segment was written."""
        found: dict[str, float] = {}
        for key, each in self.store.objects.items():
            name = folder_of(key)
            if name is not None:
                found[name] = max(found.get(name, 0.0), each.modified)
        return found

    def collect(self, who: int, grace: float) -> None:
        self.note()
        now, before = self.clock.now, self.stored()
        kept = self.reached.from_refs(grace, [self.ds[who]._session.head.snapshot.id])
        report = self.ds[who].gc(grace=grace)
        after = self.stored()
        gone = before.keys() - after.keys()
        assert not gone & kept, f"deleted though it is in use: {gone & kept}"
        for name in gone:
            assert now - before[name] >= grace, f"{name} is deleted, but young"
            assert now - self.lost.get(name, 0.0) >= grace, f"{name} is deleted, but was in use lately"
        deleted = report.deleted.snapshots + report.deleted.pages + report.deleted.segments
        assert deleted == len(gone)
        assert all(each == before[name] for name, each in after.items()), "something was written again"
        for key in self.store.objects:
            name = folder_of(key)
            assert name is None or f"{name}zarr.json" in self.store.objects, f"{key} is left over"
        self.acted |= {0, 1}

    def look_only(self, who: int) -> None:
        before = {key: each.generation for key, each in self.store.objects.items()}
        self.ds[who].gc(dry_run=True)
        assert {key: each.generation for key, each in self.store.objects.items()} == before

    def collect_twice(self, who: int) -> None:
        """Collect, wait for longer than the grace period, and collect again: then what was garbage at first is gone."""
        self.collect(who, GRACE)
        now = self.clock.now
        used = self.reached.from_refs(GRACE, [self.ds[who]._session.head.snapshot.id])
        old = {name for name, when in self.stored().items() if now - when >= GRACE and name not in used}
        self.pass_days(8)
        self.collect(who, GRACE)
        left = [name.split("/")[1] for name in self.stored() if name.startswith("commits/")]
        assert not (old & self.stored().keys()) - self.reached.walk(left, partly=True), "garbage stays"

    def collect_at_once(self, who: int) -> None:
        """Collect whatever nothing needs now; nobody else may use the dataset meanwhile."""
        self.reopen(1 - who)
        self.collect(who, 0.0)
        needed = self.reached.from_refs(0.0, [self.ds[who]._session.head.snapshot.id])
        assert self.stored().keys() == needed, "garbage stays"
        self.lost.clear()

    # ------------------------------------------------------------ deleted branches

    def forget(self, who: int, pick: int) -> None:
        """Delete a branch, of which perhaps a tag names the newest commit, and collect when it is past restoring."""
        names = [name for name in self.world.live() if name not in ("main", self.writers[who].branch)]
        taken = {*self.world.live(), *self.world.tags, *self.world.spent_tags}
        free = [name for name in TAG_NAMES if name not in taken]
        if not names:
            return
        name, tag = names[pick % len(names)], free[0] if free and pick // 8 % 4 else None
        commit = self.world.branches[name].commit
        assert commit is not None
        if tag is not None:
            self.ds[who].tag(tag, name)
            self.world.tags[tag] = commit
        self.delete_branch(who, name)
        for _ in range(2):
            self.pass_days(8)
            self.collect(who, GRACE)
        if tag is not None:
            self.compare(self.load(tag), self.world.state_of(commit))

    def restore_branch(self, who: int, name: str) -> None:
        branch = self.world.branches.get(name)
        if branch is None or not branch.deleted or name in self.world.tags:
            super().restore_branch(who, name)
            return
        key = paths.branch_key(name)
        ref = decode(Ref, self.store.objects[key].value, where=key)
        if self.reached.is_whole([each for each in (ref.commit, ref.staged) if each is not None]):
            super().restore_branch(who, name)
            return
        with pytest.raises((RefNotFoundError, CollectedError)):
            self.ds[who].restore_branch(name)
