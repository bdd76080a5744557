"""Rows of one tensor in memory, column by column: what a flush hands to the segment writer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from zlake.types import Array, IdArray, IntArray, Layout


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one tensor, laid out as a segment stores them.

    Attributes
    ----------
    layout
        ``dense``: ``values`` are arrays ``(k, *shape)`` that make up ``(items, *shape)`` when stacked along axis 0.
        ``ragged``: ``values`` are one-dimensional pieces whose concatenation is all samples flattened in C order.
        ``encoded``: ``values`` are one-dimensional uint8 pieces, or bytes, whose concatenation is all samples.
        Piece boundaries mean nothing; each piece is C-contiguous.
    dtype
        Dtype of ``values-data`` (uint8 where encoded).
    ids
        Sample ids, ``(rows,) uint64``.
    values
        The pieces.
    shape
        Sample shape, where dense.
    offsets
        ``(items + 1,) int64``, elements (bytes where encoded); None where dense.
    shapes
        ``(items, ndim) int64`` where ragged with ndim other than 1, or encoded with a decoded shape; else None.
    sequence_offsets
        ``(rows + 1,) int64``: items of row i are ``[o[i], o[i + 1])``; None where the tensor is no sequence.
    """

    layout: Layout
    dtype: np.dtype
    ids: IdArray
    values: Sequence[Array | bytes]
    shape: tuple[int, ...] = ()
    offsets: IntArray | None = None
    shapes: IntArray | None = None
    sequence_offsets: IntArray | None = field(default=None)

    @property
    def rows(self) -> int:
        """Number of rows (samples)."""
        return len(self.ids)

    @property
    def items(self) -> int:
        """Number of items: rows of ``values``, or of the offsets; differs from `rows` for sequences only."""
        return len(self.ids) if self.sequence_offsets is None else int(self.sequence_offsets[-1])

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return sum(len(v) if isinstance(v, bytes) else v.nbytes for v in self.values)
