"""Every stored byte of one tensor in one segment against its checksums, past all caches."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from zlake.errors import CorruptObjectError, ZlakeError
from zlake.format import check_seal
from zlake.format.documents import SegmentTensor
from zlake.format.paths import segment_prefix, tensor_prefix
from zlake.segments.codecs import ABSENT, CHECKSUM_BYTES, INDEX_ENTRY_BYTES, crc32c, decode
from zlake.segments.identity import by_array, check_of, compare, end_bytes, entry_checks
from zlake.segments.layout import IDS, OFFSETS, SEQUENCE_OFFSETS, SHAPES, VALUES, ArrayLayout, arrays
from zlake.storage.store import Store
from zlake.types import Array

_MOST_MISSING = 1000
"""Missing objects that are named one by one: a table that lies may speak of any number of them."""


def count_objects(entry: SegmentTensor, dtype: np.dtype[Any]) -> int:
    """Return how many objects a tensor has in a segment, beside metadata."""
    return sum(prod(layout.objects) for layout in arrays(entry, dtype).values())


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
    prefix, layouts = tensor_prefix(entry.segment, key), arrays(entry, dtype)
    try:
        expected = by_array(entry, layouts)
    except CorruptObjectError as error:
        yield prefix, str(error)
        return
    checks: list[bytes] = []
    missing = damaged = 0
    for layout in layouts.values():
        for number, position in enumerate(layout.positions()):
            object_key = prefix + layout.object_key(position)
            try:
                data = store.read(object_key)
                if data is None:
                    missing += 1
                    if missing > _MOST_MISSING:
                        yield prefix, f"more than {_MOST_MISSING} objects are missing"
                        return
                    raise CorruptObjectError("it is missing")
                found, check = check_object(layout, position, data)
                if layout.name in expected:
                    compare(check, expected[layout.name][number], "")
                checks.append(check.to_bytes(CHECKSUM_BYTES, "little"))
                if found is not None and layout.name != VALUES:
                    sidecars.setdefault(layout.name, []).append(found)
            except ZlakeError as error:
                damaged += 1
                yield object_key, str(error).removeprefix(": ")
    if damaged:
        return
    if entry.checks and not expected and entry_checks(checks) != entry.checks:
        yield prefix, "there are others among its objects than were written"
    parts = {name: np.concatenate(chunks)[: _length(entry, name)] for name, chunks in sidecars.items()}
    for name, reason in _check_sidecars(entry, parts):
        yield prefix + name, reason


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


def check_object(layout: ArrayLayout, position: tuple[int, ...], data: bytes) -> tuple[Array | None, int]:
    """Check a chunk or shard; return the decoded chunk, if it is one, and the check of the object.

    Raises
    ------
    CorruptObjectError
        If a checksum, a length or the index is wrong, or a chunk is missing in a shard.
    """
    nbytes = prod(layout.chunk) * layout.dtype.itemsize
    if not layout.shard:
        found: Array = decode(layout.codec, data, nbytes, "").view(layout.dtype).reshape(layout.chunk)
        return found, check_of(data)
    per_shard = tuple(s // c for s, c in zip(layout.shard, layout.chunk, strict=True))
    chunks = prod(per_shard)
    index_bytes, end = chunks * INDEX_ENTRY_BYTES + CHECKSUM_BYTES, end_bytes(layout, chunks)
    if len(data) < end:
        raise CorruptObjectError(f"{len(data)} bytes are too few for the index of a shard of {chunks} chunks")
    view = memoryview(data)
    index = decode("raw", view[-index_bytes:], chunks * INDEX_ENTRY_BYTES, "the shard's index").view("<u8")
    checks = np.zeros(chunks, "<u4")
    inside = _inside(layout, position, per_shard)
    for number, (offset, size) in enumerate(index.reshape(-1, 2).tolist()):
        if offset == size == ABSENT:
            if inside[number]:
                raise CorruptObjectError(f"chunk {number} of the shard is missing")
            continue
        if offset + size > len(data) - end:
            raise CorruptObjectError(f"chunk {number} lies outside the shard")
        decode(layout.codec, view[offset : offset + size], nbytes, f"chunk {number}")
        checks[number] = check_of(view[offset : offset + size])
    if layout.listed and view[-end : len(data) - index_bytes] != checks.tobytes():
        raise CorruptObjectError("the list of the checksums of its chunks is damaged")
    return None, crc32c(checks.tobytes())


def _inside(layout: ArrayLayout, position: tuple[int, ...], per_shard: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Return which chunks of a shard lie within the array, at least partly, in C order."""
    axes = zip(position, layout.shard, layout.chunk, layout.shape, per_shard, strict=True)
    starts = [place * shard + np.arange(n) * chunk < length for place, shard, chunk, length, n in axes]
    grid = np.meshgrid(*starts, indexing="ij", sparse=True)
    return reduce(np.logical_and, grid).reshape(-1)


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
