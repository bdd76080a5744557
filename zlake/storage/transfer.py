"""Bringing immutable objects from one store to another: without moving bytes where that is safe, else many at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from zlake import limits
from zlake.errors import CorruptObjectError, MissingDependencyError, ObjectExistsError, ObjectNotFoundError
from zlake.storage.store import Lost, ObjectInfo, Store

_UNKNOWN: Final = -1
_LISTINGS: Final = 64
"""Prefixes that are listed one by one; of more the folder that they lie in is listed as a whole."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a transfer did.

    Attributes
    ----------
    objects, bytes
        Objects that were read and written, and their bytes.
    linked
        Objects that share their bytes with the source's.
    present
        Objects that were there already.
    """

    objects: int = 0
    bytes: int = 0
    linked: int = 0
    present: int = 0

    def __add__(self, other: Moved) -> Moved:
        return Moved(
            self.objects + other.objects,
            self.bytes + other.bytes,
            self.linked + other.linked,
            self.present + other.present,
        )


def sizes(store: Store, prefixes: Sequence[str]) -> dict[str, ObjectInfo]:
    """Return the objects below prefixes such as ``segments/<id>/``, by key: one listing for each, or for all of many.

    An empty prefix stands for everything. The size is -1 where the package is missing that lists sizes on this storage.
    """
    wanted = set(prefixes)
    if "" in wanted:
        return {info.key: info for info in _list(store, "")}
    folders = {prefix.partition("/")[0] + "/" for prefix in wanted}
    listed = sorted(wanted) if len(wanted) <= _LISTINGS * len(folders) else sorted(folders)
    found: dict[str, ObjectInfo] = {}
    with ThreadPoolExecutor(limits.WRITES_IN_FLIGHT, "zlake-list") as pool:
        for infos in pool.map(lambda prefix: list(_list(store, prefix)), listed):
            found.update((info.key, info) for info in infos if _above(info.key) in wanted)
    return found


def _list(store: Store, prefix: str) -> Iterator[ObjectInfo]:
    try:
        yield from store.list_info(prefix)
    except MissingDependencyError:
        yield from (ObjectInfo(key, _UNKNOWN, 0.0) for key in store.list(prefix))


def _above(key: str) -> str:
    """Return the first two parts of a key, as a prefix."""
    folder, _, rest = key.partition("/")
    return f"{folder}/{rest.partition('/')[0]}/"


def transfer(
    source: Store,
    dest: Store,
    objects: Iterable[ObjectInfo],
    *,
    there: Mapping[str, ObjectInfo] | None = None,
    links: bool = True,
    workers: int = 0,
    guess: int = limits.SHARD_BYTES,
    moved: Callable[[int], object] | None = None,
) -> Moved:
    """Create objects of one store, which never change, in another one under the same keys; durable when it returns.

    Between local folders of one file system an object becomes a hard link: the same bytes under a second name. Else
    objects are read and created, many at once, with at most `limits.COPY_BYTES_IN_FLIGHT` bytes in memory (or one
    object, should one be larger). After a failure nothing new is begun, and what is under way is waited for.

    Parameters
    ----------
    source, dest
        From where, and where to.
    objects
        Which, with their sizes (-1 if not known). No order is kept.
    there
        What is in ``dest`` already, by key: an object of the same size there counts as there.
    links
        Whether objects may become hard links.
    workers
        Objects under way at once; 0 chooses, 1 does one after the other in this thread.
    guess
        Bytes to reckon with for an object of unknown size.
    moved
        Called with the size of each object when it is there.

    Raises
    ------
    ObjectExistsError
        If ``dest`` has another object under one of the keys.
    ObjectNotFoundError
        If an object is gone from ``source``.
    CorruptObjectError
        If an object does not have the size that it was listed with.
    StorageError
        If a storage fails.
    """
    work = _Transfer(source, dest, links and source.capabilities.files and dest.capabilities.files, guess)
    total = Moved()

    def finish(size: int, one: Moved) -> None:
        nonlocal total
        total += one
        if moved is not None:
            moved(max(0, size))

    waiting: deque[tuple[int, Future[Moved]]] = deque()
    pool = ThreadPoolExecutor(workers or limits.WRITES_IN_FLIGHT, "zlake-copy") if workers != 1 else None
    try:
        for info in objects:
            known = None if there is None else there.get(info.key)
            if known is not None and (known.size == info.size or _UNKNOWN in (known.size, info.size)):
                finish(info.size, Moved(present=1))
            elif pool is None:
                finish(info.size, work.bring(info))
            else:
                waiting.append((info.size, pool.submit(work.bring, info)))
                if len(waiting) > 4 * limits.WRITES_IN_FLIGHT:
                    size, future = waiting.popleft()
                    finish(size, future.result())
        while waiting:
            size, future = waiting.popleft()
            finish(size, future.result())
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)
    return total


class _Transfer:
    def __init__(self, source: Store, dest: Store, links: bool, guess: int) -> None:
        self._source = source
        self._dest = dest
        self._links = links
        self._guess = guess
        self._room = _Room(limits.COPY_BYTES_IN_FLIGHT)

    def bring(self, info: ObjectInfo) -> Moved:
        """Create one object."""
        if self._links and self._link(info):
            return Moved(linked=1)
        with self._room.taken(self._guess if info.size == _UNKNOWN else info.size):
            value = self._source.read(info.key)
            if value is None:
                raise ObjectNotFoundError(
                    f"{self._source.url}: the object {info.key!r} has gone while it was to be copied; copy again"
                )
            if info.size not in (_UNKNOWN, len(value)):
                raise CorruptObjectError(
                    f"{self._source.url}: {info.key!r} has {len(value)} bytes, though it was listed with {info.size}"
                )
            if isinstance(self._dest.create(info.key, value), Lost):
                raise self._taken(info.key)
        return Moved(objects=1, bytes=len(value))

    def _link(self, info: ObjectInfo) -> bool:
        path = self._source.local_path(info.key)
        linked = None if path is None else self._dest.link(info.key, path)
        if linked is None:
            self._links = False  # another file system, or none that links: no later object will fare better
        if linked is False:
            raise self._taken(info.key)
        return bool(linked)

    def _taken(self, key: str) -> ObjectExistsError:
        return ObjectExistsError(
            f"{self._dest.url}: another object exists already under the key {key!r}, which {self._source.url} has too; "
            "one of them is damaged, verify both"
        )


class _Room:
    """Bytes that may be in memory at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Wait until there is room, and hold it; what is larger than all of it waits to be alone."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + size <= self._most)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()
