"""One tensor as a loader reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from zlake.segments.pending import mapped
from zlake.session import present, read
from zlake.session.column import Column
from zlake.types import Array, IntArray, Pending

_GROWTH = 10  # a photograph is about ten times as large when it is decoded


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
    threads
        Threads that decode.
    """

    label: str
    column: Column
    method: str = "numpy"
    threads: int | None = None

    def stored_bytes(self) -> int:
        """Return the mean bytes of a row before it is decoded, judged from the segment tables."""
        entries = self.column.base()[0]
        itemsize = 1 if self.column.encoded or self.column.spec.dtype is None else self.column.spec.dtype.itemsize
        elements = sum(entry.elements * int(np.prod(entry.shape, dtype=np.int64)) for entry in entries)
        return max(1, elements * itemsize // max(sum(entry.rows for entry in entries), 1))

    def row_bytes(self) -> int:
        """Return the mean bytes of a row in a batch, roughly."""
        grows = self.column.encoded and self.method != "tobytes" and not self.column.htype.document
        return self.stored_bytes() * (_GROWTH if grows else 1)

    def begin(self, rows: slice | IntArray) -> Pending[Array | list[Any]]:
        """Begin to read samples: one array where they share a shape, else a list."""
        column = self.column
        if self.method == "tobytes":
            return read.blobs(column, rows)
        if column.state.sequence:
            return mapped(read.samples(column, rows), lambda found: [present.as_numpy(column, row) for row in found])
        found = read.stacked_or_list(column, rows, threads=self.threads)
        return mapped(found, _images) if self.method == "pil" else found


def _images(samples: Array | list[Array]) -> list[Any]:
    from PIL import Image

    return [Image.fromarray(sample.squeeze(-1) if sample.shape[-1] == 1 else sample) for sample in samples]
