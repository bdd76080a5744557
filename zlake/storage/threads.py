"""The process's threads for blocking file I/O, started when first needed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache

from zlake import limits


@cache
def writers() -> ThreadPoolExecutor:
    """Return the threads that write whole files."""
    return ThreadPoolExecutor(limits.WRITES_IN_FLIGHT, thread_name_prefix="zlake-write")


@cache
def readers() -> ThreadPoolExecutor:
    """Return the threads that read parts of files and fetch objects."""
    return ThreadPoolExecutor(limits.WRITES_IN_FLIGHT, thread_name_prefix="zlake-read")


@cache
def syncers() -> ThreadPoolExecutor:
    """Return the threads that make folders durable; none of them waits for another thread."""
    return ThreadPoolExecutor(limits.WRITES_IN_FLIGHT, thread_name_prefix="zlake-sync")
