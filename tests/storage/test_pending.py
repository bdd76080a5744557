from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from zlake.storage.pending import Settled, Submitted


def _settled(future: Future):
    calls = []

    def settle(value, error):
        calls.append((value, error))
        if error is not None:
            raise LookupError("translated") from error
        return value * 2

    return Settled(future, settle), calls


async def test_a_value_is_settled_once_for_all_who_wait():
    future: Future[int] = Future()
    pending, calls = _settled(future)
    found = []
    threads = [threading.Thread(target=lambda: found.append(pending.result())) for _ in range(4)]
    for thread in threads:
        thread.start()
    future.set_result(21)
    for thread in threads:
        thread.join()
    assert found == [42] * 4
    assert await pending == 42
    assert calls == [(21, None)]


async def test_a_failure_is_raised_to_all_who_wait():
    future: Future[int] = Future()
    pending, calls = _settled(future)
    future.set_exception(OSError("gone"))
    for _ in range(2):
        with pytest.raises(LookupError, match="translated"):
            pending.result()
    with pytest.raises(LookupError):
        await pending
    assert len(calls) == 1


async def test_what_a_pool_computes():
    with ThreadPoolExecutor(1) as pool:
        assert Submitted(pool.submit(lambda: 7)).result() == 7
        assert await Submitted(pool.submit(lambda: 8)) == 8
        with pytest.raises(ZeroDivisionError):
            await Submitted(pool.submit(lambda: 1 // 0))
