"""Rules that only look: two versions compared, and rows brought together, which changes none of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import rule

from tests.model.base import equal_samples
from tests.model.merging import MergeRules
from tests.model.rows import PICK, WHO
from tests.model.state import Key, State, Table
from zlake.errors import BranchDeletedError, InvalidOperationError, StaleSessionError

Row = tuple[Key, str, int, int | None, int | None]
"""Tensor, change, sample id of the model, row before and row after."""


class LookRules(MergeRules):
    """What leaves every row as it is."""

    @rule(who=WHO, what=st.sampled_from(("diff", "diff", "optimize", "rechunk")), pick=PICK, other=PICK)
    def look(self, who: int, what: str, pick: int, other: int) -> None:
        if what == "diff":
            self.diff(who, self.any_version(pick), self.any_version(other))
        elif self.writers[who].edit.changes is None:
            self.flush(who)
        else:
            self.optimize(who, everything=what == "rechunk")

    # ------------------------------------------------------------ diff

    def any_version(self, pick: int) -> tuple[str, State]:
        """Choose a branch, with what is staged on it, a tag or a commit."""
        states = {name: self.world.state(name) for name in self.world.live()}
        states |= {name: self.world.state_of(commit) for name, commit in self.world.tags.items()}
        states |= {commit: self.world.state_of(commit) for commit in self.world.reachable()}
        return list(states.items())[pick % len(states)]

    def diff(self, who: int, first: tuple[str, State], second: tuple[str, State]) -> None:
        before, after = first[1], second[1]
        if self.writers[who].edit.changes is not False:
            return
        found = self.ds[who].diff(first[0], second[0])
        keys = {**after.tables, **before.tables}
        touched = {
            (after.tables.get(key) or before.tables[key]).name
            for key in keys
            if plain(before.tables.get(key)) != plain(after.tables.get(key))
        }
        # a tensor whose rows are all gone again has got its dtype and rank from them, which the model does not know
        empty = {table.name for key, table in after.tables.items() if not table.rows and key in before.tables}
        assert touched <= set(found.tensors) <= touched | empty
        expected = {row for key in keys for row in changed_rows(key, before.tables.get(key), after.tables.get(key))}
        rows = list(found.rows())
        if not all(self.is_known(row) for row in rows):  # of commits that no session has shown yet
            for address, state in (first, second):
                self.compare(self.load(address), state)
        seen: set[Row] = set()
        for number, row in enumerate(rows):
            # by its key: a tensor that was deleted and one that is there may have one name, and rows of one id
            key = self.real_keys[real_key(row)]
            assert row.tensor == (after.tables.get(key) or before.tables[key]).name
            mine = self.ids.model(key, row.sample_id)
            assert mine is not None
            seen.add((key, row.change, mine, row.row_before, row.row_after))
            if number % 3 == 0:
                values = [
                    state.tables[key].rows.get(mine) if key in state.tables else None for state in (before, after)
                ]
                assert equal_samples(keys[key].kind, row.before, values[0])
                assert equal_samples(keys[key].kind, row.after, values[1])
        assert len(rows) == len(seen)
        assert seen == expected

    def is_known(self, row: Any) -> bool:
        key = self.real_keys.get(real_key(row))
        return key is not None and self.ids.model(key, row.sample_id) is not None

    # ------------------------------------------------------------ compaction

    def optimize(self, who: int, *, everything: bool) -> None:
        """Bring rows together; the branch may get a commit that changes nothing."""
        writer, ds = self.writers[who], self.ds[who]
        name = writer.branch

        def act() -> object:
            return ds.rechunk(progressbar=False) if everything else ds.optimize()

        if name is None:
            with pytest.raises(InvalidOperationError):
                act()
            return
        if not self.flushed_within(who, act):
            return
        self.acted.add(who)
        branch = self.world.branches[name]
        refused = writer.refused(self.world)
        try:
            report = ds.rechunk(progressbar=False) if everything else ds.optimize()
        except (BranchDeletedError, StaleSessionError) as error:
            if type(error) is not refused:
                raise
            return
        if branch.deleted:
            assert report.commit is None
            return
        swaps = self.sequence_there(name) - branch.sequence
        assert swaps in (0, 1)
        assert swaps or report.commit is None
        if report.commit is not None:
            assert branch.commit is not None
            self.world.record(report.commit, self.world.committed(name), branch.commit)
            branch.commit = report.commit
        branch.sequence += swaps
        if swaps and branch.staged is not None:
            branch.staged = replace(branch.staged)  # another staged snapshot, which holds the same
        if ds._session.head.ref.sequence == branch.sequence:
            flushed = writer.flushed
            self.stand(who, name)
            if flushed and not report:
                writer.flushed = None  # where there was nothing to write, nothing was looked at
        self.acted |= {0, 1}


def real_key(row: Any) -> str:
    """Return the key of the tensor of a row of a diff."""
    found: str = (row._before or row._after)._key
    return found


def plain(table: Table | None) -> object:
    return None if table is None else (table.name, table.rows, table.info)


def changed_rows(key: Key, before: Table | None, after: Table | None) -> list[Row]:
    """Return the rows that differ between two states of a tensor."""
    was = {i: row for row, i in enumerate(before.rows)} if before else {}
    now = {i: row for row, i in enumerate(after.rows)} if after else {}
    found: list[Row] = []
    for i in {**was, **now}:
        if i not in now:
            found.append((key, "removed", i, was[i], None))
        elif i not in was:
            found.append((key, "added", i, None, now[i]))
        elif before is not None and after is not None and before.rows[i] != after.rows[i]:
            found.append((key, "updated", i, was[i], now[i]))
    return found
