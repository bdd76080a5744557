"""Local raw objects as memory maps: nothing is read but what is asked for, and nothing is copied to be read."""

from __future__ import annotations

import mmap
import os
import threading

import numpy as np

from zlake.errors import CorruptObjectError, ObjectNotFoundError
from zlake.segments import filemap
from zlake.segments.chunks import Chunks, NotHere
from zlake.segments.codecs import ABSENT, CHECKSUM_BYTES, crc32c
from zlake.segments.identity import Checks
from zlake.segments.layout import ArrayLayout
from zlake.storage.failure import translate
from zlake.storage.store import Store

_MANY = 2  # chunks: the system reads ahead in a single one by itself
_MAX_BYTES = 1 << 45  # of addresses; processors give a process 2^47


class Maps(Chunks):
    """Chunks in mapped files. Its weight is the number of files.

    Raises
    ------
    NotHere
        If the system cannot map so much.
    """

    def __init__(self, store: Store, prefix: str, layout: ArrayLayout, checks: Checks | None = None) -> None:
        super().__init__(store, prefix, layout, checks)
        self._lock = threading.Lock()
        self._data_bytes = layout.chunk[0] * self.row_bytes
        chunk_bytes = self._data_bytes + CHECKSUM_BYTES
        object_bytes = -(-(self.chunks * chunk_bytes + self.end_bytes) // mmap.PAGESIZE) * mmap.PAGESIZE
        objects = layout.objects[0]
        if objects * object_bytes > _MAX_BYTES:
            raise NotHere(prefix)
        try:
            data = filemap.reserve(objects * object_bytes)
        except OSError as error:
            raise NotHere(prefix) from error
        self._lay_out(data, chunk_bytes, object_bytes)
        self._opened = bytearray(objects)

    def begin(self, first: int, last: int) -> bool:
        """Let the system fetch the chunks ``[first, last]``.

        The caller checks each and copies it while it is in the processor's cache.
        """
        if self.clean:
            return True
        wanted = (np.flatnonzero(np.frombuffer(self.flags, np.uint8)[first : last + 1] == 0) + first).tolist()
        self._fetch(wanted)
        if not wanted:
            self.clean = 0 not in self.flags
        return not wanted

    def _check(self, chunks: list[int]) -> None:
        self._fetch(chunks)
        for chunk in chunks:
            number, within = divmod(chunk, self.chunks)
            if not self._opened[number]:
                self._open(number)
            start = number * self.object_bytes + within * self.chunk_bytes
            stop = start + self._data_bytes
            found = crc32c(self.data[start:stop])
            stored = int.from_bytes(self.view[stop : stop + CHECKSUM_BYTES], "little")
            if found != stored:
                raise CorruptObjectError(
                    f"{self._key(number)}: the crc32c of chunk {within} is {found:08x}, stored is {stored:08x}: "
                    "the object is damaged"
                )
            self._compare(chunk, found)
            self.flags[chunk] = 1

    def _fetch(self, chunks: list[int]) -> None:
        """Map the chunks' objects, and let the system read all of them before the first is waited for."""
        if len(chunks) < _MANY:
            return
        for chunk in chunks:
            number, within = divmod(chunk, self.chunks)
            if not self._opened[number]:
                self._open(number)
            start = number * self.object_bytes + within * self.chunk_bytes
            filemap.fetch(self.data, start, start + self.chunk_bytes)

    def _open(self, number: int) -> None:
        key = self._key(number)
        path = self._store.local_path(key)
        if path is None:
            raise NotHere(key)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ObjectNotFoundError(f"{key}: the object is missing, though the dataset refers to it") from error
        except OSError as error:
            raise translate(error, action="read", url=self._store.url, key=key) from error
        try:
            with self._lock:
                if not self._opened[number]:
                    size = self._examine(descriptor, number, key)
                    filemap.place(self.data, number * self.object_bytes, descriptor, size)
                    self._opened[number] = 1
                    self.weight += 1
        except OSError as error:
            raise NotHere(key) from error
        finally:
            os.close(descriptor)

    def _examine(self, descriptor: int, number: int, key: str) -> int:
        """Make sure that the chunks lie where `typed` expects them and that the file holds them; return its size."""
        size = os.fstat(descriptor).st_size
        here = self._chunks_in(number)
        if self.end_bytes:
            index = self._end(os.pread(descriptor, self.end_bytes, max(0, size - self.end_bytes)), number)
            expected = np.full((self.chunks, 2), ABSENT, np.uint64)
            expected[:here, 0] = np.arange(here, dtype=np.uint64) * np.uint64(self.chunk_bytes)
            expected[:here, 1] = self.chunk_bytes
            if not np.array_equal(index, expected):
                raise NotHere(key)  # another tool wrote it
        needed = here * self.chunk_bytes + self.end_bytes
        if size != needed:
            raise CorruptObjectError(f"{key}: the object has {size} bytes, not {needed}")
        return size
