"""How a block is cut into chunks and shards, and what arrays it becomes. Pure functions of sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np

from zlake import limits
from zlake.format.documents import SegmentTensor
from zlake.segments.block import Block
from zlake.segments.codecs import SIDECAR

VALUES: Final = "values-data"
OFFSETS: Final = "values-offsets"
SHAPES: Final = "shape-data"
SEQUENCE_OFFSETS: Final = "sequence-offsets"
IDS: Final = "ids"

_INT64 = np.dtype(np.int64)
_UINT64 = np.dtype(np.uint64)
_EVEN_CHUNKS = 16


@dataclass(frozen=True, slots=True)
class ArrayLayout:
    """One Zarr array of a tensor in a segment.

    Attributes
    ----------
    name
        Name of the array within the tensor's group.
    dtype
        Dtype of its elements.
    shape
        Shape of the array.
    chunk
        Shape of a chunk, the unit of reading: an inner chunk where the array is sharded. Never zero along an axis.
    shard
        Shape of a shard, a multiple of ``chunk`` along every axis; empty where the array is not sharded.
    codec
        Name of the codec chain of a chunk (`zlake.segments.codecs`).
    dimensions
        A name for each axis.
    listed
        Whether each shard lists the checksums of its chunks before its index (`zlake.segments.identity`).
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    shard: tuple[int, ...]
    codec: str
    dimensions: tuple[str, ...]
    listed: bool = False

    def object_key(self, position: tuple[int, ...]) -> str:
        """Return the key, below the tensor's group, of the object at a position in `objects`.

        Chunk keys are Zarr's ``default`` with separator ``.``: with ``/`` each axis would cost a folder on disk.
        """
        return f"{self.name}/c.{'.'.join(map(str, position))}"

    @property
    def objects(self) -> tuple[int, ...]:
        """Number of stored objects (shards, or chunks where there is no shard) along each axis."""
        return tuple(-(-n // size) for n, size in zip(self.shape, self.shard or self.chunk, strict=True))

    def positions(self) -> Iterator[tuple[int, ...]]:
        """Yield the position of every stored object, in C order; a table that lies may speak of any number of them."""
        objects = self.objects
        for number in range(prod(objects)):
            rest, position = number, []
            for n in reversed(objects):
                rest, at = divmod(rest, n)
                position.append(at)
            yield tuple(reversed(position))


def choose_layout(block: Block, codec: str, segment: str) -> SegmentTensor:
    """Choose chunks and shards for a block.

    Parameters
    ----------
    block
        Rows of one tensor.
    codec
        Codec chain of the values.
    segment
        Segment id.

    Returns
    -------
    SegmentTensor
        Complete but for ``bytes``, which is 0 until the objects are encoded.
    """
    items, itemsize = block.items, block.dtype.itemsize
    elements = items if block.offsets is None else int(block.offsets[-1])
    unit_bytes = itemsize * prod(block.shape)
    if unit_bytes > limits.TILING_THRESHOLD_BYTES:
        inner, shard = _tiles(elements, block.shape, itemsize)
    else:
        chunk_units, shard_units = _runs(elements, unit_bytes)
        inner = (chunk_units, *(max(1, n) for n in block.shape))
        shard = (shard_units, *inner[1:]) if shard_units else ()
    return SegmentTensor(
        segment=segment,
        layout=block.layout,
        rows=block.rows,
        elements=elements,
        inner=inner,
        codec=codec,
        shape=block.shape,
        shard=shard,
        items=-1 if block.sequence_offsets is None else items,
        shapes=0 if block.shapes is None else block.shapes.shape[1],
        sidecar=_sidecar_rows(max(block.rows, items), 1 if block.shapes is None else block.shapes.shape[1]),
        id_start=_id_start(block),
    )


def arrays(entry: SegmentTensor, dtype: np.dtype[Any]) -> dict[str, ArrayLayout]:
    """Return the arrays of a tensor in a segment by name, as its entry in a segment table defines them.

    Parameters
    ----------
    entry
        The tensor in the segment.
    dtype
        Dtype of the tensor's values (uint8 where encoded).

    Returns
    -------
    dict
        From array name to layout; the values first.
    """
    items = entry.rows if entry.items < 0 else entry.items
    item = "sample" if entry.items < 0 else "item"
    first = {"dense": item, "ragged": "element", "encoded": "byte"}[entry.layout]
    dimensions = (first, *(f"axis_{i}" for i in range(len(entry.shape))))
    shape = (entry.elements, *entry.shape)
    found = [ArrayLayout(VALUES, dtype, shape, entry.inner, entry.shard, entry.codec, dimensions, _listed(entry))]

    def sidecar(name: str, of: np.dtype[Any], length: int, dimensions: tuple[str, ...], width: int = 0) -> None:
        chunk = entry.sidecar or max(1, length)
        tail = (width,) if width else ()
        found.append(ArrayLayout(name, of, (length, *tail), (chunk, *tail), (), SIDECAR, dimensions))

    if entry.layout != "dense":
        sidecar(OFFSETS, _INT64, items + 1, ("offset",))
    if entry.shapes:
        sidecar(SHAPES, _INT64, items, (item, "axis"), entry.shapes)
    if entry.items >= 0:
        sidecar(SEQUENCE_OFFSETS, _INT64, entry.rows + 1, ("sequence_offset",))
    if entry.id_start < 0:
        sidecar(IDS, _UINT64, entry.rows, ("sample",))
    return {array.name: array for array in found}


def _listed(entry: SegmentTensor) -> bool:
    return bool(entry.shard and entry.checks)


def _runs(elements: int, unit_bytes: int) -> tuple[int, int]:
    """Return the length of a chunk and of a shard (0: no shard) along axis 0, in units that are never divided."""
    if elements * unit_bytes <= limits.INNER_CHUNK_BYTES or elements == 1:
        return max(1, elements), 0
    chunk = _power_of_two(limits.INNER_CHUNK_BYTES // unit_bytes)
    chunks = -(-elements // chunk)
    if chunks < _EVEN_CHUNKS:  # a last chunk that is mostly padding would weigh in so small an array
        chunk = -(-elements // chunks)
        chunks = -(-elements // chunk)
    per_shard = _power_of_two(limits.SHARD_BYTES // (chunk * unit_bytes))
    return chunk, chunk * min(chunks, per_shard)


def _tiles(elements: int, shape: tuple[int, ...], itemsize: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the chunk and shard shapes of samples that are each divided along all their axes."""
    tile = list(shape)
    while prod(tile) * itemsize > limits.INNER_CHUNK_BYTES:
        longest = tile.index(max(tile))
        tile[longest] = -(-tile[longest] // 2)
    tiles = [-(-n // size) for n, size in zip(shape, tile, strict=True)]
    factors = [1] * len(tile)
    while open_axes := [i for i, factor in enumerate(factors) if factor < tiles[i]]:
        if 2 * prod(tile) * prod(factors) * itemsize > limits.SHARD_BYTES:
            break
        shortest = min(open_axes, key=lambda i: tile[i] * factors[i])
        factors[shortest] = min(2 * factors[shortest], tiles[shortest])
    return (1, *tile), (1, *(size * factor for size, factor in zip(tile, factors, strict=True)))


def _sidecar_rows(length: int, width: int) -> int:
    row_bytes = 8 * max(1, width)
    if (length + 1) * row_bytes <= limits.SIDECAR_CHUNK_BYTES:
        return 0
    return _power_of_two(limits.SIDECAR_CHUNK_BYTES // row_bytes)


def _id_start(block: Block) -> int:
    ids = block.ids
    if not len(ids):
        return -1
    first = int(ids[0])
    if int(ids[-1]) - first != len(ids) - 1:
        return -1
    return first if len(ids) < 3 or bool((ids[1:] - ids[:-1] == 1).all()) else -1


def _power_of_two(n: int) -> int:
    """Return the largest power of two that is at most n, and at least 1."""
    return 1 << max(0, n.bit_length() - 1)
