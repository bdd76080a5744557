"""Work ahead of a consumer on threads, yielding results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def work_ahead(make: Callable[[A], B], tasks: Iterable[A], threads: int, ahead: int) -> Iterator[B]:
    """Yield ``make(task)`` for each task, in order, with up to ``ahead`` of them finished or under way.

    The threads end with the iterator, also when its consumer stops early.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="zlake-loader")
    waiting: deque[Future[B]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(make, task))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
