"""Local folders.

Creating goes through `zlake.storage.files`, which writes a shard from where it lies: TensorStore copies it first, under
the interpreter's lock. Overwriting and deleting go through TensorStore, whose lock files order them among processes.
The two go together: `files.create` succeeds only where nothing is, and a swap only where something is.
"""
# The methods are documented once, in Store.
# ruff: noqa: D102

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final

import google_crc32c
import numpy as np

from zlake import limits
from zlake.errors import InvalidPathException, StoragePermissionError
from zlake.storage import failure, files, fork, kv, threads
from zlake.storage.keys import LOCK_SUFFIX, check_prefix, is_key
from zlake.storage.origin import Origin
from zlake.storage.pending import Done, Submitted
from zlake.storage.ranges import byte_range
from zlake.storage.store import Buffer, Capabilities, Lost, ObjectInfo, Request, Versioned, Written
from zlake.storage.tensorstore_store import TensorStoreStore
from zlake.types import Pending

try:
    import fcntl
except ImportError:  # not on Windows, where TensorStore's own lock has to do
    fcntl = None  # type: ignore[assignment]

_DIGESTED_BYTES: Final = 64 * limits.KIB
"""More than any object has that is ever swapped."""
_FEW: Final = 8
_WRITTEN_AT_ONCE: Final = 512 * limits.KIB
"""A value no larger than this is with the operating system sooner than with another thread."""
_KNOWN_FOLDERS: Final = 1 << 16
_HELD: Final = 8
"""Files kept open after they were replaced: to let go of one that is still on its way to the device takes that long."""


class LocalStore(TensorStoreStore):
    """Files below one folder. Symbolic links below it are not followed; the folder itself may be one."""

    def __init__(self, origin: Origin) -> None:
        super().__init__(origin)
        self.capabilities = Capabilities(writable=not origin.read_only, files=True)
        self._root = os.path.realpath(origin.location.prefix)
        there = self._root
        while not os.path.lexists(there):
            there = os.path.dirname(there)
        if not os.path.isdir(there):
            inside = "" if there == self._root else f", so {self.url} cannot lie in it"
            raise InvalidPathException(f"{there} is a file{inside}; a dataset is a folder")
        self._folders: set[str] = set()
        self._links = True
        self._replaced: deque[files.Held] = deque(maxlen=_HELD)

    def driver_spec(self) -> dict[str, Any]:
        return {"driver": "file"}

    def tensorstore_spec(self, prefix: str) -> tuple[dict[str, Any], Any]:
        fork.check()
        check_prefix(prefix)
        if prefix:
            self._check_links(prefix.rstrip("/"))
        return {"driver": "file", "path": f"{self._root}{os.sep}{prefix}"}, self.driver_context()

    # ------------------------------------------------------------ reading

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes | None:
        self._check(key)
        if start or stop is not None:
            byte_range(start, stop)
        return self._read_file(key, start, stop)

    def read_many(self, requests: Sequence[Request]) -> list[bytes | None]:
        for request in requests:
            self._check(request.key)
            byte_range(request.start, request.stop)
        if len(requests) <= _FEW:
            return [self._read_file(each.key, each.start, each.stop) for each in requests]
        return list(threads.readers().map(lambda each: self._read_file(each.key, each.start, each.stop), requests))

    def _read_file(self, key: str, start: int, stop: int | None) -> bytes | None:
        try:
            return files.read(self._path(key), start, stop)
        except OSError as error:
            raise failure.translate(error, action="read", url=self.url, key=key) from error

    def read_versioned(self, key: str) -> Versioned:
        value = self.read(key)
        return Versioned(value, kv.ABSENT if value is None else _generation(value))

    def local_path(self, key: str) -> str | None:
        self._check(key)
        path = self._path(key)
        if os.path.islink(path):
            raise self._link_error(key)
        return path

    # ------------------------------------------------------------ writing

    def create(self, key: str, value: Buffer) -> Written | Lost:
        self._check_write(key)
        return self._create(key, value)

    def start_create(self, key: str, value: Buffer) -> Pending[Written | Lost]:
        self._check_write(key)
        if len(value) <= _WRITTEN_AT_ONCE and not self.origin.context.durable:
            return Done(lambda: self._create(key, value))
        return Submitted(threads.writers().submit(self._create, key, value))

    def _create(self, key: str, value: Buffer) -> Written | Lost:
        path = f"{self._root}{os.sep}{key}"
        try:
            made = self._make_folder(key.rpartition("/")[0])
            if self._links:
                won = files.create(path, value, durable=self.origin.context.durable, made=made)
            else:
                return self._create_without_links(key, value)
        except files.LinksUnsupportedError:
            self._links = False
            return self._create_without_links(key, value)
        except OSError as error:
            raise failure.translate(error, action="write", url=self.url, key=key) from error
        return Written(_generation(value)) if won or self._read_file(key, 0, None) == value else Lost()

    def _create_without_links(self, key: str, value: Buffer) -> Written | Lost:
        outcome = kv.start_write(self.kv, self.url, key, value, kv.ABSENT).result()
        return Written(_generation(value)) if isinstance(outcome, Written) else outcome

    def link(self, key: str, path: str) -> bool | None:
        self._check_write(key)
        target = self._path(key)
        try:
            won = files.link(path, target, durable=self.origin.context.durable)
            return won or os.path.getsize(path) == os.lstat(target).st_size
        except (files.LinksUnsupportedError, FileNotFoundError):
            return None
        except OSError as error:
            raise failure.translate(error, action="write", url=self.url, key=key) from error

    def swap(self, key: str, value: Buffer, generation: bytes) -> Written | Lost:
        self._check_write(key)
        path = self._path(key)
        if generation == kv.ABSENT:
            return self._create(key, value)
        # TensorStore names a generation by device, inode and time. Inodes are used again at once and many clocks tick
        # only every few milliseconds, so two swaps in one tick can bring an old generation back. Ours is a digest of
        # the value, compared while nobody else can write it.
        try:
            durable = self.origin.context.durable
            won, replaced = files.replace(path, value, lambda there: _judge(there, value, generation), durable=durable)
            if not durable:
                self._replaced.append(replaced)
            return Lost() if won is False else Written(_generation(value))
        except files.LocksUnsupportedError:
            return self._swap_without_locks(key, path, value, generation)
        except FileNotFoundError:  # not even the folder
            return Lost()
        except OSError as error:
            raise failure.translate(error, action="write", url=self.url, key=key) from error

    def _swap_without_locks(self, key: str, path: str, value: Buffer, generation: bytes) -> Written | Lost:
        # TensorStore's lock guards against everybody else, that of the folder against other swaps of zlake.
        with _locked(os.path.dirname(path)):
            stored = kv.read_versioned(self.kv, self.url, key)
            if stored.value is None:
                return Lost()
            if stored.value == value:
                return Written(_generation(value))
            if _generation(stored.value) != generation:
                return Lost()
            outcome = kv.start_write(self.kv, self.url, key, value, stored.generation).result()
        return Written(_generation(value)) if isinstance(outcome, Written) else outcome

    def delete(self, key: str) -> None:
        self._path(key)
        super().delete(key)

    def delete_prefix(self, prefix: str = "") -> int:
        check_prefix(prefix)
        count = super().delete_prefix(prefix)
        self.tidy(prefix)
        return count

    def tidy(self, prefix: str) -> None:
        self._check_write(prefix.rstrip("/") or "_")
        start = os.path.join(self._root, os.path.dirname(prefix))
        for folder, _, names in os.walk(start, topdown=False):
            if not f"{folder}{os.sep}".startswith(os.path.join(self._root, prefix)):
                continue
            for name in names:
                if name.endswith(LOCK_SUFFIX):
                    with contextlib.suppress(OSError):
                        os.unlink(os.path.join(folder, name))
            with contextlib.suppress(OSError):  # somebody else's files may be in it
                os.rmdir(folder)

    # ------------------------------------------------------------ listing

    def list(self, prefix: str = "") -> Iterator[str]:
        for key, _ in self._walk(prefix):
            yield key

    def list_info(self, prefix: str = "") -> Iterator[ObjectInfo]:
        for key, entry in self._walk(prefix):
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            yield ObjectInfo(key, found.st_size, found.st_mtime)

    def _walk(self, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        fork.check()
        check_prefix(prefix)
        folder, _, _ = prefix.rpartition("/")
        if folder:
            self._path(f"{folder}/_")
        yield from self._walk_folder(f"{folder}/" if folder else "", prefix)

    def _walk_folder(self, folder: str, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        try:
            with os.scandir(os.path.join(self._root, folder)) as found:
                # Keys sort as if a folder's name ended in "/".
                entries = sorted((entry.name + "/" * entry.is_dir(follow_symlinks=False), entry) for entry in found)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise failure.translate(error, action="list", url=self.url, key=folder) from error
        for name, entry in entries:
            key = folder + name
            if not key.startswith(prefix) and not prefix.startswith(key):
                continue
            if name.endswith("/"):
                yield from self._walk_folder(key, prefix)
            elif entry.is_file(follow_symlinks=False) and is_key(key) and key.startswith(prefix):
                yield key, entry

    # ------------------------------------------------------------ paths

    def _make_folder(self, folder: str) -> tuple[str, ...]:
        """Make an object's folder, and return the parents of those that were made; what is there must be no link."""
        if not folder or folder in self._folders:
            return ()
        made = self._make_folder(folder.rpartition("/")[0])
        path = os.path.join(self._root, folder)
        try:
            os.mkdir(path)
        except FileExistsError:
            self._check_folder(folder)
        except FileNotFoundError:  # the dataset's own folder, or one that somebody is deleting
            made = (*made, *files.make_folders(path))
        else:
            made = (*made, os.path.dirname(path))
            self._know(folder)
        return made

    def _know(self, folder: str) -> None:
        if len(self._folders) >= _KNOWN_FOLDERS:
            self._folders.clear()
        self._folders.add(folder)

    def _path(self, key: str) -> str:
        folder, _, _ = key.rpartition("/")
        if folder and folder not in self._folders:
            self._check_folder(folder)
        return f"{self._root}{os.sep}{key}"

    def _check_folder(self, folder: str) -> None:
        # Each folder is looked at once: whoever can plant links while we run can write the data as well.
        parent, _, _ = folder.rpartition("/")
        if parent and parent not in self._folders:
            self._check_folder(parent)
        try:
            if stat.S_ISLNK(os.lstat(os.path.join(self._root, folder)).st_mode):
                raise self._link_error(folder)
        except (FileNotFoundError, NotADirectoryError):
            return
        self._know(folder)

    def _check_links(self, folder: str) -> None:
        """Raise if a folder, or anything in it, is a link: TensorStore would follow it."""
        try:
            with os.scandir(self._path(f"{folder}/_").removesuffix("/_")) as found:
                for entry in found:
                    if entry.is_symlink():
                        raise self._link_error(f"{folder}/{entry.name}")
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise failure.translate(error, action="read", url=self.url, key=folder) from error

    def _link_error(self, key: str) -> StoragePermissionError:
        return StoragePermissionError(
            f"{self.url}: {key!r} is a symbolic link; zlake does not follow links inside a dataset"
        )


def _judge(there: bytes, value: Buffer, generation: bytes) -> bool | None:
    """Say whether a value may be replaced by ours; None if it is ours already."""
    if there == value:
        return None
    return _generation(there) == generation


def _generation(value: Buffer) -> bytes:
    if len(value) <= _DIGESTED_BYTES:
        return hashlib.blake2b(value, digest_size=16).digest()
    # Shards are never swapped, so theirs only has to be quick.
    return struct.pack("<QI", len(value), google_crc32c.value(np.frombuffer(value, np.uint8)))


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    descriptor = None
    if fcntl is not None:
        with contextlib.suppress(OSError):  # no such folder: nothing to swap; no locks here: TensorStore's has to do
            descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)
