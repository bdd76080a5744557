"""Stores in the memory of this process: ``mem://name`` is the same data wherever the process opens it."""
# The methods are documented once, in Store.
# ruff: noqa: D102

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import tensorstore as ts

from zlake import limits
from zlake.errors import MemoryDatasetCanNotBePickledError
from zlake.storage.origin import Origin
from zlake.storage.store import Buffer, Capabilities, Lost, ObjectInfo, Store, Written
from zlake.storage.tensorstore_store import TensorStoreStore
from zlake.types import Pending

# When the objects were written; TensorStore keeps no times.
_modified: dict[str, float] = {}


@cache
def _context() -> ts.Context:
    # The data hang on this object, so the process has exactly one.
    return ts.Context({"cache_pool": {"total_bytes_limit": limits.CACHE_BYTES}})


class MemoryStore(TensorStoreStore):
    """Objects in memory."""

    capabilities = Capabilities(shared=False)

    def driver_spec(self) -> dict[str, Any]:
        return {"driver": "memory"}

    def driver_context(self) -> ts.Context:
        return _context()

    def start_create(self, key: str, value: Buffer) -> Pending[Written | Lost]:
        pending = super().start_create(key, value)
        _modified.setdefault(self._path(key), time.time())
        return pending

    def swap(self, key: str, value: Buffer, generation: bytes) -> Written | Lost:
        outcome = super().swap(key, value, generation)
        if isinstance(outcome, Written):
            _modified[self._path(key)] = time.time()
        return outcome

    def delete(self, key: str) -> None:
        super().delete(key)
        _modified.pop(self._path(key), None)

    def list_info(self, prefix: str = "") -> Iterator[ObjectInfo]:
        for key in self.list(prefix):
            value = self.read(key)
            if value is not None:
                yield ObjectInfo(key, len(value), _modified.get(self._path(key), 0.0))

    def _path(self, key: str) -> str:
        return self.origin.location.prefix + key

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _reopen, (self.origin, os.getpid())


def _reopen(origin: Origin, process: int) -> Store:
    if os.getpid() != process:
        raise MemoryDatasetCanNotBePickledError(
            f"{origin.location.url} lives in the memory of process {process} and cannot be opened in another one; "
            "copy it to a folder or a bucket first"
        )
    return MemoryStore(origin)
