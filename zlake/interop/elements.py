"""Elements of ragged and encoded samples, wherever they lie, as one array."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from zlake.extents.map import ExtentMap
from zlake.extents.plan import Plan, Run
from zlake.interop.lift import grouped
from zlake.segments.gather import gather_array
from zlake.segments.source import Source
from zlake.types import Array, IntArray


def read_elements(elements: ExtentMap, sources: Sequence[Source], dtype: np.dtype) -> Array:
    """Read elements, each segment once, all segments at the same time.

    Parameters
    ----------
    elements
        Ranges of elements (bytes) of the segments.
    sources
        What the map numbers; samples of dense ones count as flattened in C order.
    dtype
        Dtype of the elements.

    Returns
    -------
    ndarray
        ``(elements.length,)``.
    """
    out = np.empty(elements.length, dtype)
    waiting = []
    for segment, extents in grouped(elements.segment):
        starts, counts, ends = elements.start[extents], elements.count[extents], elements.ends[extents]
        part = out[ends[0] - counts[0] : ends[0]] if len(extents) == 1 else np.empty(counts.sum(), dtype)
        source = sources[segment]
        if source.layout == "dense":
            _read_dense(source, starts, counts, part)
            pending = None
        else:
            pending = source.concat(starts, starts + counts, part)
        waiting.append((pending, part, ends, counts))
    for pending, part, ends, counts in waiting:
        if pending is not None:
            pending.result()
        if len(ends) > 1:
            _scatter(part, out, ends, counts)
    return out


def _read_dense(source: Source, starts: IntArray, counts: IntArray, out: Array) -> None:
    size = prod(source.shape)
    done = 0
    for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
        first, last = start // size, -(-(start + count) // size)
        run = Run(0, slice(first, last, 1), slice(0, last - first, 1))
        flat = gather_array(Plan((run,), last - first), [source]).result().reshape(-1)
        out[done : done + count] = flat[start - first * size :][:count]
        done += count


def _scatter(part: Array, out: Array, ends: IntArray, counts: IntArray) -> None:
    done = 0
    for end, count in zip(ends.tolist(), counts.tolist(), strict=True):
        out[end - count : end] = part[done : done + count]
        done += count
