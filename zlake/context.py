"""What a session needs from outside: time, ids, concurrency, memory. Tests inject their own."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from zlake import limits

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS: Final = [a + b for a in _ALPHABET for b in _ALPHABET]


def random_id() -> str:
    """Return a fresh 128-bit id: 26 lower-case base32 characters, safe in keys on every storage."""
    number = int.from_bytes(secrets.token_bytes(16)) << 2  # 128 bits in 26 characters of 5 bits
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])


def random_sample_ids() -> int:
    """Return a random 63-bit start for a run of sample ids; runs of different writers practically never meet."""
    return secrets.randbits(63)


def default_threads() -> int:
    """Return how many decoding threads this process should use."""
    return max(2, min(16, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 2))


def elapsed() -> float:
    """Return seconds that have passed since some moment, those included in which the machine slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True)
class Context:
    """Resources and sources of randomness of one or more datasets.

    Attributes
    ----------
    clock
        Seconds since the epoch, as `time.time`.
    monotonic
        Seconds that have passed since some moment; never set back.
    sleep
        Waits for so many seconds, before something is tried again.
    new_id
        Source of ids for segments, commits, pages and tensors.
    new_sample_ids
        Source of the first sample id of a run.
    cache_bytes
        Bound of the decoded chunks kept in memory.
    disk_cache_bytes
        Bound of the local cache for storages that TensorStore cannot read.
    reads_in_flight, writes_in_flight
        Requests under way at once.
    threads
        Threads that decode samples.
    flush_bytes
        Buffered bytes at which a ``with`` block flushes.
    durable
        Whether writes to local files are followed by fsync.
    """

    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = elapsed
    sleep: Callable[[float], None] = time.sleep
    new_id: Callable[[], str] = random_id
    new_sample_ids: Callable[[], int] = random_sample_ids
    cache_bytes: int = limits.CACHE_BYTES
    disk_cache_bytes: int = limits.DISK_CACHE_BYTES
    reads_in_flight: int = limits.READS_IN_FLIGHT
    writes_in_flight: int = limits.WRITES_IN_FLIGHT
    threads: int = field(default_factory=default_threads)
    flush_bytes: int = limits.FLUSH_BYTES
    durable: bool = True
