"""Read-only maps of files, side by side in one stretch of addresses, so that NumPy sees all of them as one array.

The maps of the standard library can be told no address, and each keeps a file descriptor.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

_FAILED: Final = ctypes.c_void_p(-1).value
_NO_ACCESS: Final = 0  # PROT_NONE
_FIXED: Final = 0x10  # MAP_FIXED on Linux, macOS and the BSDs


def available() -> bool:
    """Return whether this system can map files like this."""
    return os.name == "posix" and ctypes.sizeof(ctypes.c_void_p) == 8


def reserve(size: int) -> Bytes:
    """Reserve addresses, without any memory: touching them before a file is there kills the process.

    Parameters
    ----------
    size
        Bytes.

    Returns
    -------
    ndarray
        ``(size,) uint8``, read-only. Everything mapped into it goes with the last view of it.

    Raises
    ------
    OSError
        If the system has no such stretch left.
    """
    address = _map(None, size, _NO_ACCESS, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1)
    area = (ctypes.c_uint8 * size).from_address(address)
    # Not at exit: a thread may still be reading, and the system unmaps everything anyway.
    weakref.finalize(area, _system().munmap, address, size).atexit = False
    data: Bytes = np.frombuffer(memoryview(area), np.uint8)
    data.flags.writeable = False
    return data


def place(data: Bytes, start: int, descriptor: int, size: int) -> None:
    """Map the first ``size`` bytes of an open file, which may be closed then, to ``data[start:start + size]``.

    Reading beyond the end of a file that becomes shorter later kills the process: map only files that nobody changes.

    Raises
    ------
    OSError
        If the system refuses.
    """
    if start % mmap.PAGESIZE or start + size > len(data):
        raise ValueError(f"cannot map {size} bytes at {start} of {len(data)}")
    _map(data.ctypes.data + start, size, mmap.PROT_READ, mmap.MAP_SHARED | _FIXED, descriptor)


def fetch(data: Bytes, start: int, stop: int) -> None:
    """Ask the system to read mapped bytes ``[start, stop)``, without waiting for them."""
    if hasattr(mmap, "MADV_WILLNEED"):
        begin = start & -mmap.PAGESIZE
        _system().madvise(data.ctypes.data + begin, stop - begin, mmap.MADV_WILLNEED)


def _map(address: int | None, size: int, protection: int, flags: int, descriptor: int) -> int:
    found: int = _system().mmap(address, size, protection, flags, descriptor, 0)
    if found == _FAILED:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return found


@cache
def _system() -> Any:
    """Return the C library."""
    library = ctypes.CDLL(None, use_errno=True)
    size, pointer, number = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int
    library.mmap.argtypes = (pointer, size, number, number, number, ctypes.c_longlong)
    library.mmap.restype = pointer
    library.munmap.argtypes = (pointer, size)
    library.madvise.argtypes = (pointer, size, number)
    return library
