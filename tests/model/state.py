"""What a version of a dataset holds, and how changes of it are carried over to another version: the whole model.

Rows are named by sample ids of the model's own; the tests learn which ids of zlake they stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

Key = int
"""Of a tensor: it stays when the tensor is renamed."""
Conflict = tuple[str, int | None]
"""Tensor name in the common state and sample id of the model, or None where it is about the tensor as a whole."""
Resolve = Callable[[Conflict], str | None]


@dataclass(frozen=True)
class Table:
    """A tensor. ``rows`` maps sample ids to values, in the order of the rows; ``settled`` says if it ever had any.

    The first sample settles dtype and rank, which stay when it is gone.
    """

    name: str
    kind: str
    rows: dict[int, int] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    settled: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "settled", self.settled or bool(self.rows))


@dataclass(frozen=True)
class State:
    """A version: tensors by key, and the dataset's info."""

    tables: dict[Key, Table] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, Key]:
        return {table.name: key for key, table in self.tables.items()}

    def with_table(self, key: Key, **changes: Any) -> State:
        return replace(self, tables={**self.tables, key: replace(self.tables[key], **changes)})

    def without(self, key: Key) -> State:
        return replace(self, tables={k: t for k, t in self.tables.items() if k != key})

    def same_data(self, other: State) -> bool:
        """Whether a reader sees no difference."""
        return self.info == other.info and _plain(self.tables) == _plain(other.tables)


def _plain(tables: dict[Key, Table]) -> Any:
    return {key: (table.name, list(table.rows.items()), table.info) for key, table in tables.items()}


@dataclass(frozen=True)
class Edit:
    """What somebody did to ``base`` to make it ``made``.

    Attributes
    ----------
    touched
        Rows of the base that were given a value, by tensor and sample id.
    schema
        Tensors of the base that were renamed or whose info was set, even if in the end they are as they were.
    """

    base: State
    made: State
    touched: frozenset[tuple[Key, int]] = frozenset()
    schema: frozenset[Key] = frozenset()

    @property
    def changes(self) -> bool | None:
        """Whether anything was done; None where it all came to nothing."""
        if not self.base.same_data(self.made) or self.touched:
            return True
        return None if self.schema or self.base is not self.made else False


@dataclass
class Outcome:
    """The state after a merge, and what must be reported as a conflict."""

    state: State
    must: list[Conflict] = field(default_factory=list)


_MISSING = object()


def carry(edit: Edit, theirs: State, resolve: Resolve | None = None) -> Outcome:
    """Carry an edit over to what others have made of its base.

    ``resolve`` answers ``"edit"`` or ``"theirs"`` for each conflict; without it, or where it answers None, it remains.
    """
    if theirs is edit.base:
        return Outcome(edit.made)
    return _Carry(edit, theirs, resolve).run()


class _Carry:
    def __init__(self, edit: Edit, theirs: State, resolve: Resolve | None) -> None:
        self.edit, self.theirs = edit, theirs
        self.resolve = resolve or (lambda conflict: None)
        self.out = Outcome(theirs)

    def conflict(self, name: str, sample_id: int | None) -> str:
        answer = self.resolve((name, sample_id))
        if answer is None:
            self.out.must.append((name, sample_id))
        return answer or "theirs"

    def run(self) -> Outcome:
        base, made = self.edit.base, self.edit.made
        tables = dict(self.theirs.tables)
        for key in {**base.tables, **made.tables}:
            was, ours, their = base.tables.get(key), made.tables.get(key), self.theirs.tables.get(key)
            if was is None:
                assert ours is not None
                tables[key] = ours if their is None else their
            elif ours is None:
                self._deleted(key, was, their, tables)
            elif their is None:
                if self._touched(key, was, ours) and self.conflict(was.name, None) == "edit":
                    tables[key] = ours
            else:
                tables[key] = self._table(key, was, ours, their)
        info = self._info("", base.info, made.info, self.theirs.info)
        self._names(tables)
        self.out.state = State(tables, info)
        return self.out

    def _touched(self, key: Key, was: Table, ours: Table) -> bool:
        return (
            (was.name, was.info, was.rows) != (ours.name, ours.info, ours.rows)
            or key in self.edit.schema
            or any(k == key for k, _ in self.edit.touched)
        )

    def _deleted(self, key: Key, was: Table, their: Table | None, tables: dict[Key, Table]) -> None:
        if their is None:
            return
        if their.rows == was.rows or self.conflict(was.name, None) == "edit":
            del tables[key]

    def _table(self, key: Key, was: Table, ours: Table, their: Table) -> Table:
        name = their.name
        if ours.name not in (was.name, their.name):
            name = ours.name
            if their.name != was.name:
                name = ours.name if self.conflict(was.name, None) == "edit" else their.name
        rows = dict(their.rows)
        for sample_id, before in was.rows.items():
            if sample_id not in ours.rows:
                if sample_id in rows and (rows[sample_id] == before or self.conflict(was.name, sample_id) == "edit"):
                    del rows[sample_id]
            elif (key, sample_id) in self.edit.touched:
                wanted = ours.rows[sample_id]
                if sample_id not in rows:
                    if self.conflict(was.name, sample_id) == "edit":
                        rows[sample_id] = wanted
                elif rows[sample_id] in (before, wanted) or self.conflict(was.name, sample_id) == "edit":
                    rows[sample_id] = wanted
        rows.update((i, value) for i, value in ours.rows.items() if i not in was.rows and i not in rows)
        info = self._info(was.name, was.info, ours.info, their.info)
        return replace(their, name=name, rows=rows, info=info, settled=ours.settled or their.settled)

    def _info(self, name: str, was: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
        merged = dict(theirs)
        for key in {**was, **ours}:
            before, mine, now = was.get(key, _MISSING), ours.get(key, _MISSING), theirs.get(key, _MISSING)
            if mine in (before, now):
                continue
            if now != before and self.conflict(name, None) == "theirs":
                continue
            if mine is _MISSING:
                merged.pop(key, None)
            else:
                merged[key] = mine
        return merged

    def _names(self, tables: dict[Key, Table]) -> None:
        seen: dict[str, Key] = {}
        for key, table in tables.items():
            if seen.setdefault(table.name, key) != key:
                self.out.must.append((table.name, None))


def fresh_rows(ids: Iterable[int], values: Iterable[int]) -> dict[int, int]:
    return dict(zip(ids, values, strict=True))
