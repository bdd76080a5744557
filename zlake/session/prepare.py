"""Between a user's sample and a column's buffer: conversion, and what a first sample decides about its tensor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from zlake.errors import FormatError, SampleHtypeMismatchError, StorageError
from zlake.samples import ClassNames, Encoded, Prepared, TensorSpec, htype
from zlake.session.column import Column
from zlake.types import Array

UNREADABLE: Final = (StorageError, FormatError)
"""What no sample is to blame for: many class names lie in an object of their own, which is read when first needed."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Rows that were checked and converted, but not buffered yet.

    Attributes
    ----------
    column
        Where they go.
    spec
        The tensor's spec as these rows leave it: a first sample decides htype, dtype and rank.
    items
        One sample (``rows`` is then 1 and ``counts`` None), or many.
    rows
        Number of rows.
    counts
        Items of each row of a sequence tensor, else None.
    """

    column: Column
    spec: TensorSpec
    items: Array | Encoded | Prepared
    rows: int
    counts: list[int] | None = None


def prepare_row(column: Column, sample: Any) -> Ready:
    """Check and convert one row, changing nothing but class names."""
    if column.state.sequence:
        return prepare_rows(column, [sample])
    if column.settled:
        return Ready(column, column.spec, column.htype.prepare(sample, column.spec), 1)
    spec = column.htype.resolve([sample], column.spec)
    return Ready(column, spec, htype(spec.htype).prepare(sample, spec), 1)


def prepare_rows(column: Column, samples: Any, spec: TensorSpec | None = None) -> Ready:
    """Check and convert many rows, changing nothing but class names; ``spec`` is what rows before them decided."""
    counts: list[int] | None = None
    rows = len(samples)
    if column.state.sequence:
        lists = [() if sample is None else _items(sample) for sample in samples]
        counts = [len(items) for items in lists]
        samples = [item for items in lists for item in items]
    spec = spec or column.spec
    if rows and not htype(spec.htype).is_resolved(spec):
        if len(samples) == 0 and spec.dtype is not None and not column.encoded:
            # rows without any item leave the rank open; only the dtype must be known to store them
            return Ready(column, spec, Prepared(stacked=np.empty((0, 0), spec.dtype)), rows, counts)
        # else they decide as little as an empty sample does: some htypes know what that is, others refuse
        spec = htype(spec.htype).resolve(samples if len(samples) > 0 else [None], spec)
    return Ready(column, spec, htype(spec.htype).prepare_many(samples, spec), rows, counts)


def _items(row: Any) -> Any:
    """Return the items of a row of a sequence tensor; text, bytes and JSON objects are no lists of samples."""
    if isinstance(row, (str, bytes, Mapping)) or not hasattr(row, "__len__"):
        raise SampleHtypeMismatchError(f"a row of a sequence tensor is a list of samples, not one {type(row).__name__}")
    return row


def buffer(ready: Ready, *, borrow: bool = False) -> None:
    """Append prepared rows to their column; ``borrow`` if the caller's arrays stay as they are until the flush."""
    column = ready.column
    settle(ready)
    if isinstance(ready.items, Prepared):
        column.extend(ready.items, ready.rows, ready.counts, borrow=borrow)
    else:
        column.append(ready.items)
    keep_names(column)


def settle(ready: Ready) -> None:
    """Let the column take what prepared rows decide about it, if they are its first samples."""
    if ready.spec is not ready.column.spec:
        ready.column.settle(ready.spec)


def keep_names(column: Column) -> None:
    """Put class names that samples added into the tensor's info, to be flushed with the rows."""
    names = column.spec.names
    if names is not None and names.changed:
        column.replace_info({**column.info, "class_names": list(names.values)}, names=names)
        names.changed = False


def forget_names(columns: Iterable[Column]) -> None:
    """Take back class names that samples of a refused row added."""
    for column in columns:
        if column.spec.names is not None and column.spec.names.changed:
            column.spec = replace(column.spec, names=ClassNames(column.info.get("class_names", [])))
