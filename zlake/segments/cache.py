"""What readers keep in memory, bounded: an entry that nobody has used for longest goes first."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar

from zlake.context import Context

T = TypeVar("T")

MAX_MAPS: Final = 16_384
"""Objects mapped at once. Linux allows a process 65,530 maps; their pages belong to the page cache."""

_FEW = 64


class Slot(Generic[T]):
    """A place for a value that a `Cache` may take away.

    A reader takes ``value`` once into a variable of its own, sets ``used``, and fills the slot through `Cache.fill` if
    it was empty. There is no lock on this path: a value that is taken away lives on in the variables that hold it.
    """

    __slots__ = ("__weakref__", "used", "value", "weight")

    def __init__(self) -> None:
        self.value: T | None = None
        self.used = False
        self.weight = 0


class Cache:
    """Slots whose weights stay within a bound.

    Slots are forgotten with their owners. Of the others, those that were not used since the last search for room are
    emptied, oldest first ("second chance").

    Parameters
    ----------
    bound
        Sum of the weights (bytes of sidecars, number of maps). A single heavier value is still kept, alone.
    """

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self._lock = threading.Lock()
        self._queue: deque[weakref.ref[Slot[Any]]] = deque()
        self._weights: dict[weakref.ref[Slot[Any]], int] = {}
        self._dead: deque[weakref.ref[Slot[Any]]] = deque()
        self._weight = 0

    def fill(self, slot: Slot[T], value: T, weight: int) -> None:
        """Put a value of this weight into the slot, emptying others where room is needed."""
        with self._lock:
            self._bury()
            slot.value = value
            slot.weight = weight
            slot.used = True
            ref = weakref.ref(slot)
            if ref in self._weights:
                self._weight += weight - self._weights[ref]
                self._weights[ref] = weight
            else:
                ref = weakref.ref(slot, self._dead.append)
                self._weights[ref] = weight
                self._weight += weight
                self._queue.append(ref)
            self._make_room(slot)

    @property
    def weight(self) -> int:
        """Sum of the weights held now."""
        with self._lock:
            self._bury()
            return self._weight

    def __len__(self) -> int:
        with self._lock:
            self._bury()
            return len(self._weights)

    def _make_room(self, newest: Slot[Any]) -> None:
        chances = 2 * len(self._queue)
        while chances and self._weight > self.bound:
            chances -= 1
            ref = self._queue.popleft()
            slot = ref()
            if slot is None or ref not in self._weights:
                continue
            if slot.used or slot is newest:
                slot.used = slot is newest
                self._queue.append(ref)
                continue
            slot.value = None
            self._weight -= self._weights.pop(ref)

    def _bury(self) -> None:
        # Owners die at any moment, also while this thread holds the lock: their slots are only noted then.
        while self._dead:
            self._weight -= self._weights.pop(self._dead.popleft(), 0)
        if len(self._queue) > 2 * len(self._weights) + _FEW:
            self._queue = deque(ref for ref in self._queue if ref in self._weights)


class Caches:
    """The caches that all readers with the same ``cache_bytes`` share in a process."""

    def __init__(self, cache_bytes: int) -> None:
        self.decoded = Cache(cache_bytes // 2)  # the other half is TensorStore's
        self.maps = Cache(MAX_MAPS)


@lru_cache(maxsize=16)
def _shared(cache_bytes: int) -> Caches:
    return Caches(cache_bytes)


def caches(context: Context) -> Caches:
    """Return the process's caches for this context."""
    return _shared(context.cache_bytes)
