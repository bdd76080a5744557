"""Rules about merge, cherry-pick, revert and rebase."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import rule

from tests.model.base import equal_samples
from tests.model.rows import PICK, WHO
from tests.model.state import State
from tests.model.threeway import Brought, Clash, UnclearError, bring, check_clear, same
from tests.model.versions import VersionRules, chosen
from tests.model.world import Branch
from zlake.errors import BranchDeletedError, MergeConflictError, MergeMismatchError, StaleSessionError

QUARRELS = ("update", "update", "pop", "append", "info", "rename", "delete", "create", "nothing")
RESOLUTIONS = (None, None, "ours", "theirs", "some", "each")


@dataclass
class Judge:
    """Decides about conflicts: the same for the model and for zlake.

    Attributes
    ----------
    how
        ``"ours"``, ``"theirs"``, None; ``"each"`` decides about each conflict by itself, ``"some"`` leaves some.
    heard
        What zlake asked: tensor, key and id of the sample, and the samples.
    """

    how: str | None
    salt: int
    model_id: Callable[[str, str, int | None], int | None]
    heard: list[tuple[tuple[str, int | None], Any]] = field(default_factory=list)

    def __call__(self, clash: Clash) -> str | None:
        if self.how in ("each", "some"):
            return self.answer(clash.name)
        return self.how

    def answer(self, name: tuple[str, int | None]) -> str | None:
        answers = ("ours", "theirs", None) if self.how == "some" else ("ours", "theirs")
        return answers[(sum(map(ord, name[0])) + 7 * (name[1] or 0) + self.salt) % len(answers)]

    def name(self, conflict: Any) -> tuple[str, int | None]:
        return conflict.tensor, self.model_id(conflict.tensor, conflict._conflict.key, conflict.sample_id)

    def asked(self, conflict: Any) -> str | None:
        name = self.name(conflict)
        self.heard.append((name, conflict))
        return self.answer(name)

    @property
    def given(self) -> Any:
        return self.asked if self.how in ("each", "some") else self.how


@dataclass(frozen=True)
class Known:
    """A branch as somebody knows it: its commit, its state, and whether any of it is staged."""

    commit: str | None
    state: State
    staged: bool


@dataclass
class Plan:
    """What is to become of a branch: commits to be made, and what is staged then; or conflicts.

    ``moved`` is a commit that the branch moves to before them.
    """

    made: list[State] = field(default_factory=list)
    staged: State | None = None
    moved: str | None = None
    refused: Brought | None = None
    asked: list[Clash] = field(default_factory=list)

    @property
    def nothing(self) -> bool:
        return self.refused is None and self.moved is None and not self.made


class MergeRules(VersionRules):
    """Bringing lines of history together."""

    @rule(
        who=WHO,
        what=st.sampled_from(("merge", "merge", "merge", "cherry-pick", "revert", "rebase")),
        pick=PICK,
        how=st.sampled_from(RESOLUTIONS),
        flags=st.sampled_from(range(8)),
    )
    def join(self, who: int, what: str, pick: int, how: str | None, flags: int) -> None:
        writer = self.writers[who]
        changes = writer.edit.changes
        if changes is None or (changes and writer.branch is None):
            self.flush(who)
            return
        judge = Judge(how, pick >> 4, self.model_id)
        try:
            if what == "merge":
                self.merge(who, pick, judge, bool(flags & 1), flags > 5)
            else:
                self.replay(who, what, pick, judge)
        except UnclearError:  # before the call, when what it flushes first was noted already
            self.acted.add(who)
            self.ds[who].flush()

    @rule(
        acts=st.lists(st.sampled_from(QUARRELS), min_size=2, max_size=2),
        alike=st.booleans(),
        pick=PICK,
        committed=st.booleans(),
    )
    def quarrel(self, acts: list[str], alike: bool, pick: int, committed: bool) -> None:
        """Both sessions change the same thing, whichever branches they are on, perhaps in the same way."""
        for who, act in enumerate(acts[:1] * 2 if alike else acts):
            match act:
                case "update" | "pop":
                    self.rows(who, act + " one" * (act == "pop"), pick, [pick // 3])
                case "append":
                    self.extend_one(who, 2, pick)
                case "info":
                    self.set_tensor_info(who, pick, "a", self.fresh())
                case "rename":
                    self.rename_tensor(who, pick + who * (pick % 2), pick % 6)
                case "delete":
                    self.delete_tensor(who, pick, 0)
                case "create":
                    self.create_tensor(who, ("number", "text")[(pick // 2 + who * (pick // 8)) % 2], pick)
                    self.extend_one(who, 1, pick)
            if committed and act != "nothing":
                self.do_commit(who, False)

    def model_id(self, tensor: str, key: str, sample_id: int | None) -> int | None:
        if sample_id is None:
            return None
        return self.ids.model(self.real_keys[key], sample_id)

    # ------------------------------------------------------------ what both kinds have in common

    def flushed_within(self, who: int, act: Callable[[], object]) -> bool:
        """Note that a call flushes first what is buffered; carry it out, and say no, where that is refused."""
        writer = self.writers[who]
        if not writer.edit.changes:
            return True
        outcome = writer.carried(self.world)
        if writer.refused(self.world) is not None or outcome.must:
            assert not self.publish(who, act)
            self.way_on(who)
            return False
        assert writer.branch is not None
        self.stage(writer, writer.branch, outcome.state)
        writer.adopt(self.world, writer.branch)
        writer.flushed = True
        return True

    def views(self, who: int) -> Iterator[Known | type[Exception]]:
        """Yield the branch as the session knows it, then, if its swap is lost, as it is, or why it is refused."""
        writer = self.writers[who]
        yield Known(writer.commit, writer.base, writer.staged is not None)
        if writer.branch is None:
            return
        branch = self.world.branches[writer.branch]
        refused = writer.refused(self.world)
        if refused is not None:
            yield refused
        elif branch.sequence != writer.sequence:
            yield Known(branch.commit, self.world.state(writer.branch), branch.staged is not None)

    def expected(self, who: int, plan: Callable[[Known], Plan]) -> Plan | type[Exception]:
        """Return what a call comes to, which is made anew if others have changed the branch."""
        found = Plan()
        asked: list[Clash] = []
        for view in self.views(who):
            if not isinstance(view, Known):
                return view
            found = plan(view)
            asked += found.asked
            if found.refused is not None or found.nothing:
                break
        found.asked = asked
        return found

    def call(self, who: int, act: Callable[[], str | None], plan: Plan | type[Exception], judge: Judge) -> bool:
        """Make a call that ends as planned; say whether it was not refused."""
        self.acted.add(who)
        refused = plan.refused if isinstance(plan, Plan) else None
        try:
            returned = act()
        except MergeConflictError as error:
            self.check_conflicts(error, refused, judge)
        except MergeMismatchError:
            assert refused is not None
            assert refused.unlike
        except (BranchDeletedError, StaleSessionError) as error:
            # where there is nothing to do the session goes on from what the branch is now, if it still is
            idle = isinstance(plan, Plan) and plan.nothing and self.is_gone(who)
            if type(error) is not plan and not idle:
                raise
        else:
            assert isinstance(plan, Plan), f"{plan} was not raised"
            assert refused is None, f"no conflict, but in the model {refused}"
            self.check_heard(plan.asked, judge)
            assert (returned is None) == plan.nothing, (returned, plan)
            self.stand_somewhere(who, landed=not plan.nothing)
            return True
        self.stand_somewhere(who, landed=False)
        return False

    def is_gone(self, who: int) -> bool:
        branch = self.writers[who].branch
        return branch is not None and self.world.branches[branch].deleted

    def stand_somewhere(self, who: int, *, landed: bool) -> None:
        """Learn the branch that was made for a past commit, if anything landed on it."""
        writer = self.writers[who]
        if writer.branch is not None:
            return
        name = self.made_by_itself(who)
        assert (name is not None) == landed
        if name is not None:
            self.world.branches[name] = Branch(writer.commit)
            writer.adopt(self.world, name)

    def check_conflicts(self, error: MergeConflictError, refused: Brought | None, judge: Judge) -> None:
        assert refused is not None, f"no conflict in the model, but {error}"
        found = {judge.name(each) for each in error.conflicts} if not refused.names else set()
        expected = {clash.name for clash in refused.left} if not refused.names else set()
        assert found == expected, f"{error.conflicts} but in the model {refused.left}"
        self.check_samples([(judge.name(each), each) for each in error.conflicts], refused.left)

    def check_heard(self, asked: list[Clash], judge: Judge) -> None:
        """Check that a function was asked about just the conflicts of the model."""
        if judge.how in ("each", "some"):
            assert {name for name, _ in judge.heard} == {clash.name for clash in asked}
            self.check_samples(judge.heard, asked)

    def check_samples(self, heard: list[tuple[tuple[str, int | None], Any]], clashes: list[Clash]) -> None:
        for name, conflict in heard[:3]:
            if name[1] is not None:
                found = (conflict.base, conflict.ours, conflict.theirs)
                every = [each for each in clashes if each.name == name]
                kind = self.kind_of(conflict._conflict.key)
                assert any(
                    all(
                        equal_samples(kind, sample, value)
                        for sample, value in zip(found, (each.base, each.ours, each.theirs), strict=True)
                    )
                    for each in every
                ), (found, every)

    def kind_of(self, real_key: str) -> str:
        key = self.real_keys[real_key]
        states = [commit.state for commit in self.world.commits.values()]
        states += [writer.base for writer in self.writers]
        states += [self.world.state(name) for name in self.world.branches]
        return next(state.tables[key].kind for state in states if key in state.tables)

    # ------------------------------------------------------------ merge

    def version(self, who: int, pick: int, *, contained: bool = False) -> tuple[str, str | None]:
        """Choose a version, mostly one that the session's does not contain, or does; return address and branch."""
        branches = self.world.live()
        tips = {name: self.world.branches[name].commit for name in branches} | self.world.tags
        tips |= {commit: commit for commit in self.world.reachable()}
        known = self.world.ancestors(self.writers[who].commit)
        useful = [name for name, tip in tips.items() if (tip in known) == contained]
        address = chosen(pick, sorted(tips), useful)
        return address, address if address in branches else None

    def merge(self, who: int, pick: int, judge: Judge, deletions: bool, force: bool) -> None:
        writer = self.writers[who]
        address, branch = self.version(who, pick)
        options: dict[str, Any] = {"conflict_resolution": judge.given, "delete_removed_tensors": deletions}

        def act() -> str | None:
            return self.ds[who].merge(address, force=force, author="me", **options)

        if not self.flushed_within(who, act):
            return
        self.acted.add(who)
        tip, staged = self.world.tags.get(address, address), False
        if branch is not None:
            there = self.world.branches[branch]
            assert there.commit is not None
            tip, staged = there.commit, there.staged is not None
        state = self.world.state_of(tip) if branch is None else self.world.state(branch)
        if branch == writer.branch and branch is not None:
            assert act() is None
            return
        if not staged and tip in self.world.ancestors(writer.commit):
            assert act() is None
            return

        def plan(known: Known) -> Plan:
            bases = self.world.bases(known.commit, tip)
            if tip in bases and not staged:
                return Plan()
            if not known.staged and known.commit in bases:
                return Plan(moved=tip)
            start = self.world.meeting(known.commit, tip)
            return self.one(self.bring(start, state, known.state, judge, deletions=deletions, force=force))

        if staged:  # what is staged there is committed, unless a conflict is seen before
            assert branch is not None
            start = self.world.meeting(writer.commit, tip)
            tried = self.bring(start, state, writer.base, judge, deletions=deletions, force=force)
            if tried.refused:
                assert not self.call(who, act, Plan(refused=tried), judge)
                return
        expected = self.expected(who, plan)
        landed = self.call(who, act, expected, judge)
        if staged:
            assert branch is not None
            made = self.load(branch).commit_id
            assert made is not None
            self.world.add(branch, made, state)
            tip = made
        if not landed:
            return
        assert isinstance(expected, Plan)
        name, commit = self.ds[who].branch, self.ds[who].commit_id
        if name is None:
            assert expected.nothing
            return
        ours = self.world.branches[name]
        if expected.moved is not None:
            assert commit == tip
            ours.commit, ours.staged = tip, None
            ours.sequence += 1
        elif expected.made:
            assert commit is not None
            self.world.add(name, commit, expected.made[0], tip)
        self.stand(who, name)

    def bring(self, base: State, target: State, onto: State, judge: Judge, **options: bool) -> Brought:
        check_clear(base, target)
        return bring(base, target, onto, judge, **options)

    def one(self, brought: Brought) -> Plan:
        return Plan(refused=brought) if brought.refused else Plan([brought.state], asked=brought.asked)

    def stand(self, who: int, name: str) -> None:
        """Let a session go on from a branch as it is after such a call."""
        writer = self.writers[who]
        writer.adopt(self.world, name)
        if writer.staged is None:
            writer.flushed = False

    # ------------------------------------------------------------ cherry-pick, revert, rebase

    def replay(self, who: int, what: str, pick: int, judge: Judge) -> None:
        address, branch = self.version(who, pick, contained=what == "revert")

        def act() -> str | None:
            ds = self.ds[who]
            verb = {"cherry-pick": ds.cherry_pick, "revert": ds.revert, "rebase": ds.rebase}[what]
            return verb(address, conflict_resolution=judge.given)

        if not self.flushed_within(who, act):
            return
        tip = self.world.tags.get(address, address) if branch is None else self.world.branches[branch].commit
        assert tip is not None

        def plan(known: Known) -> Plan:
            assert known.commit is not None
            before, after = self.world.before(tip), self.world.state_of(tip)
            match what:
                case "cherry-pick":
                    return self.replayed(known, known.commit, [(before, after)], judge)
                case "revert":
                    return self.replayed(known, known.commit, [(after, before)], judge, exact=known.commit == tip)
            if tip in self.world.ancestors(known.commit):
                return Plan()
            known_there = self.world.ancestors(tip)
            chain = []
            for each in self.world.log(known.commit):
                if each in known_there:
                    break
                chain.append((self.world.before(each), self.world.state_of(each)))
            return self.replayed(known, tip, chain[::-1], judge)

        expected = self.expected(who, plan)
        if not self.call(who, act, expected, judge):
            return
        assert isinstance(expected, Plan)
        name = self.ds[who].branch
        if name is None:
            assert expected.nothing
            return
        if not expected.nothing:
            self.moved(name, expected)
        self.stand(who, name)

    def replayed(
        self, known: Known, start: str, steps: list[tuple[State, State]], judge: Judge, exact: bool = False
    ) -> Plan:
        """Make changes again on a commit, and what is staged on the branch on top of them."""
        now = self.world.state_of(start)
        plan = Plan(moved=None if start == known.commit else start)
        for before, after in steps:
            check_clear(before, after)
            if same(before, after):
                plan.made.append(now)
                continue
            brought = self.bring(before, after, now, judge)
            plan.asked += brought.asked
            if brought.refused:
                return Plan(refused=brought, asked=plan.asked)
            if not same(now, brought.state):
                now = after if exact else brought.state
                plan.made.append(now)
        if plan.nothing:
            return plan
        old = self.world.state_of(known.commit)
        if known.staged and not same(old, known.state):
            brought = self.bring(old, known.state, now, judge)
            plan.asked += brought.asked
            if brought.refused:
                return Plan(refused=brought, asked=plan.asked)
            if not same(now, brought.state):
                plan.staged = brought.state
        return plan

    def moved(self, name: str, plan: Plan) -> None:
        """Note that a branch has new commits, under the ids that zlake gave them."""
        branch = self.world.branches[name]
        commits = [entry["commit"] for entry in self.load(name).commits[: len(plan.made)]]
        parent = plan.moved or branch.commit
        for commit, state in zip(reversed(commits), plan.made, strict=True):
            self.world.record(commit, state, *(() if parent is None else (parent,)))
            parent = commit
        branch.commit, branch.staged = parent, plan.staged
        branch.sequence += 1
