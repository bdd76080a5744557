"""Which tensors and groups a dataset face shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zlake.extents.selection import Selection
from zlake.session.column import Column
from zlake.session.session import Session
from zlake.session.view import View


def visible(columns: Iterable[Column]) -> list[Column]:
    """Return the columns that are not hidden."""
    return [column for column in columns if not column.state.options.get("hidden")]


def below(session: Session, name: str) -> list[Column]:
    """Return the tensor of this full name, or the tensors of the group of this name."""
    name = name.rstrip("/")
    if name in session.groups:
        return [column for column in session.columns.values() if column.name.startswith(f"{name}/")]
    return [session.column(name)]


def selected(session: Session, group: str, names: tuple[str, ...] | None) -> list[Column]:
    """Return the columns of a face, in the order of their creation or of the names."""
    if names is not None:
        return [session.column(name) for name in names if name.startswith(group)]
    return [column for column in session.columns.values() if column.name.startswith(group)]


def chosen(session: Session, group: str, tensors: str | Iterable[str] | None) -> list[str]:
    """Return the full names of the tensors that are given by names of tensors and groups, each once; all for None."""
    if tensors is None:
        return [column.name for column in selected(session, group, None)]
    names = [tensors] if isinstance(tensors, str) or not isinstance(tensors, Iterable) else list(tensors)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"tensors are given by name, not as {name!r:.100}")
    return list(dict.fromkeys(column.name for name in names for column in below(session, group + name)))


def groups(session: Session, group: str) -> list[str]:
    """Return the names of the groups directly below a group."""
    inside = [name[len(group) :] for name in session.groups if name.startswith(group)]
    return sorted(name for name in inside if name and "/" not in name)


def view(session: Session, rows: Selection | int | None, group: str, names: tuple[str, ...] | None) -> View:
    """Return what a face selects, for loaders and other tools."""
    if isinstance(rows, int):
        rows = Selection(range(rows, rows + 1), rows + 1)
    return View(rows, tuple(column.name for column in visible(selected(session, group, names))), group)


def meta(session: Session, group: str) -> dict[str, Any]:
    """Return what identifies a dataset and this version of it."""
    root = session.repository.root
    return {
        "format_version": root.format_version,
        "dataset_id": root.dataset_id,
        "version": session.head.snapshot.id,
        "branch": session.head.branch,
        "tensors": [column.name for column in selected(session, group, None)],
        "groups": sorted(name for name in session.groups if name.startswith(group)),
    }


def stored_bytes(columns: Iterable[Column]) -> int:
    """Return the bytes of the segments that the columns use, each counted whole, and of the rows in the buffer."""
    total = 0
    for column in columns:
        total += column.buffer.nbytes if column.buffer.rows else 0
        total += sum(entry.bytes for entry in column.base()[0])
    return total
