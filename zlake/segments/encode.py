"""Arrays to objects: chunks through their codec chain, shards with their index, nothing concatenated on the way.

A shard is what the ``sharding_indexed`` codec of Zarr v3 defines: encoded inner chunks back to back in C order, then a
list of their checksums, which the index says nothing of, then an index of (offset, size) pairs, uint64 little endian,
of *all* inner chunks, those beyond the array's edge marked by 2^64 - 1, then the index's crc32c.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod

import numpy as np
import numpy.typing as npt

from zlake.segments.buffers import ShardBuffer, ShardBuffers
from zlake.segments.codecs import ABSENT, CHECKSUM_BYTES, Encoder, checksum, encode, encoder
from zlake.segments.identity import end_bytes
from zlake.segments.layout import ArrayLayout
from zlake.segments.pieces import Pieces
from zlake.types import Array

Index = tuple[int, ...]

_CHUNKS_AHEAD = 32
_NO_CHECK = bytes(CHECKSUM_BYTES)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of an array: its key below the tensor's group, and its bytes.

    Its ``check`` is as `zlake.segments.identity` says. Where ``buffer`` is given the bytes lie in it, so it is to be
    given back once they are stored.
    """

    key: str
    data: bytes | memoryview
    check: bytes
    buffer: ShardBuffer | None = None


@dataclass(frozen=True)
class _Grid:
    """The chunks of an array, found by position."""

    layout: ArrayLayout

    @cached_property
    def chunk_bytes(self) -> int:
        return prod(self.layout.chunk) * self.layout.dtype.itemsize

    @cached_property
    def per_object(self) -> Index:
        """Chunks along each axis of one object."""
        layout = self.layout
        return tuple(s // c for s, c in zip(layout.shard or layout.chunk, layout.chunk, strict=True))

    def objects(self) -> Iterator[Index]:
        return product(*map(range, self.layout.objects))

    def chunks(self, position: Index) -> Iterator[Index | None]:
        """Yield where each chunk of an object starts, or None where it lies wholly beyond the array's edge."""
        layout = self.layout
        base = [p * n for p, n in zip(position, self.per_object, strict=True)]
        for inner in product(*map(range, self.per_object)):
            start = tuple((b + i) * c for b, i, c in zip(base, inner, layout.chunk, strict=True))
            yield start if all(a < n for a, n in zip(start, layout.shape, strict=True)) else None

    def size(self, start: Index) -> Index:
        """Return how much of the chunk that starts here lies inside the array."""
        layout = self.layout
        return tuple(min(c, n - a) for c, n, a in zip(layout.chunk, layout.shape, start, strict=True))


def encode_array(
    layout: ArrayLayout, values: Pieces, workers: Executor, buffers: ShardBuffers
) -> Iterator[StoredObject]:
    """Yield the objects of an array, keys relative to its tensor's group, without its metadata.

    Parameters
    ----------
    layout
        The array.
    values
        Its values, of the shape and dtype that the layout names.
    workers
        Threads that compress.
    buffers
        Where the bytes of shards come from.
    """
    grid = _Grid(layout)
    if not layout.shard:
        yield from _encode_chunks(grid, values, workers)
    elif layout.codec == "raw":
        for position in grid.objects():
            yield _raw_shard(grid, position, values, buffers)
    else:
        yield from _compressed_shards(grid, values, workers, buffers)


def _encode_chunks(grid: _Grid, values: Pieces, workers: Executor) -> Iterator[StoredObject]:
    layout = grid.layout
    if layout.chunk == layout.shape:
        chunk = values.region((0,) * len(layout.shape), layout.shape)
        data = encode(layout.codec, chunk)
        yield StoredObject(layout.object_key((0,) * len(layout.shape)), data, data[-CHECKSUM_BYTES:])
        return
    starts = (start for position in grid.objects() for start in grid.chunks(position) if start is not None)
    for position, data in zip(grid.objects(), _encoded(grid, starts, values, workers), strict=True):
        yield StoredObject(layout.object_key(position), data, data[-CHECKSUM_BYTES:])


def _raw_shard(grid: _Grid, position: Index, values: Pieces, buffers: ShardBuffers) -> StoredObject:
    starts = list(grid.chunks(position))
    stride = grid.chunk_bytes + CHECKSUM_BYTES
    sizes = [-1 if start is None else stride for start in starts]
    buffer = buffers.take(stride * (len(starts) - sizes.count(-1)) + end_bytes(grid.layout, len(starts)))
    at = 0
    for start in starts:
        if start is not None:
            chunk = buffer[at : at + grid.chunk_bytes]
            _fill(grid, values, start, chunk)
            buffer.data[at + grid.chunk_bytes : at + stride] = checksum(chunk)
            at += stride
    return _finish_shard(grid.layout, position, buffer, sizes)


def _compressed_shards(grid: _Grid, values: Pieces, workers: Executor, buffers: ShardBuffers) -> Iterator[StoredObject]:
    shards = [(position, list(grid.chunks(position))) for position in grid.objects()]
    chunks = _encoded(grid, (start for _, starts in shards for start in starts if start is not None), values, workers)
    for position, starts in shards:
        encoded = [None if start is None else next(chunks) for start in starts]
        sizes = [-1 if data is None else len(data) for data in encoded]
        buffer = buffers.take(sum(size for size in sizes if size > 0) + end_bytes(grid.layout, len(starts)))
        at = 0
        for data in encoded:
            if data is not None:
                buffer.data[at : at + len(data)] = data
                at += len(data)
        yield _finish_shard(grid.layout, position, buffer, sizes)


def _finish_shard(layout: ArrayLayout, position: Index, buffer: ShardBuffer, sizes: list[int]) -> StoredObject:
    """Put list and index behind encoded chunks of these sizes (-1: absent) that lie back to back in the buffer."""
    at, checks, places = 0, list[bytes](), list[int]()
    for size in sizes:
        if size < 0:
            checks.append(_NO_CHECK)
            places += (ABSENT, ABSENT)
            continue
        places += (at, size)
        at += size
        checks.append(buffer.data[at - CHECKSUM_BYTES : at].tobytes())
    stop = at + end_bytes(layout, len(sizes))
    listed, index = b"".join(checks), struct.pack(f"<{len(places)}Q", *places)
    buffer.data[at:stop] = (listed if layout.listed else b"") + index + checksum(index)
    return StoredObject(layout.object_key(position), buffer.data[:stop], checksum(listed), buffer)


def _fill(grid: _Grid, values: Pieces, start: Index, out: npt.NDArray[np.uint8]) -> None:
    """Copy a chunk to ``out``, its bytes; what lies beyond the array's edge becomes the fill value."""
    layout, size = grid.layout, grid.size(start)
    chunk: Array = out.view(layout.dtype).reshape(layout.chunk)
    if size != layout.chunk:
        out[:] = 0
        chunk = chunk[tuple(slice(n) for n in size)]
    values.copy_to(chunk, start, size)


def _encoded(grid: _Grid, starts: Iterator[Index], values: Pieces, workers: Executor) -> Iterator[bytes]:
    """Yield encoded chunks in order; a bounded number is being encoded ahead."""
    compress = encoder(grid.layout.codec)
    ahead: deque[Future[bytes]] = deque()
    for start in starts:
        ahead.append(workers.submit(_encode_one, grid, values, start, compress))
        if len(ahead) > _CHUNKS_AHEAD:
            yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()


def _encode_one(grid: _Grid, values: Pieces, start: Index, compress: Encoder) -> bytes:
    size = grid.size(start)
    if size == grid.layout.chunk:
        chunk = values.region(start, size)
    else:
        chunk = np.empty(grid.layout.chunk, grid.layout.dtype)
        _fill(grid, values, start, chunk.reshape(-1).view(np.uint8))
    data = compress(chunk)
    return b"".join((data, checksum(data)))
