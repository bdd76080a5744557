"""Bring a decoded image into the shape on record, and into the caller's buffer."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from zlake.errors import SampleDecompressionError
from zlake.samples.sniff import Header
from zlake.types import Array


def check_record(
    header: Header, shape: tuple[int, ...] | None, dtype: np.dtype[Any] | None, what: str
) -> tuple[int, ...]:
    """Return the shape that the decoded array must get.

    Raises
    ------
    SampleDecompressionError
        If the header contradicts the recorded shape (other than by axes of length 1) or dtype.
    """
    if dtype is not None and not np.can_cast(header.dtype, dtype):
        raise SampleDecompressionError(f"a {what} of dtype {header.dtype} in a tensor of dtype {dtype}")
    if shape is None or shape == header.shape:
        return header.shape
    if [n for n in shape if n != 1] != [n for n in header.shape if n != 1]:
        raise SampleDecompressionError(f"a {what} of shape {header.shape} where {shape} is on record")
    return shape


def deliver(array: Array, shape: tuple[int, ...], dtype: np.dtype[Any] | None, out: Array | None) -> Array:
    """Return the array in its recorded shape and dtype, copied into `out` where given."""
    array = array.reshape(shape)
    if out is None:
        return array if dtype is None or array.dtype == dtype else array.astype(dtype)
    check_out(out, shape)
    np.copyto(out, array)
    return out


def check_out(out: Array, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless the caller's buffer has exactly this shape."""
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, the sample {shape} ({prod(shape):,} elements)")
