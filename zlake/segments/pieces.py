"""Values that lie in many pieces, read as if they were one array: nothing is concatenated before it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from zlake.errors import InvalidBlockError
from zlake.types import Array, IntArray


class Pieces:
    """The concatenation of arrays (or bytes) along axis 0.

    Parameters
    ----------
    values
        Arrays ``(n_i, *shape[1:])`` of one dtype; or bytes and one-dimensional uint8 arrays, mixed as they come.
    lengths
        ``(len(values),) int64``: the length of each along axis 0. Where one is wrong, no copy that it would spoil
        succeeds.
    shape
        Shape of the concatenation.
    has_bytes
        Whether there are bytes among the values.
    """

    def __init__(
        self, values: Sequence[Array | bytes], lengths: IntArray, shape: tuple[int, ...], has_bytes: bool = False
    ) -> None:
        self.shape = shape
        self._values = values
        self._ends = None if len(values) == 1 else np.cumsum(lengths)
        self._has_bytes = has_bytes

    @classmethod
    def of(cls, array: Array) -> Pieces:
        """Return one array as pieces."""
        return cls((array,), np.array([len(array)]), array.shape)

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
        if len(parts) == 1:
            return np.ascontiguousarray(parts[0])
        out = np.empty(size, parts[0].dtype)
        self._concatenate(parts, out)
        return out

    def copy_to(self, out: Array, start: tuple[int, ...], size: tuple[int, ...]) -> None:
        """Copy the elements of a box to ``out``, which has the box's size; see `region`."""
        parts = self._box(start, size)
        if len(parts) == 1:
            np.copyto(out, parts[0], casting="no")
        else:
            self._concatenate(parts, out)

    def _concatenate(self, parts: list[Array], out: Array) -> None:
        try:
            np.concatenate(parts, out=out, casting="no")
        except (ValueError, TypeError) as error:
            raise InvalidBlockError(
                f"pieces of values do not have the length, rank or dtype expected ({error})"
            ) from error

    def _box(self, start: tuple[int, ...], size: tuple[int, ...]) -> list[Array]:
        parts = self._along_axis_0(start[0], start[0] + size[0])
        if size[1:] != self.shape[1:]:
            box = (slice(None), *(slice(a, a + n) for a, n in zip(start[1:], size[1:], strict=True)))
            parts = [part[box] for part in parts]
        if len(parts) == 1 and parts[0].shape != size:  # a length was wrong; NumPy might broadcast what is there
            raise InvalidBlockError(f"a piece of values gives an array of shape {parts[0].shape}, not {size}")
        return parts

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
        if self._has_bytes:  # joining costs a tenth of making an array of each
            return [np.frombuffer(b"".join(cast("list[bytes]", parts)), np.uint8)]
        return cast("list[Array]", parts)

    def _array(self, value: Array | bytes) -> Array:
        return np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value
