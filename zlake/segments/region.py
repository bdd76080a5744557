"""A part of each sample: one key per axis, each applied on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import numpy as np

from zlake.errors import InvalidKeyTypeError, RowIndexError
from zlake.types import Array, IntArray

Axis = slice | IntArray
"""What is read of one axis: an ascending slice, or ascending indices without repeats."""


@dataclass(frozen=True)
class Box:
    """A region of samples of one shape.

    Attributes
    ----------
    axes
        What is read of each axis.
    after
        How what was read is indexed to become the result: reversed, dropped, or repeated along each axis.
    read_shape, shape
        Shape of what is read of a sample, and of the result.
    direct
        Whether the result is what was read.
    whole
        Whether the result is the sample as it is.
    """

    axes: tuple[Axis, ...]
    after: tuple[int | slice | IntArray, ...]
    read_shape: tuple[int, ...]
    shape: tuple[int, ...]
    direct: bool
    whole: bool

    def read(self, samples: Array) -> Array:
        """Return what is read of samples in memory, ``(..., *sample shape)``: a view unless indices were listed."""
        if self.whole:
            return samples
        lead = samples.ndim - len(self.axes)
        samples = samples[(slice(None),) * lead + tuple(a if isinstance(a, slice) else slice(None) for a in self.axes)]
        for i, axis in enumerate(self.axes):
            if not isinstance(axis, slice):
                samples = samples.take(axis, axis=lead + i)
        return samples

    def finish(self, samples: Array) -> Array:
        """Return the result from what was read."""
        if self.direct:
            return samples
        axis = samples.ndim - len(self.after)
        for key in self.after:
            samples = samples[(slice(None),) * axis + (key, ...)]  # an array even without axes
            axis += not isinstance(key, int)
        return samples


class Region:
    """Keys for the leading axes of samples; later axes are taken whole.

    Parameters
    ----------
    keys
        For each axis an integer (the axis is dropped), a slice, or a list, array or mask of one axis; at most one
        Ellipsis. Several lists select the outer product of their indices.

    Raises
    ------
    InvalidKeyTypeError
        If a key is of another type.
    """

    def __init__(self, keys: Sequence[Any]) -> None:
        self.keys = tuple(_checked(key) for key in keys)
        if sum(isinstance(key, EllipsisType) for key in self.keys) > 1:
            raise InvalidKeyTypeError("a key can hold one Ellipsis (...) only")
        self._boxes: dict[tuple[int, ...], Box] = {}

    def box(self, shape: tuple[int, ...]) -> Box:
        """Return the region of samples of this shape.

        Raises
        ------
        RowIndexError
            If the samples have fewer axes, or an index lies outside.
        """
        found = self._boxes.get(shape)
        if found is None:
            found = self._resolve(shape)
            if len(self._boxes) < 64:
                self._boxes[shape] = found
        return found

    def of(self, sample: Array) -> Array:
        """Return the region of one sample in memory."""
        if not self.keys:
            return sample
        box = self.box(sample.shape)
        return box.finish(box.read(sample))

    def _resolve(self, shape: tuple[int, ...]) -> Box:
        keys: list[Any] = [key for key in self.keys if key is not Ellipsis]
        if len(keys) > len(shape):
            raise RowIndexError(f"a sample of shape {shape} has {len(shape)} axes, and the key indexes {len(keys)}")
        rest = [slice(None)] * (len(shape) - len(keys))
        at = self.keys.index(Ellipsis) if any(key is Ellipsis for key in self.keys) else len(keys)
        keys[at:at] = rest
        axes: list[Axis] = []
        after: list[int | slice | IntArray] = []
        read: list[int] = []
        result: list[int] = []
        for axis, (key, n) in enumerate(zip(keys, shape, strict=True)):
            part, then, count = _axis(key, n, axis, shape)
            axes.append(part)
            after.append(then)
            read.append(len(range(*part.indices(n))) if isinstance(part, slice) else len(part))
            if not isinstance(then, int):
                result.append(count)
        plain = all(isinstance(key, slice) and key.step is None for key in after)
        whole = plain and all(isinstance(a, slice) and a == slice(0, n, 1) for a, n in zip(axes, shape, strict=True))
        return Box(tuple(axes), tuple(after), tuple(read), tuple(result), plain, whole)


def _checked(key: Any) -> Any:
    if isinstance(key, (bool, np.bool_)):
        raise InvalidKeyTypeError(f"{key!r} cannot index an axis of a sample")
    if isinstance(key, (int, np.integer)):
        return int(key)
    if isinstance(key, (slice, EllipsisType)):
        return key
    if isinstance(key, (list, tuple, range, np.ndarray)):
        array = np.asarray(key)
        if array.ndim == 1 and (array.dtype.kind in "iub" or not array.size):
            return array if array.dtype == bool else array.astype(np.int64)
    raise InvalidKeyTypeError(
        f"{key!r} ({type(key).__name__}) cannot index an axis of a sample; use an integer, a slice, a list or a mask"
    )


def _axis(key: Any, n: int, axis: int, shape: tuple[int, ...]) -> tuple[Axis, int | slice | IntArray, int]:
    """Return what to read of an axis of length n, how to index that, and how many entries result."""
    if isinstance(key, int):
        if not -n <= key < n:
            raise RowIndexError(f"index {key} is out of range for axis {axis} of a sample of shape {shape}")
        key %= n
        return slice(key, key + 1, 1), 0, 1
    if isinstance(key, slice):
        wanted = range(*key.indices(n))
        if not wanted:
            return slice(0, 0, 1), slice(None), 0
        if wanted.step > 0:
            return slice(wanted[0], wanted[-1] + 1, wanted.step), slice(None), len(wanted)
        return slice(wanted[-1], wanted[0] + 1, -wanted.step), slice(None, None, -1), len(wanted)
    if key.dtype == bool:
        if len(key) != n:
            raise RowIndexError(f"a mask of length {len(key)} does not fit axis {axis} of a sample of shape {shape}")
        key = np.flatnonzero(key)
    elif len(key) and not (-n <= key.min() and key.max() < n):
        raise RowIndexError(f"indices {key.min()} to {key.max()} leave axis {axis} of a sample of shape {shape}")
    unique, inverse = np.unique(key % n if n else key, return_inverse=True)
    ascending = len(unique) == len(key) and bool((inverse[1:] > inverse[:-1]).all())
    return unique, slice(None) if ascending else inverse, len(key)
