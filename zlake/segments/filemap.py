"""Read-only maps of whole files that keep no file descriptor, unlike those of the standard library."""

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


def map_file(descriptor: int, size: int) -> Bytes:
    """Return the first ``size`` bytes of an open file, which may be closed then.

    Parameters
    ----------
    descriptor
        The file.
    size
        Bytes, at least 1. Reading beyond the end of a file that has become shorter kills the process: map only files
        that nobody changes.

    Returns
    -------
    ndarray
        ``(size,) uint8``, read-only. The map goes with the last view of it.

    Raises
    ------
    OSError
        If the system refuses.
    """
    system = _system()
    if system is None:
        return np.frombuffer(mmap.mmap(descriptor, size, access=mmap.ACCESS_READ), np.uint8)
    address = system.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
    if address == _FAILED:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    area = (ctypes.c_uint8 * size).from_address(address)
    # Not at exit: a thread may still be reading, and the system unmaps everything anyway.
    weakref.finalize(area, system.munmap, address, size).atexit = False
    data: Bytes = np.frombuffer(area, np.uint8)
    data.flags.writeable = False
    return data


def fetch(data: Bytes, start: int, stop: int) -> None:
    """Ask the system to read the bytes ``[start, stop)`` of a map, without waiting for them."""
    system = _system()
    if system is not None and hasattr(mmap, "MADV_WILLNEED"):
        begin = start & -mmap.PAGESIZE
        system.madvise(data.ctypes.data + begin, min(stop, len(data)) - begin, mmap.MADV_WILLNEED)


@cache
def _system() -> Any:
    """Return the C library, where it is POSIX."""
    if os.name != "posix":
        return None
    library = ctypes.CDLL(None, use_errno=True)
    size, pointer, number = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int
    library.mmap.argtypes = (pointer, size, number, number, number, ctypes.c_ssize_t)
    library.mmap.restype = pointer
    library.munmap.argtypes = (pointer, size)
    library.madvise.argtypes = (pointer, size, number)
    return library
