"""Results on their way, over the futures of TensorStore and of `concurrent.futures`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Settled(Generic[T]):
    """A result that waits for ``future`` and then turns its outcome into a value, once.

    Parameters
    ----------
    future
        A TensorStore or `concurrent.futures` future.
    settle
        Called with the future's value, or with its exception, whichever there is; may itself do I/O.
    """

    def __init__(self, future: Any, settle: Callable[[Any, Exception | None], T]) -> None:
        self._future = future
        self._settle = settle
        self._lock = threading.Lock()
        self._outcome: tuple[T] | Exception | None = None

    def result(self) -> T:
        """Wait for the value, or raise what went wrong."""
        with self._lock:
            if self._outcome is None:
                self._outcome = self._wait()
                self._future = None  # lets go of the buffer
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome[0]

    def _wait(self) -> tuple[T] | Exception:
        value, failure = None, None
        try:
            value = self._future.result()
        except Exception as error:
            failure = error
        try:
            return (self._settle(value, failure),)
        except Exception as error:
            return error

    def __await__(self) -> Generator[Any, None, T]:
        """Let an event loop wait for the value."""
        return asyncio.to_thread(self.result).__await__()


class Done(Generic[T]):
    """A result that was computed on the spot; what went wrong is raised when it is asked for, as by the others."""

    def __init__(self, compute: Callable[[], T]) -> None:
        self._outcome: tuple[T] | Exception
        try:
            self._outcome = (compute(),)
        except Exception as error:
            self._outcome = error

    def result(self) -> T:
        """Return the value, or raise what went wrong."""
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome[0]

    def __await__(self) -> Generator[Any, None, T]:
        """Let an event loop have the value."""
        yield from ()
        return self.result()


class Submitted(Generic[T]):
    """A result that a thread pool is computing."""

    def __init__(self, future: Future[T]) -> None:
        self._future = future

    def result(self) -> T:
        """Wait for the value, or raise what went wrong."""
        return self._future.result()

    def __await__(self) -> Generator[Any, None, T]:
        """Let an event loop wait for the value."""
        return asyncio.wrap_future(self._future).__await__()
