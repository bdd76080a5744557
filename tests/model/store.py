"""A store in plain Python with a clock that is set by hand, which keeps watch over the rules of storage.

Objects outside the refs never change: an object that was deleted may be written again with the same bytes alone.
"""
# The methods of Store are documented once, there.

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zlake.errors import UnsupportedOperationError
from zlake.format import paths
from zlake.storage.keys import check_key, check_prefix
from zlake.storage.ranges import byte_range, cut
from zlake.storage.store import Buffer, Capabilities, Lost, ObjectInfo, Request, Store, Versioned, Written

_ABSENT = b"absent"
_MUTABLE = ("refs/", "gc/", "leases/", "copying.json")
"""Where objects may be swapped, or written again under a key that was deleted."""
DATASET_FOLDERS = ("refs/branches/", "refs/tags/", "commits/", "pages/", "segments/", "views/", "gc/", "leases/")


class Clock:
    """Seconds since the epoch, as told."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Naps:
    """The time of who waits for nothing but to try again: it passes at once."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass(slots=True)
class _Object:
    value: bytes
    generation: bytes
    modified: float


class WatchedStore(Store):
    """Objects in a dictionary.

    Parameters
    ----------
    url
        Unique in the process: caches go by it.
    clock
        The storage's clock.

    Attributes
    ----------
    fresh, gone
        Keys written and deleted since they were last taken by `news`.
    """

    capabilities = Capabilities(shared=False)

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self.url = url
        self.clock: Clock = clock or Clock()
        self.objects: dict[str, _Object] = {}
        self.fresh: list[str] = []
        self.gone: list[str] = []
        self._seen: dict[str, bytes] = {}
        self._writes = 0
        self._lock = threading.Lock()

    def twin(self, url: str) -> WatchedStore:
        """Return a store that holds the same, and goes its own way from here."""
        made = WatchedStore(url, Clock(self.clock.now))
        made.objects = {key: replace(found) for key, found in self.objects.items()}
        made._seen = dict(self._seen)
        made._writes = self._writes
        return made

    def news(self) -> tuple[list[str], list[str]]:
        """Return the keys written and deleted since the last call."""
        found = self.fresh, self.gone
        self.fresh, self.gone = [], []
        return found

    def _put(self, key: str, value: Buffer) -> Written:
        self._writes += 1
        data = bytes(value)
        if not key.startswith(_MUTABLE):
            assert self._seen.setdefault(key, data) == data, f"{key} is written again, with other bytes"
        known = key in (paths.root_key(), "copying.json") or key.startswith(DATASET_FOLDERS)
        assert known, f"{key} is no key of a dataset"
        self.objects[key] = _Object(data, b"%d" % self._writes, self.clock())
        self.fresh.append(key)
        return Written(self.objects[key].generation)

    # ------------------------------------------------------------ Store

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes | None:
        check_key(key)
        found = self.objects.get(key)
        if found is None:
            return None
        if start == 0 and stop is None:
            return found.value
        wanted = byte_range(start, stop)
        return b"" if wanted is None else cut(found.value, wanted)

    def read_versioned(self, key: str) -> Versioned:
        check_key(key)
        found = self.objects.get(key)
        return Versioned(None, _ABSENT) if found is None else Versioned(found.value, found.generation)

    def read_many(self, requests: Sequence[Request]) -> list[bytes | None]:
        return [self.read(request.key, request.start, request.stop) for request in requests]

    def create(self, key: str, value: Buffer) -> Written | Lost:
        check_key(key)
        with self._lock:
            found = self.objects.get(key)
            if found is None:
                return self._put(key, value)
            return Written(found.generation) if found.value == value else Lost()

    def start_create(self, key: str, value: Buffer) -> Done:
        return Done(self.create(key, value))

    def swap(self, key: str, value: Buffer, generation: bytes) -> Written | Lost:
        check_key(key)
        assert generation
        assert key.startswith(_MUTABLE), f"{key} is swapped"
        with self._lock:
            found = self.objects.get(key)
            if (_ABSENT if found is None else found.generation) == generation:
                return self._put(key, value)
            return Written(found.generation) if found is not None and found.value == value else Lost()

    def delete(self, key: str) -> None:
        check_key(key)
        assert not key.startswith("refs/"), f"{key} is deleted"
        assert key != paths.root_key()
        with self._lock:
            if self.objects.pop(key, None) is not None:
                self.gone.append(key)

    def list(self, prefix: str = "") -> Iterator[str]:
        check_prefix(prefix)
        return iter(sorted(key for key in list(self.objects) if key.startswith(prefix)))

    def list_info(self, prefix: str = "") -> Iterator[ObjectInfo]:
        for key in self.list(prefix):
            found = self.objects.get(key)
            if found is not None:
                yield ObjectInfo(key, len(found.value), found.modified)

    def local_path(self, key: str) -> str | None:
        return None

    def tensorstore_spec(self, prefix: str) -> tuple[dict[str, Any], Any]:
        raise UnsupportedOperationError(f"{self.url}: TensorStore cannot read what lies in a dictionary")


class Done:
    """A result that is there."""

    def __init__(self, outcome: Any) -> None:
        self._outcome = outcome

    def result(self) -> Any:
        return self._outcome

    def __await__(self) -> Generator[Any, None, Any]:
        yield from ()
        return self._outcome
