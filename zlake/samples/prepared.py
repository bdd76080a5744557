"""Many samples, checked and ready to be buffered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zlake.types import Array, IntArray


@dataclass(frozen=True, slots=True)
class Prepared:
    """Samples of one tensor in one of three forms; exactly one of `stacked`, `arrays` and `blobs` is given.

    Attributes
    ----------
    stacked
        ``(n, *shape)``, C-contiguous, tensor dtype. May be the caller's own array: copy before keeping.
    arrays
        n arrays, each C-contiguous and of the tensor's dtype and rank. May be the caller's own.
    blobs
        n encoded samples.
    shapes
        ``(n, ndim) int64``: beside `arrays` always; beside `blobs` the decoded shapes, or None for text and json.
    """

    stacked: Array | None = None
    arrays: list[Array] | None = None
    blobs: list[bytes] | None = None
    shapes: IntArray | None = None

    def __len__(self) -> int:
        if self.stacked is not None:
            return len(self.stacked)
        return len(self.arrays) if self.arrays is not None else len(self.blobs or ())

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The one shape that all samples have, or None if they differ, have no shape, or there are none."""
        if self.stacked is not None:
            return self.stacked.shape[1:]
        if self.shapes is None or not len(self.shapes):
            return None
        first = self.shapes[0]
        return tuple(first.tolist()) if bool(np.all(self.shapes == first)) else None
