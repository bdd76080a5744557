"""Every stored byte of one tensor in one segment against its checksums, past all caches."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from zlake.errors import CorruptObjectError, ZlakeError
from zlake.format import check_seal
from zlake.format.documents import SegmentTensor
from zlake.format.paths import segment_prefix, tensor_prefix
from zlake.segments.codecs import ABSENT, CHECKSUM_BYTES, INDEX_ENTRY_BYTES, decode
from zlake.segments.layout import IDS, OFFSETS, SEQUENCE_OFFSETS, SHAPES, VALUES, ArrayLayout, arrays
from zlake.storage.store import Store
from zlake.types import Array

_MOST_MISSING = 1000
"""Missing objects that are named one by one: a table that lies may speak of any number of them."""


def count_objects(entry: SegmentTensor, dtype: np.dtype[Any]) -> int:
    """Return how many objects a tensor has in a segment, beside metadata."""
    return sum(prod(layout.objects) for layout in arrays(entry, dtype).values())


def _objects(entry: SegmentTensor, key: str, dtype: np.dtype[Any]) -> Iterator[tuple[str, ArrayLayout]]:
    """Yield the key of every object of a tensor in a segment, with the array that it belongs to."""
    prefix = tensor_prefix(entry.segment, key)
    for layout in arrays(entry, dtype).values():
        for position in layout.positions():
            yield prefix + layout.object_key(position), layout


def verify_tensor(store: Store, entry: SegmentTensor, key: str, dtype: np.dtype[Any]) -> Iterator[tuple[str, str]]:
    """Read every object of a tensor in a segment, and yield those that are damaged.

    Parameters
    ----------
    store
        The dataset's store.
    entry, key
        The tensor in the segment.
    dtype
        Dtype of its values, uint8 where encoded.

    Yields
    ------
    tuple
        Key of the object, and what is wrong with it.
    """
    sidecars: dict[str, list[Array]] = {}
    whole = True
    missing = 0
    for object_key, layout in _objects(entry, key, dtype):
        try:
            data = store.read(object_key)
            if data is None:
                missing += 1
                if missing > _MOST_MISSING:
                    yield tensor_prefix(entry.segment, key), f"more than {_MOST_MISSING} objects are missing"
                    return
                raise CorruptObjectError("it is missing")
            chunks = check_object(layout, data)
            if layout.name != VALUES:
                sidecars.setdefault(layout.name, []).extend(chunks)
        except ZlakeError as error:
            whole = False
            yield object_key, str(error).removeprefix(": ")
    if whole:
        parts = {name: np.concatenate(chunks)[: _length(entry, name)] for name, chunks in sidecars.items()}
        for name, reason in _check_sidecars(entry, parts):
            yield f"{tensor_prefix(entry.segment, key)}{name}", reason


def verify_group(store: Store, segment: str) -> Iterator[tuple[str, str]]:
    """Check the metadata document of a segment; yield it if it is damaged."""
    key = segment_prefix(segment) + "zarr.json"
    try:
        data = store.read(key)
        if data is None:
            raise CorruptObjectError("it is missing")
        check_seal(data, key)
        if f'"zlake":{{"segment":"{segment}"}}'.encode() not in data:
            raise CorruptObjectError("it is that of another segment")
    except ZlakeError as error:
        yield key, str(error).removeprefix(key)


def check_object(layout: ArrayLayout, data: bytes) -> list[Array]:
    """Check a chunk or shard; return the decoded chunks of an array that is not sharded.

    Raises
    ------
    CorruptObjectError
        If a checksum, a length or the index is wrong.
    """
    nbytes = prod(layout.chunk) * layout.dtype.itemsize
    if not layout.shard:
        return [decode(layout.codec, data, nbytes, "").view(layout.dtype).reshape(layout.chunk)]
    chunks = prod(layout.shard) // prod(layout.chunk)
    index_bytes = chunks * INDEX_ENTRY_BYTES + CHECKSUM_BYTES
    if len(data) < index_bytes:
        raise CorruptObjectError(f"{len(data)} bytes are too few for the index of a shard of {chunks} chunks")
    view = memoryview(data)
    index = decode("raw", view[-index_bytes:], chunks * INDEX_ENTRY_BYTES, "the shard's index").view("<u8")
    for number, (offset, size) in enumerate(index.reshape(-1, 2).tolist()):
        if offset == size == ABSENT:
            continue
        if offset + size > len(data) - index_bytes:
            raise CorruptObjectError(f"chunk {number} lies outside the shard")
        decode(layout.codec, view[offset : offset + size], nbytes, f"chunk {number}")
    return []


def _length(entry: SegmentTensor, name: str) -> int:
    items = entry.rows if entry.items < 0 else entry.items
    return {OFFSETS: items + 1, SHAPES: items, SEQUENCE_OFFSETS: entry.rows + 1, IDS: entry.rows}[name]


def _check_sidecars(entry: SegmentTensor, parts: dict[str, Array]) -> Iterator[tuple[str, str]]:
    """Check that offsets, shapes and ids make sense together."""
    items = entry.rows if entry.items < 0 else entry.items
    for name, end in ((OFFSETS, entry.elements), (SEQUENCE_OFFSETS, items)):
        offsets = parts.get(name)
        if offsets is not None and (
            offsets[0] != 0 or int(offsets[-1]) != end or bool((offsets[1:] < offsets[:-1]).any())
        ):
            yield name, f"the offsets do not rise from 0 to {end}"
    if entry.layout == "ragged" and SHAPES in parts and OFFSETS in parts:
        sizes = parts[SHAPES].prod(axis=1)
        if bool((sizes != np.diff(parts[OFFSETS])).any()):
            yield SHAPES, "the shapes do not have as many elements as the offsets say"
