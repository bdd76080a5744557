"""A store that fails when it is told to, and remembers what was asked of it.

Examples
--------
Every write of a ref fails as if the network had gone::

    store = FaultStore(open_store("mem://x"))
    store.fail(StorageUnavailableError("gone"), on("swap", key="refs/"), times=None)

The process dies right after its seventh operation took effect::

    store.kill(nth(6), moment="after")

A swap lands, but its writer is told that it lost; or hears nothing at all::

    store.answer(Lost(), on("swap"))
    store.fail(WriteStateUnknownError("no answer"), on("swap"), moment="after")

The network goes away at the fourth operation and stays away; or the process ends there, within this one::

    store.fail(StorageUnavailableError("gone"), since(3), times=None)
    store.end(nth(3))
"""
# The methods of Store are documented once, there.
# ruff: noqa: D102

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from zlake.storage.store import Buffer, Lost, ObjectInfo, Request, Store, Versioned, Written
from zlake.testing.recorder import Operation, Recorder
from zlake.types import Pending


class ProcessEnded(BaseException):  # no Exception: no handler of errors may see it
    """What `FaultStore.end` raises in place of the end of the process."""


T = TypeVar("T")
When = Callable[[Operation], bool]
Moment = Literal["before", "after"]


def nth(index: int) -> When:
    """Match the operation with this index, 0 for the first."""
    return lambda operation: operation.index == index


def since(index: int) -> When:
    """Match the operation with this index and all later ones."""
    return lambda operation: operation.index >= index


def on(*names: str, key: str = "") -> When:
    """Match operations of these names (all, if none is given) whose key starts with ``key``."""
    return lambda operation: (not names or operation.name in names) and operation.key.startswith(key)


@dataclass
class Fault:
    """What happens to the operations that match.

    Attributes
    ----------
    when
        Chooses operations.
    act
        Called with the operation; raises, kills, or returns what to answer instead of the truth (None: the truth).
    moment
        ``"before"`` the operation has any effect, or ``"after"`` it took effect but before its caller hears of it.
    times
        How often it may still happen; None for always.
    """

    when: When
    act: Callable[[Operation], Any]
    moment: Moment = "before"
    times: int | None = 1
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def takes(self, operation: Operation, moment: Moment) -> bool:
        """Whether this fault strikes now; counts it."""
        if moment != self.moment or not self.when(operation):
            return False
        with self._lock:
            if self.times is None:
                return True
            self.times -= 1
            return self.times >= 0


class FaultStore(Store):
    """Wrap a store: record every operation in `recorder`, and fail, kill or lie where told.

    What `local_path` and `tensorstore_spec` give away is read behind this store's back: only the asking is recorded.
    A pickle carries the wrapped store alone, without faults and records.

    Parameters
    ----------
    store
        The store that does the work.
    faults
        Consulted in order, until one raises or answers.
    """

    def __init__(self, store: Store, faults: Sequence[Fault] = ()) -> None:
        self.store = store
        self.url = store.url
        self.capabilities = store.capabilities
        self.faults = list(faults)
        self.recorder = Recorder()
        self._ended = False

    def fail(self, error: Exception, when: When, *, moment: Moment = "before", times: int | None = 1) -> Fault:
        """Raise ``error`` at the operations that match."""

        def act(_: Operation) -> None:
            raise error

        return self._add(Fault(when, act, moment, times))

    def kill(self, when: When, *, moment: Moment = "before") -> Fault:
        """Kill this process with SIGKILL at the first operation that matches."""
        return self._add(Fault(when, lambda _: os.kill(os.getpid(), signal.SIGKILL), moment))

    def end(self, when: When, *, moment: Moment = "before") -> Fault:
        """Raise `ProcessEnded` at the first operation that matches, and let nothing have any effect after it.

        As if the process had died, but seen from the same process: what it left behind can be looked at through the
        wrapped store.
        """

        def act(_: Operation) -> None:
            self._ended = True
            raise ProcessEnded

        return self._add(Fault(when, act, moment))

    def answer(self, value: Any, when: When, *, times: int | None = 1) -> Fault:
        """Let operations that match take effect, and answer ``value`` all the same."""
        return self._add(Fault(when, lambda _: value, "after", times))

    def _add(self, fault: Fault) -> Fault:
        self.faults.append(fault)
        return fault

    def _strike(self, operation: Operation, moment: Moment) -> Any:
        if self._ended:
            raise ProcessEnded
        for fault in list(self.faults):
            if fault.takes(operation, moment) and (lie := fault.act(operation)) is not None:
                return lie
        return None

    def _run(self, operation: Operation, call: Callable[[], T], size: Callable[[T], int] | None = None) -> T:
        self._strike(operation, "before")
        result = call()
        if size is not None:
            self.recorder.end(operation, size(result))
        lie = self._strike(operation, "after")
        return result if lie is None else lie

    # ------------------------------------------------------------ reading

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes | None:
        operation = self.recorder.begin("read", key, start, stop)
        return self._run(operation, lambda: self.store.read(key, start, stop), _length)

    def read_versioned(self, key: str) -> Versioned:
        operation = self.recorder.begin("read_versioned", key)
        return self._run(operation, lambda: self.store.read_versioned(key), lambda found: _length(found.value))

    def read_many(self, requests: Sequence[Request]) -> list[bytes | None]:
        operations = [self.recorder.begin("read", each.key, each.start, each.stop) for each in requests]
        for operation in operations:
            self._strike(operation, "before")
        results = []
        for operation, result in zip(operations, self.store.read_many(requests), strict=True):
            self.recorder.end(operation, _length(result))
            lie = self._strike(operation, "after")
            results.append(result if lie is None else lie)
        return results

    def local_path(self, key: str) -> str | None:
        return self._run(self.recorder.begin("local_path", key), lambda: self.store.local_path(key))

    def tensorstore_spec(self, prefix: str) -> tuple[dict[str, Any], Any]:
        operation = self.recorder.begin("tensorstore_spec", prefix)
        return self._run(operation, lambda: self.store.tensorstore_spec(prefix))

    # ------------------------------------------------------------ writing

    def create(self, key: str, value: Buffer) -> Written | Lost:
        operation = self.recorder.begin("create", key, size=len(value))
        return self._run(operation, lambda: self.store.create(key, value))

    def start_create(self, key: str, value: Buffer) -> Pending[Written | Lost]:
        operation = self.recorder.begin("create", key, size=len(value))
        struck_after = any(fault.moment == "after" and fault.when(operation) for fault in list(self.faults))
        try:
            if struck_after:
                # At once, so that the fault strikes even if nobody waits for the answer.
                return _Done(self._run(operation, lambda: self.store.create(key, value)))
            self._strike(operation, "before")
        except Exception as error:
            return _Done(None, error)
        return self.store.start_create(key, value)

    def link(self, key: str, path: str) -> bool | None:
        if not self.store.capabilities.files:
            return self.store.link(key, path)
        return self._run(self.recorder.begin("link", key), lambda: self.store.link(key, path))

    def swap(self, key: str, value: Buffer, generation: bytes) -> Written | Lost:
        operation = self.recorder.begin("swap", key, size=len(value))
        return self._run(operation, lambda: self.store.swap(key, value, generation))

    def delete(self, key: str) -> None:
        self._run(self.recorder.begin("delete", key), lambda: self.store.delete(key))

    # ------------------------------------------------------------ listing

    def list(self, prefix: str = "") -> Iterator[str]:
        yield from self._run(self.recorder.begin("list", prefix), lambda: self.store.list(prefix))

    def list_info(self, prefix: str = "") -> Iterator[ObjectInfo]:
        yield from self._run(self.recorder.begin("list_info", prefix), lambda: self.store.list_info(prefix))

    def __reduce__(self) -> tuple[type[FaultStore], tuple[Store]]:
        return FaultStore, (self.store,)

    def __repr__(self) -> str:
        return f"<FaultStore {self.store!r}>"


class _Done:
    def __init__(self, outcome: Any, error: Exception | None = None) -> None:
        self._outcome = outcome
        self._error = error

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._outcome

    def __await__(self) -> Generator[Any, None, Any]:
        yield from ()
        return self.result()


def _length(value: bytes | None) -> int:
    return 0 if value is None else len(value)
