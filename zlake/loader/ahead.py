"""Work ahead of a consumer: tasks under way first, then threads that finish them, results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


def work_ahead(
    tasks: Iterable[A], begin: Callable[[A], B], finish: Callable[[B], C], *, begun: int, finished: int
) -> Generator[C, None, None]:
    """Yield ``finish(begin(task))`` for each task, in order.

    Parameters
    ----------
    tasks
        What is to be done.
    begin
        Starts a task without waiting; called by the consumer.
    finish
        Waits for what was started and completes it; called on threads.
    begun
        Tasks started ahead of those that threads have taken.
    finished
        Tasks that threads have taken or completed, and so the number of threads.

    The threads end with the iterator, also when its consumer stops early or a task fails.
    """
    todo = map(begin, tasks)
    started: deque[B] = deque()
    taken: deque[Future[C]] = deque()
    pool = ThreadPoolExecutor(finished, thread_name_prefix="zlake-loader")
    try:
        while True:
            while len(taken) < finished and (started or (started := deque(islice(todo, 1)))):
                taken.append(pool.submit(finish, started.popleft()))
            started.extend(islice(todo, begun - len(started)))
            if not taken:
                return
            yield taken.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
