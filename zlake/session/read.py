"""What reading means: rows of a column as arrays, lists, bytes or decoded samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zlake.errors import DynamicTensorNumpyError, InvalidOperationError
from zlake.extents.plan import Plan
from zlake.format.documents import SegmentTensor
from zlake.segments.gather import expand_sequences, gather_array, gather_blobs, gather_ids, gather_list, gather_shapes
from zlake.segments.pending import Done, mapped
from zlake.segments.source import Source
from zlake.session.column import Column
from zlake.session.decode import decode_many, decode_one
from zlake.session.region import apply
from zlake.session.region import items as picked
from zlake.types import Array, IdArray, IntArray, Pending

Rows = slice | IntArray
DOCUMENT_DTYPES = {"text": np.str_, "json": np.object_, "list": np.object_, "tag": np.object_}


def one(column: Column, row: int) -> Any:
    """Return one decoded sample: an owned array, or the text, dictionary or list."""
    if column.state.sequence:
        return samples(column, np.array([row])).result()[0]
    source, at = column.locate(row)
    if column.encoded:
        return decode_one(column, source.one_blob(at), lambda: tuple(source.shapes(np.array([at]))[0].tolist()))
    return source.one(at)


def one_blob(column: Column, row: int) -> bytes:
    """Return the stored bytes of one encoded sample."""
    source, at = column.locate(row)
    return source.one_blob(at)


def item_blob(column: Column, row: int, item: int) -> bytes:
    """Return the stored bytes of one item of a row of an encoded sequence tensor."""
    plan, sources = column.plan(np.array([row]))
    flat, _ = expand_sequences(plan, sources)
    return bytes(picked(gather_blobs(flat, sources).result(), item))


def arrays(column: Column, rows: Rows, region: tuple[Any, ...] = ()) -> Pending[Any]:
    """Return each row's sample (the part of it that ``region`` names), decoded; not for sequences."""
    plan, sources = column.plan(rows)
    return items(column, plan, sources, region)


def items(
    column: Column, plan: Plan, sources: Sequence[Source], region: tuple[Any, ...] = (), *, threads: int | None = None
) -> Pending[Any]:
    """Return the items that a plan names, decoded: a list, or one array where encoded ones share a shape."""
    if not column.encoded:
        return gather_list(plan, sources, region)

    def decode(found: list[Any]) -> Array | list[Any]:
        decoded = decode_many(column, found, lambda: gather_shapes(plan, sources), threads=threads)
        return [apply(sample, region) for sample in decoded] if region else decoded

    return mapped(gather_blobs(plan, sources), decode)


def samples(column: Column, rows: Rows, region: tuple[Any, ...] = ()) -> Pending[Any]:
    """Return each row's sample; a row of a sequence tensor is the list of its items."""
    if not column.state.sequence:
        return arrays(column, rows, region)
    plan, sources = column.plan(rows)
    flat, counts = expand_sequences(plan, sources)
    inner = region[1:] if region else ()
    found = items(column, flat, sources, inner)
    ends = np.cumsum(counts).tolist()

    def split(every: Any) -> list[Any]:
        lists = [every[end - count : end] for end, count in zip(ends, counts.tolist(), strict=True)]
        return [picked(row, region[0]) for row in lists] if region else lists

    return mapped(found, split)


def stacked(column: Column, rows: Rows, region: tuple[Any, ...] = ()) -> Pending[Array]:
    """Return the rows as one array ``(n, *sample shape)``.

    Raises
    ------
    DynamicTensorNumpyError
        If the samples have different shapes.
    """
    if column.encoded or column.state.sequence:
        return mapped(samples(column, rows, region), lambda found: stack(column, found))
    plan, sources = column.plan(rows)
    if plan.length == 0:
        return Done(empty(column, region))
    if one_shape(plan, sources):
        return gather_array(plan, sources, region)
    return mapped(gather_list(plan, sources, region), lambda found: stack(column, found))


def stacked_or_list(column: Column, rows: Rows, *, threads: int | None = None) -> Pending[Any]:
    """Return the rows as one array where it is known beforehand that they share a shape, else as a list.

    ``threads`` says how many threads decode, where not as many as the context says.
    """
    plan, sources = column.plan(rows)
    if column.encoded:
        return items(column, plan, sources, threads=threads)
    if plan.length and one_shape(plan, sources):
        return gather_array(plan, sources)
    return gather_list(plan, sources)


def one_shape(plan: Plan, sources: Sequence[Source]) -> bool:
    """Whether all rows of a plan lie in dense segments of one shape."""
    used = [sources[run.source] for run in plan.runs]
    return all(source.layout == "dense" and source.shape == used[0].shape for source in used)


def empty(column: Column, region: tuple[Any, ...] = ()) -> Array:
    """Return the array of no rows, with the sample shape where all stored samples share one."""
    dtype = column.spec.dtype or np.dtype(DOCUMENT_DTYPES.get(column.state.htype, np.float64))
    shape = common_shape(column)
    if shape is None:
        shape = (0,) * (column.spec.ndim or 0)
    return np.empty((1, *shape), dtype)[(slice(0, 0), *region)] if region else np.empty((0, *shape), dtype)


def stack(column: Column, found: Array | list[Any]) -> Array:
    """Stack samples of one shape into one array."""
    if isinstance(found, np.ndarray):
        return found
    if not found:
        return empty(column)
    if not column.state.sequence:
        found = column.htype.as_arrays(found)
    return stack_arrays(column, found)


def stack_arrays(column: Column, found: Sequence[Any]) -> Array:
    """Stack what ``numpy`` shows of each sample, one array each, into one array."""
    if not found:
        return empty(column)
    shapes = [sample.shape if isinstance(sample, np.ndarray) else "several" for sample in found]
    first = shapes[0]
    if any(shape != first or shape == "several" for shape in shapes):
        raise DynamicTensorNumpyError(
            f"tensor {column.name!r} holds samples of different shapes here ({first} and "
            f"{next((shape for shape in shapes if shape != first), first)}), which do not make one array; "
            "use numpy(aslist=True)"
        )
    return np.stack(found)


def blobs(column: Column, rows: Rows) -> Pending[list[bytes]]:
    """Return the stored bytes of each row of an encoded tensor."""
    if not column.encoded:
        raise InvalidOperationError(f"tensor {column.name!r} stores arrays, not encoded samples")
    plan, sources = column.plan(rows)
    return mapped(gather_blobs(plan, sources), lambda found: [bytes(b) for b in found])


def ids(column: Column, rows: Rows = slice(None)) -> IdArray:
    """Return the sample ids, ``(n,) uint64``."""
    return gather_ids(*column.plan(rows))


def shapes(column: Column, rows: Rows = slice(None)) -> IntArray:
    """Return the shape of each sample, ``(n, ndim) int64``, without reading values."""
    plan, sources = column.plan(rows)
    if not column.state.sequence:
        return gather_shapes(plan, sources)
    flat, counts = expand_sequences(plan, sources)
    inner = gather_shapes(flat, sources)
    # items of one row may differ in shape: the largest along each axis speaks for the row
    out = np.zeros((len(counts), 1 + inner.shape[1]), np.int64)
    out[:, 0] = counts
    filled = np.flatnonzero(counts)
    if len(filled):
        starts = (np.cumsum(counts) - counts)[filled]
        out[filled, 1:] = np.maximum.reduceat(inner, starts, axis=0)
    return out


def common_shape(column: Column) -> tuple[int, ...] | None:
    """Return the one shape of all samples, judged from the segment tables alone where they are dense, else None."""
    plan, sources = column.plan(slice(0, len(column), 1))
    if not plan.length or column.state.sequence or not one_shape(plan, sources):
        return None
    return sources[plan.runs[0].source].shape


Bounds = tuple[tuple[int, ...], tuple[int, ...]]


def shape_bounds(column: Column, rows: Rows) -> Bounds | None:
    """Return the smallest and the largest extent of the samples along each axis; None where there are no rows.

    The axes of a sequence are the number of its items, then those of the items.
    """
    plan, sources = column.plan(rows)
    if not plan.length:
        return None
    if column.state.sequence:
        flat, counts = expand_sequences(plan, sources)
        inner = gather_shapes(flat, sources) if flat.length else np.zeros((1, column.spec.ndim or 0), np.int64)
        return (
            (int(counts.min()), *inner.min(axis=0).tolist()),
            (int(counts.max()), *inner.max(axis=0).tolist()),
        )
    if all(sources[run.source].layout == "dense" for run in plan.runs):
        found = np.array([sources[run.source].shape for run in plan.runs], np.int64)
    else:
        found = gather_shapes(plan, sources)
    return tuple(found.min(axis=0).tolist()), tuple(found.max(axis=0).tolist())


def cheap(column: Column, rows: Rows, limit: int) -> bool:
    """Whether `shape_bounds` reads the shapes of ``limit`` stored rows at most; the others are known without a read."""
    view = column.view()
    plan, _ = view.plan(rows)
    stored = [run for run in plan.runs if run.source < len(view.segments)]
    if not column.state.sequence:
        # dense segments say their shape in the table; text and JSON have none
        stored = [run for run in stored if _has_shapes(view.segments[run.source])]
    return sum(run.length for run in stored) <= limit


def _has_shapes(entry: SegmentTensor) -> bool:
    return entry.layout == "ragged" or (entry.layout == "encoded" and entry.shapes > 0)
