"""Values that lie in many pieces, read as if they were one array: nothing is concatenated before it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from zlake.types import Array


class Pieces:
    """The concatenation of arrays (or bytes) along axis 0.

    Parameters
    ----------
    values
        Arrays ``(n_i, *shape)`` of one dtype; or bytes and one-dimensional uint8 arrays, mixed as they come.
    lengths
        ``(len(values),) int64``: the length of each along axis 0.
    dtype
        Dtype of the elements.
    shape
        Shape of the concatenation.
    """

    def __init__(
        self,
        values: Sequence[Array | bytes],
        lengths: Sequence[int] | Array,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
    ) -> None:
        self.shape = shape
        self._dtype = dtype
        self._values = values
        self._ends = None if len(values) == 1 else np.cumsum(lengths, dtype=np.int64)
        self._joined = any(isinstance(value, bytes) for value in values)

    @classmethod
    def of(cls, array: Array) -> Pieces:
        """Return one array as pieces."""
        return cls((array,), (len(array),), array.dtype, array.shape)

    def region(self, start: tuple[int, ...], size: tuple[int, ...]) -> Array:
        """Return the elements of a box as a C-contiguous array, without copying where it is one already.

        Parameters
        ----------
        start
            First index along each axis.
        size
            Length along each axis, at least 1; the box lies inside ``shape``.
        """
        parts = self._box(start, size)
        return np.ascontiguousarray(parts[0]) if len(parts) == 1 else np.concatenate(parts)

    def copy_to(self, out: Array, start: tuple[int, ...], size: tuple[int, ...]) -> None:
        """Copy the elements of a box to ``out``, which has the box's size; see `region`."""
        parts = self._box(start, size)
        if len(parts) == 1:
            np.copyto(out, parts[0], casting="no")
        else:
            np.concatenate(parts, out=out, casting="no")

    def _box(self, start: tuple[int, ...], size: tuple[int, ...]) -> list[Array]:
        parts = self._along_axis_0(start[0], start[0] + size[0])
        if size[1:] == self.shape[1:]:
            return parts
        box = (slice(None), *(slice(a, a + n) for a, n in zip(start[1:], size[1:], strict=True)))
        return [part[box] for part in parts]

    def _along_axis_0(self, start: int, stop: int) -> list[Array]:
        if self._ends is None:
            return [self._array(self._values[0])[start:stop]]
        first = int(self._ends.searchsorted(start, "right"))
        last = int(self._ends.searchsorted(stop, "left"))
        begin = int(self._ends[first - 1]) if first else 0
        if first == last:
            return [self._array(self._values[first])[start - begin : stop - begin]]
        parts = list(self._values[first : last + 1])
        parts[0] = parts[0][start - begin :]
        parts[-1] = parts[-1][: stop - int(self._ends[last - 1])]
        if self._joined:  # joining costs a tenth of making an array of each
            return [np.frombuffer(b"".join(cast("list[bytes]", parts)), np.uint8)]
        return cast("list[Array]", parts)

    def _array(self, value: Array | bytes) -> Array:
        return np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value
