"""One pass over a view: blocks read ahead, cut into batches, in an order that no number of workers changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import chain
from typing import Any, Protocol

from zlake.limits import INNER_CHUNK_BYTES
from zlake.loader.ahead import work_ahead
from zlake.loader.block import Block, Values, batches_per_block, blocks
from zlake.loader.field import Field
from zlake.loader.options import Options
from zlake.loader.order import Order, batch_count, epoch_order, rank_batches
from zlake.loader.rows import RowTransform
from zlake.segments.pending import background
from zlake.segments.slabs import keeping
from zlake.session.session import Session
from zlake.session.view import View
from zlake.types import IntArray, Pending

_QUEUED = 4
"""Requests that wait for each one under way: neighbouring ones may be merged, and blocks differ."""

Part = tuple[Values, IntArray]
Reads = tuple[Block, list[Pending[Any]]]


class Framework(Protocol):
    """Makes the batches of a machine-learning framework.

    Attributes
    ----------
    copies
        Whether `batch` copies samples, so that it is better called on a thread than by the consumer.
    """

    copies: bool

    def batch(self, values: Values) -> Any:
        """Return a batch of columns."""
        ...

    def collate(self, rows: list[Any]) -> Any:
        """Return a batch of rows."""
        ...


class Reader:
    """Reads a session's tensors block by block, and makes batches of them.

    Parameters
    ----------
    session, view
        Where the samples are; the rows of the view are not looked at.
    options
        What batches are made.
    framework
        Of what kind they are.
    """

    def __init__(self, session: Session, view: View, options: Options, framework: Framework) -> None:
        self._options = options
        self._framework = framework
        self._fields = []
        for column in view.columns(session):
            label = view.label(column)
            self._fields.append(Field(label, column, options.decode_method.get(label, "numpy"), options.threads))
        self._far = "://" in session.store.url and not session.store.url.startswith(("file://", "mem://"))
        self._together = batches_per_block(self._fields, options.batch_size)
        self._in_flight = session.context.reads_in_flight

    def epoch(self, rows: Order, number: int, worker: int = 0, workers: int = 1) -> Iterator[Any]:
        """Yield the batches of one epoch.

        Parameters
        ----------
        rows
            Rows of an epoch that is not shuffled.
        number
            The epoch, on which the shuffle depends.
        worker, workers
            Which one of how many processes whose batches are taken in turn.
        """
        options = self._options
        order = epoch_order(rows, options.shuffle, options.seed, number)
        count = batch_count(len(order), options.batch_size, options.drop_last)
        mine = rank_batches(count, options.rank, options.ranks, options.drop_last)[worker::workers]
        todo = blocks(order, mine, count, options.batch_size, self._together)
        found = work_ahead(todo, self._begin, self._read, begun=self._begun(order), finished=options.ahead)
        with closing(found), keeping(self._in_use()):
            parts = chain.from_iterable(found)
            if options.transform is not None or options.collate_fn is not None:
                with closing(RowTransform(options)) as transform:
                    yield from self._on_threads(parts, partial(self._by_row, transform))
            elif self._framework.copies:
                yield from self._on_threads(parts, self._columns)
            else:
                yield from map(self._columns, parts)

    def _on_threads(self, parts: Iterator[Part], make: Callable[[Part], Any]) -> Iterator[Any]:
        """Make batches one by one, so that none waits for a whole block."""
        with closing(work_ahead(parts, _same, make, begun=0, finished=self._options.ahead)) as batches:
            yield from batches

    def _columns(self, part: Part) -> Any:
        values, index = part
        if self._options.return_index:
            values["index"] = index
        return self._framework.batch(values)

    def _by_row(self, transform: RowTransform, part: Part) -> Any:
        values, index = part
        make = self._options.collate_fn or self._framework.collate
        return make(transform.rows(values, index.tolist()))

    def _in_use(self) -> int:
        """Return the bytes of blocks in memory: those ahead, one at the consumer and one that it has just left."""
        rows = self._together * self._options.batch_size
        return (self._options.ahead + 2) * rows * sum(field.row_bytes() for field in self._fields)

    def _begun(self, order: Order) -> int:
        """Return for how many blocks to ask an object store beforehand: enough to keep its connections busy."""
        if not self._far:
            return 0
        rows = self._together * self._options.batch_size
        requests = 0
        for field in self._fields:
            spread = field.stored_bytes() * (rows if isinstance(order, range) else len(field.column))
            requests += min(rows, 1 + spread // INNER_CHUNK_BYTES)
        return max(1, _QUEUED * self._in_flight // requests)

    def _begin(self, block: Block) -> Reads:
        """Ask an object store for everything; what is near is read when `_read` gets to it."""
        return block, [background(partial(field.begin, block.rows)) for field in self._fields] if self._far else []

    def _read(self, reads: Reads) -> list[Part]:
        """Return what belongs to each batch of a block."""
        block, pending = reads
        pending = pending or [field.begin(block.rows) for field in self._fields]
        values = {field.label: read.result() for field, read in zip(self._fields, pending, strict=True)}
        index = block.index()
        return [({name: each[a:b] for name, each in values.items()}, index[a:b]) for a, b in block.bounds]


def _same(part: Part) -> Part:
    return part
