"""Keys inside a sample: which of them storage can serve, and how they apply to arrays in memory or change them."""

from __future__ import annotations

from collections.abc import Callable
from types import EllipsisType
from typing import Any

import numpy as np

from zlake.errors import InvalidKeyTypeError, RowIndexError
from zlake.types import Array


def is_basic(key: tuple[Any, ...]) -> bool:
    """Whether a key consists of integers, slices and at most one Ellipsis, so that a region read serves it."""
    return all(isinstance(part, (int, np.integer, slice, EllipsisType)) for part in key)


def is_one(part: Any) -> bool:
    """Whether a part of a key names one place, so that its axis is gone from the result."""
    return isinstance(part, (int, np.integer))


def items(row: Any, part: Any) -> Any:
    """Return the items of a row of a sequence tensor that a part of a key names.

    Raises
    ------
    RowIndexError
        If there is no such item.
    """
    if part is Ellipsis:
        return row
    try:
        if isinstance(part, np.ndarray):
            return [row[place] for place in np.arange(len(row))[part].tolist()]
        return row[part]
    except IndexError as error:
        raise RowIndexError(f"{error}: there is no item {part!r} in a row of {len(row)}") from error


def check(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the key with lists as arrays.

    Raises
    ------
    InvalidKeyTypeError
        If a part can index no axis.
    """
    checked: list[Any] = []
    for part in key:
        if isinstance(part, (list, tuple, np.ndarray)):
            array = np.asarray(part)
            if array.dtype.kind not in "iub" and array.size:
                raise InvalidKeyTypeError(f"{part!r} cannot index an axis of a sample; use integers or a mask")
            checked.append(array if array.size else array.astype(np.int64))
        elif isinstance(part, (int, np.integer, slice, EllipsisType)):
            checked.append(part)
        else:
            raise InvalidKeyTypeError(
                f"{part!r} ({type(part).__name__}) cannot index an axis of a sample; "
                "use an integer, a slice, a list, a mask or an Ellipsis"
            )
    return tuple(checked)


def apply(sample: Any, key: tuple[Any, ...]) -> Any:
    """Index a sample with one key per axis; several lists select the outer product of their indices.

    Raises
    ------
    RowIndexError
        If an index lies outside the sample.
    """
    try:
        if is_basic(key):
            return sample[key] if len(key) > 1 or not isinstance(sample, list) else sample[key[0]]
        rest = np.ndim(sample) - sum(part is not Ellipsis for part in key)
        axes: list[Any] = []
        for part in key:
            axes.extend([slice(None)] * rest if part is Ellipsis else [part])
        axis = 0
        for part in axes:
            sample = sample[(slice(None),) * axis + (part,)]
            axis += not isinstance(part, (int, np.integer))
    except IndexError as error:
        raise RowIndexError(f"{error} (sample of shape {np.shape(sample)}, key {key})") from error
    return sample


def assign(sample: Array, key: tuple[Any, ...], change: Callable[[Array], Any]) -> None:
    """Set the part of a sample that a key names to ``change(part)``; several lists name the outer product.

    Raises
    ------
    RowIndexError
        If an index lies outside the sample.
    """
    try:
        if not is_basic(key):
            key = _outer(sample, key)
        elif Ellipsis not in key:
            key = (*key, Ellipsis)  # a single element is then an array too, with the dtype of the sample
        sample[key] = change(sample[key])
    except IndexError as error:
        raise RowIndexError(f"{error} (sample of shape {sample.shape})") from error


def _outer(sample: Array, key: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the key as one that NumPy takes, in which every list has an axis of its own in the result."""
    rest = sample.ndim - sum(part is not Ellipsis for part in key)
    axes: list[Any] = []
    for part in key:
        axes.extend([slice(None)] * rest if part is Ellipsis else [part])
    axes.extend([slice(None)] * (sample.ndim - len(axes)))
    if len(axes) > sample.ndim:
        raise IndexError(f"too many indices: {len(axes)} for {sample.ndim} axes")
    chosen = [np.arange(n)[part] for part, n in zip(axes, sample.shape, strict=True)]
    kept = iter(np.ix_(*(rows for rows in chosen if rows.ndim)))
    return tuple(next(kept) if rows.ndim else rows for rows in chosen)


def same(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    """Whether two checked keys are the same."""
    return len(a) == len(b) and all(
        type(x) is type(y) and (np.array_equal(x, y) if isinstance(x, np.ndarray) else bool(x == y))
        for x, y in zip(a, b, strict=True)
    )
