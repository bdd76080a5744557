"""Encode many samples on all cores; the codecs release the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

from zlake.context import default_threads
from zlake.samples.arrays import each_sample

_LEAST = 16
"""Fewer samples are not worth starting threads for."""


def each_sample_threaded(function: Callable[[Any], Any], samples: Sequence[Any]) -> list[Any]:
    """Do as `each_sample`, with a thread-safe function, on several threads; of several errors the first is raised."""
    count, threads = len(samples), default_threads()
    if count < _LEAST:
        return each_sample(function, samples)
    step = -(-count // (4 * threads))
    starts = range(0, count, step)
    with ThreadPoolExecutor(threads, thread_name_prefix="zlake-encode") as pool:
        parts = pool.map(lambda at: each_sample(function, samples[at : at + step], at, count), starts)
        return list(chain.from_iterable(parts))
