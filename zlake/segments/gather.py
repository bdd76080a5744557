"""Carry out read plans: rows of several sources as one array, as a list of arrays or as blobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from zlake.errors import CorruptObjectError, DynamicTensorNumpyError, InvalidOperationError
from zlake.extents.plan import Plan, Run, span
from zlake.segments.columns import expand_sequences, gather_ids, gather_shapes, prefetch
from zlake.segments.layout import OFFSETS, SHAPES
from zlake.segments.pending import Done, Joined, background, mapped
from zlake.segments.region import Box, Region
from zlake.segments.slabs import empty
from zlake.segments.source import Rows, Source
from zlake.types import Array, Pending

__all__ = ["expand_sequences", "gather_array", "gather_blobs", "gather_ids", "gather_list", "gather_shapes"]

T = TypeVar("T")

_WHOLE = Region(())
_FEW = 12  # rows of a source: so few are read sooner one by one


def gather_array(
    plan: Plan, sources: Sequence[Source], region: Sequence[Any] = (), out: Array | None = None
) -> Pending[Array]:
    """Read rows of one shape into one array.

    Parameters
    ----------
    plan
        Which rows of which sources go where.
    sources
        What the plan's runs number.
    region
        Keys for the axes of a sample: what is read of each. Several lists select the outer product of their indices.
    out
        Where to put the rows, ``(plan.length, *shape)``; a fresh array is made where it is not given. The reads write
        into it directly if it is C-contiguous and of the tensor's dtype.

    Returns
    -------
    Pending of ndarray
        ``(plan.length, *shape of the region)``: ``out`` or an array that the caller owns.

    Raises
    ------
    DynamicTensorNumpyError
        If the rows have different shapes.
    RowIndexError
        If the region leaves a sample.
    CorruptObjectError, ObjectNotFoundError
        If an object is damaged or missing.
    """
    keys = Region(region) if region else _WHOLE
    shapes = {sources[run.source].shape if sources[run.source].layout == "dense" else None for run in plan.runs}
    if len(shapes) == 1 and (shape := next(iter(shapes))) is not None:
        return _begin(plan, sources, lambda: _dense(plan, sources, keys.box(shape), out))
    if not shapes:
        return Done(_nothing(sources, keys) if out is None else out)
    return mapped(gather_list(plan, sources, region), lambda found: _stacked(found, out))


def gather_list(plan: Plan, sources: Sequence[Source], region: Sequence[Any] = ()) -> Pending[list[Array]]:
    """Read rows of any shapes, each as an array of its own.

    The arrays belong to the caller; those of one call share memory, so keeping one of them keeps that memory.

    Parameters
    ----------
    plan, sources, region
        As of `gather_array`.

    Returns
    -------
    Pending of list
        One array per row.

    Raises
    ------
    RowIndexError
        If the region leaves a sample.
    CorruptObjectError, ObjectNotFoundError
        If an object is damaged or missing.
    """
    keys = Region(region) if region else _WHOLE

    def begin() -> Pending[list[Array]]:
        prefetch(plan, sources, (OFFSETS, SHAPES))
        return _placed(plan, [_list(sources[run.source], run, keys) for run in plan.runs])

    return _begin(plan, sources, begin)


def gather_blobs(plan: Plan, sources: Sequence[Source]) -> Pending[list[bytes]]:
    """Read the bytes of encoded rows.

    Parameters
    ----------
    plan, sources
        As of `gather_array`.

    Returns
    -------
    Pending of list
        One bytes object per row.

    Raises
    ------
    CorruptObjectError, ObjectNotFoundError
        If an object is damaged or missing.
    """

    def begin() -> Pending[list[bytes]]:
        prefetch(plan, sources, (OFFSETS,))
        return _placed(plan, [_blobs(sources[run.source], run.rows) for run in plan.runs])

    return _begin(plan, sources, begin)


def _begin(plan: Plan, sources: Sequence[Source], begin: Callable[[], Pending[T]]) -> Pending[T]:
    """Begin a read here if that is quick, else in a thread."""
    if all(sources[run.source].warm for run in plan.runs):
        return begin()
    return background(begin)


def _dense(plan: Plan, sources: Sequence[Source], box: Box, out: Array | None) -> Pending[Array]:
    dtype = sources[plan.runs[0].source].dtype
    direct = out is not None and _usable(out, (plan.length, *box.shape), dtype) and box.direct
    target = out if direct and out is not None else empty((plan.length, *box.read_shape), dtype)
    parts = []
    for run in plan.runs:
        part = sources[run.source].fill(run.rows, target, run.at, box)
        if part is not None:
            parts.append(part)

    def finish() -> Array:
        if direct:
            return target
        found = target if box.direct else np.ascontiguousarray(box.finish(target))
        return found if out is None else _put(found, out)

    return Joined(parts, finish) if parts else Done(finish())


def _usable(out: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether reads can write into ``out``; raises if the result does not fit it at all."""
    if out.shape != shape:
        raise InvalidOperationError(f"out has shape {out.shape}; these rows have shape {shape}")
    if not np.can_cast(dtype, out.dtype, "same_kind") or not out.flags.writeable:
        kept = "" if out.flags.writeable else " that is read-only"
        raise InvalidOperationError(f"out, an array of {out.dtype}{kept}, cannot take values of {dtype}")
    return out.dtype == dtype and out.flags.c_contiguous and out.flags.aligned


def _put(found: Array, out: Array) -> Array:
    np.copyto(out, found, casting="same_kind")
    return out


def _stacked(found: list[Array], out: Array | None) -> Array:
    shape = found[0].shape
    for sample in found:
        if sample.shape != shape:
            raise DynamicTensorNumpyError(
                f"samples of shapes {shape} and {sample.shape} do not make one array; read them as a list"
            )
    if out is not None:
        _usable(out, (len(found), *shape), found[0].dtype)
        return _put(np.stack(found), out)
    result = empty((len(found), *shape), found[0].dtype)
    np.stack(found, out=result)
    return result


def _nothing(sources: Sequence[Source], keys: Region) -> Array:
    """Return the array of no rows."""
    first = next(iter(filter(None, sources)), None)
    if first is None or first.layout != "dense":
        return np.empty((0,), np.uint8 if first is None else first.dtype)
    return np.empty((0, *keys.box(first.shape).shape), first.dtype)


def _list(source: Source, run: Run, keys: Region) -> Pending[list[Array]]:
    if source.instant and run.length <= _FEW and not keys.keys:
        return Done([source.one(item) for item in _each(run.rows)])
    return _list_dense(source, run, keys) if source.layout == "dense" else _list_ragged(source, run, keys)


def _blobs(source: Source, rows: Rows) -> Pending[list[bytes]]:
    if source.instant and span(rows) <= _FEW:
        return Done([source.one_blob(item) for item in _each(rows)])
    starts, stops, _ = source.ranges(rows)
    return source.blobs(starts, stops)


def _each(rows: Rows) -> Iterable[int]:
    return range(rows.start, rows.stop, rows.step or 1) if isinstance(rows, slice) else rows.tolist()


def _list_dense(source: Source, run: Run, keys: Region) -> Pending[list[Array]]:
    box = keys.box(source.shape)
    out = empty((run.length, *box.read_shape), source.dtype)
    part = source.fill(run.rows, out, slice(0, run.length, 1), box)

    def split() -> list[Array]:
        found = box.finish(out)
        return list(found) if found.ndim > 1 else [found[i, ...] for i in range(len(found))]

    return Done(split()) if part is None else Joined((part,), split)


def _list_ragged(source: Source, run: Run, keys: Region) -> Pending[list[Array]]:
    if source.layout == "encoded":
        raise InvalidOperationError("this tensor stores encoded samples, not arrays")
    starts, stops, shapes = source.ranges(run.rows, shapes=True)
    counts = stops - starts
    if shapes is not None and bool((shapes.prod(axis=1) != counts).any()):
        raise CorruptObjectError("the stored shapes and offsets of a ragged tensor contradict each other")
    ends = np.cumsum(counts)
    flat = empty((int(ends[-1]) if len(ends) else 0,), source.dtype)
    part = source.concat(starts, stops, flat)

    def split() -> list[Array]:
        bounds = zip((ends - counts).tolist(), ends.tolist(), strict=True)
        if shapes is None:
            found = [flat[a:b] for a, b in bounds]
        else:
            found = [flat[a:b].reshape(shape) for (a, b), shape in zip(bounds, shapes.tolist(), strict=True)]
        return [keys.of(sample) for sample in found] if keys.keys else found

    return Done(split()) if part is None else Joined((part,), split)


def _placed(plan: Plan, parts: Sequence[Pending[list[T]]]) -> Pending[list[T]]:
    """Return the lists of all runs as one, each entry at its position."""

    def place() -> list[T]:
        if len(parts) == 1 and isinstance(plan.runs[0].at, slice):
            return parts[0].result()
        out: list[Any] = [None] * plan.length
        for run, part in zip(plan.runs, parts, strict=True):
            if isinstance(run.at, slice):
                out[run.at] = part.result()
            else:
                for position, value in zip(run.at.tolist(), part.result(), strict=True):
                    out[position] = value
        return out

    return Done(place()) if all(isinstance(part, Done) for part in parts) else Joined(parts, place)
