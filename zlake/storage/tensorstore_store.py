"""A store over one of TensorStore's own key-value drivers."""
# The methods are documented once, in Store.
# ruff: noqa: D102

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final

import tensorstore as ts

from zlake.context import Context
from zlake.storage import failure, fork, kv, retry
from zlake.storage.keys import check_prefix, is_key
from zlake.storage.origin import Origin, OriginStore
from zlake.storage.ranges import byte_range, cut
from zlake.storage.store import Buffer, Lost, Request, Versioned, Written
from zlake.types import Pending

_REMOTE: Final = ("s3", "gcs", "http")
_RETRIES: Final = {"max_retries": 5, "initial_delay": "50ms", "max_delay": "2s"}

_contexts: dict[tuple[Any, ...], ts.Context] = {}
_contexts_lock = threading.Lock()


def shared_context(context: Context) -> ts.Context:
    """Return the process's `tensorstore.Context` for these settings: one chunk cache for all stores."""
    key = (context.durable, context.cache_bytes, context.reads_in_flight)
    with _contexts_lock:
        if key not in _contexts:
            _contexts[key] = ts.Context(
                {
                    "cache_pool": {"total_bytes_limit": context.cache_bytes},
                    "file_io_sync": context.durable,
                    **{f"{name}_request_concurrency": {"limit": context.reads_in_flight} for name in _REMOTE},
                    **{f"{name}_request_retries": _RETRIES for name in _REMOTE},
                }
            )
        return _contexts[key]


class TensorStoreStore(OriginStore):
    """Reads and writes through TensorStore; subclasses say how to open the driver and what it can do."""

    def __init__(self, origin: Origin) -> None:
        super().__init__(origin)
        self._opened: ts.KvStore | None = None

    def driver_spec(self) -> dict[str, Any]:
        """Return TensorStore's specification of the store, without its path."""
        raise TypeError(f"{type(self).__name__} names no driver")

    def driver_context(self) -> ts.Context:
        """Return the TensorStore context to open the driver in."""
        return shared_context(self.origin.context)

    @property
    def kv(self) -> ts.KvStore:
        """The open key-value store; opening does no I/O."""
        if self._opened is None:
            spec, context = self.tensorstore_spec("")
            try:
                self._opened = ts.KvStore.open(spec, context=context).result()
            except Exception as error:
                raise failure.translate(error, action="open", url=self.url) from error
        return self._opened

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes | None:
        self._check(key)
        wanted = byte_range(start, stop)
        if wanted is None:
            return None if self.read(key, 0, 1) is None else b""
        return self._read(key, wanted)

    def _read(self, key: str, wanted: slice) -> bytes | None:
        try:
            found = retry.run(lambda: self._start_read(key, wanted).result(), action="read", url=self.url, key=key)
            value = _value(found)
        except Exception as error:
            value = self._read_clamped(key, wanted, error)
        if value is None:
            self._confirm_absent(key)
        return value

    def _confirm_absent(self, key: str) -> None:
        """Raise if more than the object is missing."""

    def _read_clamped(self, key: str, wanted: slice, error: Exception) -> bytes | None:
        # A range that reaches beyond the object's end yields what is there, as a slice does. It happens to damaged
        # or very small objects alone, so the whole object is read.
        if not failure.is_out_of_range(error.__cause__ or error):
            raise error
        whole = self._read(key, slice(None))
        return None if whole is None else cut(whole, wanted)

    def _start_read(self, key: str, wanted: slice) -> Any:
        if wanted == slice(None):
            return self.kv.read(key)
        return self.kv.read(key, byte_range=wanted)

    def read_versioned(self, key: str) -> Versioned:
        self._check(key)
        found = kv.read_versioned(self.kv, self.url, key)
        if found.value is None:
            self._confirm_absent(key)
        return found

    def read_many(self, requests: Sequence[Request]) -> list[bytes | None]:
        for request in requests:
            self._check(request.key)
        results: list[bytes | None] = []
        flying: deque[tuple[Request, slice | None, Any]] = deque()
        for request in requests:
            wanted = byte_range(request.start, request.stop)
            flying.append((request, wanted, None if wanted is None else self._start_read(request.key, wanted)))
            if len(flying) >= self.origin.context.reads_in_flight:
                results.append(self._finish(*flying.popleft()))
        while flying:
            results.append(self._finish(*flying.popleft()))
        return results

    def _finish(self, request: Request, wanted: slice | None, future: Any) -> bytes | None:
        if wanted is None:
            return self.read(request.key, request.start, request.stop)
        try:
            value = _value(future.result())
        except Exception:
            return self._read(request.key, wanted)
        if value is None:
            self._confirm_absent(request.key)
        return value

    def start_create(self, key: str, value: Buffer) -> Pending[Written | Lost]:
        self._check_write(key)
        return kv.start_write(self.kv, self.url, key, value, kv.ABSENT)

    def swap(self, key: str, value: Buffer, generation: bytes) -> Written | Lost:
        self._check_write(key)
        return kv.start_write(self.kv, self.url, key, value, generation).result()

    def delete(self, key: str) -> None:
        self._check_write(key)
        kv.delete(self.kv, self.url, key)

    def list(self, prefix: str = "") -> Iterator[str]:
        check_prefix(prefix)
        fork.check()
        found = retry.run(lambda: self.kv.list(key_range(prefix)).result(), action="list", url=self.url, key=prefix)
        for raw in sorted(found):
            key = raw.decode("utf-8", "replace")
            if is_key(key):
                yield key

    def local_path(self, key: str) -> str | None:
        self._check(key)
        return None

    def tensorstore_spec(self, prefix: str) -> tuple[dict[str, Any], Any]:
        fork.check()
        check_prefix(prefix)
        return {**self.driver_spec(), "path": self.origin.location.prefix + prefix}, self.driver_context()


def key_range(prefix: str) -> ts.KvStore.KeyRange:
    """Return the range of all keys that start with ``prefix``."""
    if not prefix:
        return ts.KvStore.KeyRange()
    first = prefix.encode()
    # No byte of UTF-8 is 0xff, so the last one can be counted up.
    return ts.KvStore.KeyRange(first, first[:-1] + bytes([first[-1] + 1]))


def _value(found: Any) -> bytes | None:
    value: bytes | None = found.value if found.state == "value" else None
    return value
