"""Arrays and rows to PyTorch's tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from zlake.errors import LoaderError
from zlake.loader.batch import Batch
from zlake.loader.block import Values
from zlake.types import Array

_WIDER = {np.dtype(np.uint16): np.int32, np.dtype(np.uint32): np.int64, np.dtype(np.uint64): np.int64}
_INT64_MAX = np.iinfo(np.int64).max


class TorchBatches:
    """Makes batches of tensors.

    Parameters
    ----------
    pin
        Copy tensors to page-locked memory.
    """

    def __init__(self, pin: bool) -> None:
        self.copies = pin

    def batch(self, values: Values) -> Any:
        """Return a `Batch` of columns."""
        return self._kept(Batch((name, collate(each)) for name, each in values.items()))

    def collate(self, rows: list[Any]) -> Any:
        """Return rows as one batch, built as a row is: a `Batch`, a tuple, or a single value."""
        first = rows[0]
        if isinstance(first, dict):
            return self._kept(Batch((name, collate([row[name] for row in rows])) for name in first.keys()))  # noqa: SIM118
        if isinstance(first, tuple):
            return self._kept(tuple(collate(list(column)) for column in zip(*rows, strict=True)))
        return self._kept(collate(rows))

    def _kept(self, batch: Any) -> Any:
        return pinned(batch) if self.copies else batch


def collate(values: Array | list[Any]) -> Any:
    """Return one tensor where samples share shape and dtype, else a list of tensors, or of what else they are."""
    if isinstance(values, np.ndarray):
        return to_torch(values)
    if not values:
        return values
    first = values[0]
    if set(map(type, values)) == {np.ndarray}:
        if all(value.shape == first.shape and value.dtype == first.dtype for value in values):
            return to_torch(np.stack(values))
        if (
            first.dtype.kind in "biufc"
            and first.dtype not in _WIDER
            and {value.dtype for value in values} == {first.dtype}
        ):
            return list(map(torch.from_numpy, values))  # all that can be spared for each of many small ones
        return [to_torch(value) for value in values]
    if isinstance(first, torch.Tensor):
        same = all(isinstance(v, torch.Tensor) and v.shape == first.shape and v.dtype == first.dtype for v in values)
        return torch.stack(values) if same else values
    if all(isinstance(value, bool | int | float | np.number | np.bool_) for value in values):
        return to_torch(np.array(values))
    return values


def to_torch(array: Array) -> Any:
    """Return a tensor that shares the array's memory; strings and objects as lists.

    PyTorch computes little with unsigned integers beyond 8 bits: they are widened.

    Raises
    ------
    LoaderError
        If a uint64 value does not fit int64.
    """
    if array.dtype.kind in "OUS":
        return array.tolist()
    wider = _WIDER.get(array.dtype)
    if wider is None:
        return torch.from_numpy(array)
    if array.dtype.itemsize == 8 and array.size and int(array.max()) > _INT64_MAX:
        raise LoaderError(
            f"the uint64 value {array.max()} does not fit PyTorch's int64; give a transform, "
            "such as lambda x: x.view('int64')"
        )
    return torch.from_numpy(array.astype(wider))


def pinned(batch: Any) -> Any:
    """Return a batch whose tensors lie in page-locked memory."""
    if isinstance(batch, torch.Tensor):
        return batch.pin_memory()
    if isinstance(batch, Batch):
        return Batch((name, pinned(value)) for name, value in batch.items())
    if isinstance(batch, list | tuple):
        return type(batch)(pinned(value) for value in batch)
    return batch
