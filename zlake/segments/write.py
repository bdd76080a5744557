"""Writing a segment: every array of every tensor, then the document that makes them a group."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from math import prod
from typing import Final, ParamSpec, TypeVar

import msgspec

from zlake import limits
from zlake.context import Context
from zlake.errors import ObjectExistsError
from zlake.format.documents import SegmentTensor
from zlake.format.paths import segment_prefix, tensor_prefix
from zlake.segments.block import Block
from zlake.segments.buffers import ShardBuffer, ShardBuffers
from zlake.segments.check import check_block
from zlake.segments.codecs import chain_metadata
from zlake.segments.encode import StoredObject, encode_array
from zlake.segments.identity import entry_checks
from zlake.segments.layout import IDS, OFFSETS, SEQUENCE_OFFSETS, SHAPES, arrays, choose_layout
from zlake.segments.metadata import segment_documents
from zlake.segments.pieces import Pieces
from zlake.storage.store import Lost, Store, Written
from zlake.types import Pending

_DEFAULT_CONTEXT: Final = Context()
_P = ParamSpec("_P")
_T = TypeVar("_T")


def write_segment(
    store: Store,
    segment: str,
    tensors: Mapping[str, tuple[Block, str]],
    context: Context = _DEFAULT_CONTEXT,
) -> dict[str, SegmentTensor]:
    """Write one segment, durably, under a fresh id.

    Shards are encoded while earlier ones are being written; at most ``context.writes_in_flight`` objects and
    `limits.WRITE_BYTES_IN_FLIGHT` bytes are under way at once. The segment's own ``zarr.json`` is written last, so
    a segment that opens as a group is whole. After a failure objects may be left behind that nothing refers to.

    Parameters
    ----------
    store
        Storage of the dataset.
    segment
        A fresh id: nothing lies under it yet.
    tensors
        From tensor key to its rows and the codec chain of its values (`zlake.format.documents.CODECS`).
    context
        Concurrency.

    Returns
    -------
    dict
        From tensor key to the entry for the segment table.

    Raises
    ------
    InvalidBlockError
        If the columns of a block do not fit together. Nothing was written; but a piece of the wrong length among many
        thousands is found only when its shard is encoded.
    UnsupportedCompressionError
        If there is no codec chain of a given name. Nothing was written.
    ObjectExistsError
        If there are other objects under this id already.
    StorageError
        If the storage fails.
    """
    prefix = segment_prefix(segment)
    values: dict[str, Pieces] = {}
    entries: dict[str, SegmentTensor] = {}
    for key, (block, codec) in tensors.items():
        tensor_prefix(segment, key)  # raises for what is no key
        chain_metadata(codec, block.dtype)
        values[key] = check_block(block, key)
        entries[key] = choose_layout(block, codec, segment)
    nodes = sum(_nbytes(entry, tensors[key][0]) for key, entry in entries.items()) >= limits.NODE_METADATA_BYTES
    documents = segment_documents(
        segment, {key: (entry, tensors[key][0].dtype) for key, entry in entries.items()}, nodes
    )
    last = documents.pop("zarr.json")

    buffers = ShardBuffers()
    writes = _Writes(store, context.writes_in_flight, buffers)
    stored = dict.fromkeys(tensors, 0)
    checks: dict[str, list[bytes]] = {key: [] for key in tensors}
    try:
        with _Workers(context.threads) as workers:
            for key, (block, _) in tensors.items():
                for item in _tensor_objects(entries[key], block, values[key], workers, buffers):
                    writes.start(f"{prefix}{key}/{item.key}", item.data, item.buffer)
                    stored[key] += len(item.data)
                    checks[key].append(item.check)
        for name, document in documents.items():
            writes.start(prefix + name, document)
            stored[name.partition("/")[0]] += len(document)
        writes.finish()
        writes.start(f"{prefix}zarr.json", last)
        writes.finish()
    except BaseException:
        writes.abandon()
        raise
    return {
        key: msgspec.structs.replace(entry, bytes=stored[key], checks=entry_checks(checks[key]))
        for key, entry in entries.items()
    }


def _tensor_objects(
    entry: SegmentTensor, block: Block, values: Pieces, workers: Executor, buffers: ShardBuffers
) -> Iterator[StoredObject]:
    columns = {OFFSETS: block.offsets, SHAPES: block.shapes, SEQUENCE_OFFSETS: block.sequence_offsets, IDS: block.ids}
    for name, layout in arrays(entry, block.dtype).items():
        column = columns.get(name)
        pieces = values if column is None else Pieces.of(column)
        yield from encode_array(replace(layout, listed=bool(layout.shard)), pieces, workers, buffers)


def _nbytes(entry: SegmentTensor, block: Block) -> int:
    return entry.elements * prod(entry.shape) * block.dtype.itemsize


class _Workers(Executor):
    """Threads that compress, which are not there before the first chunk that needs one."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._threads: ThreadPoolExecutor | None = None

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Call a function in one of them."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._count, "zlake-encode")
        return self._threads.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End them."""
        if self._threads is not None:
            self._threads.shutdown(wait, cancel_futures=cancel_futures)


class _Writes:
    """Objects on their way to the storage, bounded in number and bytes; the oldest is waited for first."""

    def __init__(self, store: Store, in_flight: int, buffers: ShardBuffers) -> None:
        self._store = store
        self._in_flight = in_flight
        self._buffers = buffers
        self._waiting: deque[tuple[str, Pending[Written | Lost], int, ShardBuffer | None]] = deque()
        self._bytes = 0

    def start(self, key: str, data: bytes | memoryview, buffer: ShardBuffer | None = None) -> None:
        """Begin a write, after waiting for room; raises what went wrong with an earlier one."""
        size = len(data)
        while self._waiting and (
            len(self._waiting) >= self._in_flight or self._bytes + size > limits.WRITE_BYTES_IN_FLIGHT
        ):
            self._finish_oldest()
        self._waiting.append((key, self._store.start_create(key, data), size, buffer))
        self._bytes += size

    def finish(self) -> None:
        """Wait for every write, and raise what went wrong with the oldest that failed."""
        while self._waiting:
            self._finish_oldest()

    def abandon(self) -> None:
        """Wait for every write, whatever comes of it: the buffers must stay as they are until then."""
        while self._waiting:
            with suppress(Exception):
                self._finish_oldest()

    def _finish_oldest(self) -> None:
        key, pending, size, buffer = self._waiting.popleft()
        self._bytes -= size
        if isinstance(pending.result(), Lost):
            raise ObjectExistsError(f"{self._store.url}: another object exists already under the key {key!r}")
        if buffer is not None:
            self._buffers.give(buffer)
