"""The graph of commits as text, one commit a line, in the manner of git."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence

from zlake.format.documents import CommitBrief

SHOWN_ID = 10
"""Characters of a commit id that are shown; `checkout` takes as many, if no other commit begins so."""
_SHOWN_MESSAGE = 72


def draw(commits: Iterable[CommitBrief], labels: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a graph, as far as they are asked for.

    Parameters
    ----------
    commits
        Each before all its parents.
    labels
        Names to show beside commits, by commit id.
    """
    columns: list[str] = []  # the commit that each line leads to
    for commit in commits:
        if commit.id not in columns:
            columns.append(commit.id)
        at = columns.index(commit.id)
        stem = " ".join("*" if i == at else "|" for i in range(len(columns)))
        yield f"{stem}  {_text(commit, labels.get(commit.id, ()))}"
        # a row of slanted lines is easy to read for two parents; more of them take one more row each
        yield from _rows(columns, at, commit.parents[:2])
        for parent in commit.parents[2:]:
            yield from _rows(columns, columns.index(commit.parents[0]), [commit.parents[0], parent])


def _text(commit: CommitBrief, names: Sequence[str]) -> str:
    lines = commit.message.splitlines()
    message = "".join(c if c.isprintable() else " " for c in lines[0]) if lines else ""
    if len(message) > _SHOWN_MESSAGE:
        message = f"{message[: _SHOWN_MESSAGE - 1]}…"
    when = datetime.datetime.fromtimestamp(commit.time, datetime.UTC).strftime("%Y-%m-%d %H:%M")
    author = "".join(c for c in commit.author.partition(" <")[0] if c.isprintable())
    beside = f" ({', '.join(names)})" if names else ""
    return f"{commit.id[:SHOWN_ID]}{beside} {message}".rstrip() + f"  [{when}, {author}]"


def _rows(columns: list[str], at: int, ends: Sequence[str]) -> Iterator[str]:
    """Replace the line in column ``at`` by lines to these commits, and yield what draws it."""
    others = columns[:at] + columns[at + 1 :]
    after = columns[:at] + [end for end in ends if end not in others] + columns[at + 1 :]
    moves = [(i, after.index(end)) for i, end in enumerate(columns) if i != at]
    moves += [(at, after.index(end)) for end in ends]
    columns[:] = after
    while any(start != stop for start, stop in moves):
        row = [" "] * (2 * max(max(move) for move in moves) + 1)
        following = []
        for start, stop in moves:
            step = (stop > start) - (stop < start)
            place = 2 * start + step
            sign = "|" if step == 0 else "\\" if step > 0 else "/"
            row[place] = sign if row[place] in (" ", sign) else "X"
            following.append((start + step, stop))
        moves = following
        yield "".join(row).rstrip()
