"""Rows that were given but not flushed yet: appended quickly, frozen to a `Block` when read or written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from zlake.samples import Encoded, Prepared
from zlake.segments.block import Block
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
    """Unflushed rows of one tensor, in the order they were given: appended rows and new values of updated ones."""

    def __init__(self, dtype: np.dtype | None, encoded: bool, sequence: bool) -> None:
        self.items: ArrayItems | BlobItems | None
        self.encoded = encoded
        self.items = BlobItems() if encoded else None if dtype is None else ArrayItems(dtype)
        self._counts: list[int] | None = [] if sequence else None
        self._ids: list[IdArray] = []
        self._id_runs: list[list[int]] = []
        self.rows = 0
        self._frozen: Block | None = None

    @classmethod
    def frozen(cls, block: Block) -> ColumnBuffer:
        """Return a buffer of these rows alone, which takes no more."""
        made = cls(None, block.layout == "encoded", block.sequence_offsets is not None)
        made.rows, made._frozen = block.rows, block
        return made

    @property
    def nbytes(self) -> int:
        """Bytes of the buffered values, and a little for each row."""
        return (0 if self.items is None else self.items.nbytes) + 16 * self.rows

    def open(self, dtype: np.dtype) -> None:
        """Fix the dtype, once the first sample decided it."""
        if self.items is None:
            self.items = ArrayItems(dtype)

    def push(self, sample: Array | Encoded, sample_id: int) -> None:
        """Append one row (not for sequences)."""
        self._frozen = None
        self.items.push(sample)  # type: ignore[union-attr, arg-type]  # the caller prepared it for this buffer
        self.rows += 1
        runs = self._id_runs
        if runs and runs[-1][0] + runs[-1][1] == sample_id:
            runs[-1][1] += 1
        else:
            runs.append([sample_id, 1])

    def push_many(self, prepared: Prepared, ids: IdArray, counts: Sequence[int] | None, borrow: bool) -> None:
        """Append ``len(ids)`` rows; ``counts`` are the items of each row of a sequence tensor."""
        self._frozen = None
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
        for start, count in self._id_runs:
            self._ids.append(np.arange(start, start + count, dtype=np.uint64))
        self._id_runs = []

    def ids(self) -> IdArray:
        """Return the sample ids of the buffered rows, ``(rows,) uint64``."""
        self._close_runs()
        if len(self._ids) != 1:
            self._ids = [np.concatenate(self._ids) if self._ids else np.empty(0, np.uint64)]
        return self._ids[0]

    def block(self) -> Block:
        """Return the rows as a block that shares memory with the buffer."""
        if self._frozen is None:
            self._frozen = self._freeze()
        return self._frozen

    def _freeze(self) -> Block:
        sequence = None
        if self._counts is not None:
            sequence = np.zeros(len(self._counts) + 1, np.int64)
            np.cumsum(self._counts, out=sequence[1:])
        items = self.items
        if isinstance(items, BlobItems):
            offsets = np.zeros(items.count + 1, np.int64)
            np.cumsum(np.fromiter(map(len, items.blobs), np.int64, items.count), out=offsets[1:])
            return Block("encoded", np.dtype(np.uint8), self.ids(), items.blobs, (), offsets, items.shapes(), sequence)
        assert items is not None
        pieces, shape, shapes = items.columns()
        if shape is not None:
            size = int(np.prod(shape, dtype=np.int64))
            if size:
                stacked = [p.reshape(-1, *shape) for p in pieces]
            else:
                stacked = [np.empty((items.count, *shape), items.dtype)]
            return Block("dense", items.dtype, self.ids(), stacked, shape, None, None, sequence)
        if shapes is None:  # no items at all: a sequence tensor whose rows are empty
            return Block("ragged", items.dtype, self.ids(), [], (), np.zeros(1, np.int64), None, sequence)
        offsets = np.zeros(len(shapes) + 1, np.int64)
        np.cumsum(shapes.prod(axis=1), out=offsets[1:])
        return Block(
            "ragged", items.dtype, self.ids(), pieces, (), offsets, None if shapes.shape[1] == 1 else shapes, sequence
        )


def cut(block: Block, rows: int) -> tuple[Block, Block]:
    """Cut a buffer's block in two, sharing memory: its first rows, and the rest. Not for sequences."""
    bound = rows if block.offsets is None else int(block.offsets[rows])
    head: list[Array | bytes] = []
    tail: list[Array | bytes] = []
    for piece in block.values:
        here = max(0, min(bound, len(piece)))
        bound -= len(piece)
        if here:
            head.append(piece[:here])
        if here < len(piece):
            tail.append(piece[here:])
    if block.layout == "encoded":  # pieces are samples there, also empty ones
        head, tail = list(block.values[:rows]), list(block.values[rows:])
    offsets, shapes = block.offsets, block.shapes
    return (
        replace(
            block,
            ids=block.ids[:rows],
            values=head,
            offsets=None if offsets is None else offsets[: rows + 1],
            shapes=None if shapes is None else shapes[:rows],
        ),
        replace(
            block,
            ids=block.ids[rows:],
            values=tail,
            offsets=None if offsets is None else offsets[rows:] - offsets[rows],
            shapes=None if shapes is None else shapes[rows:],
        ),
    )
