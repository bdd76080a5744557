"""Appending: rows across tensors, samples to one tensor. Everything is checked before anything is buffered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from zlake.errors import SampleAppendError, SampleExtendError, TensorDoesNotExistError, ZlakeError
from zlake.samples import TensorSpec
from zlake.session.column import Column
from zlake.session.prepare import UNREADABLE, Ready, buffer, forget_names, prepare_row, prepare_rows
from zlake.session.session import Session, alone

_PROGRESS_ROWS = 1024
_REFUSED = (ZlakeError, ValueError, TypeError, OverflowError)


@alone
def append_row(
    session: Session, row: Mapping[str, Any], *, skip_ok: bool = False, append_empty: bool = False, group: str = ""
) -> None:
    """Append one row: one sample to each tensor, or none to any.

    Parameters
    ----------
    session
        An open session.
    row
        Tensor name (below ``group``) to sample.
    skip_ok
        Leave out tensors that ``row`` does not name, or names that are no tensor.
    append_empty
        Append an empty sample to tensors that ``row`` does not name.
    group
        Prefix of the names, with its ``/``.

    Raises
    ------
    SampleAppendError
        If a sample does not fit, tensors are left out or have different lengths; no tensor was changed.
    TensorDoesNotExistError
        If a name is no tensor.
    """
    # inside a with block the row after a complete one is complete if it has as many names and all are known
    aligned = session.aligned
    session.begin()
    columns = session.columns
    if group:
        row = {group + name: sample for name, sample in row.items()}
    whole = len(row) == len(columns) and not (skip_ok or append_empty)
    if not (aligned and whole):
        row = _complete(session, row, group, skip_ok, append_empty)
    ready = []
    try:
        for name, sample in row.items():
            ready.append(prepare_row(columns.get(name) or session.column(name), sample))
    except (TensorDoesNotExistError, *UNREADABLE):
        forget_names(columns.values())
        raise
    except _REFUSED as error:
        forget_names(columns.values())
        raise SampleAppendError(f"cannot append to tensor {name!r}: {error}; no tensor was changed") from error
    for one in ready:
        buffer(one)
    session.aligned = whole
    session.written()


@alone
def extend_rows(
    session: Session,
    samples: Mapping[str, Any],
    *,
    skip_ok: bool = False,
    append_empty: bool = False,
    ignore_errors: bool = False,
    progressbar: bool = False,
    group: str = "",
) -> None:
    """Append many rows, given as one sequence of samples for each tensor: all of them, or none.

    Parameters
    ----------
    session
        An open session.
    samples
        Tensor name to a sequence of samples (an array counts as the sequence of its first axis). All have one length.
    skip_ok, append_empty, group
        As in `append_row`.
    ignore_errors
        Leave out rows that do not fit instead of raising.
    progressbar
        Show progress.

    Raises
    ------
    SampleExtendError
        If a sample does not fit; the cause is chained and no tensor was changed.
    """
    session.begin()
    given = {group + name: _sequence(values) for name, values in samples.items()}
    lengths = {name: len(values) for name, values in given.items()}
    if len(set(lengths.values())) > 1:
        raise SampleExtendError(f"the sequences have different lengths {lengths}; every tensor needs as many samples")
    count = next(iter(lengths.values()), 0)
    completed = _complete(session, given, group, skip_ok, append_empty)
    given = {name: [None] * count if values is None else values for name, values in completed.items()}
    _extend(session, given, count, ignore_errors, progressbar)


@alone
def append_sample(column: Column, sample: Any) -> None:
    """Append one sample to one tensor.

    Raises
    ------
    SampleAppendError
        If the sample does not fit; the tensor is as it was.
    """
    column.session.begin(column)
    try:
        ready = prepare_row(column, sample)
    except UNREADABLE:
        forget_names([column])
        raise
    except _REFUSED as error:
        forget_names([column])
        raise SampleAppendError(f"cannot append to tensor {column.name!r}: {error}; it is as it was") from error
    buffer(ready)
    column.session.written()


@alone
def extend_samples(
    column: Column, samples: Iterable[Any], *, ignore_errors: bool = False, progressbar: bool = False
) -> None:
    """Append many samples to one tensor: all of them, or none.

    Raises
    ------
    SampleExtendError
        If a sample does not fit; the tensor is as it was.
    """
    column.session.begin(column)
    given = _sequence(samples)
    _extend(column.session, {column.name: given}, len(given), ignore_errors, progressbar)


def _extend(session: Session, given: Mapping[str, Any], count: int, ignore_errors: bool, progressbar: bool) -> None:
    if not count:
        return
    if progressbar or ignore_errors:
        with tqdm(total=count, unit="rows", disable=not progressbar) as bar:
            if ignore_errors:
                _buffer_what_fits(session, given, count, bar)
            else:
                _buffer_parts(session, _prepare_parts(session, given, count, bar))
    else:
        _buffer_parts(session, [_prepare_columns(session, given)])
    session.written()


def _buffer_parts(session: Session, parts: list[list[Ready]]) -> None:
    """Buffer what was prepared: only then, so that nothing is flushed before everything was found to fit.

    Outside a with block the flush comes before the caller gets the arrays back.
    """
    for part in parts:
        for ready in part:
            buffer(ready, borrow=session.depth == 0)


def _prepare_columns(
    session: Session, given: Mapping[str, Any], specs: Mapping[str, TensorSpec] | None = None
) -> list[Ready]:
    """Check and convert the samples of several tensors, changing none of them."""
    ready = []
    for name, values in given.items():
        try:
            ready.append(prepare_rows(session.columns[name], values, (specs or {}).get(name)))
        except UNREADABLE:
            forget_names(session.columns.values())
            raise
        except _REFUSED as error:
            forget_names(session.columns.values())
            raise SampleExtendError(f"cannot append to tensor {name!r}: {error}; no tensor was changed") from error
    return ready


def _prepare_parts(session: Session, given: Mapping[str, Any], count: int, bar: tqdm[Any]) -> list[list[Ready]]:
    """Check and convert samples step by step, showing progress; what the first step decides holds for the others."""
    parts: list[list[Ready]] = []
    specs: dict[str, TensorSpec] = {}
    for start in range(0, count, _PROGRESS_ROWS):
        part = {name: values[start : start + _PROGRESS_ROWS] for name, values in given.items()}
        parts.append(_prepare_columns(session, part, specs))
        specs = {ready.column.name: ready.spec for ready in parts[-1]}
        bar.update(min(_PROGRESS_ROWS, count - start))
    return parts


def _buffer_what_fits(session: Session, given: Mapping[str, Any], count: int, bar: tqdm[Any]) -> None:
    """Buffer row by row, leaving out the rows that do not fit."""
    for row in range(count):
        try:
            for ready in _prepare_columns(session, {name: values[row : row + 1] for name, values in given.items()}):
                buffer(ready)
        except SampleExtendError:
            pass
        bar.update()


def _complete(
    session: Session, row: Mapping[str, Any], group: str, skip_ok: bool, append_empty: bool
) -> Mapping[str, Any]:
    """Check the names of a row against the tensors, and drop or fill in what the flags allow."""
    unknown = [name for name in row if name not in session.columns]
    if unknown and not skip_ok:
        session.column(unknown[0])
    expected = [n for n, c in session.columns.items() if n.startswith(group) and not c.state.options.get("hidden")]
    missing = [name for name in expected if name not in row]
    if missing and not (skip_ok or append_empty):
        raise SampleAppendError(
            f"the row has no sample for {missing}; give one, or pass skip_ok=True to leave these tensors as they are, "
            "or append_empty=True to append empty samples"
        )
    if append_empty:
        row = {**row, **dict.fromkeys(missing)}
    elif unknown or (missing and skip_ok):
        row = {name: sample for name, sample in row.items() if name in session.columns}
    if not row:
        raise SampleAppendError("the row is empty: name at least one tensor of the dataset")
    lengths = {name: len(session.columns[name]) for name in expected}
    even = len(set(lengths.values())) <= 1
    if not skip_ok and not even:
        raise SampleAppendError(
            f"the tensors have different lengths {lengths}, so there is no common row to append; "
            "append to each tensor, or pass skip_ok=True"
        )
    return row


def _sequence(samples: Any) -> Any:
    """Return the samples as something with a length: arrays and sequences as they are, other iterables as a list."""
    if isinstance(samples, (str, bytes, Mapping)):
        raise SampleExtendError(f"extend takes a sequence of samples, not one {type(samples).__name__}; use append")
    if isinstance(samples, (list, tuple, np.ndarray)):
        return samples
    if hasattr(samples, "__array__") and hasattr(samples, "shape"):
        return np.asarray(samples)
    try:
        return list(samples)
    except TypeError:
        raise SampleExtendError(f"extend takes a sequence of samples, not {type(samples).__name__}") from None
