"""The user's transform, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any

from zlake.errors import TransformFailedError
from zlake.loader.batch import Batch
from zlake.loader.options import Options
from zlake.types import Array


class RowTransform:
    """Calls the user's function, or one function for each tensor, on threads of its own.

    Parameters
    ----------
    options
        The functions, and the number of threads.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._threads = 1 if options.transform is None else options.threads
        self._pool = ThreadPoolExecutor(options.threads, thread_name_prefix="zlake-loader-rows")

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def rows(self, values: Mapping[str, Array | list[Any]], index: list[int]) -> list[Any]:
        """Return the transformed rows of a batch, in order.

        Raises
        ------
        TransformFailedError
            If the function raised; the first such row is named.
        """
        count = len(index)
        if self._threads == 1 or count == 1:
            return self._piece(values, index, 0, count)
        size = -(-count // self._threads)
        pieces = self._pool.map(partial(self._piece, values, index, size=size), range(0, count, size))
        return list(chain.from_iterable(pieces))

    def _piece(self, values: Mapping[str, Array | list[Any]], index: list[int], start: int, size: int) -> list[Any]:
        return [
            self._one(Batch((name, each[i]) for name, each in values.items()), index[i])
            for i in range(start, min(start + size, len(index)))
        ]

    def _one(self, row: Any, number: int) -> Any:
        transform = self._options.transform
        try:
            if callable(transform):
                row = transform(row, **self._options.transform_kwargs)
            elif transform is not None:
                for name, function in transform.items():
                    if function is not None:
                        row[name] = function(row[name])
        except Exception as error:
            raise TransformFailedError(f"the transform failed at row {number}: {error!r}") from error
        if self._options.return_index and isinstance(row, dict):
            row["index"] = number
        return row
