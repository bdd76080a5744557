"""Rows that were given but not flushed yet: appended quickly, frozen to a `Block` when read or written."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from zlake.extents.map import spans
from zlake.samples import Encoded, Prepared
from zlake.segments.block import Block
from zlake.segments.source import BlockSource
from zlake.session.blocks import joined
from zlake.types import Array, IdArray, IntArray

_PIECE_BYTES = 4 << 20  # large pieces get huge pages, which fault 10 times faster than small ones


class ArrayItems:
    """Array samples, flattened one behind the other into large pieces.

    A sample never straddles two pieces. As long as all samples have one shape no offsets are kept.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self.count = 0
        self.nbytes = 0
        self._pieces: list[Array] = []
        self._open: Array = np.empty(0, dtype)
        self._used = 0
        self._shape: tuple[int, ...] | None = None  # the one shape of all samples so far
        self._shapes: list[IntArray] | None = None  # closed runs of shapes, once they differ
        self._tail: list[tuple[int, ...]] = []  # shapes since the last closed run

    def push(self, sample: Array) -> None:
        """Copy one sample in."""
        size = sample.size
        end = self._used + size
        if end > len(self._open):
            self._close()
            capacity = max(size, _PIECE_BYTES // self.dtype.itemsize if self.nbytes > 65536 else 4 * size + 256)
            self._open = np.empty(capacity, self.dtype)
            end = size
        self._open[self._used : end] = sample if sample.ndim == 1 else sample.reshape(-1)
        self._used = end
        if sample.shape != self._shape:
            self._other_shape(sample.shape)
        if self._shapes is not None:
            self._tail.append(sample.shape)
        self.count += 1
        self.nbytes += sample.nbytes

    def push_many(self, prepared: Prepared, borrow: bool) -> None:
        """Take many samples; with ``borrow`` the arrays are referenced, not copied."""
        if prepared.stacked is not None:
            stacked = prepared.stacked
            if len(stacked) == 0:
                return
            self._close()
            # an empty sample shape axis makes reshape(-1) ambiguous only for zero rows, which returned above
            self._pieces.append(stacked.reshape(-1) if borrow else stacked.copy().reshape(-1))
            shape = stacked.shape[1:]
            if shape != self._shape:
                self._other_shape(shape)
            if self._shapes is not None:
                self._close_shapes()
                self._shapes.append(np.tile(np.asarray(shape, np.int64), (len(stacked), 1)))
            self.count += len(stacked)
            self.nbytes += stacked.nbytes
            return
        arrays, shapes = prepared.arrays, prepared.shapes
        assert arrays is not None
        assert shapes is not None
        if not arrays:
            return
        self._close()
        flat = arrays if shapes.shape[1] == 1 else [a.reshape(-1) for a in arrays]
        self._pieces.extend(flat if borrow else [np.concatenate(flat)])
        first = tuple(int(n) for n in shapes[0])
        if bool((shapes == shapes[0]).all()):
            if first != self._shape:
                self._other_shape(first)
        else:
            self._other_shape(None)
        if self._shapes is not None:
            self._close_shapes()
            self._shapes.append(shapes)
        self.count += len(arrays)
        self.nbytes += int(shapes.prod(axis=1).sum()) * self.dtype.itemsize

    def _other_shape(self, shape: tuple[int, ...] | None) -> None:
        """Note that the shapes differ from here on, writing down the ones that were implied so far."""
        if self.count == 0 and shape is not None:
            self._shape = shape
        elif self._shapes is None:
            self._shapes = []
            if self._shape is not None and self.count:
                self._shapes.append(np.tile(np.asarray(self._shape, np.int64), (self.count, 1)))
            self._shape = None

    def _close(self) -> None:
        if self._used:
            self._pieces.append(self._open[: self._used])
        # what is left of the open piece stays in use behind the closed part
        self._open = self._open[self._used :]
        self._used = 0

    def _close_shapes(self) -> None:
        if self._tail and self._shapes is not None:
            self._shapes.append(np.array(self._tail, np.int64).reshape(len(self._tail), -1))
            self._tail = []

    def columns(self) -> tuple[Sequence[Array], tuple[int, ...] | None, IntArray | None]:
        """Return (flat pieces, the one shape or None, shapes ``(n, ndim)`` or None)."""
        pieces = list(self._pieces)
        if self._used:
            pieces.append(self._open[: self._used])
        if self._shapes is None:
            return pieces, self._shape, None
        self._close_shapes()
        if len(self._shapes) > 1:
            self._shapes = [np.concatenate(self._shapes)]
        shapes = self._shapes[0]
        if bool((shapes == shapes[0]).all()):
            return pieces, tuple(int(n) for n in shapes[0]), None
        return pieces, None, shapes


class BlobItems:
    """Encoded samples: bytes and the shapes they decode to."""

    def __init__(self) -> None:
        self.blobs: list[bytes] = []
        self.nbytes = 0
        self._shapes: list[tuple[int, ...] | None] = []
        self._known: list[IntArray] = []

    @property
    def count(self) -> int:
        """Number of samples."""
        return len(self.blobs)

    def push(self, sample: Encoded) -> None:
        """Take one sample."""
        self.blobs.append(sample.data)
        self._shapes.append(sample.shape)
        self.nbytes += len(sample.data)

    def push_many(self, prepared: Prepared) -> None:
        """Take many samples."""
        assert prepared.blobs is not None
        self.blobs.extend(prepared.blobs)
        self.nbytes += sum(map(len, prepared.blobs))
        if prepared.shapes is None:
            self._shapes.extend([None] * len(prepared.blobs))
        else:
            self._shapes.extend(map(tuple, prepared.shapes.tolist()))

    def shapes(self) -> IntArray | None:
        """Return the decoded shapes ``(n, ndim)``, or None where samples have none."""
        if not self._shapes or self._shapes[0] is None:
            return None
        return np.array(self._shapes, np.int64).reshape(len(self._shapes), -1)


class ColumnBuffer:
    """Unflushed rows of one tensor, in the order they were given: appended rows and new values of updated ones.

    Rows that were read are closed into a block, and those given later go behind it, so that to read one row costs no
    more than what was given since the last read.
    """

    def __init__(self, dtype: np.dtype | None, encoded: bool, sequence: bool) -> None:
        self.encoded = encoded
        self.rows = 0
        self._sequence = sequence
        self._closed: list[BlockSource] = []
        self._ends: list[int] = []  # how many rows there are up to the end of each
        self._closed_bytes = 0
        self._begin(dtype)

    @classmethod
    def frozen(cls, block: Block) -> ColumnBuffer:
        """Return a buffer of these rows alone, which takes no more."""
        made = cls(None, block.layout == "encoded", block.sequence_offsets is not None)
        made._close_with(block)
        made.rows = block.rows
        return made

    def _begin(self, dtype: np.dtype | None) -> None:
        self.items: ArrayItems | BlobItems | None
        self.items = BlobItems() if self.encoded else None if dtype is None else ArrayItems(dtype)
        self._counts: list[int] | None = [] if self._sequence else None
        self._ids: list[IdArray] = []
        self._id_runs: list[list[int]] = []

    @property
    def nbytes(self) -> int:
        """Bytes of the buffered values, and a little for each row."""
        return self._closed_bytes + (0 if self.items is None else self.items.nbytes) + 16 * self.rows

    def push(self, sample: Array | Encoded, sample_id: int) -> None:
        """Append one row (not for sequences)."""
        self.items.push(sample)  # type: ignore[union-attr, arg-type]  # the caller prepared it for this buffer
        self.rows += 1
        runs = self._id_runs
        if runs and runs[-1][0] + runs[-1][1] == sample_id:
            runs[-1][1] += 1
        else:
            runs.append([sample_id, 1])

    def push_many(self, prepared: Prepared, ids: IdArray, counts: Sequence[int] | None, borrow: bool) -> None:
        """Append ``len(ids)`` rows; ``counts`` are the items of each row of a sequence tensor."""
        if isinstance(self.items, BlobItems):
            self.items.push_many(prepared)
        elif self.items is not None:
            self.items.push_many(prepared, borrow)
        if self._counts is not None:
            assert counts is not None
            self._counts.extend(counts)
        self.rows += len(ids)
        self._close_runs()
        self._ids.append(ids)

    def _close_runs(self) -> None:
        if self._id_runs:
            runs = np.array(self._id_runs, np.uint64).view(np.int64)
            self._ids.append(spans(runs[:, 0], runs[:, 1]).view(np.uint64))
            self._id_runs = []

    def locate(self, row: int) -> tuple[BlockSource, int]:
        """Return where to read one row: a source in memory, and the row there."""
        if not self._ends or row >= self._ends[-1]:
            self._close()
        at = bisect_right(self._ends, row)
        return self._closed[at], row - (self._ends[at - 1] if at else 0)

    def source(self) -> BlockSource:
        """Return all rows as a source, which shares memory with the buffer."""
        self._close()
        if len(self._closed) != 1:
            whole = joined([source.block for source in self._closed])
            self._closed, self._ends = [], []
            self._close_with(whole)
        return self._closed[0]

    def block(self) -> Block:
        """Return all rows as a block, which shares memory with the buffer."""
        return self.source().block

    def _close(self) -> None:
        """Close the rows given since the last time, if there are any."""
        if not self._ends or self.rows > self._ends[-1]:
            self._close_with(self._freeze())
            self._closed_bytes += 0 if self.items is None else self.items.nbytes
            self._begin(self.items.dtype if isinstance(self.items, ArrayItems) else None)

    def _close_with(self, block: Block) -> None:
        self._ends.append((self._ends[-1] if self._ends else 0) + block.rows)
        self._closed.append(BlockSource(block))

    def _freeze(self) -> Block:
        self._close_runs()
        ids = self._ids[0] if len(self._ids) == 1 else np.concatenate((np.empty(0, np.uint64), *self._ids))
        sequence = None
        if self._counts is not None:
            sequence = np.zeros(len(self._counts) + 1, np.int64)
            np.cumsum(self._counts, out=sequence[1:])
        items = self.items
        if isinstance(items, BlobItems):
            offsets = np.zeros(items.count + 1, np.int64)
            np.cumsum(np.fromiter(map(len, items.blobs), np.int64, items.count), out=offsets[1:])
            return Block("encoded", np.dtype(np.uint8), ids, items.blobs, (), offsets, items.shapes(), sequence)
        assert items is not None
        pieces, shape, shapes = items.columns()
        if shape is not None:
            size = int(np.prod(shape, dtype=np.int64))
            if size:
                stacked = [p.reshape(-1, *shape) for p in pieces]
            else:
                stacked = [np.empty((items.count, *shape), items.dtype)]
            return Block("dense", items.dtype, ids, stacked, shape, None, None, sequence)
        if shapes is None:  # no items at all: a sequence tensor whose rows are empty
            return Block("ragged", items.dtype, ids, [], (), np.zeros(1, np.int64), None, sequence)
        offsets = np.zeros(len(shapes) + 1, np.int64)
        np.cumsum(shapes.prod(axis=1), out=offsets[1:])
        return Block(
            "ragged", items.dtype, ids, pieces, (), offsets, None if shapes.shape[1] == 1 else shapes, sequence
        )
