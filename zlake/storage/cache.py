"""A bounded folder of whole immutable objects, shared by threads and processes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_PART_SUFFIX: Final = ".part"
_ABANDONED_SECONDS: Final = 3600.0


class ObjectCache:
    """Fetch each object once and keep the most recently used ones, up to a number of bytes.

    Files appear complete or not at all; a file that is removed while somebody has it open or mapped stays readable
    to them. The one object that was just fetched is kept even if it alone is larger than the bound.

    Parameters
    ----------
    folder
        Made when needed, for this user alone.
    limit
        Bytes to keep.
    """

    def __init__(self, folder: str | os.PathLike[str], limit: int) -> None:
        self.folder = Path(folder)
        self.limit = limit
        # Two objects that share a lock are merely fetched one after the other.
        self._locks = [threading.Lock() for _ in range(64)]

    def fetch(self, name: str, download: Callable[[str], bool]) -> str | None:
        """Return the path of the object's file, downloading it first if it is not there.

        Parameters
        ----------
        name
            Names the object among all storages; its bytes must never change.
        download
            Writes the object to the path that it is given; returns False if there is no such object.
        """
        path = self.folder / hashlib.blake2b(name.encode(), digest_size=20).hexdigest()
        if _touch(path):
            return str(path)
        with self._lock(path.name):
            if _touch(path):
                return str(path)
            return str(path) if self._download(path, download) else None

    def size(self) -> int:
        """Return how many bytes are kept."""
        return sum(size for _, size, _ in self._files())

    def clear(self) -> None:
        """Remove everything."""
        for _, _, path in self._files():
            _remove(path)

    def _download(self, path: Path, download: Callable[[str], bool]) -> bool:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self.folder / f"{path.name}-{secrets.token_hex(8)}{_PART_SUFFIX}"
        try:
            if not download(str(part)):
                return False
            os.replace(part, path)
        finally:
            _remove(part)
        self._evict(keep=path)
        return True

    def _evict(self, keep: Path) -> None:
        # Several processes may do this at once: each removes the oldest files, and a file that is gone already is no
        # error.
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        abandoned = time.time() - _ABANDONED_SECONDS
        for used, size, path in files:
            unfinished = path.suffix == _PART_SUFFIX
            if path != keep and (used < abandoned if unfinished else total > self.limit):
                _remove(path)
                total -= size

    def _files(self) -> list[tuple[float, int, Path]]:
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    info = entry.stat(follow_symlinks=False)
                    found.append((info.st_mtime, info.st_size, Path(entry.path)))
        return found

    def _lock(self, name: str) -> threading.Lock:
        return self._locks[int(name[:8], 16) % len(self._locks)]


def default_folder() -> Path:
    """Return where objects are cached: ``$ZLAKE_CACHE_DIR``, or ``zlake`` in the user's cache folder."""
    if folder := os.environ.get("ZLAKE_CACHE_DIR"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zlake"


def _touch(path: Path) -> bool:
    # The time of modification is that of the last use; the file's content never changes.
    try:
        os.utime(path)
    except OSError:
        return False
    return True


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
