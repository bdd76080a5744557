"""Whole local files: created at once or not at all, read without a detour."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import struct
import sys
from collections.abc import Callable, Iterable
from typing import Final

from zlake.storage import threads
from zlake.storage.keys import LOCK_SUFFIX
from zlake.storage.store import Buffer

_ATTEMPTS: Final = 8
_SMALL_BYTES: Final = 1 << 16
_NO_NAMELESS: Final = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS}
_NO_LINKS: Final = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
_NO_LOCKS: Final = {errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
_CLOSE_ON_EXEC: Final = getattr(os, "O_CLOEXEC", 0)
_BINARY: Final = getattr(os, "O_BINARY", 0)
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_READ_FLAGS: Final = os.O_RDONLY | _CLOSE_ON_EXEC | _BINARY | _NO_FOLLOW
_FOLDER_FLAGS: Final = os.O_RDONLY | _CLOSE_ON_EXEC | getattr(os, "O_DIRECTORY", 0)
_NAMELESS: Final = getattr(os, "O_TMPFILE", 0)

try:
    import fcntl

    _LOCK: Final = fcntl.F_OFD_SETLKW if sys.maxsize > 2**32 else None  # type: ignore[attr-defined, unused-ignore]
    _WHOLE_FILE: Final = struct.pack("@hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
except (ImportError, AttributeError):  # Linux alone has locks that belong to an open file
    _LOCK = None  # type: ignore[misc]


class LinksUnsupportedError(OSError):
    """The file system has no hard links, so a file cannot be published by `create`."""


class LocksUnsupportedError(OSError):
    """The system or the file system has no locks of open files, so a file cannot be changed by `replace`."""


def create(path: str, value: Buffer, *, durable: bool, made: Iterable[str] = ()) -> bool:
    """Atomic: write the file unless the path exists; return whether it was written.

    The bytes go to a file that nobody sees and are then linked to the path, which fails if it exists; so a crash leaves
    the whole file or none. The value is written from where it lies, without a copy and without holding the interpreter.

    Parameters
    ----------
    path
        Where.
    value
        What.
    durable
        Whether to wait until the device has it.
    made
        Folders in which the caller has just made others on the way to this file: their names become durable with it.

    Raises
    ------
    LinksUnsupportedError
        If the file system has no hard links; nothing was written.
    OSError
        What the operating system said.
    """
    folder = os.path.dirname(path)
    if len(value) > _SMALL_BYTES and os.path.lexists(path):
        return False  # before it is written for nothing
    descriptor, name, more = _open_unseen(folder)
    # The folders' own names are there already: they become durable while the file is written.
    syncing = [threads.syncers().submit(sync_folder, each) for each in (*more, *made)] if durable else []
    try:
        _write(descriptor, value)
        if durable:
            os.fsync(descriptor)
        if not _publish(descriptor, name, path):
            return False
    finally:
        os.close(descriptor)
        if name:
            with contextlib.suppress(OSError):
                os.unlink(name)
    if durable:
        sync_folder(folder)
        for each in syncing:
            each.result()
    return True


def link(source: str, path: str, *, durable: bool) -> bool:
    """Atomic: give a file a second name unless the path exists; return whether it was given.

    The file counts as written now, under all its names: a collector of garbage goes by the age of files, and the new
    name must not look old.

    Raises
    ------
    LinksUnsupportedError
        If these two places cannot share the file, or the file may not be touched; nothing was changed.
    FileNotFoundError
        If there is no such file.
    OSError
        What the operating system said.
    """
    try:
        descriptor = os.open(source, _READ_FLAGS)
        try:
            os.utime(descriptor)
            if durable:  # its writer may not have asked for that
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _no_links(error, path) from error
    folder, made = os.path.dirname(path), tuple[str, ...]()
    for left in reversed(range(_ATTEMPTS)):
        try:
            os.link(source, path, follow_symlinks=False)
            break
        except FileExistsError:
            return False
        except FileNotFoundError:
            if not left or not os.path.lexists(source):
                raise
            made = (*made, *make_folders(folder))
        except OSError as error:
            raise _no_links(error, path) from error
    if durable:
        for directory in (folder, *made):
            sync_folder(directory)
    return True


class Held:
    """A file that is open as long as this object lives; perhaps none."""

    __slots__ = ("_descriptor",)

    def __init__(self, path: str) -> None:
        self._descriptor = -1
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self._descriptor = os.open(path, _READ_FLAGS)

    def read(self) -> bytes | None:
        """Return its bytes, None if there is no file."""
        with contextlib.suppress(IsADirectoryError):
            return None if self._descriptor < 0 else _read(self._descriptor, 0, None)
        return None

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


def replace(
    path: str, value: Buffer, judge: Callable[[bytes], bool | None], *, durable: bool
) -> tuple[bool | None, Held]:
    """Atomic: give a file that exists a new value if ``judge`` says so of its present one; return what it said.

    Writers take turns by a lock file beside it, as TensorStore's do, so that the two can be used together.

    Parameters
    ----------
    path
        The file.
    value
        What it is to hold.
    judge
        Called with what it holds, while nobody else can change it. True to go on.
    durable
        Whether to wait until the device has it.

    Returns
    -------
    bool or None
        The judgement; False if there is no such file.
    Held
        The file that was there. To let go of it waits for what the system has begun to write of it: keep it for a while
        if it was not durable.

    Raises
    ------
    LocksUnsupportedError
        If there are no such locks here; nothing was written.
    OSError
        What the operating system said.
    """
    locked = path + LOCK_SUFFIX
    descriptor = _lock(locked)
    try:
        there = Held(path)
        found = there.read()
        verdict = False if found is None else judge(found)
        if verdict:
            os.ftruncate(descriptor, 0)  # a writer that was killed may have left something
            _write(descriptor, value)
            if durable:
                os.fsync(descriptor)
            os.rename(locked, path)
        else:
            os.unlink(locked)
    finally:
        os.close(descriptor)  # after an error the lock file stays: the next writer takes it over
    if verdict and durable:
        sync_folder(os.path.dirname(path))
    return verdict, there


def _lock(path: str) -> int:
    """Return a descriptor of the lock file, locked, and still the one that lies there."""
    if _LOCK is None:
        raise LocksUnsupportedError(errno.ENOSYS, os.strerror(errno.ENOSYS), path)
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | _CLOSE_ON_EXEC | _NO_FOLLOW, 0o666)
        try:
            fcntl.fcntl(descriptor, _LOCK, _WHOLE_FILE)
            ours = os.fstat(descriptor)
            with contextlib.suppress(FileNotFoundError):
                there = os.stat(path, follow_symlinks=False)
                if (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino):
                    return descriptor
        except OSError as error:
            os.close(descriptor)
            if error.errno in _NO_LOCKS:
                raise LocksUnsupportedError(error.errno, os.strerror(error.errno), path) from error
            raise
        os.close(descriptor)  # its writer has made it the file itself, or taken it away


def read(path: str, start: int = 0, stop: int | None = None) -> bytes | None:
    """Return bytes of a file, None if there is none; symbolic links are not followed, they raise ``ELOOP``."""
    try:
        descriptor = os.open(path, _READ_FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return _read(descriptor, start, stop)
    except IsADirectoryError:
        return None
    finally:
        os.close(descriptor)


def sync_folder(path: str) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, _FOLDER_FLAGS)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(descriptor: int, start: int, stop: int | None) -> bytes:
    size = os.fstat(descriptor).st_size
    first = max(0, size + start) if start < 0 else start
    end = size if stop is None else min(stop, size)
    if first >= end:
        # A folder has a size too; reading one byte of it raises.
        os.pread(descriptor, 1, 0)
        return b""
    data = os.pread(descriptor, end - first, first)
    if len(data) == end - first:
        return data
    parts = [data]
    got = len(data)
    while got < end - first and parts[-1]:
        parts.append(os.pread(descriptor, end - first - got, first + got))
        got += len(parts[-1])
    return b"".join(parts)


def _open_unseen(folder: str) -> tuple[int, str, tuple[str, ...]]:
    # Returns descriptor, name ("" for a nameless file) and the parents of the folders that had to be made.
    made: tuple[str, ...] = ()
    for _ in range(_ATTEMPTS):
        try:
            return *_open_in(folder), made
        except FileNotFoundError:
            # A second round: somebody may be deleting empty folders at this moment.
            made = (*made, *make_folders(folder))
    return *_open_in(folder), made


def _open_in(folder: str) -> tuple[int, str]:
    if _NAMELESS:
        try:
            return os.open(folder, _NAMELESS | os.O_WRONLY | _CLOSE_ON_EXEC, 0o666), ""
        except OSError as error:
            if error.errno not in _NO_NAMELESS:
                raise
    name = os.path.join(folder, secrets.token_hex(8) + LOCK_SUFFIX)
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOSE_ON_EXEC | _BINARY, 0o666), name


def make_folders(folder: str) -> tuple[str, ...]:
    """Make a folder and those above it that are missing, and return the parents of those that were made."""
    parents: list[str] = []
    missing = [folder]
    attempts = 0
    while missing:
        try:
            os.mkdir(missing[-1])
            parents.append(os.path.dirname(missing[-1]))
        except FileNotFoundError:
            # Where nothing can be made, as in /proc, the system says that the parent is missing, though it is there.
            attempts += 1
            if attempts > _ATTEMPTS + folder.count(os.sep):
                raise
            missing.append(os.path.dirname(missing[-1]))
            continue
        except FileExistsError:
            if not os.path.isdir(missing[-1]):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), missing[-1]) from None
        missing.pop()
    return tuple(parents)


def _write(descriptor: int, value: Buffer) -> None:
    left = memoryview(value).cast("B") if not isinstance(value, bytes) else memoryview(value)
    while left:
        left = left[os.write(descriptor, left) :]


def _no_links(error: OSError, path: str) -> OSError:
    """Return what to raise for an error at a link: most mean that it takes a copy."""
    if error.errno in _NO_LINKS or error.errno in (errno.EACCES, errno.EROFS):
        return LinksUnsupportedError(error.errno, os.strerror(error.errno), path)
    return error


def _publish(descriptor: int, name: str, path: str) -> bool:
    try:
        if name:
            os.link(name, path)
        else:
            # With a directory descriptor Python calls linkat(), which alone can link a nameless file.
            os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in _NO_LINKS or (error.errno == errno.ENOENT and not name):
            raise LinksUnsupportedError(error.errno, os.strerror(error.errno), path) from error
        raise
    return True
