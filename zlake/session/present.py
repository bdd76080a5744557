"""What a selection of one tensor returns: numpy, text, dictionaries, bytes, shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from zlake.errors import InvalidOperationError
from zlake.extents.selection import Selection
from zlake.samples import Sample, codec
from zlake.segments.pending import Done, mapped
from zlake.session import read as reading
from zlake.session import region
from zlake.session.column import Column
from zlake.types import IntArray, Pending

_READ_FOR_REPR = 10_000
"""Rows of one tensor whose shapes a repr may read."""

Rows = Selection | int | None
Selected = Callable[[], slice | IntArray]
Key = tuple[tuple[Any, ...], ...]


def one(column: Column, row: int) -> Any:
    """Return one sample as ``numpy()`` gives it."""
    found = reading.one(column, row)
    if type(found) is np.ndarray:
        return found
    return as_numpy(column, found)


def as_numpy(column: Column, sample: Any) -> Any:
    """Return a decoded sample as ``numpy()`` gives it: documents as arrays, sequences stacked if they fit."""
    if column.state.sequence:
        items = [as_numpy_item(column, item) for item in sample]
        if not items:
            return np.empty((0,), column.spec.dtype or object)
        shapes = {item.shape for item in items}
        return np.stack(items) if len(shapes) == 1 else items
    return as_numpy_item(column, sample)


def as_numpy_item(column: Column, sample: Any) -> Any:
    """Return one decoded item as an array."""
    return sample if isinstance(sample, np.ndarray) else column.htype.to_numpy(sample)


def read(column: Column, rows: Rows, selected: Selected, key: Key, aslist: bool) -> Pending[Any]:
    """Begin to read a selection as ``numpy()`` returns it."""
    if isinstance(rows, int) and not key:
        return Done(one(column, rows))
    chosen = selected()
    sequence = column.state.sequence
    first = key[0] if key and (sequence or region.is_basic(key[0])) else ()
    rest = key[1:] if first else key
    show = as_numpy_item if first and region.is_one(first[0]) else as_numpy

    def shown(sample: Any) -> Any:
        value = show(column, sample)
        for part in rest:
            value = region.apply(value, part)
        return value

    if isinstance(rows, int):
        return mapped(reading.samples(column, chosen, first), lambda samples: shown(samples[0]))
    if not (aslist or rest or sequence or column.encoded):
        return reading.stacked(column, chosen, first)

    def finish(samples: Any) -> Any:
        if not (aslist or rest or sequence):
            return reading.stack(column, samples)
        if rest or sequence or column.htype.document:
            samples = [shown(sample) for sample in samples]
        return list(samples) if aslist else reading.stack_arrays(column, samples)

    return mapped(reading.samples(column, chosen, first), finish)


def unwrapped(column: Column, rows: Rows, selected: Selected, key: Key, htypes: tuple[str, ...]) -> Any:
    """Return strings, JSON values or lists as Python objects."""
    if column.state.htype not in htypes:
        raise InvalidOperationError(
            f"tensor {column.name!r} has htype {column.spec.text!r}; this method is for {' and '.join(htypes)}"
        )
    if key and (not column.state.sequence or len(key) > 1 or len(key[0]) > 1):
        raise InvalidOperationError(f"samples of tensor {column.name!r} have no axes to index: they are {htypes[0]}")
    if isinstance(rows, int) and not key:
        return reading.one(column, rows)
    found = reading.samples(column, selected(), key[0] if key else ()).result()
    return found[0] if isinstance(rows, int) else found


def data(column: Column, rows: Rows, selected: Selected, key: Key, aslist: bool) -> dict[str, Any]:
    """Return values with what belongs to them, as ``Tensor.data`` does."""
    if column.htype.document:
        return {"value": unwrapped(column, rows, selected, key, (column.state.htype,))}
    found = column.htype.data(read(column, rows, selected, key, aslist).result(), column.spec)
    if column.state.htype.split(".")[0] == "image":
        found["sample_info"] = sample_info(column, rows, selected)
    return found


def sample_info(column: Column, rows: Rows, selected: Selected) -> Any:
    """Return what the encoded images say about themselves: a dictionary for one row by number, else a list of them."""
    if column.state.sequence:
        raise InvalidOperationError(f"{column.name!r} is a sequence, whose items have no info of their own")
    chosen = selected()
    compression = column.state.sample_compression
    if compression is None or codec(compression).kind != "image":
        found: list[dict[str, Any]] = [{} for _ in range(_count(chosen))]
    else:
        blobs = reading.blobs(column, chosen).result()
        found = [Sample(buffer=blob, compression=compression).meta if blob else {} for blob in blobs]
    return found[0] if isinstance(rows, int) else found


def one_bytes(column: Column, row: int, key: Key) -> bytes:
    """Return the stored bytes of an encoded sample or item, or an array's bytes in C order."""
    if not column.state.sequence:
        if column.encoded and not key:
            return reading.one_blob(column, row)
        return bytes(read(column, row, lambda: np.array([row]), key, False).result().tobytes())
    if len(key) != 1 or not region.is_one(key[0][0]) or (column.encoded and len(key[0]) > 1):
        raise InvalidOperationError(f"tensor {column.name!r} is a sequence: tobytes() is for one item, s[row, item]")
    if column.encoded:
        return reading.item_blob(column, row, key[0][0])
    return bytes(reading.samples(column, np.array([row]), key[0]).result()[0].tobytes())


def bounds(column: Column, rows: Rows, selected: Selected, key: Key) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the smallest and largest shape of a selection, rows first (one row by number: its own shape)."""
    chosen = selected()
    found = reading.shape_bounds(column, chosen)
    if found is None:
        empty = (0,) * (1 + (column.spec.ndim or 0) + column.state.sequence)
        return empty, empty
    low, high = found
    for part in key:
        low = np.shape(region.apply(np.broadcast_to(0, low), part)) if low == high else low
        high = np.shape(region.apply(np.broadcast_to(0, high), part)) if low != high else low
    if isinstance(rows, int):
        return low, high
    count = _count(chosen)
    return (count, *low), (count, *high)


def shape_text(column: Column, rows: Rows, selected: Selected, key: Key) -> str:
    """Return the shape as a repr shows it: an axis that only reading many shapes could tell is a question mark."""
    chosen = selected()
    if reading.cheap(column, chosen, _READ_FOR_REPR):
        return interval_text(*bounds(column, rows, selected, key))
    inner = column.spec.ndim
    axes = ["…"] if inner is None or key else ["?"] * (inner + column.state.sequence)
    if not isinstance(rows, int):
        axes.insert(0, str(_count(chosen)))
    return f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"


def interval_text(lower: tuple[int, ...], upper: tuple[int, ...]) -> str:
    """Return an interval of shapes as text: ``(6, 1:4)``."""
    parts = [str(a) if a == b else f"{a}:{b}" for a, b in zip(lower, upper, strict=True)]
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def _count(rows: slice | IntArray) -> int:
    return len(rows) if isinstance(rows, np.ndarray) else len(range(rows.start, rows.stop, rows.step or 1))


def dtype(column: Column) -> np.dtype[Any] | None:
    """Return the dtype that ``numpy()`` gives: str for text, object for JSON; None where no sample has decided it."""
    if column.htype.document:
        return np.dtype(reading.DOCUMENT_DTYPES.get(column.state.htype, np.object_))
    return column.spec.dtype


def meta(column: Column) -> dict[str, Any]:
    """Return the settings of a tensor."""
    state, spec = column.state, column.spec
    return {
        "name": state.name,
        "htype": spec.text,
        "dtype": None if spec.dtype is None else spec.dtype.name,
        "ndim": spec.ndim,
        "length": len(column),
        "sample_compression": state.sample_compression,
        "chunk_compression": state.chunk_compression,
        **state.options,
    }


def tensorstore(column: Column) -> Any:
    """Return the dense tensor at this version as one TensorStore object."""
    from zlake.segments.whole import concatenated

    if column.buffer.rows:
        raise InvalidOperationError(f"tensor {column.name!r} has rows that are not flushed; leave the with block first")
    plan, sources = column.plan(slice(0, len(column), 1))
    if column.encoded or column.state.sequence or any(sources[run.source].layout != "dense" for run in plan.runs):
        raise InvalidOperationError(
            f"tensor {column.name!r} is not one dense array ({column.spec.text}); read it with numpy(aslist=True)"
        )
    empty = reading.empty(column)
    return concatenated(plan, sources, empty.dtype, empty.shape)
