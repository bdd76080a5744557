"""Which small extents at the end of a tensor a flush should copy into its own segment."""

from __future__ import annotations

from collections.abc import Sequence

from zlake import limits
from zlake.extents.map import ExtentMap
from zlake.format.documents import SegmentTensor


def worth_a_look(extents: int, new_bytes: int) -> bool:
    """Whether `choose` could find anything, behind so many extents, for rows of so many bytes."""
    return 0 < new_bytes < limits.INNER_CHUNK_BYTES and extents >= limits.COALESCE_FACTOR - 1


def choose(segments: Sequence[SegmentTensor], extents: ExtentMap, new_rows: int, new_bytes: int) -> int:
    """Return how many of the last rows to copy in front of the new ones; 0 for none.

    Extents fall into tiers by the rows of their segments, each tier four times the one below. Extents are merged only
    where the result is of a higher tier than each of them, so a row is copied at most once a tier: n single-row appends
    leave O(log n) extents and write O(n log n) bytes. What updates have left of a large segment stays in its tier.
    Nothing is merged beyond the size of a shard, and nothing is copied for rows that fill an inner chunk by themselves:
    large appends cost what they weigh, each as much as the one before. A large sample that is stored in tiles stays so.

    Parameters
    ----------
    segments, extents
        The newest rows of the tensor, as `Repository.tail` gives them.
    new_rows, new_bytes
        What is being appended.
    """
    if not worth_a_look(extents.n_extents, new_bytes):
        return 0
    rows, size, highest, chosen = new_rows, new_bytes, 0, 0
    last = max(0, extents.n_extents - _MOST_EXTENTS)
    segment, count = extents.segment[last:].tolist(), extents.count[last:].tolist()
    for i in range(1, len(count) + 1):
        entry = segments[segment[-i]]
        if _tiled(entry):
            break
        rows += count[-i]
        size += entry.bytes * count[-i] // entry.rows
        highest = max(highest, _tier(entry.rows))
        if size > limits.SHARD_BYTES:
            break
        if i >= limits.COALESCE_FACTOR - 1 and _tier(rows) > highest:
            chosen = rows - new_rows
    return chosen


_MOST_EXTENTS = 256


def _tiled(entry: SegmentTensor) -> bool:
    """Whether single samples are divided into chunks: among samples of other shapes they would not be any more."""
    return any(chunk < size for chunk, size in zip(entry.inner[1:], entry.shape, strict=False))


def _tier(rows: int) -> int:
    """Return the logarithm of a row count to the base of the coalescing factor, rounded down."""
    return (rows.bit_length() - 1) // (limits.COALESCE_FACTOR.bit_length() - 1)
