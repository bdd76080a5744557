"""Many writes, a bounded number of them under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from zlake import limits
from zlake.errors import ObjectExistsError
from zlake.storage.store import Buffer, Lost, Store, Written
from zlake.types import Pending


def create_many(store: Store, items: Iterable[tuple[str, Buffer]], in_flight: int = limits.WRITES_IN_FLIGHT) -> None:
    """Create all objects, at most ``in_flight`` at once; each is atomic, the whole is not.

    The items are drawn while earlier ones are being written, so an encoder may feed this. After a failure nothing
    new is begun, what is under way is waited for, and the first failure is raised.

    Raises
    ------
    ObjectExistsError
        If a key holds something else already.
    """
    waiting: deque[tuple[str, Pending[Written | Lost]]] = deque()
    try:
        for key, value in items:
            waiting.append((key, store.start_create(key, value)))
            if len(waiting) >= in_flight:
                _finish(store, *waiting.popleft())
        while waiting:
            _finish(store, *waiting.popleft())
    except BaseException:
        # The caller's buffers may be reused as soon as this returns.
        for _, pending in waiting:
            _wait(pending)
        raise


def delete_many(store: Store, keys: Iterable[str], in_flight: int = limits.WRITES_IN_FLIGHT) -> int:
    """Delete all, many at once, and return how many there were; the first failure is raised when all have ended."""
    deleted = 0
    failure: Exception | None = None
    with ThreadPoolExecutor(in_flight, thread_name_prefix="zlake-delete") as pool:
        for future in [pool.submit(store.delete, key) for key in keys]:
            try:
                future.result()
                deleted += 1
            except Exception as error:
                failure = failure or error
    if failure is not None:
        raise failure
    return deleted


def _finish(store: Store, key: str, pending: Pending[Written | Lost]) -> None:
    if isinstance(pending.result(), Lost):
        raise ObjectExistsError(f"{store.url}: another object exists already under the key {key!r}")


def _wait(pending: Pending[Written | Lost]) -> None:
    try:
        pending.result()
    except Exception:
        return
