"""Chunks of one array at constant distances in one stretch of addresses, each of which is there once it was checked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import prod

import numpy as np
import numpy.typing as npt

from zlake.errors import CorruptObjectError
from zlake.segments.codecs import CHECKSUM_BYTES, INDEX_ENTRY_BYTES, crc32c
from zlake.segments.identity import Checks, compare, end_bytes, shard_list
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
    checks
        Of its objects, where they are known.

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

    def __init__(self, store: Store, prefix: str, layout: ArrayLayout, checks: Checks | None = None) -> None:
        self._store = store
        self._prefix = prefix
        self._layout = layout
        units = layout.chunk[0]
        self.chunks = layout.shard[0] // units if layout.shard else 1
        self.row_bytes = layout.dtype.itemsize * prod(layout.shape[1:])
        self.end_bytes = end_bytes(layout, self.chunks) if layout.shard else 0
        self.flags = bytearray(-(-layout.shape[0] // units))
        self._objects = checks
        self._checks = checks  # of chunks; of those in shards, known as soon as the end of the shard is
        if checks is not None and layout.shard:
            self._checks = np.zeros(layout.objects[0] * self.chunks, np.uint32)
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

    def _compare(self, chunk: int, stored: int) -> None:
        """Raise unless a whole chunk, which ends in this checksum, is the one that belongs here."""
        if self._checks is not None:
            number, within = divmod(chunk, self.chunks)
            compare(stored, self._checks[chunk], self._key(number), within if self.end_bytes else None)

    def _key(self, number: int) -> str:
        """Return the key of an object."""
        return self._prefix + self._layout.object_key((number, *(0 for _ in self._layout.shape[1:])))

    def _chunks_in(self, number: int) -> int:
        """Return how many chunks of an object hold data."""
        return min(self.chunks, len(self.flags) - number * self.chunks)

    def _end(self, stored: bytes, number: int) -> npt.NDArray[np.uint64]:
        """Take in the end of a shard, and return offset and size of each chunk, ``(chunks, 2)``."""
        key = self._key(number)
        if len(stored) != self.end_bytes:
            raise CorruptObjectError(f"{key}: the object is shorter than its shard index: it was cut off")
        if self._objects is not None and self._checks is not None:
            first = number * self.chunks
            listed = shard_list(stored, self.chunks, int(self._objects[number]), key)
            self._checks[first : first + self.chunks] = listed
        body = stored[-CHECKSUM_BYTES - INDEX_ENTRY_BYTES * self.chunks : -CHECKSUM_BYTES]
        found, expected = crc32c(body), int.from_bytes(stored[-CHECKSUM_BYTES:], "little")
        if found != expected:
            raise CorruptObjectError(
                f"{key}: the crc32c of the shard index is {found:08x}, stored is {expected:08x}: "
                "the object is damaged or cut off"
            )
        return np.frombuffer(body, "<u8").astype(np.uint64, copy=False).reshape(-1, 2)
