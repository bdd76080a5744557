"""Check samples that are plain arrays, one by one or by the hundred thousand.

Nothing here calls a Python function per sample while the samples are regular: types, dtypes, ranks, flags and
lengths are collected with `map` and compared as sets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np

from zlake.errors import SampleError, TensorInvalidSampleShapeError
from zlake.samples.cast import SCALARS, cast, to_array
from zlake.samples.dtypes import CORE
from zlake.samples.prepared import Prepared
from zlake.types import Array, IntArray

_DTYPE, _NDIM, _SHAPE = (attrgetter(name) for name in ("dtype", "ndim", "shape"))
INTEGERS = frozenset((int, *(dtype.type for dtype in CORE if dtype.kind in "iu")))
"""Types of single integers, which take a short way."""
_FLOATS = frozenset((float, np.float16, np.float32, np.float64))
_FLOAT16_MAX = 65504.0
_CONTIGUOUS = attrgetter("flags.c_contiguous")


def prepare_array(sample: Any, dtype: np.dtype[Any], ndim: int, *, channels: bool = False) -> Array:
    """Return one sample as a C-contiguous array of the tensor's dtype and rank, possibly the caller's own.

    Parameters
    ----------
    sample
        As for `zlake.samples.cast.to_array`.
    dtype, ndim
        Of the tensor.
    channels
        Whether a last axis of length 1 may be added or dropped to fit the rank (images).

    Raises
    ------
    TensorDtypeMismatchError, TensorInvalidSampleShapeError, SampleHtypeMismatchError
        If the sample does not fit.
    """
    kind = type(sample)
    if kind is np.ndarray:
        if sample.dtype == dtype and sample.ndim == ndim and sample.flags.c_contiguous:
            array: Array = sample
            return array
    elif ndim == 1 and kind in INTEGERS and dtype.kind in "iu":
        with suppress(OverflowError):  # what does not fit gets its message below
            return np.array((int(sample),), dtype)
    elif ndim == 1 and kind in _FLOATS and dtype.kind == "f" and (dtype.itemsize == 8 or abs(sample) < _FLOAT16_MAX):
        return np.array((float(sample),), dtype)
    array, by_value = to_array(sample)
    return fit_rank(cast(array, dtype, by_value=by_value), ndim, channels=channels)


def fit_rank(array: Array, ndim: int, *, channels: bool = False) -> Array:
    """Return the array if it has the tensor's rank, an empty sample if it is ``(0,)``, else raise."""
    if array.ndim == ndim:
        return array
    if array.shape == (0,):
        return array.reshape((0,) * ndim)
    shape = fit_shape(array.shape, ndim, channels=channels)
    return array.reshape(shape)


def fit_shape(shape: tuple[int, ...], ndim: int, *, channels: bool = False) -> tuple[int, ...]:
    """Return the shape as the tensor stores it.

    Raises
    ------
    TensorInvalidSampleShapeError
        If the rank is another than the tensor's.
    """
    if len(shape) == ndim:
        return shape
    if channels and len(shape) == ndim - 1:
        return (*shape, 1)
    if channels and len(shape) == ndim + 1 and shape[-1] == 1:
        return shape[:-1]
    raise TensorInvalidSampleShapeError(
        f"a sample of shape {shape} has {len(shape)} axes, but the samples of this tensor have {ndim}"
    )


def prepare_arrays(samples: Any, dtype: np.dtype[Any], ndim: int, *, channels: bool = False) -> Prepared:
    """Check many samples at once.

    Parameters
    ----------
    samples
        An array whose first axis counts samples, or a sequence of samples; None stands for an empty one.
    dtype, ndim, channels
        As for `prepare_array`.

    Returns
    -------
    Prepared
        ``stacked`` for an array (the caller's own where its dtype fits) or numbers, else ``arrays`` and ``shapes``.

    Raises
    ------
    TensorDtypeMismatchError, TensorInvalidSampleShapeError, SampleHtypeMismatchError
        If a sample does not fit; the message gives its position.
    """
    if not isinstance(samples, (list, tuple)):
        if not (hasattr(samples, "dtype") or hasattr(samples, "__array__")) or _is_object(samples):
            samples = list(samples)
        else:
            return _from_stack(samples, dtype, ndim, channels)
    if not samples:
        return Prepared(arrays=[], shapes=np.empty((0, ndim), np.int64))
    types = set(map(type, samples))
    if types == {np.ndarray} and _regular(samples, dtype, ndim):
        return Prepared(arrays=list(samples), shapes=shapes_of(samples, ndim))
    if all(issubclass(each, SCALARS) for each in types):
        return _from_stack(samples, dtype, ndim, channels)
    if types <= {list, tuple}:
        stack = _stack_of_numbers(samples)
        if stack is not None and stack.ndim == ndim + 1:
            return Prepared(stacked=_located(lambda: cast(stack, dtype, by_value=True), "one of the samples"))
    arrays = each_sample(lambda sample: _one(sample, dtype, ndim, channels), samples)
    return Prepared(arrays=arrays, shapes=shapes_of(arrays, ndim))


def shapes_of(arrays: Sequence[Array], ndim: int) -> IntArray:
    """Return the shapes of arrays of one rank, ``(n, ndim) int64``."""
    count = len(arrays)
    if ndim == 1:
        return np.array(list(map(len, arrays)), np.int64).reshape(count, 1)  # faster than np.fromiter
    return np.array(list(chain.from_iterable(map(_SHAPE, arrays))), np.int64).reshape(count, ndim)


def each_sample(function: Callable[[Any], Any], samples: Sequence[Any], first: int = 0, count: int = -1) -> list[Any]:
    """Apply a function to every sample; an error says which sample it was, counting from ``first`` of ``count``."""
    done: list[Any] = []
    append = done.append
    try:
        for sample in samples:
            append(function(sample))
    except SampleError as error:
        total = len(samples) if count < 0 else count
        raise type(error)(f"sample {first + len(done)} of {total}: {error}") from error
    return done


def _one(sample: Any, dtype: np.dtype[Any], ndim: int, channels: bool) -> Array:
    if sample is None:
        return np.zeros((0,) * ndim, dtype)
    return prepare_array(sample, dtype, ndim, channels=channels)


def _regular(samples: Sequence[Array], dtype: np.dtype[Any], ndim: int) -> bool:
    if set(map(_DTYPE, samples)) != {dtype} or set(map(_NDIM, samples)) != {ndim}:
        return False
    return set(map(_CONTIGUOUS, samples)) == {True}


def _from_stack(samples: Any, dtype: np.dtype[Any], ndim: int, channels: bool) -> Prepared:
    array, _ = to_array(samples)
    if getattr(samples, "ndim", 1) == 0:
        raise TensorInvalidSampleShapeError("extend needs a sequence of samples, not one number; use append")
    stack = array.reshape(len(array), 1) if array.ndim == 1 else array
    by_value = bool(len(stack)) and stack[0].size == 1
    stack = _located(lambda: cast(stack, dtype, by_value=by_value), "the samples")
    if stack.ndim != ndim + 1:
        shape = _located(lambda: fit_shape(stack.shape[1:], ndim, channels=channels), "the samples")
        stack = stack.reshape(len(stack), *shape)
    return Prepared(stacked=stack)


def _stack_of_numbers(samples: Sequence[Any]) -> Array | None:
    leaf: Any = samples
    while isinstance(leaf, (list, tuple)) and leaf:
        leaf = leaf[0]
    if not isinstance(leaf, SCALARS):
        return None
    try:
        stack = np.asarray(samples)
    except (ValueError, TypeError, OverflowError, RuntimeError):
        return None
    return stack if stack.dtype.kind in "biufc" else None


def _is_object(samples: Any) -> bool:
    kind = getattr(getattr(samples, "dtype", None), "kind", "")
    return kind == "O"


def _located(function: Callable[[], Any], where: str) -> Any:
    try:
        return function()
    except SampleError as error:
        raise type(error)(f"{where}: {error}") from error
