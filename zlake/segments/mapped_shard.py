"""One local raw shard as a memory map, each of whose chunks is checked when it is first touched."""

from __future__ import annotations

import os
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt

from zlake.errors import CorruptObjectError, ObjectNotFoundError, StoragePermissionError
from zlake.segments.codecs import CHECKSUM_BYTES
from zlake.segments.filemap import fetch, map_file
from zlake.types import IntArray

Bytes = npt.NDArray[np.uint8]

_INDEX_ENTRY_BYTES = 16
_ABSENT = np.uint64(2**64 - 1)


class MappedShard:
    """Chunks of a local file at a constant stride, each followed by its checksum.

    Parameters
    ----------
    data
        The whole file.
    key
        Key of the object, for messages.
    chunks
        Number of chunks.
    units
        Units (rows of a dense tensor, elements of others) in a chunk.
    unit_bytes
        Bytes of a unit.

    Attributes
    ----------
    data
        All bytes of the file.
    view
        The file's bytes as a memory view, which is quicker to slice than an array.
    rows
        The units, ``(chunks, units, unit_bytes) uint8``: strided, for chunks do not touch each other.
    flags
        One byte per chunk: whether it was checked. Two threads that check the same chunk at once do no harm.
    clean
        Whether all chunks were checked.
    """

    __slots__ = ("_chunk_bytes", "clean", "data", "flags", "key", "rows", "stride", "view")

    def __init__(self, data: Bytes, key: str, chunks: int, units: int, unit_bytes: int) -> None:
        self.key = key
        self._chunk_bytes = units * unit_bytes
        self.stride = self._chunk_bytes + CHECKSUM_BYTES
        self.data = data
        self.view = data.data
        self.rows: Bytes = np.ndarray((chunks, units, unit_bytes), np.uint8, data, 0, (self.stride, unit_bytes, 1))
        self.flags = bytearray(chunks)
        self.clean = False

    @property
    def nbytes(self) -> int:
        """Bytes of the file."""
        return len(self.data)

    def typed(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """Return the units as arrays, ``(chunks, units, *shape)``; not always aligned."""
        chunks, units, unit_bytes = self.rows.shape
        inner = [dtype.itemsize]
        for n in reversed(shape[1:]):
            inner.append(inner[-1] * n)
        strides = (self.stride, unit_bytes, *(reversed(inner) if shape else ()))
        return np.ndarray((chunks, units, *shape), dtype, self.data, 0, strides)

    def check(self, chunk: int) -> None:
        """Check one chunk's checksum.

        Raises
        ------
        CorruptObjectError
            If the chunk is damaged.
        """
        start = chunk * self.stride
        stop = start + self._chunk_bytes
        found = google_crc32c.value(self.data[start:stop])
        stored = int.from_bytes(self.view[stop : stop + CHECKSUM_BYTES], "little")
        if found != stored:
            raise CorruptObjectError(
                f"{self.key}: the crc32c of chunk {chunk} is {found:08x}, stored is {stored:08x}: the object is damaged"
            )
        self.flags[chunk] = 1

    def check_range(self, first: int, last: int) -> None:
        """Check the chunks ``[first, last]`` that were not checked yet."""
        if not self.clean:
            self._check_all(np.flatnonzero(np.frombuffer(self.flags, np.uint8)[first : last + 1] == 0) + first)

    def check_many(self, chunks: IntArray) -> None:
        """Check those of the given chunks that were not checked yet."""
        if not self.clean:
            self._check_all(np.unique(chunks[np.frombuffer(self.flags, np.uint8)[chunks] == 0]))

    def _check_all(self, chunks: IntArray) -> None:
        if not len(chunks):
            return
        wanted = chunks.tolist()
        if len(wanted) > 1:
            for chunk in wanted:  # let the kernel fetch them all before the first is waited for
                fetch(self.data, chunk * self.stride, (chunk + 1) * self.stride)
        for chunk in wanted:
            self.check(chunk)
        self.clean = 0 not in self.flags


def map_shard(path: str, key: str, *, chunks: int, slots: int, units: int, unit_bytes: int) -> MappedShard | None:
    """Map a local object.

    Parameters
    ----------
    path
        The file.
    key
        Its key, for messages.
    chunks
        Chunks that hold data.
    slots
        Chunks that the shard index has entries for; 0 where the object is a single chunk without an index.
    units, unit_bytes
        Units in a chunk, and bytes of a unit.

    Returns
    -------
    MappedShard or None
        None if the index is sound but the chunks lie otherwise than we write them: another tool wrote the object.

    Raises
    ------
    ObjectNotFoundError
        If there is no such file.
    CorruptObjectError
        If the file is too short, or its index damaged.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ObjectNotFoundError(f"{key}: the object is missing, though the dataset refers to it") from error
    except PermissionError as error:
        raise StoragePermissionError(f"{key}: no permission to read the file {path!r}") from error
    try:
        size = os.fstat(descriptor).st_size
        stride = units * unit_bytes + CHECKSUM_BYTES
        index_bytes = slots * _INDEX_ENTRY_BYTES + CHECKSUM_BYTES if slots else 0
        least = index_bytes if slots else stride
        if size < least:
            raise CorruptObjectError(f"{key}: the object has {size} bytes and needs {least} at least: it was cut off")
        if not slots and size != stride:
            raise CorruptObjectError(f"{key}: the object has {size} bytes, not {stride}")
        try:
            data = map_file(descriptor, size)
        except OSError as error:
            raise CorruptObjectError(f"{key}: the file {path!r} cannot be mapped ({error})") from error
    finally:
        os.close(descriptor)
    if slots:
        index = _read_index(data[size - index_bytes :], key)
        expected = np.full((slots, 2), _ABSENT, np.uint64)
        expected[:chunks, 0] = np.arange(chunks, dtype=np.uint64) * np.uint64(stride)
        expected[:chunks, 1] = stride
        if not np.array_equal(index, expected):
            return None
        if size != chunks * stride + index_bytes:
            raise CorruptObjectError(f"{key}: the object has {size} bytes, not {chunks * stride + index_bytes}")
    return MappedShard(data, key, chunks, units, unit_bytes)


def _read_index(stored: Bytes, key: str) -> npt.NDArray[np.uint64]:
    body = stored[:-CHECKSUM_BYTES]
    found, expected = google_crc32c.value(body), int.from_bytes(stored[-CHECKSUM_BYTES:].tobytes(), "little")
    if found != expected:
        raise CorruptObjectError(
            f"{key}: the crc32c of the shard index is {found:08x}, stored is {expected:08x}: "
            "the object is damaged or cut off"
        )
    return np.frombuffer(body.tobytes(), "<u8").astype(np.uint64, copy=False).reshape(-1, 2)
