"""Stored and buffered rows to read back, and what NumPy says they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zlake import limits
from zlake.context import Context, random_id
from zlake.extents.plan import Plan, Run
from zlake.segments.block import Block
from zlake.segments.source import BlockSource, Source, open_source
from zlake.segments.write import write_segment
from zlake.storage import open_store
from zlake.storage.store import Store

PATHS = ("mapped", "resident-file-zstd", "resident-mem-raw", "tensorstore-file-gzip", "tensorstore-mem-raw", "block")
"""Ways to the values: memory maps, chunks decoded in memory, TensorStore, and a block that is not stored."""
NO_CACHE = Context(cache_bytes=0)
"""Nothing is kept decoded, so what cannot be mapped is read through TensorStore."""


@contextmanager
def small_chunks(inner: int = 256, shard: int = 1024, sidecar: int = 128) -> Iterator[None]:
    """Write chunks of so many bytes, so that small data has many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "INNER_CHUNK_BYTES", inner)
        patch.setattr(limits, "SHARD_BYTES", shard)
        patch.setattr(limits, "SIDECAR_CHUNK_BYTES", sidecar)
        yield


def put(store: Store, block: Block, codec: str = "raw") -> tuple[Any, str]:
    """Store a block as a segment of one tensor, and return its entry and key."""
    key = random_id()
    return write_segment(store, random_id(), {key: (block, codec)})[key], key


def stored(store: Store, block: Block, codec: str = "raw", context: Context | None = None) -> Source:
    """Store a block and open it."""
    entry, key = put(store, block, codec)
    return open_source(store, entry, key, block.dtype, context or Context())


def source_of(path: str, folder: Path, block: Block) -> Source:
    """Return the block behind one of `PATHS`."""
    if path == "block":
        return BlockSource(block)
    if path == "mapped":
        return stored(open_store(str(folder)), block)
    way, place, codec = path.split("-")
    context = NO_CACHE if way == "tensorstore" else Context()
    store = open_store(f"mem://{random_id()}" if place == "mem" else str(folder), context=context)
    return stored(store, block, codec, context)


def rows_of(rows: slice | np.ndarray, at: slice | np.ndarray | None = None) -> Plan:
    """Plan rows of the one source 0."""
    n = len(range(rows.start, rows.stop, rows.step or 1)) if isinstance(rows, slice) else len(rows)
    return Plan((Run(0, rows, slice(0, n, 1) if at is None else at),) if n else (), n)


def check_owned(array: np.ndarray) -> None:
    """Fail unless the array can be written to, is aligned and native."""
    assert array.flags.writeable
    assert array.flags.aligned
    assert array.dtype.isnative
