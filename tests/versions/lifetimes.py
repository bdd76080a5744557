"""A storage whose clock is set by hand, and segments that are objects in it: for tests of what is deleted when."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.versions.support import Row, World
from zlake.context import Context
from zlake.format import paths
from zlake.format.documents import SegmentTensor
from zlake.storage.store import Buffer, Lost, ObjectInfo, Request, Store, Versioned, Written
from zlake.types import Pending

DAY = 86_400.0
COLLECTABLE = (paths.COMMITS, paths.PAGES, paths.SEGMENTS)


class Time:
    """The true time, in seconds since the epoch."""

    def __init__(self) -> None:
        self.now = 1_750_000_000.0

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Clocked(Store):
    """Another store, that says that objects were written when ``time`` says so, plus ``skew`` seconds."""

    def __init__(self, inner: Store, time: Time, skew: float = 0.0) -> None:
        self.inner, self.time, self.skew = inner, time, skew
        self.url = inner.url
        self.capabilities = inner.capabilities
        self.written: dict[str, float] = {}
        self.before_delete: Callable[[str], None] | None = None

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes | None:
        return self.inner.read(key, start, stop)

    def read_versioned(self, key: str) -> Versioned:
        return self.inner.read_versioned(key)

    def read_many(self, requests: Sequence[Request]) -> list[bytes | None]:
        return self.inner.read_many(requests)

    def start_create(self, key: str, value: Buffer) -> Pending[Written | Lost]:
        pending = self.inner.start_create(key, value)
        self.written.setdefault(key, self.time.now)
        return pending

    def swap(self, key: str, value: Buffer, generation: bytes) -> Written | Lost:
        outcome = self.inner.swap(key, value, generation)
        if isinstance(outcome, Written):
            self.written[key] = self.time.now
        return outcome

    def delete(self, key: str) -> None:
        if self.before_delete is not None:
            self.before_delete(key)
        self.inner.delete(key)
        self.written.pop(key, None)

    def tidy(self, prefix: str) -> None:
        self.inner.tidy(prefix)

    def list(self, prefix: str = "") -> Iterator[str]:
        return self.inner.list(prefix)

    def list_info(self, prefix: str = "") -> Iterator[ObjectInfo]:
        for info in self.inner.list_info(prefix):
            yield ObjectInfo(info.key, info.size, self.written.get(info.key, 0.0) + self.skew)

    def local_path(self, key: str) -> str | None:
        return self.inner.local_path(key)

    def tensorstore_spec(self, prefix: str) -> tuple[dict[str, Any], Any]:
        return self.inner.tensorstore_spec(prefix)


class StoredWorld(World):
    """Segments whose objects lie in a store; what they hold is known to the test alone."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.keys: dict[str, list[str]] = {}

    def write(self, rows: Sequence[Row], context: Context) -> tuple[SegmentTensor, ...]:
        entries = super().write(rows, context)
        for entry in entries:
            prefix = paths.segment_prefix(entry.segment)
            keys = [f"{prefix}{'k' * 26}/values-data/c.0", f"{prefix}{'k' * 26}/ids/c.0", f"{prefix}zarr.json"]
            self.keys[entry.segment] = keys
            for key in keys:
                self.store.create(key, key.encode())
        return entries


def context_at(time: Time, rng: random.Random, skew: float = 0.0) -> Context:
    """A process whose wall clock is ``skew`` seconds off, and whose own count of seconds begins anywhere."""
    ids = random.Random(rng.random())
    start = rng.uniform(-1e6, 1e6)

    def new_id() -> str:
        return "".join(ids.choices("abcdefghijklmnopqrstuvwxyz234567", k=26))

    return Context(
        clock=lambda: time.now + skew,
        monotonic=lambda: time.now + start,
        new_id=new_id,
        writes_in_flight=1,
    )
