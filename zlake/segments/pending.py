"""Results of reads: there already, or on their way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any, Generic, TypeVar

from zlake import limits
from zlake.types import Pending

T = TypeVar("T")
S = TypeVar("S")


class Done(Generic[T]):
    """A result that is there."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def result(self) -> T:
        """Return the value."""
        return self._value

    def __await__(self) -> Generator[Any, None, T]:
        """Return the value without giving way to the event loop."""
        yield from ()
        return self._value


class Joined(Generic[T]):
    """A result that is made once all its parts are there.

    Parameters
    ----------
    parts
        Reads under way. All are waited for, also when one fails, because they may write into buffers of the caller.
    finish
        Makes the result; called once, in whichever thread waits first.
    """

    __slots__ = ("_failure", "_finish", "_lock", "_parts", "_value")

    def __init__(self, parts: Sequence[Pending[Any]], finish: Callable[[], T]) -> None:
        self._parts: Sequence[Pending[Any]] = parts
        self._finish: Callable[[], T] | None = finish
        self._failure: Exception | None = None
        self._value: T
        self._lock = threading.Lock()

    def result(self) -> T:
        """Wait for the value, or raise what went wrong."""
        with self._lock:
            if self._finish is not None:
                failure: Exception | None = None
                for part in self._parts:
                    try:
                        part.result()
                    except Exception as error:
                        failure = failure or error
                self._settle(failure)
        if self._failure is not None:
            raise self._failure
        return self._value

    def _settle(self, failure: Exception | None) -> None:
        finish, self._finish, self._parts = self._finish, None, ()
        try:
            if failure is None and finish is not None:
                self._value = finish()
        except Exception as error:
            failure = error
        self._failure = failure

    def __await__(self) -> Generator[Any, None, T]:
        """Let an event loop wait for the parts; the result is made in the loop's thread."""
        for part in self._parts:
            try:
                yield from part.__await__()
            except Exception:  # the same error comes again from `result`, once the other parts are there
                continue
        return self.result()


class Running(Generic[T]):
    """A result that a thread is working on: first the thread begins the read, then the read is waited for."""

    __slots__ = ("_future",)

    def __init__(self, future: Future[Pending[T]]) -> None:
        self._future = future

    def result(self) -> T:
        """Wait for the value, or raise what went wrong."""
        return self._future.result().result()

    def __await__(self) -> Generator[Any, None, T]:
        """Let an event loop wait for the value."""
        begun = yield from asyncio.wrap_future(self._future).__await__()
        return (yield from begun.__await__())


def mapped(pending: Pending[S], change: Callable[[S], T]) -> Pending[T]:
    """Return the pending result of ``change``, at once where ``pending`` is done."""
    if isinstance(pending, Done):
        return Done(change(pending.result()))
    return Joined((pending,), lambda: change(pending.result()))


def background(begin: Callable[[], Pending[T]]) -> Pending[T]:
    """Begin a read in another thread, because beginning it waits for storage."""
    return Running(_threads().submit(begin))


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(limits.READS_IN_FLIGHT, thread_name_prefix="zlake-read")
