"""Groups of batches read as whole blocks, so that buffers are large and reads few."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from zlake.session import present, read
from zlake.session.column import Column
from zlake.types import Array, IntArray

BLOCK_BYTES = 8 << 20  # NumPy gives arrays of 4 MB and more huge pages, which cost a tenth of small ones to touch
MAX_BATCHES = 64


@dataclass(frozen=True, slots=True)
class Field:
    """A tensor in a loader: its name in batches, and how its samples are given.

    Attributes
    ----------
    label
        Key in the batch.
    column
        Where the samples are.
    method
        ``numpy`` (decoded), ``tobytes`` (as stored) or ``pil`` (a `PIL.Image.Image`).
    """

    label: str
    column: Column
    method: str = "numpy"

    def row_bytes(self) -> int:
        """Return the mean bytes of a row in memory, judged from the segment tables."""
        entries = self.column.base()[0]
        rows = sum(entry.rows for entry in entries)
        itemsize = 1 if self.column.spec.dtype is None else self.column.spec.dtype.itemsize
        elements = sum(entry.elements * int(np.prod(entry.shape, dtype=np.int64)) for entry in entries)
        # an encoded image grows about tenfold when it is decoded
        return max(1, elements * itemsize * (10 if self.column.encoded else 1) // max(rows, 1))

    def read(self, rows: slice | IntArray) -> Array | list[Any]:
        """Return the samples: one array where they share a shape, else a list."""
        column = self.column
        if self.method == "tobytes":
            return read.blobs(column, rows).result()
        if column.state.sequence:
            return [present.as_numpy(column, sample) for sample in read.samples(column, rows).result()]
        # decoded on this thread: the loader's threads work side by side already
        found = read.stacked_or_list(column, rows, threads=False).result()
        if self.method == "pil":
            from PIL import Image

            return [Image.fromarray(sample.squeeze(-1) if sample.shape[-1] == 1 else sample) for sample in found]
        return found  # type: ignore[no-any-return]


def batches_per_block(fields: list[Field], batch_size: int) -> int:
    """Return how many batches to read at once: enough for large buffers, few enough to stay bounded."""
    batch_bytes = batch_size * sum(field.row_bytes() for field in fields)
    return int(np.clip(BLOCK_BYTES // max(batch_bytes, 1), 1, MAX_BATCHES))


def read_block(fields: list[Field], rows: IntArray) -> Mapping[str, Array | list[Any]]:
    """Read all fields of some rows; consecutive rows are read as a range."""
    count = len(rows)
    chosen: slice | IntArray = rows
    if count and int(rows[-1]) - int(rows[0]) == count - 1 and bool((np.diff(rows) == 1).all()):
        chosen = slice(int(rows[0]), int(rows[-1]) + 1, 1)
    return {field.label: field.read(chosen) for field in fields}
