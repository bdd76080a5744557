from __future__ import annotations

import threading
import time

import pytest

from zlake.loader.ahead import work_ahead


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("zlake-loader")]


@pytest.mark.parametrize("tasks", [0, 1, 2, 3, 50])
@pytest.mark.parametrize("begun", [0, 1, 7, 100])
@pytest.mark.parametrize("finished", [1, 2, 5])
def test_results_come_in_order(tasks, begun, finished):
    def slow_first(n):
        time.sleep(0.002 if n % 3 == 0 else 0)
        return n * 10

    found = list(work_ahead(range(tasks), lambda n: n, slow_first, begun=begun, finished=finished))
    assert found == [n * 10 for n in range(tasks)]
    assert threads() == []


@pytest.mark.parametrize(("begun", "finished"), [(0, 1), (0, 3), (4, 2)])
def test_no_more_than_so_many_tasks_are_ahead(begun, finished):
    started, completed = [], []

    def begin(n):
        started.append(n)
        return n

    def finish(n):
        completed.append(n)
        return n

    work = work_ahead(iter(range(1000)), begin, finish, begun=begun, finished=finished)
    assert started == []
    for i in range(20):
        assert next(work) == i
        assert len(started) == 1 + i + begun + finished - 1
        assert len(completed) <= i + finished
    work.close()


def test_a_failure_comes_at_its_turn_and_ends_everything():
    done = []

    def finish(n):
        if n == 3:
            raise ValueError("three")
        done.append(n)
        return n

    work = work_ahead(range(100), lambda n: n, finish, begun=2, finished=2)
    assert [next(work) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(work)
    assert threads() == []
    assert max(done) < 10
    with pytest.raises(StopIteration):
        next(work)


def test_a_failure_to_begin_ends_everything():
    def begin(n):
        if n == 5:
            raise ValueError("five")
        return n

    with pytest.raises(ValueError, match="five"):
        list(work_ahead(range(10), begin, lambda n: n, begun=1, finished=2))
    assert threads() == []


def test_an_early_end_lets_threads_go_and_waits_for_them():
    running = threading.Event()
    release = threading.Event()

    def finish(n):
        if n == 1:
            running.set()
            release.wait(10)
        return n

    work = work_ahead(range(100), lambda n: n, finish, begun=0, finished=2)
    assert next(work) == 0
    running.wait(10)
    assert threads()
    threading.Timer(0.05, release.set).start()
    work.close()
    assert threads() == []
