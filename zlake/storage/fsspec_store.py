"""Every other protocol, through fsspec: az, sftp, hf, and what users register themselves.

fsspec has no conditional overwrite, and creating only what is absent is left to each file system; so these stores call
themselves unconditional, and only one writer at a time is safe. Within this process writes take turns.
"""
# The methods are documented once, in Store.
# ruff: noqa: D102

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, TypeVar

from zlake.errors import InvalidPathException, MissingDependencyError, WriteStateUnknownError
from zlake.storage import failure, fork, retry, threads
from zlake.storage.buckets import modified_seconds
from zlake.storage.cache import ObjectCache, default_folder
from zlake.storage.keys import check_prefix, is_key
from zlake.storage.kv import ABSENT
from zlake.storage.loopback import loopback
from zlake.storage.origin import Origin, OriginStore
from zlake.storage.pending import Submitted
from zlake.storage.ranges import byte_range
from zlake.storage.store import Buffer, Capabilities, Lost, ObjectInfo, Request, Versioned, Written
from zlake.types import Pending

T = TypeVar("T")
_NOTHING_THERE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class FsspecStore(OriginStore):
    """Objects below a URL of one of fsspec's file systems."""

    def __init__(self, origin: Origin) -> None:
        super().__init__(origin)
        self.capabilities = Capabilities(writable=not origin.read_only, conditional=False)
        self._turn = threading.RLock()
        self._cache = ObjectCache(default_folder(), origin.context.disk_cache_bytes)
        _ = self._target  # a protocol that nobody knows is an error now, not at the first read

    @cached_property
    def _target(self) -> tuple[Any, str]:
        import fsspec

        location = self.origin.location
        user = f"{location.userinfo}@" if location.userinfo else ""
        url = f"{location.scheme}://{user}{location.root}/{location.prefix}"
        try:
            filesystem, path = fsspec.core.url_to_fs(url, **self.origin.creds.secrets(), use_listings_cache=False)
        except ImportError as error:
            raise MissingDependencyError(f"{self.url}: a package is missing for this protocol: {error}") from error
        except ValueError as error:
            raise InvalidPathException(f"{self.url}: {failure.redact(str(error))}") from error
        except Exception as error:
            raise failure.translate(error, action="open", url=self.url) from error
        return filesystem, path.rstrip("/")

    # ------------------------------------------------------------ reading

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes | None:
        self._check(key)
        wanted = byte_range(start, stop)
        if wanted is None:
            return None if self.read(key, 0, 1) is None else b""
        return self._try(lambda: self._cat(key, start, stop), "read", key)

    def _cat(self, key: str, start: int, stop: int | None) -> bytes | None:
        filesystem, path = self._target
        full = f"{path}/{key}"
        try:
            if start == 0 and stop is None:
                return bytes(filesystem.cat_file(full))
            # Beyond an object's end file systems differ, so its size is asked for first.
            size = int(filesystem.info(full)["size"])
            first = max(0, size + start) if start < 0 else start
            end = size if stop is None else min(stop, size)
            return bytes(filesystem.cat_file(full, start=first, end=end)) if first < end else b""
        except _NOTHING_THERE:
            return None

    def read_versioned(self, key: str) -> Versioned:
        value = self.read(key)
        return Versioned(value, ABSENT if value is None else _generation(value))

    def read_many(self, requests: Sequence[Request]) -> list[bytes | None]:
        return list(threads.readers().map(lambda each: self.read(each.key, each.start, each.stop), requests))

    def local_path(self, key: str) -> str | None:
        """Fetch the whole object, which must be one that never changes, into the cache; see `Store.local_path`."""
        self._check(key)
        return self._try(lambda: self._cache.fetch(f"{self.url}/{key}", lambda part: self._get(key, part)), "read", key)

    def _get(self, key: str, part: str) -> bool:
        filesystem, path = self._target
        try:
            filesystem.get_file(f"{path}/{key}", part)
        except _NOTHING_THERE:
            return False
        return True

    def tensorstore_spec(self, prefix: str) -> tuple[dict[str, Any], Any]:
        from zlake.storage.tensorstore_store import shared_context

        fork.check()
        check_prefix(prefix)
        return loopback().spec(self.origin, prefix), shared_context(self.origin.context)

    # ------------------------------------------------------------ writing

    def start_create(self, key: str, value: Buffer) -> Pending[Written | Lost]:
        self._check_write(key)
        return Submitted(threads.writers().submit(self._write, key, value, ABSENT))

    def create(self, key: str, value: Buffer) -> Written | Lost:
        self._check_write(key)
        return self._write(key, value, ABSENT)

    def swap(self, key: str, value: Buffer, generation: bytes) -> Written | Lost:
        self._check_write(key)
        return self._write(key, value, generation)

    def _write(self, key: str, value: Buffer, generation: bytes) -> Written | Lost:
        data = bytes(value)
        with self._turn:
            stored = self.read_versioned(key)
            if stored.value == data:
                return Written(stored.generation)
            if stored.generation != generation:
                return Lost()
            try:
                self._put(key, data)
            except Exception as error:
                return self._read_back(key, data, error)
        return Written(_generation(data))

    def _put(self, key: str, data: bytes) -> None:
        filesystem, path = self._target
        full = f"{path}/{key}"
        filesystem.makedirs(full.rpartition("/")[0], exist_ok=True)
        filesystem.pipe_file(full, data)

    def _read_back(self, key: str, data: bytes, error: Exception) -> Written | Lost:
        if failure.is_unsure(error):
            try:
                stored = self.read(key)
            except Exception as again:
                raise WriteStateUnknownError(
                    f"{self.url}: {key!r} was sent but no answer came; it may have been written or not "
                    f"({failure.redact(str(error))})"
                ) from again
            if stored == data:
                return Written(_generation(data))
        raise failure.translate(error, action="write", url=self.url, key=key) from error

    def delete(self, key: str) -> None:
        self._check_write(key)
        with self._turn:
            self._try(lambda: self._remove(key), "delete", key)

    def _remove(self, key: str) -> None:
        filesystem, path = self._target
        try:
            filesystem.rm_file(f"{path}/{key}")
        except _NOTHING_THERE:
            return

    # ------------------------------------------------------------ listing

    def list(self, prefix: str = "") -> Iterator[str]:
        for info in self.list_info(prefix):
            yield info.key

    def list_info(self, prefix: str = "") -> Iterator[ObjectInfo]:
        fork.check()
        check_prefix(prefix)
        filesystem, path = self._target
        folder = f"{path}/{prefix.rpartition('/')[0]}".rstrip("/")
        found = self._try(lambda: _find(filesystem, folder), "list", prefix)
        for full in sorted(found):
            key = full[len(path) :].lstrip("/")
            if key.startswith(prefix) and is_key(key):
                yield ObjectInfo(key, int(found[full]["size"]), modified_seconds(found[full]))

    def _try(self, call: Callable[[], T], action: str, key: str) -> T:
        return retry.run(call, action=action, url=self.url, key=key)


def _find(filesystem: Any, folder: str) -> dict[str, dict[str, Any]]:
    try:
        found: dict[str, dict[str, Any]] = filesystem.find(folder, detail=True)
    except _NOTHING_THERE:
        return {}
    return found


def _generation(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=16).digest()
