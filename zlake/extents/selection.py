"""Row selections, composed lazily: what ``x[10:][::2][mask]`` names before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType
from typing import Any, overload

import numpy as np

from zlake.errors import InvalidKeyTypeError, RowIndexError
from zlake.extents.map import out_of_range
from zlake.types import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Rows of something with ``total`` rows, in an order and with repeats as chosen.

    Attributes
    ----------
    index
        The selected rows: a range with any step, or ``(n,) int64``; all in ``[0, total)``.
    total
        Number of rows that there are to select from.
    """

    index: range | IntArray
    total: int

    @classmethod
    def all(cls, length: int) -> Selection:
        """Return the selection of all rows ``[0, length)``."""
        return cls(range(length), length)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def is_all(self) -> bool:
        """Whether every row is selected, in order."""
        return isinstance(self.index, range) and self.index == range(self.total)

    def rows(self) -> slice | IntArray:
        """Return the rows: a slice with start, stop and a positive step where possible, else ``(n,) int64``."""
        index = self.index
        if not isinstance(index, range):
            return index
        if index.step > 0:
            return slice(index.start, index.stop, index.step)
        return np.arange(index.start, index.stop, index.step, dtype=np.int64)

    def array(self) -> IntArray:
        """Return the rows as ``(n,) int64``."""
        index = self.index
        return np.arange(index.start, index.stop, index.step, dtype=np.int64) if isinstance(index, range) else index

    @overload
    def __getitem__(self, key: int) -> int: ...

    @overload
    def __getitem__(self, key: slice | list[Any] | EllipsisType) -> Selection: ...

    @overload
    def __getitem__(self, key: Any) -> Selection | int: ...

    def __getitem__(self, key: Any) -> Selection | int:
        """Select among the selected rows.

        Parameters
        ----------
        key
            An integer; a slice with any step; integers in a list, tuple, range or array (negative ones count from the
            end); a boolean mask of this length; or an Ellipsis.

        Returns
        -------
        Selection or int
            The row itself for an integer, else a selection.

        Raises
        ------
        RowIndexError
            If an integer lies outside, or a mask has another length.
        InvalidKeyTypeError
            If the key is of another type.
        """
        if type(key) is int:
            try:
                return int(self.index[key])
            except IndexError:
                raise out_of_range(key, len(self.index)) from None
        if isinstance(key, slice):
            return Selection(self.index[_checked_slice(key)], self.total)
        if key is Ellipsis:
            return self
        if isinstance(key, np.integer) or (isinstance(key, np.ndarray) and key.ndim == 0 and key.dtype.kind in "iu"):
            return self[int(key)]
        return self._take(key)

    def _take(self, key: Any) -> Selection:
        n = len(self.index)
        if isinstance(key, range):
            key = np.arange(key.start, key.stop, key.step, dtype=np.int64)
        wanted = _integers_or_mask(key)
        if wanted.dtype == bool:
            if len(wanted) != n:
                raise RowIndexError(
                    f"A mask of {len(wanted)} values cannot select from {n} rows; give one value a row."
                )
            wanted = wanted.nonzero()[0].astype(np.int64, copy=False)
        elif len(wanted):
            low, high = int(wanted.min()), int(wanted.max())
            if low < -n or high >= n:
                raise out_of_range(low if low < -n else high, n)
            wanted = wanted.astype(np.int64)
            if low < 0:
                wanted[wanted < 0] += n
        else:
            wanted = wanted.astype(np.int64)
        index = self.index
        if isinstance(index, range):
            if index.start or index.step != 1:
                wanted = wanted * index.step + index.start
            return Selection(wanted, self.total)
        return Selection(index[wanted], self.total)


def split_key(key: Any) -> tuple[Any, tuple[Any, ...]]:
    """Split an indexing key into the part for rows and the parts for the axes inside a sample.

    ``x[0, 2:4, ...]`` gives ``(0, (slice(2, 4), ...))``; an Ellipsis in front stands for all rows and stays in front of
    the rest, so that ``x[..., 0]`` indexes the last axis of every sample. A tuple is one key per axis, as in NumPy.
    """
    if not isinstance(key, tuple):
        return key, ()
    if not key:
        return slice(None), ()
    if key[0] is Ellipsis:
        return slice(None), key if len(key) > 1 else ()
    return key[0], key[1:]


def _checked_slice(key: slice) -> slice:
    for part in (key.start, key.stop, key.step):
        if part is not None and (isinstance(part, bool) or not isinstance(part, int | np.integer)):
            raise InvalidKeyTypeError(f"{key!r} cannot select rows: {part!r} is not an integer.")
    if key.step == 0:
        raise RowIndexError("A slice with step 0 selects nothing; use a step other than 0.")
    return key


def _integers_or_mask(key: Any) -> np.ndarray[Any, Any]:
    if isinstance(key, np.ndarray):
        wanted = key
    elif isinstance(key, list | tuple):
        try:
            wanted = np.asarray(key) if key else np.zeros(0, np.int64)
        except ValueError:
            raise InvalidKeyTypeError(f"{_short(key)} cannot select rows; use a flat list of integers.") from None
        mixed = wanted.dtype.kind in "iu" and not {bool, np.bool_}.isdisjoint(map(type, key))
        if mixed:
            raise InvalidKeyTypeError("A list of rows mixes booleans and integers; use one or the other.")
    else:
        raise InvalidKeyTypeError(
            f"{_short(key)} ({type(key).__name__}) cannot select rows; use an integer, a slice, a list of integers, "
            "a boolean mask or an Ellipsis."
        )
    if wanted.ndim != 1 or wanted.dtype.kind not in "iub":
        raise InvalidKeyTypeError(
            f"An array of shape {wanted.shape} and dtype {wanted.dtype} cannot select rows; "
            "use one dimension of integers or booleans."
        )
    return wanted


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
