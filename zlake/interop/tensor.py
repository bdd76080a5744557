"""One tensor of a view as Zarr arrays: which ones there are, of which shapes, and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from math import prod
from typing import Final

import numpy as np
from msgspec import structs

from zlake import limits
from zlake.extents import edit
from zlake.extents.map import ExtentMap
from zlake.extents.plan import plan
from zlake.format.documents import SegmentTensor
from zlake.format.paths import tensor_prefix
from zlake.interop.elements import read_elements
from zlake.interop.grid import Grid, choose_grid
from zlake.interop.lift import Lift
from zlake.interop.nodes import ArrayNode, Box, Index, Stored
from zlake.interop.passthrough import Passthrough, WholeSegment
from zlake.segments.gather import gather_array, gather_ids, gather_shapes
from zlake.segments.layout import IDS, OFFSETS, SEQUENCE_OFFSETS, SHAPES, VALUES, arrays
from zlake.session.column import Column
from zlake.types import JSON, Array, IntArray, Layout

Dimensions = Callable[[str, int], str]
"""From the name that a segment gives a dimension, and its length, to its name in the hierarchy."""

_PLAIN_ARRAY: Final[Mapping[str, JSON]] = {"encoding-type": "array", "encoding-version": "0.2.0"}
"""What anndata, which reads the arrays of a group, calls an array."""


class TensorArrays:
    """Rows of one tensor, as the arrays of a segment that held exactly these rows would be.

    Parameters
    ----------
    column
        The tensor, without unflushed rows.
    rows
        The rows, or None for all of them.
    """

    def __init__(self, column: Column, rows: slice | IntArray | None) -> None:
        content = column.content()
        chosen = content if rows is None else edit.take(content, rows)
        used = edit.used_segments(chosen)
        numbers = np.zeros(int(used[-1]) + 1 if len(used) else 0, np.int64)
        numbers[used] = np.arange(len(used))
        table = column.base()[0]
        self.column = column
        self.rows: ExtentMap = edit.renumber(chosen, numbers)
        self.entries: tuple[SegmentTensor, ...] = tuple(table[i] for i in used.tolist())
        self.sources = tuple(column.source(i) for i in used.tolist())

    # ------------------------------------------------------------ what it is

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the values: uint8 where samples are encoded."""
        dtype = np.dtype(np.uint8) if self.column.encoded else self.column.spec.dtype
        assert dtype is not None  # a tensor whose dtype is not settled has no arrays
        return dtype

    @cached_property
    def layout(self) -> Layout:
        """Dense where all rows lie in dense segments of one shape; judged from the segment tables alone.

        Where no row was chosen the tensor's other rows decide, so that an empty view looks like any other.
        """
        if self.column.encoded:
            return "encoded"
        forms = {(entry.layout, entry.shape) for entry in self.entries or self.column.base()[0]}
        return "dense" if len(forms) <= 1 and all(layout == "dense" for layout, _ in forms) else "ragged"

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Sample shape, where dense."""
        table = self.entries or self.column.base()[0]
        return table[0].shape if table else (0,) * (self.column.spec.ndim or 0)

    @property
    def plain(self) -> bool:
        """Whether one array says everything: dense, and no sequence."""
        return self.layout == "dense" and not self.column.state.sequence

    @cached_property
    def entry(self) -> SegmentTensor:
        """The tensor's entry in the table of the segment that would hold exactly these rows."""
        if self._whole:
            return self.entries[0]
        longest = max(self.rows.length, self._items.length)
        width = self._shape_width()
        return SegmentTensor(
            segment="",
            layout=self.layout,
            rows=self.rows.length,
            elements=self._units.length,
            inner=self._grid.inner,
            codec=self._grid.codec,
            shape=self.shape if self.layout == "dense" else (),
            shard=self._grid.shard,
            items=self._items.length if self.column.state.sequence else -1,
            shapes=width,
            sidecar=_sidecar_rows(longest, width),
        )

    @property
    def _whole(self) -> bool:
        """Whether the rows are those of one segment, all and in order."""
        return self.rows.n_extents == 1 and self.rows.length == self.entries[0].rows

    def _shape_width(self) -> int:
        if self.layout == "dense":
            return 0
        if self.layout == "encoded":
            widths = {entry.shapes for entry in self.entries}
            return widths.pop() if len(widths) == 1 else 0
        ndim = self.column.spec.ndim or 0
        return 0 if ndim == 1 else ndim

    # ------------------------------------------------------------ where things are

    @cached_property
    def _sequences(self) -> Lift:
        totals = [(source.rows, source.items) for source in self.sources]
        return Lift.of(self.rows, totals, lambda segment, rows: self.sources[segment].sequences(rows))

    @cached_property
    def _items(self) -> ExtentMap:
        return self._sequences.inner() if self.column.state.sequence else self.rows

    @cached_property
    def _elements(self) -> Lift:
        totals = [
            (source.items, source.items * prod(entry.shape) if entry.layout == "dense" else entry.elements)
            for source, entry in zip(self.sources, self.entries, strict=True)
        ]
        return Lift.of(self._items, totals, self._element_bounds)

    def _element_bounds(self, segment: int, items: IntArray) -> tuple[IntArray, IntArray]:
        entry = self.entries[segment]
        if entry.layout == "dense":
            size = prod(entry.shape)
            return items * size, (items + 1) * size
        return self.sources[segment].ranges(items)[:2]

    @cached_property
    def _units(self) -> ExtentMap:
        """The first axis of the values: items of a dense tensor, elements of others."""
        return self._items if self.layout == "dense" else self._elements.inner()

    @cached_property
    def _grid(self) -> Grid:
        shape = self.shape if self.layout == "dense" else ()
        return choose_grid(self._units, self.entries, self.layout, shape, self.dtype.itemsize)

    # ------------------------------------------------------------ arrays

    def nodes(self, dimensions: Dimensions, attributes: Mapping[str, JSON]) -> dict[str, ArrayNode]:
        """Return the arrays by name.

        Parameters
        ----------
        dimensions
            Names the dimensions.
        attributes
            Attributes of the values, where the tensor is `plain`.
        """
        readers: Mapping[str, Callable[[Box], Array]] = {
            VALUES: self._read_values,
            OFFSETS: lambda box: self._elements.offsets(_positions(box[0])),
            SHAPES: lambda box: gather_shapes(plan(self._items, box[0]), self.sources),
            SEQUENCE_OFFSETS: lambda box: self._sequences.offsets(_positions(box[0])),
            IDS: lambda box: gather_ids(plan(self.rows, box[0]), self.sources),
        }
        found = {}
        entry = structs.replace(self.entry, id_start=-1)  # ids are shown also where no segment stores them
        for name, layout in arrays(entry, self.dtype).items():
            names = tuple(dimensions(*dimension) for dimension in zip(layout.dimensions, layout.shape, strict=True))
            own = attributes if name == VALUES and self.plain else _PLAIN_ARRAY
            found[name] = ArrayNode(replace(layout, dimensions=names), dict(own), self._locator(name), readers[name])
        return found

    def _locator(self, name: str) -> Callable[[Index], Stored | None]:
        key = self.column.key
        if self._whole and (name != IDS or self.entry.id_start < 0):
            return WholeSegment(f"{tensor_prefix(self.entries[0].segment, key)}{name}/")
        if name != VALUES:
            return lambda index: None
        return Passthrough(self.column.session.store, key, self._units, self.entries, self._grid)

    def _read_values(self, box: Box) -> Array:
        units, *region = box
        if self.layout == "dense":
            return gather_array(plan(self._items, units), self.sources, region).result()
        return read_elements(edit.slice_(self._units, units.start, units.stop), self.sources, self.dtype)


def _positions(rows: slice) -> IntArray:
    return np.arange(rows.start, rows.stop, dtype=np.int64)


def _sidecar_rows(length: int, width: int) -> int:
    """Return the chunk length of offsets, shapes and ids, or 0 where each is one chunk, as a segment's writer does."""
    row_bytes = 8 * max(1, width)
    if (length + 1) * row_bytes <= limits.SIDECAR_CHUNK_BYTES:
        return 0
    return 1 << (limits.SIDECAR_CHUNK_BYTES // row_bytes).bit_length() - 1
