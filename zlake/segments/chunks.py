"""Chunks of one array at constant distances in one stretch of addresses, each of which is there once it was checked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import prod

import numpy as np
import numpy.typing as npt

from zlake.errors import CorruptObjectError
from zlake.segments.codecs import CHECKSUM_BYTES, INDEX_ENTRY_BYTES, crc32c
from zlake.segments.layout import ArrayLayout
from zlake.storage.store import Store
from zlake.types import Array, IntArray

Bytes = npt.NDArray[np.uint8]


class NotHere(Exception):  # noqa: N818  # a turn in the path, never seen by users
    """The array cannot be had in this way: TensorStore must read it."""


class Chunks(ABC):
    """An array that is divided along axis 0 alone, its chunks laid out in memory.

    Parameters
    ----------
    store, prefix
        Where the tensor lies.
    layout
        The array.

    Attributes
    ----------
    data, view
        All bytes as an array and as a memory view; only those of checked chunks may be touched.
    typed
        The array, ``(objects, chunks in an object, rows in a chunk, *shape of a row)``; rows are not always aligned.
    rows
        Each row as one value of ``row_bytes`` bytes, by the address of its first byte: ``(addresses,)``.
    object_bytes, chunk_bytes, row_bytes
        Distance from one object, chunk and row to the next.
    chunks
        Chunks in an object.
    flags
        One byte per chunk of the array: whether it was checked. Two threads that check one at once do no harm.
    clean
        Whether all chunks were checked.
    weight
        What this costs its cache so far.
    """

    def __init__(self, store: Store, prefix: str, layout: ArrayLayout) -> None:
        self._store = store
        self._prefix = prefix
        self._layout = layout
        units = layout.chunk[0]
        self.chunks = layout.shard[0] // units if layout.shard else 1
        self.row_bytes = layout.dtype.itemsize * prod(layout.shape[1:])
        self.index_bytes = self.chunks * INDEX_ENTRY_BYTES + CHECKSUM_BYTES if layout.shard else 0
        self.flags = bytearray(-(-layout.shape[0] // units))
        self.clean = False
        self.weight = 0
        self.data: Bytes
        self.chunk_bytes: int
        self.object_bytes: int

    def _lay_out(self, data: Bytes, chunk_bytes: int, object_bytes: int) -> None:
        """Say where the bytes are, and how far apart chunks and objects begin."""
        self.data = data
        self.view = data.data
        self.chunk_bytes = chunk_bytes
        self.object_bytes = object_bytes
        layout = self._layout
        strides = [layout.dtype.itemsize]
        for n in reversed(layout.shape[1:]):
            strides.append(strides[-1] * n)
        self.typed: Array = np.ndarray(
            (layout.objects[0], self.chunks, layout.chunk[0], *layout.shape[1:]),
            layout.dtype,
            data,
            0,
            (object_bytes, chunk_bytes, *reversed(strides)),
        )
        self.rows: Array = np.ndarray((len(data) - self.row_bytes + 1,), f"V{self.row_bytes}", data, 0, (1,))

    def check(self, chunk: int) -> None:
        """Make sure that a chunk is there and undamaged.

        Raises
        ------
        ObjectNotFoundError
            If its object is missing.
        CorruptObjectError
            If the object was cut off, or its index or the chunk damaged.
        NotHere
            If TensorStore must read this array.
        """
        self._check([chunk])

    def check_range(self, first: int, last: int) -> None:
        """Check the chunks ``[first, last]`` that were not checked yet."""
        if not self.clean:
            self._check_all(np.flatnonzero(np.frombuffer(self.flags, np.uint8)[first : last + 1] == 0) + first)

    def check_many(self, chunks: IntArray) -> None:
        """Check those of the given chunks that were not checked yet."""
        if not self.clean:
            self._check_all(np.unique(chunks[np.frombuffer(self.flags, np.uint8)[chunks] == 0]))

    def begin(self, first: int, last: int) -> bool:
        """Prepare the chunks ``[first, last]``, and return whether all were checked; the others the caller checks."""
        self.check_range(first, last)
        return True

    def _check_all(self, chunks: IntArray) -> None:
        if len(chunks):
            self._check(chunks.tolist())
            self.clean = 0 not in self.flags

    @abstractmethod
    def _check(self, chunks: list[int]) -> None:
        """Check these chunks, and set their flags."""

    def _key(self, number: int) -> str:
        """Return the key of an object."""
        return self._prefix + self._layout.object_key((number, *(0 for _ in self._layout.shape[1:])))

    def _chunks_in(self, number: int) -> int:
        """Return how many chunks of an object hold data."""
        return min(self.chunks, len(self.flags) - number * self.chunks)

    def _index(self, stored: bytes, key: str) -> npt.NDArray[np.uint64]:
        """Return offset and size of each chunk, ``(chunks, 2)``, from the end of a shard."""
        if len(stored) != self.index_bytes:
            raise CorruptObjectError(f"{key}: the object is shorter than its shard index: it was cut off")
        body = stored[:-CHECKSUM_BYTES]
        found, expected = crc32c(body), int.from_bytes(stored[-CHECKSUM_BYTES:], "little")
        if found != expected:
            raise CorruptObjectError(
                f"{key}: the crc32c of the shard index is {found:08x}, stored is {expected:08x}: "
                "the object is damaged or cut off"
            )
        return np.frombuffer(body, "<u8").astype(np.uint64, copy=False).reshape(-1, 2)
