"""The local raw objects of one array as memory maps, each of whose chunks is checked when it is first touched."""

from __future__ import annotations

import mmap
import os
import threading
from math import prod

import google_crc32c
import numpy as np
import numpy.typing as npt

from zlake.errors import CorruptObjectError, ObjectNotFoundError
from zlake.segments import filemap
from zlake.segments.codecs import CHECKSUM_BYTES
from zlake.segments.layout import ArrayLayout
from zlake.storage.failure import translate
from zlake.storage.store import Store
from zlake.types import Array, IntArray

Bytes = npt.NDArray[np.uint8]

_INDEX_ENTRY_BYTES = 16
_FETCH_CHUNKS = 2  # the system reads ahead in a single one by itself
_MAX_BYTES = 1 << 45  # of addresses; processors give a process 2^47
_ABSENT = np.uint64(2**64 - 1)


class NotMappable(Exception):  # noqa: N818  # a turn in the path, never seen by users
    """The objects are no local files, or other tools wrote them: TensorStore must read them."""


class Maps:
    """All objects of an array at a constant distance, in each the chunks at a constant distance.

    Parameters
    ----------
    store, prefix
        Where the tensor lies.
    layout
        The array: raw, and divided along axis 0 alone.

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
    mapped
        Number of objects mapped so far.

    Raises
    ------
    NotMappable
        If the system cannot map so much.
    """

    def __init__(self, store: Store, prefix: str, layout: ArrayLayout) -> None:
        self._store = store
        self._prefix = prefix
        self._layout = layout
        self._lock = threading.Lock()
        units, shape, dtype = layout.chunk[0], layout.shape[1:], layout.dtype
        self.chunks = layout.shard[0] // units if layout.shard else 1
        self.row_bytes = dtype.itemsize * prod(shape)
        self._data_bytes = units * self.row_bytes
        self.chunk_bytes = self._data_bytes + CHECKSUM_BYTES
        self._index_bytes = self.chunks * _INDEX_ENTRY_BYTES + CHECKSUM_BYTES if layout.shard else 0
        self.object_bytes = -(-(self.chunks * self.chunk_bytes + self._index_bytes) // mmap.PAGESIZE) * mmap.PAGESIZE
        objects = layout.objects[0]
        if objects * self.object_bytes > _MAX_BYTES:
            raise NotMappable(prefix)
        try:
            self.data = filemap.reserve(objects * self.object_bytes)
        except OSError as error:
            raise NotMappable(prefix) from error
        self.view = self.data.data
        strides = [dtype.itemsize]
        for n in reversed(shape):
            strides.append(strides[-1] * n)
        self.typed: Array = np.ndarray(
            (objects, self.chunks, units, *shape),
            dtype,
            self.data,
            0,
            (self.object_bytes, self.chunk_bytes, *reversed(strides)),
        )
        addresses = len(self.data) - self.row_bytes + 1
        self.rows: Array = np.ndarray((addresses,), f"V{self.row_bytes}", self.data, 0, (1,))
        self.flags = bytearray(-(-layout.shape[0] // units))
        self.clean = False
        self.mapped = 0
        self._opened = bytearray(objects)

    def check(self, chunk: int) -> None:
        """Check one chunk's checksum, mapping its object first where that was not done.

        Raises
        ------
        ObjectNotFoundError
            If there is no such file.
        CorruptObjectError
            If the file is too short, or its index or the chunk damaged.
        NotMappable
            If there can be no such file, or the chunks lie otherwise than we write them: another tool wrote the object.
        """
        number, within = divmod(chunk, self.chunks)
        if not self._opened[number]:
            self._open(number)
        start = number * self.object_bytes + within * self.chunk_bytes
        stop = start + self._data_bytes
        found = google_crc32c.value(self.data[start:stop])
        stored = int.from_bytes(self.view[stop : stop + CHECKSUM_BYTES], "little")
        if found != stored:
            raise CorruptObjectError(
                f"{self._key(number)}: the crc32c of chunk {within} is {found:08x}, stored is {stored:08x}: "
                "the object is damaged"
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

    def begin(self, first: int, last: int) -> bool:
        """Return whether the chunks ``[first, last]`` were all checked, and let the system fetch them if not."""
        if self.clean:
            return True
        wanted = (np.flatnonzero(np.frombuffer(self.flags, np.uint8)[first : last + 1] == 0) + first).tolist()
        self._fetch(wanted)
        if not wanted:
            self.clean = 0 not in self.flags
        return not wanted

    def _check_all(self, chunks: IntArray) -> None:
        wanted = chunks.tolist()
        self._fetch(wanted)
        for chunk in wanted:
            self.check(chunk)
        if wanted:
            self.clean = 0 not in self.flags

    def _fetch(self, chunks: list[int]) -> None:
        """Map the chunks' objects, and let the system read all of them before the first is waited for."""
        if len(chunks) < _FETCH_CHUNKS:
            return
        for chunk in chunks:
            number, within = divmod(chunk, self.chunks)
            if not self._opened[number]:
                self._open(number)
            start = number * self.object_bytes + within * self.chunk_bytes
            filemap.fetch(self.data, start, start + self.chunk_bytes)

    def _key(self, number: int) -> str:
        return self._prefix + self._layout.object_key((number, *(0 for _ in self._layout.shape[1:])))

    def _open(self, number: int) -> None:
        key = self._key(number)
        path = self._store.local_path(key)
        if path is None:
            raise NotMappable(key)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ObjectNotFoundError(f"{key}: the object is missing, though the dataset refers to it") from error
        except OSError as error:
            raise translate(error, action="read", url=self._store.url, key=key) from error
        try:
            with self._lock:
                if not self._opened[number]:
                    self._check_index(descriptor, number, key)
                    size = os.fstat(descriptor).st_size
                    filemap.place(self.data, number * self.object_bytes, descriptor, size)
                    self._opened[number] = 1
                    self.mapped += 1
        except OSError as error:
            raise NotMappable(key) from error
        finally:
            os.close(descriptor)

    def _check_index(self, descriptor: int, number: int, key: str) -> None:
        """Make sure that the chunks lie where `typed` expects them, and that the file holds them."""
        size = os.fstat(descriptor).st_size
        length, units = self._layout.shape[0], self._layout.chunk[0]
        here = -(-min(self.chunks * units, length - number * self.chunks * units) // units)
        expected_size = here * self.chunk_bytes + self._index_bytes
        if self._index_bytes:
            if size < self._index_bytes:
                raise CorruptObjectError(f"{key}: its {size} bytes are less than its shard index: it was cut off")
            index = _index(os.pread(descriptor, self._index_bytes, size - self._index_bytes), key)
            expected = np.full((self.chunks, 2), _ABSENT, np.uint64)
            expected[:here, 0] = np.arange(here, dtype=np.uint64) * np.uint64(self.chunk_bytes)
            expected[:here, 1] = self.chunk_bytes
            if not np.array_equal(index, expected):
                raise NotMappable(key)
        if size != expected_size:
            raise CorruptObjectError(f"{key}: the object has {size} bytes, not {expected_size}")


def _index(stored: bytes, key: str) -> npt.NDArray[np.uint64]:
    body = stored[:-CHECKSUM_BYTES]
    found, expected = google_crc32c.value(body), int.from_bytes(stored[-CHECKSUM_BYTES:], "little")
    if found != expected:
        raise CorruptObjectError(
            f"{key}: the crc32c of the shard index is {found:08x}, stored is {expected:08x}: "
            "the object is damaged or cut off"
        )
    return np.frombuffer(body, "<u8").astype(np.uint64, copy=False).reshape(-1, 2)
