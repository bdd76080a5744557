"""Carry out read plans for what lies beside the values: shapes, ids, the items of sequences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zlake.extents.map import spans
from zlake.extents.plan import Plan, Run
from zlake.segments.layout import IDS, OFFSETS, SEQUENCE_OFFSETS, SHAPES
from zlake.segments.sidecars import load
from zlake.segments.source import Source
from zlake.types import IdArray, IntArray


def gather_shapes(plan: Plan, sources: Sequence[Source]) -> IntArray:
    """Return the shape of each row's sample, ``(plan.length, ndim)``, without reading values.

    Encoded tensors that store no shapes have ones.
    """
    prefetch(plan, sources, (SHAPES,) if _all_shaped(plan, sources) else (SHAPES, OFFSETS))
    first = sources[plan.runs[0].source] if plan.runs else next(iter(filter(None, sources)), None)
    out = np.empty((plan.length, 0 if first is None else first.ndim), np.int64)
    for run in plan.runs:
        out[run.at] = sources[run.source].shapes(run.rows)
    return out


def gather_ids(plan: Plan, sources: Sequence[Source]) -> IdArray:
    """Return the sample id of each row, ``(plan.length,) uint64``."""
    prefetch(plan, sources, (IDS,))
    out = np.empty(plan.length, np.uint64)
    for run in plan.runs:
        out[run.at] = sources[run.source].ids(run.rows)
    return out


def expand_sequences(plan: Plan, sources: Sequence[Source]) -> tuple[Plan, IntArray]:
    """Turn a plan for rows of a sequence tensor into one for their items.

    Returns
    -------
    items
        A plan that reads the items of the first row, then those of the second, and so on.
    counts
        Number of items of each row, ``(plan.length,) int64``.
    """
    prefetch(plan, sources, (SEQUENCE_OFFSETS,))
    counts = np.empty(plan.length, np.int64)
    found = []
    for run in plan.runs:
        starts, stops = sources[run.source].sequences(run.rows)
        counts[run.at] = stops - starts
        found.append((run, starts, stops))
    ends = np.cumsum(counts)
    begins = ends - counts
    runs = []
    for run, starts, stops in found:
        at = begins[run.at]
        items = spans(starts, stops - starts)
        if len(items):
            runs.append(Run(run.source, _as_slice(items), _as_slice(spans(at, stops - starts))))
    return Plan(tuple(runs), int(ends[-1]) if len(ends) else 0), counts


def prefetch(plan: Plan, sources: Sequence[Source], names: tuple[str, ...]) -> None:
    """Load what the plan needs of the named sidecars of all sources, all chunks in flight at once."""
    wanted = [part for run in plan.runs for part in sources[run.source].missing(run.rows, names)]
    if wanted:
        load(wanted)


def _all_shaped(plan: Plan, sources: Sequence[Source]) -> bool:
    """Whether shapes are known without offsets: that is so unless ragged samples have one axis."""
    return all(sources[run.source].layout != "ragged" or sources[run.source].ndim != 1 for run in plan.runs)


def _as_slice(rows: IntArray) -> slice | IntArray:
    if bool((rows[1:] - rows[:-1] == 1).all()):
        return slice(int(rows[0]), int(rows[-1]) + 1, 1)
    return rows
