"""The machine without its rules: two sessions, the model beside them, and what must hold after each step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from random import Random
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np
import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant

import zlake
from tests.model.check import Checker
from tests.model.state import Key, State, Table
from tests.model.store import Clock, Naps, WatchedStore
from tests.model.world import Branch, Ids, Outcome, World, Writer
from zlake import limits
from zlake.errors import BranchDeletedError, ConflictError, StaleSessionError
from zlake.format import decode, paths
from zlake.format.documents import Ref
from zlake.session.opening import create_session, open_session
from zlake.session.session import Session
from zlake.storage.store import Store

_numbers = count()
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
KINDS: dict[str, dict[str, Any]] = {
    "number": {"dtype": "int64"},
    "ragged": {"dtype": "uint64"},
    "text": {"htype": "text"},
}
SAMPLES: dict[str, Callable[[int], Any]] = {
    "number": lambda value: np.int64(value),
    "ragged": lambda value: np.full(1 + value % 3, value, np.uint64),
    "text": lambda value: f"text {value}",
}
TWIN = 1 << 40
"""What both writers add to a value when they are to make the same of it."""
TIGHT = {
    "RECENT_COMMITS": 2,
    "HISTORY_PAGE_COMMITS": 5,
    "INLINE_EXTENTS": 2,
    "PAGE_EXTENTS": 4,
    "INLINE_INFO_BYTES": 2,
}
"""Limits of zlake, set so that what takes thousands of rows or commits happens in short histories too."""
VERIFY_EVERY = 10
"""Steps between two verifications of everything that refs reach; what is new is looked at after each step."""


def equal_samples(kind: str, sample: Any, value: int | None) -> bool:
    """Whether a sample, as zlake reads it, is what the model says; None if there is none."""
    if sample is None or value is None:
        return sample is None and value is None
    found: bool = np.ravel(sample).tolist() == np.ravel(SAMPLES[kind](value)).tolist()
    return found


class Machine(RuleBasedStateMachine):
    """Two writers, `ds` and `writers`, on one dataset."""

    ds: list[zlake.Dataset]
    tight: ClassVar[dict[str, int]] = {}
    """Limits of zlake to set otherwise."""

    def start(self) -> None:
        self.patch = pytest.MonkeyPatch()
        for name, value in self.tight.items():
            self.patch.setattr(limits, name, value)
        self.clock = Clock()
        naps = Naps()
        ids = Random(0)
        self.context = replace(
            zlake.Context(),
            clock=self.clock,
            monotonic=lambda: naps.monotonic() + self.clock.now,
            sleep=naps.sleep,
            durable=False,
            threads=2,
            new_id=lambda: "".join(ids.choices(_ALPHABET, k=25)) + "a",
            new_sample_ids=lambda: ids.getrandbits(63),
        )
        self.store = self.make_store()
        first = zlake.Dataset(create_session(self.store, self.context, overwrite=False))
        self.numbers = count(1)
        self.world = World(self.clock)
        self.ids = Ids()
        self.checker = Checker(self.store)
        self.ds = [first, self.load()]
        self.writers = [Writer("main", State(), None) for _ in self.ds]
        self.steps = 0
        self.real_keys: dict[str, Key] = {}
        self.acted: set[int] = set()
        self.seen: WeakKeyDictionary[Session, dict[Key, Table]] = WeakKeyDictionary()

    def make_store(self) -> WatchedStore:
        return WatchedStore(f"mem://history-{next(_numbers)}", self.clock)

    def open(self, store: Store, address: str | None = None) -> Session:
        return open_session(store, self.context, address, None)

    def load(self, address: str | None = None) -> zlake.Dataset:
        return zlake.Dataset(self.open(self.store, address))

    # ------------------------------------------------------------ carrying out a change

    def change(self, who: int, act: Callable[[], object]) -> bool:
        """Let a session carry out what its model has done already; outside a block it is flushed at once."""
        self.acted.add(who)
        if self.writers[who].blocks:
            act()
            return True
        return self.publish(who, act)

    def publish(self, who: int, act: Callable[[], object]) -> bool:
        """Flush what a session has changed; say whether it was refused by nothing."""
        self.acted.add(who)
        writer = self.writers[who]
        changes, refused, outcome = writer.edit.changes, writer.refused(self.world), writer.carried(self.world)
        if not self.attempt(who, act, None if changes is False else refused, outcome, sure=changes is True):
            return False
        if changes is None and refused is None:  # had it nothing to flush it has not seen what others did
            self.ds[who].refresh()
        if changes is not False:
            # the session may have gone elsewhere since it flushed
            name = writer.branch or self.made_by_itself(who)
            if changes or (name is not None and self.sequence_there(name) != self.sequence_of(name)):
                self.stage(writer, name, outcome.state)
            writer.flushed = writer.flushed or (True if changes else None)
            writer.adopt(self.world, name, writer.commit)
        return True

    def attempt(
        self, who: int, act: Callable[[], object], refused: type[Exception] | None, outcome: Outcome, sure: bool = True
    ) -> bool:
        """Carry out what may be refused as a whole, or because of conflicts; say whether it was not."""
        writer = self.writers[who]
        try:
            act()
        except ConflictError as error:
            if refused is not None:
                raise
            self.expect_conflicts(error, outcome)
        except (BranchDeletedError, StaleSessionError) as error:
            if type(error) is not refused:
                raise
        else:
            assert not sure or refused is None, f"{refused} was not raised"
            assert not outcome.must, f"no conflict was reported, but there is one: {outcome.must}"
            return True
        if not writer.blocks:
            writer.forget()
        return False

    def sequence_there(self, name: str) -> int:
        """Return the sequence of a branch, deleted or not."""
        key = paths.branch_key(name)
        return decode(Ref, self.store.objects[key].value, where=key).sequence

    def sequence_of(self, name: str | None) -> int:
        return self.world.branches[name].sequence if name in self.world.branches else -1

    def made_by_itself(self, who: int) -> str | None:
        """Return the branch that was made for a change of a past commit."""
        new = set(self.ds[who].branches) - set(self.world.live())
        assert len(new) <= 1
        return new.pop() if new else None

    def stage(self, writer: Writer, name: str | None, state: State) -> None:
        """Note that a branch has a new staged state; it may be a branch that was made for it."""
        assert name is not None
        if writer.branch is None:
            assert name.startswith("auto_")
            assert name not in self.world.branches
            self.world.branches[name] = Branch(writer.commit)
        branch = self.world.branches[name]
        branch.staged = state
        branch.sequence += 1

    def expect_conflicts(self, error: ConflictError, outcome: Outcome) -> None:
        """Check that the conflicts that were reported are those of the model."""
        assert outcome.must, f"no conflict in the model, but {error}"
        found = set()
        for tensor, sample_id, _ in error.conflicts:
            mine = {m for (_, theirs), m in self.ids.taken.items() if theirs == sample_id}
            found.add((tensor, mine.pop() if sample_id is not None else None))
        assert found == set(outcome.must), f"{error.conflicts} but in the model {outcome.must}"

    # ------------------------------------------------------------ looking

    def fresh(self) -> int:
        return next(self.numbers)

    def table(self, who: int, pick: int) -> tuple[Key, Table] | None:
        """Choose one of the tensors that a writer sees."""
        tables = list(self.writers[who].work.tables.items())
        return tables[pick % len(tables)] if tables else None

    def compare(self, ds: zlake.Dataset, state: State) -> None:
        """Check that a session shows just what a state of the model holds.

        Most of the time rows are not read again that the session has shown, and that have not changed in the model.
        """
        assert set(ds.tensors) == set(state.names), (list(ds.tensors), list(state.names))
        assert dict(ds.info) == state.info
        seen = self.seen.setdefault(ds._session, {})
        for key, table in state.tables.items():
            tensor = ds[table.name]
            ids, values = list(table.rows), list(table.rows.values())
            assert len(tensor) == len(ids), f"{table.name} has {len(tensor)} rows, not {len(ids)}"
            if seen.get(key) is table and self.steps % 4:
                continue
            seen[key] = table
            expected = [SAMPLES[table.kind](value) for value in values]
            if table.kind == "text":
                assert tensor.text() == expected
            elif table.kind == "number":
                assert tensor.numpy().reshape(-1).tolist() == values
            else:
                assert [each.tolist() for each in tensor.numpy(aslist=True)] == [each.tolist() for each in expected]
            self.ids.learn(key, ids, tensor.ids().tolist())
            assert dict(tensor.info) == table.info
            assert self.real_keys.setdefault(tensor._column.key, key) == key

    def compare_head(self, who: int) -> None:
        ds, writer = self.ds[who], self.writers[who]
        self.compare(ds, writer.work)
        assert ds.branch == writer.branch
        assert ds.commit_id == writer.commit

    def compare_branch(self, name: str) -> None:
        """Check a branch as a reader finds it who opens it now."""
        branch, ds = self.world.branches[name], self.load(name)
        self.compare(ds, self.world.state(name))
        assert ds.commit_id == branch.commit
        assert ds.has_head_changes == (branch.staged is not None)
        assert [entry["commit"] for entry in ds.commits] == self.world.log(branch.commit)
        if branch.commit is not None:
            parents = ds.get_commit_details(branch.commit)["parents"]
            assert tuple(parents) == self.world.commits[branch.commit].parents

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "acted"):
            return
        self.steps += 1
        self.clock.advance(1)
        self.checker.look()
        for who in self.acted:
            self.compare_head(who)
        acted, self.acted = self.acted, set()
        if acted and self.steps % 3 == 0:
            names = self.world.live()
            self.compare_branch(names[self.steps % len(names)])
        if self.steps % VERIFY_EVERY == 0:
            report = self.load().verify(deep=False)
            assert report, report

    def teardown(self) -> None:
        if not hasattr(self, "acted"):
            return
        try:
            self.look_back()
        finally:
            self.patch.undo()

    def look_back(self) -> None:
        """Look at everything once more, at the end of the history."""
        for who in range(len(self.ds)):
            self.compare_head(who)
        for name in self.world.live():
            self.compare_branch(name)
        report = self.load().verify(deep=True)
        assert report, report
