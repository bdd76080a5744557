"""Timing inside one worker process, and medians over several of them."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# One worker times passes until they add up to this, so that passes of 20 ms are not judged by one of them.
SECONDS = 1.0
PASSES = 7


@dataclass(frozen=True)
class Result:
    """What one workload yielded in one process.

    Attributes
    ----------
    value
        The figure of the table, in `unit`; larger is better when the unit is "…/s".
    extra
        Further figures by name.
    """

    value: float
    unit: str
    extra: dict[str, Any] = field(default_factory=dict)


def timed(once: Callable[[], int], *, seconds: float = SECONDS, passes: int = PASSES) -> float:
    """Call `once`, which returns how many things it did, several times and return the median of things per second."""
    rates: list[float] = []
    spent = 0.0
    while not rates or (spent < seconds and len(rates) < passes):
        begin = time.perf_counter()
        done = once()
        took = time.perf_counter() - begin
        rates.append(done / took)
        spent += took
    return statistics.median(rates)


def peak_bytes() -> int:
    """Return the largest resident size of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def written_bytes() -> int:
    """Return the bytes that this process has handed to write calls so far."""
    with open("/proc/self/io") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))


def merge(results: list[Result]) -> Result:
    """Return the median of the same workload's results over processes; lists and numbers in `extra` likewise."""
    first = results[0]
    extra = {name: _middle([r.extra[name] for r in results if name in r.extra]) for name in first.extra}
    return Result(statistics.median(r.value for r in results), first.unit, extra)


def _middle(values: list[Any]) -> Any:
    if all(isinstance(v, int | float) for v in values):
        return statistics.median(values)
    if all(isinstance(v, dict) for v in values):
        return {k: _middle([v[k] for v in values if k in v]) for k in values[0]}
    return values[0]
