"""Rows that differ between two states, one by one; their samples are read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from zlake import limits
from zlake.format.documents import Snapshot
from zlake.session import present
from zlake.session.column import Column
from zlake.session.session import Session
from zlake.types import IntArray
from zlake.versions.compare import Comparison
from zlake.versions.read_head import detached
from zlake.versions.repository import Repository
from zlake.versions.row_diff import RowDiff

Change = Literal["removed", "updated", "added"]

_BLOCK_ROWS: Final = 256
_BLOCK_BYTES: Final = 8 * limits.MIB
"""Samples that are read at once, when a second one of them is asked for."""


class State:
    """One of the two states, to read samples from. Nothing is opened before the first one is asked for."""

    def __init__(self, repository: Repository, snapshot: Snapshot) -> None:
        self._repository = repository
        self._snapshot = snapshot
        self._columns: dict[str, Column] | None = None

    def column(self, key: str) -> Column:
        """Return a tensor as it is in this state."""
        if self._columns is None:
            session = Session(self._repository, detached(self._snapshot), read_only=True)
            self._columns = {column.key: column for column in session.columns.values()}
        return self._columns[key]


class _Block:
    """Samples of some rows of one state: the first is read alone, the rest at once with the second."""

    def __init__(self, state: State, key: str, rows: IntArray) -> None:
        self._state = state
        self._key = key
        self._rows = rows
        self._values: dict[int, Any] = {}

    def value(self, row: int) -> Any:
        if row not in self._values:
            column = self._state.column(self._key)
            if not self._values:
                self._values[row] = present.one(column, row)
            else:
                rows = np.array([each for each in self._rows.tolist() if each not in self._values], np.int64)
                found = present.read(column, None, lambda: rows, (), True).result()
                self._values.update(zip(rows.tolist(), found, strict=True))
        return self._values[row]


@dataclass(frozen=True, slots=True, eq=False)
class ChangedRow:
    """A sample that is not the same in two states. It unpacks to the four fields after ``tensor``.

    Attributes
    ----------
    tensor
        Name of the tensor: in the second state, or in the first one where the second does not have it.
    sample_id
        What identifies the sample in all versions.
    change
        ``"removed"``, ``"updated"`` or ``"added"``.
    row_before, row_after
        Its row in the first and in the second state; None where it is not there.
    """

    tensor: str
    sample_id: int
    change: Change
    row_before: int | None
    row_after: int | None
    _before: _Block | None = field(repr=False)
    _after: _Block | None = field(repr=False)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.sample_id, self.change, self.row_before, self.row_after))

    @property
    def before(self) -> Any:
        """The sample in the first state, as ``numpy()`` gives it; None if it was added. Read when it is asked for."""
        return None if self._before is None or self.row_before is None else self._before.value(self.row_before)

    @property
    def after(self) -> Any:
        """The sample in the second state, as ``numpy()`` gives it; None if it was removed."""
        return None if self._after is None or self.row_after is None else self._after.value(self.row_after)


def changed_rows(comparison: Comparison, key: str, name: str, before: State, after: State) -> Iterator[ChangedRow]:
    """Yield the rows of a tensor that differ: those removed, those updated, then those added, each in row order."""
    rows, updated = comparison.rows(key), comparison.updated(key)
    kinds: tuple[tuple[Change, IntArray | None, IntArray | None], ...] = (
        ("removed", rows.gone, None),
        ("updated", rows.kept_before[updated], rows.kept_after[updated]),
        ("added", None, rows.new),
    )
    for change, mine, other in kinds:
        which = mine if mine is not None else other
        assert which is not None
        ids = rows.before_ids if mine is not None else rows.after_ids
        block = _block_rows(rows)
        for start in range(0, len(which), block):
            part = slice(start, start + block)
            old = None if mine is None else rows.before_rows[mine[part]]
            new = None if other is None else rows.after_rows[other[part]]
            left = None if old is None else _Block(before, key, old)
            right = None if new is None else _Block(after, key, new)
            numbers = ([None] * len(which[part]) if found is None else found.tolist() for found in (old, new))
            for sample_id, row, row_after in zip(ids[which[part]].tolist(), *numbers, strict=True):
                yield ChangedRow(name, sample_id, change, row, row_after, left, right)


def _block_rows(rows: RowDiff) -> int:
    """Return of how many rows the samples may be read at once, judged by what they take where they are stored."""
    sizes = [entry.bytes // entry.rows for entry in rows.segments]
    return max(1, min(_BLOCK_ROWS, _BLOCK_BYTES // max(1, *sizes, 1)))
