"""Two writers that append, update, delete, flush, commit and reopen, against plain lists."""

from __future__ import annotations

from itertools import count
from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.scale import histories
from tests.versions.support import Row, World, Writer, rows_of
from zlake.context import Context
from zlake.errors import ConflictError, EmptyCommitError
from zlake.storage.open import open_store
from zlake.versions.head import Head
from zlake.versions.repository import Repository

_names = count()
WHO = st.integers(0, 1)


class Model:
    """What one writer has in mind: the rows it started from, and the rows as it wants them."""

    def __init__(self, base: list[Row]) -> None:
        self.base = list(base)
        self.updated: dict[int, Any] = {}
        self.deleted: set[int] = set()
        self.appended: list[Row] = []
        self.changed = False


class Versions(RuleBasedStateMachine):
    @initialize(coalesce=st.booleans())
    def start(self, coalesce: bool) -> None:
        store = open_store(f"mem://versions-model-{next(_names)}")
        world = World()
        writer = Writer(Repository.create(store, Context()), world, coalesce=coalesce)
        self.key = writer.create()
        writer.commit("start")
        self.writers = [writer, writer.reopen()]
        self.branch: list[Row] = []
        self.staged = False
        self.commits: list[tuple[str, list[Row]]] = [(str(writer.head.commit_id), [])]
        self.models = [Model([]), Model([])]
        self.values = count()

    # ------------------------------------------------------------ changes of one writer

    @rule(who=WHO, n=st.integers(1, 4))
    def append(self, who: int, n: int) -> None:
        values = [next(self.values) for _ in range(n)]
        ids = self.writers[who].append(self.key, values)
        self.models[who].appended.extend(zip(ids, values, strict=True))

    @rule(who=WHO, data=st.data())
    def update(self, who: int, data: st.DataObject) -> None:
        rows = self._rows(who)
        if rows:
            row = data.draw(st.sampled_from(rows))
            value = next(self.values)
            self.writers[who].update(self.key, row, value)
            self.models[who].updated[row] = value

    @rule(who=WHO, data=st.data())
    def delete(self, who: int, data: st.DataObject) -> None:
        rows = self._rows(who)
        if rows:
            row = data.draw(st.sampled_from(rows))
            self.writers[who].delete(self.key, row)
            self.models[who].updated.pop(row, None)
            self.models[who].deleted.add(row)

    def _rows(self, who: int) -> list[int]:
        model = self.models[who]
        return [row for row in range(len(model.base)) if row not in model.deleted]

    # ------------------------------------------------------------ publishing

    def _publish(self, who: int) -> bool:
        """Carry a writer's changes over to the branch in the model; say whether they conflict."""
        model = self.models[who]
        now = dict(self.branch)
        base = dict(model.base)
        for row, _ in model.updated.items():
            sample_id, was = model.base[row]
            if sample_id not in now or now[sample_id] != was:
                return False
        for row in model.deleted:
            sample_id, was = model.base[row]
            if sample_id in now and now[sample_id] != base[sample_id]:
                return False
        gone = {model.base[row][0] for row in model.deleted}
        new = {model.base[row][0]: value for row, value in model.updated.items()}
        self.branch = [(i, new.get(i, value)) for i, value in self.branch if i not in gone] + model.appended
        return True

    def _pending(self, who: int) -> bool:
        model = self.models[who]
        return bool(model.updated or model.deleted or model.appended)

    @rule(who=WHO)
    def flush(self, who: int) -> None:
        pending = self._pending(who)
        if not pending:
            return
        fits = self._publish(who)
        try:
            self.writers[who].flush()
            assert fits
            self.staged = True
            self.models[who] = Model(self.branch)
            self.models[who].changed = True
        except ConflictError:
            assert not fits
            self.reopen(who)

    @rule(who=WHO)
    def commit(self, who: int) -> None:
        writer, model = self.writers[who], self.models[who]
        pending = self._pending(who)
        seen = writer.head.has_staged_changes and self.staged
        nothing = not pending and not model.changed and not seen
        fits = self._publish(who)
        try:
            commit = writer.commit("c")
            assert fits
            assert not nothing
            self.staged = False
            self.commits.append((commit, self.branch))
            self.models[who] = Model(self.branch)
        except ConflictError:
            assert not fits
            self.reopen(who)
        except EmptyCommitError:
            assert nothing

    @rule(who=WHO)
    def reopen(self, who: int) -> None:
        self.writers[who] = self.writers[who].reopen()
        self.models[who] = Model(self.branch)

    @precondition(lambda self: len(self.commits) > 1)
    @rule(data=st.data())
    def read_the_past(self, data: st.DataObject) -> None:
        commit, rows = data.draw(st.sampled_from(self.commits))
        assert self._stored(self.writers[0].repository.resolve(commit)) == rows

    @invariant()
    def the_branch_is_what_the_model_says(self) -> None:
        if not hasattr(self, "writers"):
            return
        repository = Repository.open(self.writers[0].repository.store, Context())
        head = repository.head()
        assert self._stored(head, repository) == self.branch
        assert head.has_staged_changes == self.staged
        assert [c.id for c in repository.log(head.snapshot)] == [i for i, _ in reversed(self.commits)]
        self._check_diff(head, repository)

    def _check_diff(self, head: Head, repository: Repository) -> None:
        if not self.staged:
            return
        from tests.versions.support import ids_in

        before, after = dict(self.commits[-1][1]), dict(self.branch)
        diff = next((d for d in head.snapshot.diff.tensors if d.key == self.key), None)
        appended, updated, removed = ([], [], []) if diff is None else (
            ids_in(diff.appended), ids_in(diff.updated), ids_in(diff.removed)
        )  # fmt: skip
        assert sorted(appended) == sorted(after.keys() - before.keys())
        assert sorted(removed) == sorted(before.keys() - after.keys())
        assert sorted(updated) == sorted(i for i in before.keys() & after.keys() if before[i] != after[i])

    def _stored(self, head: Head, repository: Repository | None = None) -> list[Row]:
        repository = repository or self.writers[0].repository
        (state,) = head.snapshot.tensors
        return rows_of(repository, self.writers[0].world, state)


TestVersions = Versions.TestCase
TestVersions.settings = histories(60, 30)
