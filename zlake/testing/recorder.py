"""What was asked of a store, in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

OPERATIONS = (
    "read",
    "read_versioned",
    "create",
    "link",
    "swap",
    "delete",
    "list",
    "list_info",
    "local_path",
    "tensorstore_spec",
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One request to a store.

    Attributes
    ----------
    index
        0 for the first since the recorder was made or cleared.
    name
        One of `OPERATIONS`; every request of a ``read_many`` is a ``"read"`` of its own, every item of a
        ``create_many`` a ``"create"``.
    key
        The key, or the prefix of a listing.
    start, stop
        The range asked for, of reads.
    size
        Bytes sent or received; 0 where there was nothing, and while the operation is under way.
    """

    index: int
    name: str
    key: str
    start: int = 0
    stop: int | None = None
    size: int = 0


class Recorder:
    """Operations in the order in which they began. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._operations: list[Operation] = []

    def begin(self, name: str, key: str, start: int = 0, stop: int | None = None, size: int = 0) -> Operation:
        """Record an operation that begins now."""
        with self._lock:
            operation = Operation(len(self._operations), name, key, start, stop, size)
            self._operations.append(operation)
            return operation

    def end(self, operation: Operation, size: int) -> None:
        """Record how many bytes came back."""
        with self._lock:
            known = self._operations
            if operation.index < len(known) and known[operation.index] == operation:
                known[operation.index] = replace(operation, size=size)

    def clear(self) -> None:
        """Forget everything; the next operation has index 0 again."""
        with self._lock:
            self._operations.clear()

    def select(self, *names: str, key: str | Callable[[str], bool] = "") -> list[Operation]:
        """Return the operations of these names (all, if none is given) whose key starts with, or satisfies, ``key``."""
        matches = key if callable(key) else lambda found: found.startswith(key)
        with self._lock:
            return [each for each in self._operations if (not names or each.name in names) and matches(each.key)]

    def count(self, *names: str, key: str | Callable[[str], bool] = "") -> int:
        """Return how many operations `select` finds."""
        return len(self.select(*names, key=key))

    def size(self, *names: str, key: str | Callable[[str], bool] = "") -> int:
        """Return how many bytes the operations that `select` finds have moved."""
        return sum(each.size for each in self.select(*names, key=key))

    def __len__(self) -> int:
        return len(self._operations)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.select())
