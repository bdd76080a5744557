"""Sample ids of rows, by where the rows lie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zlake.extents import edit
from zlake.extents.map import ExtentMap
from zlake.format.documents import SegmentTensor
from zlake.types import IdArray
from zlake.versions.changes import IdReader
from zlake.versions.idruns import NO_IDS


def ids_of(key: str, segments: Sequence[SegmentTensor], extents: ExtentMap, reader: IdReader | None) -> IdArray | None:
    """Return the sample ids of rows, reading only where a segment's ids do not count up; None if there is no reader."""
    if not extents.length:
        return NO_IDS
    starts = np.array([segment.id_start for segment in segments], object)
    used = edit.used_segments(extents)
    if all(start >= 0 for start in starts[used]):
        first = starts[extents.segment].astype(np.uint64) + extents.start.astype(np.uint64)
        before = np.repeat(extents.ends - extents.count, extents.count)
        inside = (np.arange(extents.length) - before).astype(np.uint64)
        return np.asarray(np.repeat(first, extents.count) + inside, np.uint64)
    return None if reader is None else reader.ids(key, segments, extents)
