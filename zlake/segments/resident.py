"""Small arrays decoded in memory: labels, texts, boxes, whatever their codec and wherever they lie."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zlake.errors import CorruptObjectError, ObjectNotFoundError
from zlake.segments.chunks import Chunks, NotHere
from zlake.segments.codecs import ABSENT, decode
from zlake.segments.identity import Checks, check_of
from zlake.segments.layout import ArrayLayout
from zlake.storage.store import Request, Store

_MAX_OBJECT_BYTES = 1 << 48


class Resident(Chunks):
    """Decoded chunks. Its weight is their number of bytes; memory for the others is not touched.

    Raises
    ------
    NotHere
        If there is no memory.
    """

    def __init__(self, store: Store, prefix: str, layout: ArrayLayout, checks: Checks | None = None) -> None:
        super().__init__(store, prefix, layout, checks)
        chunk_bytes = layout.chunk[0] * self.row_bytes
        try:
            data = np.empty(layout.objects[0] * self.chunks * chunk_bytes, np.uint8)
        except (MemoryError, ValueError) as error:
            raise NotHere(prefix) from error
        self._lay_out(data, chunk_bytes, self.chunks * chunk_bytes)
        self._indexes: dict[int, npt.NDArray[np.uint64]] = {}

    def _check(self, chunks: list[int]) -> None:
        self._load_indexes(sorted({chunk // self.chunks for chunk in chunks} - self._indexes.keys()))
        requests, wanted = [], []
        for chunk in chunks:
            number, within = divmod(chunk, self.chunks)
            start: int = 0
            stop: int | None = None
            if self.end_bytes:
                offset, size = self._indexes[number][within]
                if offset == ABSENT and size == ABSENT:  # another tool left out a chunk of zeros
                    self._compare(chunk, 0)
                    self._slice(chunk)[...] = 0
                    self._done(chunk)
                    continue
                start, stop = int(offset), int(offset) + int(size)
                if stop > _MAX_OBJECT_BYTES:
                    raise CorruptObjectError(f"{self._key(number)}: its index says that it has {stop} bytes at least")
            requests.append(Request(self._key(number), start, stop))
            wanted.append(chunk)
        for chunk, request, stored in zip(wanted, requests, self._store.read_many(requests), strict=True):
            if stored is None:
                raise _missing(request.key)
            if request.stop is not None and len(stored) != request.stop - request.start:
                raise CorruptObjectError(
                    f"{request.key}: the object ends within chunk {chunk % self.chunks}: it was cut off"
                )
            where = f"{request.key}, chunk {chunk % self.chunks}" if self.end_bytes else request.key
            plain = decode(self._layout.codec, stored, self.chunk_bytes, where)
            self._compare(chunk, check_of(stored))
            self._slice(chunk)[...] = plain
            self._done(chunk)

    def _done(self, chunk: int) -> None:
        self.flags[chunk] = 1
        self.weight += self.chunk_bytes

    def _slice(self, chunk: int) -> npt.NDArray[np.uint8]:
        return self.data[chunk * self.chunk_bytes : (chunk + 1) * self.chunk_bytes]

    def _load_indexes(self, numbers: list[int]) -> None:
        if not self.end_bytes or not numbers:
            return
        keys = [self._key(number) for number in numbers]
        stored = self._store.read_many([Request(key, -self.end_bytes) for key in keys])
        for number, key, tail in zip(numbers, keys, stored, strict=True):
            if tail is None:
                raise _missing(key)
            self._indexes[number] = self._end(tail, number)


def _missing(key: str) -> ObjectNotFoundError:
    return ObjectNotFoundError(f"{key}: the object is missing, though the dataset refers to it")
