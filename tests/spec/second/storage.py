"""A folder as the key-value store that chapter 2 asks for."""

from __future__ import annotations

import fcntl
import os
import secrets
import struct
from contextlib import suppress
from pathlib import Path

LOCK = struct.pack("@hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


class Folder:
    """Objects below a folder (2.1, 2.6)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, key: str) -> bytes:
        """Return an object that must be there."""
        return (self.path / key).read_bytes()

    def get(self, key: str) -> bytes | None:
        """Return an object, None if there is none."""
        return self.read(key) if (self.path / key).exists() else None

    def create(self, key: str, data: bytes) -> bool:
        """Write an object unless its key is taken; say whether it was written (2.1 rule 2)."""
        path = self.path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        unseen = path.parent / f"{secrets.token_hex(8)}.__lock"
        _write(os.open(unseen, os.O_WRONLY | os.O_CREAT | os.O_EXCL), data)
        try:
            os.link(unseen, path)
        except FileExistsError:
            return False
        finally:
            unseen.unlink()
        _sync(path.parent)
        return True

    def swap(self, key: str, old: bytes, new: bytes) -> bool:
        """Replace an object if it is still the one that was read; say whether it was replaced (2.1 rule 3)."""
        path, lock = self.path / key, self.path / f"{key}.__lock"
        descriptor = _locked(lock)
        if path.read_bytes() != old:
            lock.unlink()
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.write(descriptor, new)
        os.fsync(descriptor)
        lock.rename(path)
        os.close(descriptor)
        _sync(path.parent)
        return True

    def delete(self, key: str) -> None:
        """Take an object away, if it is there."""
        (self.path / key).unlink(missing_ok=True)

    def keys(self, prefix: str) -> list[str]:
        """List the keys below a folder."""
        found = (path for path in (self.path / prefix).rglob("*") if path.is_file() and path.suffix != ".__lock")
        return sorted(path.relative_to(self.path).as_posix() for path in found)

    def written(self, key: str) -> float:
        """Return when the storage says that an object was written."""
        return (self.path / key).stat().st_mtime

    def now(self, probe: str) -> float:
        """Return the time of the storage, which is that of an object just written (7.10)."""
        self.create(probe, b"")
        now = self.written(probe)
        self.delete(probe)
        return now


def _locked(lock: Path) -> int:
    while True:
        descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT, 0o666)
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLKW, LOCK)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), lock.stat()):
                return descriptor
        os.close(descriptor)  # whoever had it made it the object, or took it away


def _write(descriptor: int, data: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
