"""The dataset of a walk in a bucket, behind a proxy that loses requests and answers of conditional writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from servers.proxy import Fate, Proxy, ProxyRequest

from tests.crash.walk import fresh
from zlake.context import Context
from zlake.storage import open_store
from zlake.storage.store import Store

HOUR = timedelta(hours=1)


def nth_write(broken: Proxy, n: int, fate: Fate, then: Fate) -> None:
    """Let the n-th conditional write have this fate, and all requests after it the other one."""
    seen = 0

    def rule(request: ProxyRequest) -> Fate:
        nonlocal seen
        seen += request.conditional
        if request.conditional and seen == n + 1:
            return fate
        return then if seen > n else Fate.PASS

    broken.rule = rule


def answer_lost(broken: Proxy, n: int) -> None:
    """The write takes effect, the connection breaks, the driver tries again and is told that it comes too late."""
    nth_write(broken, n, Fate.UNANSWERED, Fate.PASS)


def told_lost(broken: Proxy, n: int) -> None:
    """The write takes effect, and is said to have lost: something on the way has tried twice."""
    nth_write(broken, n, Fate.TOLD_LOST, Fate.PASS)


def gone_after(broken: Proxy, n: int) -> None:
    """The write takes effect; neither its answer nor any later one ever comes."""
    nth_write(broken, n, Fate.UNANSWERED, Fate.REFUSED)


def gone_before(broken: Proxy, n: int) -> None:
    """The service goes away before it gets the write."""
    nth_write(broken, n, Fate.REFUSED, Fate.REFUSED)


class Service:
    """A bucket; the change goes through a proxy, all else does not."""

    def __init__(self, proxy: Proxy, url: str, creds: dict[str, str], context: Context) -> None:
        from moto.s3.models import s3_backends

        self._backend = s3_backends["123456789012"]["aws"]
        self._bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix}/"
        self._proxy = proxy
        self.direct = open_store(url, creds=creds, context=context)
        self._proxied = open_store(url, creds={**creds, "endpoint_url": proxy.endpoint}, context=context)

    @contextmanager
    def fresh(self, objects: dict[str, bytes]) -> Iterator[tuple[Store, Store, Proxy]]:
        for key, value in objects.items():
            made = self._backend.put_object(self._bucket, self._prefix + key, value)
            made.last_modified -= HOUR  # these tell times by the second
        try:
            yield self.direct, self._proxied, self._proxy
        finally:
            self._proxy.rule = None
            self._backend.buckets[self._bucket].keys.clear()

    @contextmanager
    def looked_at(self, store: Store) -> Iterator[Store]:
        """What lies in the bucket, in memory: looking at it there takes no requests."""
        found = {key.name: key.value for key in self._backend.buckets[self._bucket].keys.values()}
        with fresh({key.removeprefix(self._prefix): value for key, value in found.items()}) as copy:
            yield copy

    def begin(self, broken: Proxy) -> None:
        broken.requests.clear()

    def steps(self, broken: Proxy) -> list[ProxyRequest]:
        return [request for request in broken.requests if request.conditional]

    def heal(self, broken: Proxy) -> None:
        broken.rule = None

    def modes(self, step: ProxyRequest) -> list[Callable[[Proxy, int], None]]:
        return [answer_lost, told_lost, gone_after, gone_before]

    def unknowable(self, steps: list[Any], n: int, mode: Callable[[Proxy, int], None]) -> bool:
        return mode in (gone_after, gone_before) and steps[n].key.partition("/")[2].startswith("refs/")

    def doubtful(self, steps: list[Any], n: int) -> bool:
        return False
