"""Rows in memory that are not flushed yet, read like stored ones."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

import numpy as np

from zlake.errors import InvalidOperationError
from zlake.segments.block import Block
from zlake.segments.pending import Done
from zlake.segments.region import Box
from zlake.segments.sidecars import Sidecar
from zlake.types import Array, IdArray, IntArray, Layout, Pending

Rows = slice | IntArray


class BlockSource:
    """A `Block` as a source.

    Parameters
    ----------
    block
        The rows; kept as an attribute. It is not copied, and what is read from it is.
    """

    warm = True
    instant = True

    def __init__(self, block: Block) -> None:
        self.block = block
        self.layout: Layout = block.layout
        self.rows = block.rows
        self.items = block.items
        self.shape = block.shape
        self.dtype = block.dtype
        self._cut: tuple[list[Array], list[int]] | None = None

    @property
    def ndim(self) -> int:
        """Rank of the samples, as stored shapes have it."""
        if self.layout == "dense":
            return len(self.shape)
        return 1 if self.block.shapes is None else int(self.block.shapes.shape[1])

    def missing(self, rows: Rows, names: Iterable[str]) -> list[tuple[Sidecar, IntArray]]:
        """Return nothing: everything is in memory."""
        return []

    def _pieces(self) -> tuple[list[Array], list[int]]:
        """Return the pieces as arrays, and where each ends."""
        if self._cut is None:
            pieces = [np.frombuffer(v, np.uint8) if isinstance(v, bytes) else v for v in self.block.values]
            pieces = [piece for piece in pieces if len(piece)]
            self._cut = pieces, np.cumsum([len(piece) for piece in pieces], dtype=np.int64).tolist()
        return self._cut

    def _sample(self, item: int) -> Array:
        """Return a view of a dense sample."""
        pieces, ends = self._pieces()
        which = bisect_right(ends, item)
        sample: Array = pieces[which][item - (ends[which] - len(pieces[which])), ...]
        return sample

    def _flat(self, start: int, stop: int) -> Array:
        """Return the elements ``[start, stop)``, as a view where they lie in one piece."""
        if start == stop:
            return np.empty(0, self.dtype)
        pieces, ends = self._pieces()
        first, last = bisect_right(ends, start), bisect_right(ends, stop - 1)
        begin = ends[first] - len(pieces[first])
        if first == last:
            return pieces[first][start - begin : stop - begin]
        parts = pieces[first : last + 1]
        return np.concatenate(parts)[start - begin : stop - begin]

    def one(self, item: int) -> Array:
        """Return a copy of one sample, dense or ragged."""
        if self.layout == "dense":
            return self._sample(item).copy()
        if self.layout == "encoded" or self.block.offsets is None:
            raise InvalidOperationError("this tensor stores encoded samples, not arrays")
        flat = self._flat(self.block.offsets.item(item), self.block.offsets.item(item + 1)).copy()
        return flat if self.block.shapes is None else flat.reshape(self.block.shapes[item].tolist())

    def one_blob(self, item: int) -> bytes:
        """Return the bytes of one encoded sample."""
        offsets = self._offsets()
        return self._flat(offsets.item(item), offsets.item(item + 1)).tobytes()

    def _offsets(self) -> IntArray:
        if self.block.offsets is None:
            raise InvalidOperationError("samples of one shape have no offsets")
        return self.block.offsets

    def ids(self, rows: Rows) -> IdArray:
        """Return sample ids."""
        return self.block.ids[rows]

    def sequences(self, rows: Rows) -> tuple[IntArray, IntArray]:
        """Return the first item of each row, and the one after its last."""
        wanted = _rows(rows)
        offsets = self.block.sequence_offsets
        return (wanted, wanted + 1) if offsets is None else (offsets[wanted], offsets[wanted + 1])

    def ranges(self, items: Rows, shapes: bool = False) -> tuple[IntArray, IntArray, IntArray | None]:
        """Return first and one-past-last element of each sample, and their shapes if asked for and known."""
        offsets = self._offsets()
        table = self.block.shapes[items] if shapes and self.block.shapes is not None else None
        return offsets[:-1][items], offsets[1:][items], table

    def shapes(self, items: Rows) -> IntArray:
        """Return the shape of each sample; all ones where an encoded tensor stores none."""
        count = len(range(items.start, items.stop, items.step or 1)) if isinstance(items, slice) else len(items)
        if self.layout == "dense":
            return np.broadcast_to(np.array(self.shape, np.int64), (count, len(self.shape)))
        if self.block.shapes is not None:
            return self.block.shapes[items]
        if self.layout == "encoded":
            return np.ones((count, 1), np.int64)
        starts, stops, _ = self.ranges(items)
        return (stops - starts)[:, None]

    def fill(self, items: Rows, out: Array, at: Rows, box: Box) -> None:
        """Copy samples into ``out[at]``."""
        if not out.size:
            return
        pieces, ends = self._pieces()
        if len(pieces) == 1 and isinstance(items, slice):
            out[at] = box.read(pieces[0][items])
            return
        if isinstance(items, slice) and items.step in (None, 1) and isinstance(at, slice) and at.step in (None, 1):
            done = at.start
            which = bisect_right(ends, items.start)
            row = items.start
            while row < items.stop:
                begin = ends[which] - len(pieces[which])
                part = pieces[which][row - begin : items.stop - begin]
                out[done : done + len(part)] = box.read(part)
                done += len(part)
                row += len(part)
                which += 1
            return
        wanted, positions = _rows(items), _rows(at)
        order = np.argsort(wanted)
        cuts = np.searchsorted(wanted[order], ends)
        for piece, end, low, high in zip(pieces, ends, [0, *cuts[:-1].tolist()], cuts.tolist(), strict=True):
            if low < high:
                here = order[low:high]
                out[positions[here]] = box.read(piece[wanted[here] - (end - len(piece))])

    def concat(self, starts: IntArray, stops: IntArray, out: Array) -> None:
        """Copy ranges of elements one after the other into ``out``."""
        done = 0
        if len(starts) and bool((starts[1:] == stops[:-1]).all()):
            starts, stops = starts[:1], stops[-1:]
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            out[done : done + stop - start] = self._flat(start, stop)
            done += stop - start

    def blobs(self, starts: IntArray, stops: IntArray) -> Pending[list[bytes]]:
        """Copy ranges of bytes."""
        return Done([self._flat(a, b).tobytes() for a, b in zip(starts.tolist(), stops.tolist(), strict=True)])


def _rows(rows: Rows) -> IntArray:
    return np.arange(rows.start, rows.stop, rows.step or 1) if isinstance(rows, slice) else rows
