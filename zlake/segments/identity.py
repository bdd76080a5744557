"""Which object is which: the checksums in a segment entry, by which an object is told from another of the same form.

The *check* of a chunk is the crc32c that it ends in. Before its index a shard lists those of its chunks, four bytes
each, zero for an absent one; the crc32c of that list is the check of the shard. So the end of a shard, which a reader
needs anyway, says of each chunk which one belongs there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from zlake import limits
from zlake.errors import CorruptObjectError
from zlake.format.documents import SegmentTensor
from zlake.segments.codecs import CHECKSUM_BYTES, INDEX_ENTRY_BYTES, crc32c
from zlake.segments.layout import ArrayLayout

Checks = npt.NDArray[np.uint32]
"""The check of each object of an array, in C order of their positions, or of each chunk."""

_STORED: Final = np.dtype("<u4")


def entry_checks(found: Sequence[bytes]) -> bytes:
    """Return what an entry says of its objects, from the check of each, in the order of the arrays."""
    joined = b"".join(found)
    return joined if len(found) <= limits.ENTRY_CHECKS else of_all(joined)


def of_all(joined: bytes) -> bytes:
    """Return the four bytes that stand for the checks of many objects."""
    return crc32c(joined).to_bytes(CHECKSUM_BYTES, "little")


def by_array(entry: SegmentTensor, layouts: dict[str, ArrayLayout]) -> dict[str, Checks]:
    """Return the checks of the objects of each array by its name; nothing where the entry does not tell them apart.

    Raises
    ------
    CorruptObjectError
        If the entry has another number of them than there are objects.
    """
    counts = [prod(layout.objects) for layout in layouts.values()]
    total = sum(counts)
    if not entry.checks or (total > limits.ENTRY_CHECKS and len(entry.checks) == CHECKSUM_BYTES):
        return {}
    if len(entry.checks) != CHECKSUM_BYTES * total:
        raise CorruptObjectError(
            f"the entry of segment {entry.segment} has {len(entry.checks)} bytes of checks for {total} objects"
        )
    values = np.frombuffer(entry.checks, _STORED).astype(np.uint32, copy=False)
    ends = np.cumsum([0, *counts]).tolist()
    return {name: values[a:b] for name, (a, b) in zip(layouts, pairwise(ends), strict=True)}


def end_bytes(layout: ArrayLayout, chunks: int) -> int:
    """Return the bytes at the end of a shard of so many chunks: list, index and the index's checksum."""
    listed = CHECKSUM_BYTES * chunks if layout.listed else 0
    return listed + INDEX_ENTRY_BYTES * chunks + CHECKSUM_BYTES


def shard_list(end: bytes | memoryview, chunks: int, check: int, key: str) -> Checks:
    """Return the checks of the chunks of a shard from its end.

    Raises
    ------
    CorruptObjectError
        If it is not the shard that has this check.
    """
    stored = bytes(end[: CHECKSUM_BYTES * chunks])
    if crc32c(stored) != check:
        raise CorruptObjectError(f"{key}: this is another object, or damaged: its chunks are not those of {check:08x}")
    return np.frombuffer(stored, _STORED).astype(np.uint32, copy=False)


def compare(stored: int, check: Any, key: str, chunk: int | None = None) -> None:
    """Raise unless a chunk, which is whole, is the one that belongs here."""
    if stored != int(check):
        what = "the object" if chunk is None else f"chunk {chunk}"
        raise CorruptObjectError(f"{key}: {what} is another one: its crc32c is {stored:08x}, not {int(check):08x}")


def check_of(data: bytes | memoryview) -> int:
    """Return the checksum that a chunk ends in."""
    return int.from_bytes(data[-CHECKSUM_BYTES:], "little")
