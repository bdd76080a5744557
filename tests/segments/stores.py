"""A store that only creates, to watch the writer: what it asks for, in which order, how much at once."""

from __future__ import annotations

from typing import Any

from zlake.storage.store import Buffer, Lost, Written


class WatchedStore:
    """Keeps what is created; a write lands when its result is waited for, so unfinished ones can be counted.

    ``fail_at`` names the write (counted from 0) that fails, ``lose_at`` the one that finds another object.
    """

    url = "watched://"

    def __init__(self, fail_at: int = -1, lose_at: int = -1) -> None:
        self.objects: dict[str, bytes] = {}
        self.started: list[str] = []
        self.under_way: dict[str, int] = {}
        self.most_objects = 0
        self.most_bytes = 0
        self._fail_at = fail_at
        self._lose_at = lose_at

    def start_create(self, key: str, value: Buffer) -> Any:
        number = len(self.started)
        self.started.append(key)
        self.under_way[key] = len(value)
        self.most_objects = max(self.most_objects, len(self.under_way))
        self.most_bytes = max(self.most_bytes, sum(self.under_way.values()))
        return _Waiting(self, key, value, number == self._fail_at, number == self._lose_at)


class _Waiting:
    def __init__(self, store: WatchedStore, key: str, value: Buffer, fails: bool, loses: bool) -> None:
        self._store, self._key, self._value, self._fails, self._loses = store, key, value, fails, loses

    def result(self) -> Written | Lost:
        del self._store.under_way[self._key]
        if self._fails:
            raise OSError("no such luck")
        if self._loses:
            return Lost()
        self._store.objects[self._key] = bytes(self._value)
        return Written(b"1")
