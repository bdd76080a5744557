"""Memory for results: carved out of slabs whose pages are there already.

On many machines the dearest part of a read is the kernel handing out fresh 4 KiB pages for its result. Slabs lie in
huge pages, and a slab is used again once no array lies in it any more.
"""

from __future__ import annotations

import mmap
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from zlake.limits import KIB, MIB
from zlake.types import Array

SMALL_BYTES: Final = 128 * KIB
"""Smaller results come from the allocator, which reuses memory of this size by itself."""
SLAB_BYTES: Final = 8 * MIB
"""Slab out of which results are carved; those larger than half of it have a slab to themselves."""
IDLE_BYTES: Final = 64 * MIB
"""Slabs kept for reuse, at most, unless `keeping` asks for more."""
_HUGE_PAGE = 2 * MIB
_ALIGN = 64

Bytes = npt.NDArray[np.uint8]


class Slabs:
    """Hands out uninitialised memory; safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[Bytes] = []
        self._bound = IDLE_BYTES
        self._current: Bytes | None = None
        self._filled = 0

    def take(self, nbytes: int) -> Bytes:
        """Return ``(nbytes,) uint8`` of arbitrary content, aligned for every dtype."""
        if nbytes < SMALL_BYTES:
            return np.empty(nbytes, np.uint8)
        with self._lock:
            if nbytes * 2 > SLAB_BYTES:
                return self._slab(nbytes)[:nbytes]
            start = self._filled
            if sys.getrefcount(self._current) == _UNUSED + 1:  # `_current` knows it too
                start = 0  # what was handed out before is gone again, and its memory still in the processor's cache
            if self._current is None or start + nbytes > len(self._current):
                self._current = None
                self._current = self._slab(SLAB_BYTES)
                start = 0
            self._filled = -(-(start + nbytes) // _ALIGN) * _ALIGN
            return self._current[start : start + nbytes]

    def _slab(self, nbytes: int) -> Bytes:
        kept = self._kept
        for i in reversed(range(len(kept))):  # the latest used may still be in the processor's cache
            # Every array in a slab holds a reference to the slab, so a slab that only `kept` knows holds no array, and
            # nobody but us, under the lock, can make a new one in it.
            if sys.getrefcount(kept[i]) == _UNUSED and nbytes <= len(kept[i]) <= 2 * nbytes:
                kept.append(kept.pop(i))
                return kept[-1]
        slab = _allocate(nbytes)
        kept.append(slab)
        self._trim()
        return slab

    def _trim(self) -> None:
        while len(self._kept) > 1 and sum(map(len, self._kept)) > self._bound:
            self._kept.pop(0)

    @contextmanager
    def keeping(self, nbytes: int) -> Iterator[None]:
        """Keep that much more for reuse while the context lasts."""
        with self._lock:
            self._bound += nbytes
        try:
            yield
        finally:
            with self._lock:
                self._bound -= nbytes
                self._trim()


def _allocate(nbytes: int) -> Bytes:
    size = -(-nbytes // _HUGE_PAGE) * _HUGE_PAGE
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.empty(size, np.uint8)
    # Private, for a forked child must not write into our arrays; and shared memory has no huge pages.
    try:
        area = mmap.mmap(-1, size + _HUGE_PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError) as error:
        raise MemoryError(f"there is no memory for the {nbytes:,} bytes that were asked for") from error
    area.madvise(mmap.MADV_HUGEPAGE)
    start = -np.frombuffer(area, np.uint8).ctypes.data % _HUGE_PAGE
    return np.ndarray((size,), np.uint8, buffer=area, offset=start)


def _unused_references() -> int:
    """Return the count of an array that only a list knows; where counts cannot be relied on, one that no array has."""
    if sys.implementation.name != "cpython" or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return -2
    probe = [np.empty(1, np.uint8)]
    return sys.getrefcount(probe[0])


_UNUSED: Final = _unused_references()
_slabs = Slabs()


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return an uninitialised C-contiguous array that its caller owns.

    Parameters
    ----------
    shape
        Its shape.
    dtype
        Its dtype.
    """
    count = 1
    for n in shape:
        count *= n
    nbytes = count * dtype.itemsize
    if nbytes < SMALL_BYTES:
        return np.empty(shape, dtype)
    return np.ndarray(shape, dtype, buffer=_slabs.take(nbytes))


def keeping(nbytes: int) -> AbstractContextManager[None]:
    """Keep so much more memory for reuse while the context lasts, for a reader of many large results one by one.

    Parameters
    ----------
    nbytes
        Bytes of the results that are in use at once.
    """
    return _slabs.keeping(nbytes)
