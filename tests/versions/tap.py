"""A store that records requests and can stop, lose an answer or let somebody else act at any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from zlake.errors import StorageUnavailableError, WriteStateUnknownError
from zlake.storage.store import Buffer, Lost, ObjectInfo, Request, Store, Versioned, Written
from zlake.types import Pending


class StoppedError(Exception):
    """The process ended here, so to speak."""


class Tap(Store):
    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.url = inner.url
        self.capabilities = inner.capabilities
        self.requests: list[tuple[str, str, int]] = []
        self.writes_left: int | None = None
        self.stop_after_effect = False
        self.before_swap: Callable[[], None] | None = None
        self.after_swap: Callable[[], None] | None = None
        self.unknown_swap = False
        self.answers_reads = False
        self.silent = False

    def take(self) -> list[tuple[str, str, int]]:
        taken, self.requests = self.requests, []
        return taken

    def _write(self, op: str, key: str, size: int, effect: Callable[[], Any]) -> Any:
        stop = self.writes_left == 0
        if self.writes_left is not None:
            self.writes_left -= 1
        if stop and not self.stop_after_effect:
            raise StoppedError
        self.requests.append((op, key, size))
        done = effect()
        if stop:
            raise StoppedError
        return done

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes | None:
        self.requests.append(("read", key, 0))
        return self.inner.read(key, start, stop)

    def read_versioned(self, key: str) -> Versioned:
        self.requests.append(("read", key, 0))
        if self.silent:
            raise StorageUnavailableError("no answer")
        return self.inner.read_versioned(key)

    def read_many(self, requests: Sequence[Request]) -> list[bytes | None]:
        self.requests.extend(("read", request.key, 0) for request in requests)
        return self.inner.read_many(requests)

    def start_create(self, key: str, value: Buffer) -> Pending[Written | Lost]:
        return self._write("create", key, len(value), lambda: self.inner.start_create(key, value))

    def swap(self, key: str, value: Buffer, generation: bytes) -> Written | Lost:
        if self.before_swap is not None:
            act, self.before_swap = self.before_swap, None
            act()
        outcome = self._write("swap", key, len(value), lambda: self.inner.swap(key, value, generation))
        if self.after_swap is not None:
            act, self.after_swap = self.after_swap, None
            act()
            return Lost()  # the answer never came, and what is stored now is not what we wrote
        if self.unknown_swap:
            self.silent = not self.answers_reads
            raise WriteStateUnknownError("no answer")
        return outcome

    def delete(self, key: str) -> None:
        self._write("delete", key, 0, lambda: self.inner.delete(key))

    def list(self, prefix: str = "") -> Iterator[str]:
        self.requests.append(("list", prefix, 0))
        return self.inner.list(prefix)

    def list_info(self, prefix: str = "") -> Iterator[ObjectInfo]:
        self.requests.append(("list", prefix, 0))
        return self.inner.list_info(prefix)

    def local_path(self, key: str) -> str | None:
        return self.inner.local_path(key)

    def tensorstore_spec(self, prefix: str) -> tuple[dict[str, Any], Any]:
        return self.inner.tensorstore_spec(prefix)
