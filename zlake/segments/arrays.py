"""Values of a tensor through TensorStore: the only module that opens its arrays."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorstore as ts

from zlake.errors import (
    CorruptObjectError,
    ObjectNotFoundError,
    StoragePermissionError,
    StorageUnavailableError,
    ZlakeError,
)
from zlake.segments.layout import ArrayLayout
from zlake.segments.metadata import array_metadata
from zlake.segments.pending import Done, Joined
from zlake.segments.region import Axis
from zlake.storage import fork
from zlake.storage.failure import translate
from zlake.storage.store import Request, Store
from zlake.types import Array, IntArray, Pending

Bytes = npt.NDArray[np.uint8]
Begin = Callable[[ts.TensorStore, ts.Batch | None], Any]

_MANY = 1024
_DAMAGED = ("DATA_LOSS", "FAILED_PRECONDITION", "OUT_OF_RANGE", "INVALID_ARGUMENT")


class StoredValues:
    """The values of one tensor in one segment; opening them costs no request.

    Parameters
    ----------
    store, prefix
        Where the tensor lies.
    layout
        The array of its values.
    """

    def __init__(self, store: Store, prefix: str, layout: ArrayLayout) -> None:
        self.store = store
        self.layout = layout
        self._tensor = prefix
        self.prefix = f"{prefix}{layout.name}/"
        self._array: ts.TensorStore | None = None
        self._lenient: ts.TensorStore | None = None

    @property
    def array(self) -> ts.TensorStore:
        """The open array; a read of what is missing fails."""
        if self._array is None:
            self._array = self._open(fill_missing=False)
        return self._array

    @property
    def lenient(self) -> ts.TensorStore:
        """The open array; missing chunks of objects that are there hold zeros, as Zarr has it.

        Raises
        ------
        ObjectNotFoundError
            If a whole object is missing: zlake writes them all, so it was lost.
        """
        if self._lenient is None:
            positions = self.layout.positions()
            while keys := [self._tensor + self.layout.object_key(position) for position in islice(positions, _MANY)]:
                for key, found in zip(keys, self.store.read_many([Request(key, 0, 1) for key in keys]), strict=True):
                    if found is None:
                        raise ObjectNotFoundError(f"{key}: the object is missing, though the dataset refers to it")
            self._lenient = self._open(fill_missing=True)
        return self._lenient

    def _open(self, *, fill_missing: bool) -> ts.TensorStore:
        fork.check()
        kvstore, context = self.store.tensorstore_spec(self.prefix)
        spec = {
            "driver": "zarr3",
            "kvstore": kvstore,
            "metadata": array_metadata(self.layout),
            "recheck_cached_data": False,
            "recheck_cached_metadata": False,
            "fill_missing_data_reads": fill_missing,
        }
        try:
            return ts.open(spec, open=True, assume_metadata=True, read=True, context=context).result()
        except Exception as error:
            raise self.failure(error) from error

    def failure(self, error: Exception) -> ZlakeError:
        """Return what went wrong, in zlake's words."""
        if isinstance(error, ZlakeError):
            return error
        found = translate(error, action="read", url=self.store.url, key=self.prefix)
        if isinstance(found, (StoragePermissionError, StorageUnavailableError)):
            return found
        if str(error).startswith("NOT_FOUND"):
            return ObjectNotFoundError(
                f"{self.prefix}: an object is missing, though the dataset refers to it ({error})"
            )
        if str(error).startswith(_DAMAGED):
            return CorruptObjectError(f"{self.prefix}: an object is damaged or cut off ({error})")
        return found

    def read(self, begin: Begin, batch: ts.Batch | None = None) -> Read:
        """Begin a read; ``begin`` takes the array and a batch, and returns TensorStore's future."""
        return Read(self, begin, batch)

    def rows(self, rows: slice | IntArray, axes: tuple[Axis, ...]) -> Read:
        """Begin to read rows into a fresh array; of the other axes what ``axes`` say, or all."""
        return self.read(lambda array, batch: _select(array, rows, axes).read(batch=batch))

    def fill(self, rows: slice, axes: tuple[Axis, ...], out: Array) -> Read:
        """Begin to read rows into ``out``, C-contiguous and aligned."""
        target = ts.array(out)

        def begin(array: ts.TensorStore, batch: ts.Batch | None) -> Any:
            return target.write(_select(array, rows, axes)[ts.d[:].translate_to[0]], batch=batch)

        return self.read(begin)

    def one(self, rows: int | slice) -> Array:
        """Read one row, or a range of elements, and wait for it."""
        found: Array = self.read(lambda array, batch: array[rows].read(batch=batch)).result()
        return found

    def concat(self, starts: IntArray, stops: IntArray, out: Array) -> Pending[None]:
        """Begin to read the ranges of elements ``[starts[i], stops[i])``, one after the other, into ``out``.

        Each chunk is read once, however many ranges lie in it: of neighbouring ranges everything between the first
        and the last element is read.
        """
        some = np.flatnonzero(stops > starts)
        if not len(some):
            return Done(None)
        if bool((starts[some[1:]] == stops[some[:-1]]).all()):
            return self.fill(slice(int(starts[some[0]]), int(stops[some[-1]])), (), out)
        order = some[np.argsort(starts[some], kind="stable")]
        low, high = starts[order], stops[order]
        chunk = self.layout.chunk[0]
        reach = np.maximum.accumulate((high - 1) // chunk)
        first = np.flatnonzero(np.concatenate(([True], low[1:] // chunk > reach[:-1])))
        begins, ends = low[first], np.maximum.reduceat(high, first)
        batch = ts.Batch()
        reads = [
            self.read(partial(_read_range, first=a, stop=b), batch)
            for a, b in zip(begins.tolist(), ends.tolist(), strict=True)
        ]
        batch.submit()
        group = np.empty(len(starts), np.int64)
        group[order] = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(order))))

        def finish() -> None:
            itemsize = out.dtype.itemsize
            target = out.view(np.uint8).data
            views = [np.ascontiguousarray(read.result()).view(np.uint8).data for read in reads]
            done = (np.cumsum(stops - starts) * itemsize)[some].tolist()
            length = ((stops - starts)[some] * itemsize).tolist()
            source = ((starts[some] - begins[group[some]]) * itemsize).tolist()
            for which, start, n, end in zip(group[some].tolist(), source, length, done, strict=True):
                target[end - n : end] = views[which][start : start + n]

        return Joined(reads, finish)


class Read:
    """A read under way; damage and loss are raised as errors of zlake's tree."""

    __slots__ = ("_begin", "_future", "_values")

    def __init__(self, values: StoredValues, begin: Begin, batch: ts.Batch | None) -> None:
        self._values = values
        self._begin = begin
        self._future = begin(values.array, batch)

    def result(self) -> Any:
        """Wait for the value, or raise what went wrong."""
        try:
            return self._future.result()
        except Exception as error:
            if not str(error).startswith("NOT_FOUND"):
                raise self._values.failure(error) from error
        try:  # it may be that another tool left chunks of zeros out of its shards
            self._future = self._begin(self._values.lenient, None)
            return self._future.result()
        except Exception as error:
            raise self._values.failure(error) from error

    def __await__(self) -> Generator[Any, None, Any]:
        """Let an event loop wait for the value."""
        try:
            return (yield from self._future.__await__())
        except Exception:
            return self.result()


def _read_range(array: ts.TensorStore, batch: ts.Batch | None, *, first: int, stop: int) -> Any:
    return array[first:stop].read(batch=batch)


def _select(array: ts.TensorStore, rows: slice | IntArray, axes: tuple[Axis, ...]) -> ts.TensorStore:
    if all(isinstance(axis, slice) for axis in axes):
        return array[(rows, *axes)] if axes else array[rows]
    return array.oindex[(rows, *axes)]
