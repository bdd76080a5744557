"""Changing rows that exist: new values, removal, and writing past the end. Checked first, changed after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zlake.errors import RowIndexError, SampleExtendError, SampleUpdateError, ZlakeError
from zlake.session.append import extend_samples
from zlake.session.column import Column
from zlake.session.prepare import UNREADABLE, Ready, forget_names, keep_names, prepare_row, prepare_rows, settle
from zlake.session.session import Session, alone
from zlake.types import IntArray


@alone
def update_rows(session: Session, rows: IntArray, values: Mapping[str, Sequence[Any]]) -> None:
    """Give rows new samples in several tensors: in all of them, or in none.

    Parameters
    ----------
    session
        An open session.
    rows
        Rows, ``(n,) int64``, each once.
    values
        Tensor name to n samples.

    Raises
    ------
    SampleUpdateError
        If a sample does not fit, or there are not as many samples as rows; nothing was changed. The cause is chained.
    """
    session.begin(*(session.columns[name] for name in values if name in session.columns))
    set_rows(session, rows, values)


def set_rows(session: Session, rows: IntArray, values: Mapping[str, Sequence[Any]]) -> None:
    """Do what `update_rows` does, in a change that has begun."""
    ready: list[Ready] = []
    try:
        for name, samples in values.items():
            column = session.column(name)
            check_rows(column, rows)
            if isinstance(samples, (str, bytes, Mapping)) or not hasattr(samples, "__len__"):
                raise TypeError(f"several rows take a sequence of as many samples, not one {type(samples).__name__}")
            if len(samples) != len(rows):
                raise RowIndexError(f"{len(rows)} rows are selected, but {len(samples)} samples given")
            ready.append(prepare_row(column, samples[0]) if len(rows) == 1 else prepare_rows(column, samples))
    except UNREADABLE:
        forget_names(session.columns.values())
        raise
    except (ZlakeError, ValueError, TypeError) as error:
        forget_names(session.columns.values())
        raise SampleUpdateError(f"cannot update tensor {name!r}: {error}; nothing was changed") from error
    try:
        ids = [one.column.ids_of(rows) for one in ready]  # of all before any is changed: it may have to read
    except BaseException:
        forget_names(session.columns.values())
        raise
    for one, kept in zip(ready, ids, strict=True):
        settle(one)  # rows of a sequence may have had no item yet
        one.column.replace(rows, one.items, kept, one.counts)
        keep_names(one.column)
    session.written()


@alone
def write_row(column: Column, row: int, value: Any) -> None:
    """Set one row; the row behind the last one is appended, rows in between are padded with empty samples.

    Raises
    ------
    RowIndexError
        If it counts from the end beyond the first row.
    SampleUpdateError
        If the sample does not fit; nothing was changed. The cause is chained.
    """
    column.session.begin(column)
    length = len(column)
    if row < 0:
        row += length
    if row < 0:
        raise RowIndexError(f"row {row - length} is out of range for tensor {column.name!r} with {length} rows")
    if row < length:
        set_rows(column.session, np.array([row]), {column.name: [value]})
    elif row > length and column.state.sequence:
        raise SampleUpdateError(f"row {row} lies beyond the end of sequence tensor {column.name!r} ({length} rows)")
    else:
        try:
            extend_samples(column, [*([None] * (row - length)), value])
        except SampleExtendError as error:
            raise SampleUpdateError(f"cannot write row {row}: {error}") from error


@alone
def pop_each(session: Session, columns: Sequence[Column], index: int | Sequence[int] | None) -> None:
    """Remove rows from several tensors; a tensor that is too short for a row has nothing to remove there.

    Raises
    ------
    RowIndexError
        If the longest of them has no such row; nothing was changed.
    """
    session.begin(*columns)
    rows = pop_index(index, max((len(column) for column in columns), default=0))
    for column in columns:
        column.delete(rows[rows < len(column)])
    session.written()


def pop_index(index: int | Sequence[int] | None, length: int) -> IntArray:
    """Return the rows that ``pop(index)`` names.

    Raises
    ------
    RowIndexError
        If a row is negative or too large, or there is no row to pop.
    ValueError
        If a row is named twice.
    """
    if index is None:
        index = [length - 1]
    wanted = np.atleast_1d(np.asarray(index))
    if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iu"):
        raise RowIndexError(f"pop takes a row or a list of rows, not {index!r}")
    rows = wanted.astype(np.int64)
    bad = rows[(rows < 0) | (rows >= length)]
    if len(bad):
        raise RowIndexError(f"row {bad[0]} cannot be popped: there are {length} rows, and pop counts from 0")
    if len(np.unique(rows)) != len(rows):
        raise SampleUpdateError(f"pop names a row twice: {index!r}")
    return rows


@alone
def clear(column: Column) -> None:
    """Remove all rows of a tensor."""
    column.session.begin(column)
    column.clear()
    column.session.written()


def check_rows(column: Column, rows: IntArray) -> None:
    """Raise `RowIndexError` unless the tensor has these rows."""
    if len(rows) and (int(rows.min()) < 0 or int(rows.max()) >= len(column)):
        raise RowIndexError(
            f"row {int(rows.max())} is out of range for tensor {column.name!r}, which has {len(column)} rows"
        )
