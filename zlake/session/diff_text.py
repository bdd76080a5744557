"""A diff as a page of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np

from zlake.format.documents import Snapshot, TensorState
from zlake.session.commit import described
from zlake.session.diff_entries import counts, steps
from zlake.types import IntArray
from zlake.versions.ancestors import merge_base
from zlake.versions.compare import SCHEMA_FIELDS

if TYPE_CHECKING:
    from zlake.session.diff import Diff

UNCOMMITTED: Final = ", uncommitted changes"
"""Behind the name of a branch, where something is staged."""
_MOST_RANGES: Final = 6
"""Ranges of row numbers that are written out."""
_MOST_COMMITS: Final = 16
"""Commits of one side that are written out."""


def text(diff: Diff) -> str:
    """Return what differs; of two versions that both went on also which commits made it so."""
    lines = [f"Diff of {diff.before}", f"     to {diff.after}", "", *_net(diff)]
    if diff.sides is not None and any(diff.sides):
        base = merge_base(diff.objects, diff.a, diff.b)
        lines += ["", f"Since commit {base}, which both follow:" if base else "They have no commit in common:"]
        for label, tip, chain in zip((diff.before, diff.after), (diff.a, diff.b), diff.sides, strict=True):
            lines += _side(diff, label, tip, chain)
    return "\n".join(lines)


def _net(diff: Diff) -> list[str]:
    lines = []
    if diff.a.info != diff.b.info:
        lines.append("  info of the dataset changed")
    before, after = set(diff.a.groups), set(diff.b.groups)
    lines += [f"  group {name} created" for name in sorted(after - before)]
    lines += [f"  group {name} deleted" for name in sorted(before - after)]
    width = max(map(len, diff.touched.values()), default=0)
    lines += [f"  {name.ljust(width)}  {', '.join(_tensor(diff, key))}" for key, name in diff.touched.items()]
    return lines or ["  no changes"]


def _tensor(diff: Diff, key: str) -> Iterator[str]:
    """Yield what became of a tensor."""
    was, now = diff.comparison.before.get(key), diff.comparison.after.get(key)
    if now is None:
        yield f"deleted, {_rows(0 if was is None else was.length)}"
        return
    if was is None:
        yield f"created, {_rows(now.length)}"
        return
    if was.name != now.name:
        yield f"renamed from {was.name}"
    yield from _settings(was, now)
    if was.info != now.info:
        yield "info changed"
    rows, updated = diff.comparison.rows(key), diff.comparison.updated(key)
    for kind, which in (
        ("added", rows.after_rows[rows.new]),
        ("updated", rows.after_rows[rows.kept_after[updated]]),
        ("removed", rows.before_rows[rows.gone]),
    ):
        if len(which):
            yield f"{len(which):,} {kind} ({ranges(which)})"


def _settings(was: TensorState, now: TensorState) -> Iterator[str]:
    for name in SCHEMA_FIELDS:
        if name != "name" and getattr(was, name) != getattr(now, name):
            yield f"{name} changed from {getattr(was, name)} to {getattr(now, name)}"


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"


def ranges(rows: IntArray) -> str:
    """Return row numbers as text: ``row 3``, ``rows 0–4, 9, …``; given in any order, each once."""
    rows = np.sort(rows)
    heads = np.append(True, rows[1:] != rows[:-1] + 1).nonzero()[0]
    tails = np.append(heads[1:], len(rows)) - 1
    shown = [
        f"{first:,}" if first == last else f"{first:,}–{last:,}"
        for first, last in zip(rows[heads[:_MOST_RANGES]].tolist(), rows[tails[:_MOST_RANGES]].tolist(), strict=True)
    ]
    if len(heads) > _MOST_RANGES:
        shown.append("…")
    return f"row{'s' * (len(rows) != 1)} {', '.join(shown)}"


def _side(diff: Diff, label: str, tip: Snapshot, chain: Sequence[str]) -> Iterator[str]:
    """Yield the states that one side has and the other has not."""
    uncommitted = tip.kind == "staged" and bool(chain)
    commits = len(chain) - uncommitted
    parts = [f"{commits} commit{'s' * (commits != 1)}"] * bool(commits) + ["uncommitted changes"] * uncommitted
    yield ""
    yield f"  {label.removesuffix(UNCOMMITTED)}: {' and '.join(parts) or 'nothing more'}"
    for before, after in islice(steps(diff.objects, tip, chain[: _MOST_COMMITS + 1]), _MOST_COMMITS):
        known = described(after)
        title = plain(f"{known['time']}  {known['author']}  {known['message'].partition(chr(10))[0]}")
        yield f"    {after.id}  {title if after.kind == 'commit' else 'not committed'}"
        yield from (f"      {line}" for line in _step(before, after))
    if len(chain) > _MOST_COMMITS:
        yield f"    … and {len(chain) - _MOST_COMMITS} before these"


def _step(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """Yield what a state changed, from its manifest alone."""
    names = {state.key: state.name for state in (*before.tensors, *after.tensors)}
    if after.diff.info_updated:
        yield "info of the dataset changed"
    hidden = {state.key for state in (*before.tensors, *after.tensors) if state.options.get("hidden")}
    for diff in (each for each in after.diff.tensors if each.key not in hidden):
        flags = ("created", "deleted", "cleared")
        said = [flag for flag in flags if getattr(diff, flag)]
        if diff.renamed_from:
            said.append(f"renamed from {diff.renamed_from}")
        if diff.info_updated:
            said.append("info changed")
        kinds = zip(counts(diff), ("added", "updated", "removed"), strict=True)
        said += [f"{count:,} {kind}" for count, kind in kinds if count]
        yield f"{names.get(diff.key, diff.key)}: {', '.join(said) or 'settings changed'}"


def plain(line: str) -> str:
    """Return text that a terminal shows as it is: control characters are written as escapes."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)
