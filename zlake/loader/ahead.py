"""Work ahead of a consumer: reads under way first, then threads that finish them, results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


def work_ahead(
    tasks: Sequence[A], begin: Callable[[A], B], finish: Callable[[B], C], *, begun: int, finished: int
) -> Iterator[C]:
    """Yield ``finish(begin(task))`` for each task, in order.

    Parameters
    ----------
    tasks
        What is to be done.
    begin
        Starts a task without waiting; called by the consumer.
    finish
        Waits for what was started and completes it; called on threads, unless there is only one task.
    begun
        Tasks started ahead of those that threads have taken.
    finished
        Tasks that threads have taken or completed, and so the number of threads.

    The threads end with the iterator, also when its consumer stops early or a task fails.
    """
    if len(tasks) == 1:
        yield finish(begin(tasks[0]))
        return
    done = 0
    started: deque[B] = deque()
    taken: deque[Future[C]] = deque()
    pool = ThreadPoolExecutor(finished, thread_name_prefix="zlake-loader")
    try:
        while True:
            while done < len(tasks) and (len(started) < begun or len(taken) < finished):
                started.append(begin(tasks[done]))
                done += 1
                if len(taken) < finished:
                    taken.append(pool.submit(finish, started.popleft()))
            while started and len(taken) < finished:
                taken.append(pool.submit(finish, started.popleft()))
            if not taken:
                return
            yield taken.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
