"""Changing what samples hold: a part by assignment, or all of it by an operator. Read, changed, written back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from zlake.errors import InvalidOperationError, SampleUpdateError, ZlakeError
from zlake.session import read, region
from zlake.session.column import Column
from zlake.session.prepare import UNREADABLE, forget_names
from zlake.session.session import alone
from zlake.session.update import check_rows, set_rows
from zlake.types import Array, IntArray

Operator = Callable[[Any, Any], Any]
_REFUSED = (ZlakeError, ValueError, TypeError, IndexError, ArithmeticError)


@alone
def assign_part(column: Column, rows: IntArray, key: tuple[Any, ...], value: Any) -> None:
    """Assign to a part of samples, ``x[row, 2:4] = value``; the value is broadcast within each sample.

    In a sequence tensor the first part of the key names items.

    Raises
    ------
    SampleUpdateError
        If the key or the value does not fit; nothing was changed.
    """
    whole_items = column.state.sequence and len(key) == 1

    def change(part: Any) -> Any:
        return value if whole_items else column.htype.part(value, column.spec)

    _rewrite(column, rows, _each_alone(lambda sample: _changed(column, sample, key, change)), whole_items)


@alone
def operate(column: Column, rows: IntArray, keys: tuple[tuple[Any, ...], ...], operator: Operator, value: Any) -> None:
    """Change samples, or a part of them, with an in-place operator: ``x[rows] += value``.

    Parameters
    ----------
    column
        The tensor.
    rows
        Rows to change, ``(n,) int64``.
    keys
        The part of each sample: at most one key for its axes.
    operator
        As `operator.iadd`: changes its first argument, and keeps the dtype as NumPy's in-place operators do.
    value
        Broadcast against all rows together where they share a shape, else against each sample.

    Raises
    ------
    SampleUpdateError
        If value and samples do not go together; nothing was changed.
    InvalidOperationError
        If the samples are text or JSON.
    """
    if column.htype.document:
        raise InvalidOperationError(f"tensor {column.name!r} holds {column.spec.text}, which has no arithmetic")
    if len(keys) > 1:
        raise InvalidOperationError("index the axes of the samples once: x[row, axis, axis] += value")
    value = np.asarray(value) if not np.isscalar(value) else value

    def change(part: Any) -> Any:
        return [operator(item, value) for item in part] if isinstance(part, list) else operator(part, value)

    if keys:
        _rewrite(column, rows, _each_alone(lambda sample: _changed(column, sample, keys[0], change)))
    elif len(rows) > 1 and not column.state.sequence:
        _rewrite(column, rows, _together(change))
    else:
        _rewrite(column, rows, _each_alone(change))


def _rewrite(column: Column, rows: IntArray, change: Callable[[Any], Any], whole_items: bool = False) -> None:
    """Give rows the samples that ``change`` makes of those that they have; text and JSON have no part but items."""
    column.session.begin(column)
    if column.htype.document and not whole_items:
        raise SampleUpdateError(
            f"samples of tensor {column.name!r} are {column.spec.text}: give a whole new one, x[row] = value"
        )
    try:
        check_rows(column, rows)
        samples = change(read.samples(column, rows).result())
    except UNREADABLE:
        forget_names([column])
        raise
    except _REFUSED as error:
        forget_names([column])
        raise SampleUpdateError(f"cannot update tensor {column.name!r}: {error}; nothing was changed") from error
    set_rows(column.session, rows, {column.name: samples})


def _each_alone(change: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    """Return the change of many samples that changes a copy of each."""
    return lambda samples: [change(_own(sample)) for sample in samples]


def _together(change: Callable[[Array], Array]) -> Callable[[Any], Any]:
    """Return the change of many samples as one array, where they are one; else of each."""

    def changed(samples: Any) -> Any:
        if len({sample.shape for sample in samples}) == 1:
            return change(np.stack(samples))
        return [change(np.array(sample)) for sample in samples]

    return changed


def _own(sample: Any) -> Any:
    """Return arrays that may be changed: a copy of a sample, or of the items of a sequence; text and JSON stay."""
    if isinstance(sample, list):
        return [np.array(item) if isinstance(item, np.ndarray) else item for item in sample]
    return np.array(sample)


def _changed(column: Column, sample: Any, key: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    """Return a sample with the part under the key changed; the key of a sequence names items first."""
    if not column.state.sequence:
        region.assign(sample, key, change)
        return sample
    items = list(sample)
    chosen = region.apply(np.arange(len(items)), key[:1])
    if len(key) > 1:
        for item in np.atleast_1d(chosen).tolist():
            region.assign(items[item], key[1:], change)
        return items
    one = np.ndim(chosen) == 0
    places = np.atleast_1d(chosen).tolist()
    new = [change(items[int(chosen)])] if one else change([items[place] for place in places])
    if len(new) != len(places):
        raise ValueError(f"{len(places)} items are selected, but {len(new)} given")
    for place, item in zip(places, new, strict=True):
        items[place] = item
    return items
