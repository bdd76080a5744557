"""Keys inside a sample: which of them storage can serve, and how the others apply to arrays in memory."""

from __future__ import annotations

from types import EllipsisType
from typing import Any

import numpy as np

from zlake.errors import InvalidKeyTypeError, RowIndexError


def is_basic(key: tuple[Any, ...]) -> bool:
    """Whether a key consists of integers, slices and at most one Ellipsis, so that a region read serves it."""
    return all(isinstance(part, (int, np.integer, slice, EllipsisType)) for part in key)


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
