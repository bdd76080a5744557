"""Where rows come from: one tensor in one stored segment, or rows in memory, behind one interface."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from zlake.context import Context
from zlake.format.documents import SegmentTensor
from zlake.segments.buffered import BlockSource
from zlake.segments.dense import DenseSource
from zlake.segments.flat import FlatSource
from zlake.segments.region import Box
from zlake.segments.sidecars import Sidecar
from zlake.storage.store import Store
from zlake.types import Array, IdArray, IntArray, Layout, Pending

__all__ = ["BlockSource", "Rows", "Source", "open_source"]

Rows = slice | IntArray
"""An ascending slice with start and stop, or ``(n,) int64`` in any order; always within the source."""


class Source(Protocol):
    """One tensor in one segment, or a block in memory. Safe to use from several threads.

    A sequence tensor has fewer rows than items; `ids` and `sequences` count rows, everything else counts items.

    Attributes
    ----------
    layout
        How the values are stored.
    rows, items
        Number of rows, and of items.
    shape
        Sample shape, where dense; else empty.
    ndim
        Rank of the samples, as stored shapes have it; 1 where an encoded tensor stores none.
    dtype
        Dtype of the values (uint8 where encoded).
    """

    @property
    def layout(self) -> Layout: ...  # noqa: D102

    @property
    def rows(self) -> int: ...  # noqa: D102

    @property
    def items(self) -> int: ...  # noqa: D102

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102

    @property
    def ndim(self) -> int: ...  # noqa: D102

    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102

    @property
    def warm(self) -> bool:
        """Whether beginning a read does not wait for storage far away."""
        ...

    @property
    def instant(self) -> bool:
        """Whether `one` and `one_blob` copy from memory, at once."""
        ...

    def missing(self, rows: Rows, names: Iterable[str]) -> list[tuple[Sidecar, IntArray]]:
        """Return the chunks of the named sidecars that these rows (or items) need and that may have to be loaded."""
        ...

    def one(self, item: int) -> Array:
        """Return a copy of one sample, dense or ragged; ``0 <= item < items``."""
        ...

    def one_blob(self, item: int) -> bytes:
        """Return the bytes of one encoded sample."""
        ...

    def ids(self, rows: Rows) -> IdArray:
        """Return sample ids, perhaps as a view of shared memory."""
        ...

    def sequences(self, rows: Rows) -> tuple[IntArray, IntArray]:
        """Return the first item of each row, and the one after its last; each row is its only item in other tensors."""
        ...

    def ranges(self, items: Rows, shapes: bool = False) -> tuple[IntArray, IntArray, IntArray | None]:
        """Return first and one-past-last element of each ragged or encoded sample, and stored shapes if asked for."""
        ...

    def shapes(self, items: Rows) -> IntArray:
        """Return the shape of each sample, ``(n, ndim)``; all ones where an encoded tensor stores none."""
        ...

    def fill(self, items: Rows, out: Array, at: Rows, box: Box) -> Pending[Any] | None:
        """Read dense samples into ``out[at]``, C-contiguous ``(n, *box.read_shape)``; return what to wait for."""
        ...

    def concat(self, starts: IntArray, stops: IntArray, out: Array) -> Pending[Any] | None:
        """Read ranges of elements one after the other into ``out``, one-dimensional; return what to wait for."""
        ...

    def blobs(self, starts: IntArray, stops: IntArray) -> Pending[list[bytes]]:
        """Read ranges of bytes."""
        ...


def open_source(store: Store, entry: SegmentTensor, key: str, dtype: np.dtype[Any] | None, context: Context) -> Source:
    """Return a source for one tensor in one stored segment, without any I/O.

    Parameters
    ----------
    store
        The dataset's store.
    entry
        The tensor in the segment.
    key
        The tensor's key.
    dtype
        Dtype of the tensor; ignored where encoded.
    context
        Bounds of the caches.
    """
    if entry.layout == "dense":
        return DenseSource(store, entry, key, np.dtype(dtype), context)
    return FlatSource(store, entry, key, np.dtype(np.uint8 if entry.layout == "encoded" else dtype), context)
