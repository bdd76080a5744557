"""Rows of dense segments as one TensorStore object, for tools that take one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorstore as ts

from zlake.extents.plan import Plan
from zlake.segments.dense import DenseSource
from zlake.segments.source import Source
from zlake.types import IntArray


def concatenated(plan: Plan, sources: Sequence[Source], dtype: np.dtype[Any], shape: tuple[int, ...]) -> ts.TensorStore:
    """Return the planned rows of stored dense segments as one read-only array; nothing is read.

    Parameters
    ----------
    plan
        All rows of the tensor, in order.
    sources
        What the plan numbers: dense segments of one sample shape.
    dtype
        Dtype of the samples.
    shape
        ``(0, *sample shape)``, what is returned where the plan has no rows.
    """
    parts: list[tuple[slice | IntArray, ts.TensorStore]] = []
    for run in plan.runs:
        source = sources[run.source]
        assert isinstance(source, DenseSource)
        parts.append((run.at, source.values.array[run.rows].translate_to[0]))
    if not parts:
        return ts.array(np.empty(shape, dtype))
    if len(parts) == 1:
        return parts[0][1]
    whole = ts.concat([part for _, part in parts], axis=0)
    # extents of one segment may have been gathered in one run: put the rows back in order
    order = np.concatenate([np.arange(at.start, at.stop) if isinstance(at, slice) else at for at, _ in parts])
    return whole if bool((np.diff(order) == 1).all()) else whole[np.argsort(order)]
