"""Turn what a user gives into an array of the tensor's dtype, losing nothing.

The rules: arrays cast only where NumPy calls it safe (`numpy.can_cast`), whatever they hold. Python scalars, lists of
them, NumPy scalars and arrays of one element are judged by value. Arrays without elements cast freely.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zlake import limits
from zlake.errors import SampleHtypeMismatchError, TensorDtypeMismatchError, TensorInvalidSampleShapeError
from zlake.samples.dtypes import CORE, native
from zlake.types import Array

SCALARS = (bool, int, float, complex, np.bool_, np.number)
"""Types whose values, not dtypes, decide whether they fit."""


def to_array(sample: Any) -> tuple[Array, bool]:
    """Return a sample as an array of a dtype that zlake stores, and whether it is judged by value.

    Parameters
    ----------
    sample
        Array, number, nested list of numbers, or anything with ``__array__`` (a torch tensor, a Pillow image).

    Returns
    -------
    array
        At least one-dimensional, native byte order; the caller's own memory where possible.
    by_value
        Whether the values, not the dtype, decide about casting.

    Raises
    ------
    SampleHtypeMismatchError
        If it is no array: text, bytes, a dictionary, an object array, ...
    TensorInvalidSampleShapeError
        If it is a list of rows of unequal lengths, or has too many axes.
    """
    if isinstance(sample, np.ma.MaskedArray):
        raise SampleHtypeMismatchError(
            "a masked array would lose its mask: give x.filled(value), or the mask as a tensor"
        )
    if isinstance(sample, np.ndarray):
        array, by_value = np.asarray(sample), sample.size == 1
    elif isinstance(sample, SCALARS):
        array, by_value = np.asarray(sample), True
    elif isinstance(sample, (list, tuple, range)):
        array, by_value = _from_list(sample)
    elif isinstance(sample, (str, bytes, bytearray, memoryview, dict, set, frozenset)) or sample is None:
        raise _foreign(sample)
    elif hasattr(sample, "__array__") or hasattr(sample, "__array_interface__"):
        array = _from_array_like(sample)
        by_value = array.size == 1
    else:
        raise _foreign(sample)
    if array.dtype not in CORE or not array.dtype.isnative:
        array = array.astype(_storable(array, sample), copy=False)
    if array.ndim == 0:
        return array.reshape(1), by_value
    if array.ndim > limits.MAX_NDIM:
        raise TensorInvalidSampleShapeError(f"a sample has {array.ndim} axes; at most {limits.MAX_NDIM} can be stored")
    return array, by_value


def cast(array: Array, dtype: np.dtype[Any], *, by_value: bool) -> Array:
    """Return the array in the tensor's dtype, C-contiguous; the same object where nothing changes.

    Raises
    ------
    TensorDtypeMismatchError
        If the cast is not safe. It names both dtypes (or the value) and the remedy.
    """
    if array.dtype == dtype:
        return np.ascontiguousarray(array)
    if array.size == 0:
        return np.empty(array.shape, dtype)
    if np.can_cast(array.dtype, dtype):
        return array.astype(dtype, order="C")
    if by_value:
        return _cast_values(array, dtype)
    raise TensorDtypeMismatchError(
        f"a sample of dtype {array.dtype} does not cast safely to the tensor's dtype {dtype}; "
        f"convert it first, x.astype({str(dtype)!r}), or give the tensor dtype={str(array.dtype)!r}"
    )


def _from_list(sample: Any) -> tuple[Array, bool]:
    leaf = sample
    while isinstance(leaf, (list, tuple)) and leaf:
        leaf = leaf[0]
    try:
        array = np.asarray(sample)
    except (ValueError, OverflowError) as error:
        raise TensorInvalidSampleShapeError(
            "a nested list must hold rows of equal lengths to be one sample; "
            "give a list of arrays to extend() for samples of different shapes"
        ) from error
    except (TypeError, RuntimeError) as error:
        raise SampleHtypeMismatchError(f"a list of {type(leaf).__name__} does not make an array: {error}") from error
    return array, isinstance(leaf, SCALARS) or array.size == 1


def _from_array_like(sample: Any) -> Array:
    try:
        return np.asarray(sample)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise SampleHtypeMismatchError(
            f"a sample of type {type(sample).__name__} does not turn into an array: {error}"
        ) from error


def _storable(array: Array, sample: Any) -> np.dtype[Any]:
    if array.dtype.kind == "O" and isinstance(sample, (int, list, tuple)) and array.size:
        first = array.flat[0]
        if isinstance(first, int):
            raise TensorDtypeMismatchError(f"the integer {first} does not fit 64 bits")
    return native(array.dtype)


def _foreign(sample: Any) -> SampleHtypeMismatchError:
    if sample is None:
        text = "None inside a sample; None stands for a whole empty sample only"
    elif isinstance(sample, str):
        text = f"text ({sample[:40]!r}) in a tensor of numbers; use htype text, or zlake.read(path) for a file"
    elif isinstance(sample, (bytes, bytearray, memoryview)):
        text = "bytes are no array: use zlake.read(data) for an encoded file, np.frombuffer(data, dtype) for raw values"
    elif isinstance(sample, dict):
        text = "a dictionary in a tensor of numbers; use htype json, or one tensor per key"
    else:
        text = f"a sample of type {type(sample).__name__}; give an array, a number or a list of numbers"
    return SampleHtypeMismatchError(text)


def _cast_values(array: Array, dtype: np.dtype[Any]) -> Array:
    source, target = array.dtype.kind, dtype.kind
    if source in "iu" and target in "iu":
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        for bound in (int(array.min()), int(array.max())):
            if not low <= bound <= high:
                raise TensorDtypeMismatchError(
                    f"the value {bound} does not fit the tensor's dtype {dtype} ({low} to {high})"
                )
        return array.astype(dtype, order="C")
    if source in "iu" and target in "fc":
        return _integers_to_float(array, dtype)
    if source in "fc" and target in "fc" and not (source == "c" and target == "f"):
        with np.errstate(over="ignore", invalid="ignore"):
            result = array.astype(dtype, order="C")
        if bool(np.any(np.isinf(result) & np.isfinite(array))):
            value = array[np.isinf(result) & np.isfinite(array)].flat[0]
            raise TensorDtypeMismatchError(f"the value {value} is too large for the tensor's dtype {dtype}")
        return result
    raise TensorDtypeMismatchError(
        f"the value {array.flat[0]} ({array.dtype}) does not fit the tensor's dtype {dtype}; "
        f"convert it first, x.astype({str(dtype)!r}), or give the tensor dtype={str(array.dtype)!r}"
    )


def _integers_to_float(array: Array, dtype: np.dtype[Any]) -> Array:
    exact = 2 ** (np.finfo(dtype).nmant + 1)
    with np.errstate(over="ignore"):
        result = array.astype(dtype, order="C")
    outside = (array > exact) | (array < -exact) if array.dtype.kind == "i" else array > exact
    for value, stored in zip(array[outside].tolist(), result[outside].real.tolist(), strict=True):
        if not np.isfinite(stored) or int(stored) != value:
            raise TensorDtypeMismatchError(
                f"the value {value} cannot be kept exactly in the tensor's dtype {dtype}; give a float or a wider dtype"
            )
    return result
