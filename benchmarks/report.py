"""Turn results into the two tables of RESULTS.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from benchmarks.measure import Result
from benchmarks.table import ROWS, Row

# By (workload, peer); a string says why there is no figure.
Results = Mapping[tuple[str, str], Result | str]


def figure(value: float) -> str:
    """Return `value` with three digits that mean something."""
    if value >= 1000:
        digits = len(str(int(value))) - 3
        return f"{round(value, -digits):,.0f}"
    return f"{value:.3g}"


def _extra(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_extra(v)}" for name, v in value.items()) or "none"
    return figure(value) if isinstance(value, float | int) else str(value)


def verdicts(row: Row, results: Results) -> list[str]:
    """Return one line per condition of `row`: whether it holds, and by how much where a peer is named."""
    mine = results.get((row.workload, row.ours))
    if not isinstance(mine, Result):
        return [f"{c.text}: not measured" for c in row.conditions]
    others = {p: r for p in row.beside if isinstance(r := results.get((row.workload, p)), Result)}
    words = {True: "yes", False: "**no**", None: "not measured"}
    return [f"{c.text}: {words[c.test(mine, others)]}" for c in row.conditions]


def _cell(mine: Result | str | None, other: Result | str) -> str:
    if isinstance(other, str):
        return other
    ratio = f" ({mine.value / other.value:.2f} ×)" if isinstance(mine, Result) and other.value else ""
    return f"{figure(other.value)}{ratio}"


def lines(results: Results, rows: tuple[Row, ...] = ROWS) -> list[str]:
    """Return the tables in Markdown; rows without any result are left out."""
    text = ["| what | zlake | must reach |", "|---|---|---|"]
    shown = [row for row in rows if any((row.workload, p) in results for p in (row.ours, *row.beside))]
    for row in shown:
        mine = results.get((row.workload, row.ours), "not measured")
        value = mine if isinstance(mine, str) else f"{figure(mine.value)} {mine.unit}"
        text.append(f"| {row.title} | {value} | {'<br>'.join(verdicts(row, results)) or 'stated'} |")
    text += ["", "Beside each peer: its figure, and in brackets zlake's over it.", ""]
    text += ["| what | peer | figure | further |", "|---|---|---|---|"]
    for row in shown:
        mine = results.get((row.workload, row.ours))
        for peer in (row.ours, *row.beside):
            other = results.get((row.workload, peer))
            if other is None:
                continue
            unit = f" {other.unit}" if isinstance(other, Result) else ""
            cell = _cell(None if peer == row.ours else mine, other) + unit
            further = "" if isinstance(other, str) else "; ".join(f"{k}: {_extra(v)}" for k, v in other.extra.items())
            text.append(f"| {row.title} | {peer} | {cell} | {further} |")
    return text


def machine() -> str:
    """Return one sentence about this machine."""
    cpu = platform.processor() or platform.machine()
    with open("/proc/cpuinfo") as info:
        names = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    system = f"Linux {platform.release()}, Python {platform.python_version()}"
    return f"{names[0] if names else cpu}, {cores} cores, {memory:.0f} GiB, {system}"


def page(results: Results, versions: Mapping[str, str], *, sizes: str) -> str:
    """Return RESULTS.md."""
    head = [
        "# Results of `make bench`",
        "",
        f"Measured {datetime.now(UTC):%Y-%m-%d} on: {machine()}. Data: {sizes}.",
        "",
        "Every figure is the median over rounds, each in a process of its own, with a warm page cache; batches own",
        "their memory. zlake, TensorStore and the memory map call fsync before a write counts as done; the other",
        "libraries do not promise it.",
        "",
        "Versions: " + "; ".join(f"{peer}: {text}" for peer, text in sorted(versions.items())) + ".",
        "",
    ]
    return "\n".join([*head, *lines(results)]) + "\n"
