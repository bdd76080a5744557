"""Which rows of a tensor lie in so small pieces that they should be written anew, together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from zlake import limits
from zlake.extents import edit
from zlake.extents.map import ExtentMap
from zlake.format.documents import SegmentTensor
from zlake.types import IntArray

ROW_BYTES = 8
"""What a row counts for beside its values."""


def price() -> int:
    """Return how many bytes may be written anew to have one extent less: about what is read while one is looked for."""
    return limits.SHARD_BYTES // 4


@dataclass(frozen=True, slots=True)
class Fragments:
    """Neighbouring rows to be brought together.

    Attributes
    ----------
    start, stop
        The rows.
    size
        Bytes of their values, about.
    lot
        Rows of different lots are not written into one array: they are large samples of different shapes, or long runs
        of samples of one shape, which are to stay dense.
    """

    start: int
    stop: int
    size: int
    lot: int = 0


def sizes(segments: Sequence[SegmentTensor], extents: ExtentMap, itemsize: int) -> npt.NDArray[np.float64]:
    """Return about how many bytes the values of each extent take before compression, ``(extents,) float64``."""
    each = [entry.elements * prod(entry.shape) * itemsize / entry.rows + ROW_BYTES for entry in segments]
    return np.array(each, np.float64)[extents.segment] * extents.count


def find(
    segments: Sequence[SegmentTensor], extents: ExtentMap, itemsize: int, everything: bool = False
) -> list[Fragments]:
    """Return the rows to write anew, in row order.

    Neighbouring extents are brought together where each extent less costs at most `price` bytes to be written; of all
    such choices the one that saves most. So many tiny extents always become one, one tiny extent between two long ones
    stays what it is, and what was brought together is not worth being touched again. Rows of segments of which less
    than half is still in use are written anew in any case.

    Parameters
    ----------
    segments, extents
        The tensor's rows.
    itemsize
        Bytes of an element.
    everything
        Write all rows anew.
    """
    if not extents.length:
        return []
    size = sizes(segments, extents, itemsize)
    forced = _mostly_dead(segments, extents)
    found = []
    for number, (first, stop) in enumerate(_lots(segments, extents, itemsize, size)):
        lot = slice(first, stop)
        chosen = [(0, stop - first)] if everything else _choose(size[lot].tolist(), forced[lot].tolist(), price())
        for a, b in chosen:
            start = int(extents.ends[first + a] - extents.count[first + a])
            part = size[first + a : first + b]
            found.append(Fragments(start, int(extents.ends[first + b - 1]), int(part.sum()), number))
    return found


def pieces(
    extents: ExtentMap, found: Sequence[Fragments], size_of: npt.NDArray[np.float64], most: int
) -> list[ExtentMap]:
    """Return the rows to write anew as parts of about ``most`` bytes at the most, each to become one segment's.

    Parameters
    ----------
    extents
        The tensor's rows.
    found
        What to write anew, as `find` returns it.
    size_of
        Bytes of each extent.
    most
        Bytes of a part; one row may take more.
    """
    made: list[ExtentMap] = []
    part: list[ExtentMap] = []
    size, lot = 0, -1
    for each in found:
        if part and (each.lot != lot or size + each.size > most):
            made.append(edit.join(part))
            part, size = [], 0
        lot = each.lot
        if each.size > most:
            made.extend(_cut(extents, each, size_of, -(-each.size // most)))
        else:
            part.append(edit.slice_(extents, each.start, each.stop))
            size += each.size
    return [*made, edit.join(part)] if part else made


def _cut(extents: ExtentMap, rows: Fragments, size_of: npt.NDArray[np.float64], count: int) -> Iterator[ExtentMap]:
    """Cut rows into parts of about the same number of bytes."""
    ends = np.append(0.0, size_of.cumsum())
    bounds = np.append(0, extents.ends)
    low, high = np.interp([rows.start, rows.stop], bounds, ends)
    cuts = np.interp(np.linspace(low, high, count + 1), ends, bounds).round().astype(np.int64)
    cuts[0], cuts[-1] = rows.start, rows.stop
    for start, stop in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        if start < stop:
            yield edit.slice_(extents, start, stop)


def _mostly_dead(segments: Sequence[SegmentTensor], extents: ExtentMap) -> npt.NDArray[np.bool_]:
    """Say of each extent whether less than half of its segment is in use."""
    used = np.bincount(extents.segment, extents.count, len(segments))
    dead: npt.NDArray[np.bool_] = 2 * used < np.array([entry.rows for entry in segments])
    return dead[extents.segment]


def _lots(
    segments: Sequence[SegmentTensor], extents: ExtentMap, itemsize: int, size: npt.NDArray[np.float64]
) -> list[tuple[int, int]]:
    """Divide the extents where samples of one shape, stored as one array, should go on being stored so."""
    shapes: dict[tuple[int, ...], int] = {}
    kinds = np.array(
        [shapes.setdefault(entry.shape, len(shapes)) if entry.layout == "dense" else -1 for entry in segments]
    )
    kind: IntArray = kinds[extents.segment]
    heads = np.append(0, (np.diff(kind) != 0).nonzero()[0] + 1)
    ends = np.append(heads[1:], len(kind))
    huge = np.array([prod(shape) * itemsize > limits.TILING_THRESHOLD_BYTES for shape in shapes] + [False])
    apart = (kind[heads] >= 0) & (huge[kind[heads]] | (np.add.reduceat(size, heads) >= price()))
    lots: list[tuple[int, int]] = []
    for first, stop, alone, before in zip(
        heads.tolist(), ends.tolist(), apart.tolist(), [True, *apart.tolist()[:-1]], strict=True
    ):
        if alone or before:
            lots.append((first, stop))
        else:
            lots[-1] = (lots[-1][0], stop)
    return lots


def _choose(size: Sequence[float], forced: Sequence[bool], cost: float) -> list[tuple[int, int]]:
    """Return runs of extents to bring together, so that the extents saved at this price, less the bytes, are most."""
    # the best that can be had of the extents so far, if the last of them is left alone, or brought together with others
    alone, joined = 0.0, -np.inf
    steps: list[tuple[bool, bool]] = []
    for each, must in zip(size, forced, strict=True):
        closes, goes_on = joined > alone, joined >= alone - cost
        steps.append((closes, goes_on))
        worth = 2 * cost if must else cost - each
        alone, joined = (joined if closes else alone), worth + (joined if goes_on else alone - cost)
    found = []
    inside, stop = joined > alone, len(size)
    for i in range(len(size) - 1, -1, -1):
        closes, goes_on = steps[i]
        if inside and not goes_on:
            found.append((i, stop))
            inside = False
        elif not inside:
            inside, stop = closes, i
    return found[::-1]
