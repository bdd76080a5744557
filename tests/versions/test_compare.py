"""Two states compared: what `changes_between` finds, against plain dictionaries, and what it makes of the first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from random import Random
from typing import Any

import pytest

from tests.scale import times
from tests.versions.support import Row, World, Writer, rows_of
from zlake.context import Context
from zlake.format.documents import Ref, Snapshot
from zlake.storage.open import open_store
from zlake.versions import apply as apply_module
from zlake.versions import extent_store, refs
from zlake.versions.apply import apply
from zlake.versions.compare import changes_between
from zlake.versions.draft import Draft
from zlake.versions.head import EMPTY_SNAPSHOT
from zlake.versions.repository import Repository

_names = count()

KINDS = (
    *("append", "append", "update", "update", "update", "delete", "clear", "flush", "flush", "commit", "commit"),
    *("rename", "info", "create", "drop", "groups", "switch", "fork"),
)


class History:
    """Two branches of a dataset, and every state that they have had."""

    def __init__(self, coalesce: bool) -> None:
        self.world = World()
        self.repository = Repository.create(open_store(f"mem://compare-{next(_names)}"), Context())
        self.writer = Writer(self.repository, self.world, coalesce=coalesce)
        self.other: Writer | None = None
        self.values = count()
        self.states: list[Snapshot] = [EMPTY_SNAPSHOT]

    def fork(self) -> None:
        """Make a second branch here, once."""
        if self.other is None:
            self.note(flush=True)
            ref = self.writer.head.ref
            made = Ref(commit=ref.commit, staged=ref.staged, sequence=0, write_id=self.repository.context.new_id())
            refs.create_branch(self.repository.store, "other", made)
            self.other = Writer(self.repository, self.world, coalesce=self.writer.coalesce)
            self.other.head = self.repository.head("other")

    def switch(self) -> None:
        if self.other is not None:
            self.note(flush=True)
            self.writer, self.other = self.other, self.writer

    def note(self, *, flush: bool) -> None:
        if flush:
            self.writer.flush()
        self.states.append(self.writer.head.snapshot)

    def step(self, what: str, which: int, n: int) -> None:
        writer = self.writer
        if what in ("fork", "switch"):
            getattr(self, what)()
        elif what == "create":
            if len(writer.head.snapshot.tensors) < 3:
                writer.create(f"t{next(self.values)}")
                self.note(flush=True)
        elif what == "info":
            writer.info = {"n": n % 2}
        elif what == "groups":
            writer.groups = ("a", "b")[: n % 3]
        elif what == "flush":
            self.note(flush=True)
        elif what == "commit":
            writer.commit(allow_empty=True)
            self.note(flush=False)
        else:
            self.change(what, which, n)

    def change(self, what: str, which: int, n: int) -> None:
        from msgspec import structs

        writer, states = self.writer, self.writer.head.snapshot.tensors
        if not states:
            return
        state = states[which % len(states)]
        key, rows = state.key, state.length
        if key in writer.removed:
            return
        if what == "append":
            writer.append(key, [next(self.values) for _ in range(1 + n % 5)])
        elif what == "rename":
            writer.tensors[key] = structs.replace(state, name=f"t{next(self.values)}")
        elif what == "drop" and n % 8 == 0:
            self.note(flush=True)
            writer.removed.append(key)
            self.note(flush=True)
        elif what == "clear" and n % 8 == 0:
            self.note(flush=True)
            writer.clear(key)
            self.note(flush=True)
        elif rows and what == "update" and n % rows not in writer.deleted.get(key, ()):
            writer.update(key, n % rows, next(self.values))
        elif rows and what == "delete":
            first = n % rows
            writer.delete(key, *range(first, min(rows, first + 1 + n % 3)))


def content(history: History, states: Sequence[Any]) -> dict[str, list[Row]]:
    return {state.key: rows_of(history.repository, history.world, state) for state in states}


def check(history: History, a: Snapshot, b: Snapshot) -> None:
    objects = history.repository.objects
    changes = changes_between(a, b, objects, history.world)
    before, after = content(history, a.tensors), content(history, b.tensors)
    assert set(changes.deleted) == set(before) - set(after)
    for key, now in after.items():
        was = before.get(key, [])
        rows = changes.rows.get(key)
        values, known = dict(was), dict(now)
        appended = [row for row in now if row[0] not in values]
        updated = [(i, row) for i, row in enumerate(was) if row[0] in known and known[row[0]] != row[1]]
        deleted = [(i, row[0]) for i, row in enumerate(was) if row[0] not in known]
        if rows is None:
            assert [appended, updated, deleted] == [[], [], []]
            continue
        assert history.world.rows(rows.segments, rows.appended) == appended
        assert rows.appended_ids.tolist() == [sample_id for sample_id, _ in appended]
        assert rows.updated_rows.tolist() == [i for i, _ in updated]
        assert rows.updated_ids.tolist() == [row[0] for _, row in updated]
        assert history.world.rows(rows.segments, rows.updated) == [(row[0], known[row[0]]) for _, row in updated]
        assert list(zip(rows.deleted_rows.tolist(), rows.deleted_ids.tolist(), strict=True)) == deleted
    state = apply(a, changes, objects, Draft(objects, history.repository.context))
    made = content(history, state.tensors)
    assert {key: dict(rows) for key, rows in made.items()} == {key: dict(rows) for key, rows in after.items()}
    assert {t.key: t.name for t in state.tensors} == {t.key: t.name for t in b.tensors}
    assert state.groups == b.groups
    assert state.info == b.info


@pytest.mark.parametrize("small", [False, True], ids=["inline", "pages"])
@pytest.mark.parametrize("seed", range(times(40)))
def test_changes_between_any_two_states_make_the_one_into_the_other(
    small: bool, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if small:
        monkeypatch.setattr(apply_module, "INLINE_TABLE_BYTES", 800)
        monkeypatch.setattr(extent_store, "EDITED_PAGE_BYTES", 1000)
    random = Random(seed)
    history = History(coalesce=random.random() < 0.5)
    history.writer.create("x")
    history.note(flush=True)
    for _ in range(random.randint(10, 160)):
        history.step(random.choice(KINDS), random.randrange(10**6), random.randrange(10**6))
    history.note(flush=True)
    states = list({state.id: state for state in history.states}.values())
    for _ in range(20):
        check(history, random.choice(states), random.choice(states))
