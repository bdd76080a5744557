"""Changes applied to a snapshot: the tensors, groups, info and diff of the next one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from msgspec import structs

from zlake import limits
from zlake.errors import ConflictError
from zlake.format.documents import Diff, ExtentTable, Info, Snapshot, TensorState
from zlake.versions import diffing
from zlake.versions.changes import Changes, RowChanges
from zlake.versions.draft import Draft
from zlake.versions.extent_store import (
    DOCUMENT_TABLES_BYTES,
    FINISHED_TABLE_BYTES,
    INLINE_TABLE_BYTES,
    TableEditor,
    appended_run,
)
from zlake.versions.objects import Objects


@dataclass(frozen=True, slots=True)
class State:
    """What a snapshot says about the data, apart from who made it and when."""

    tensors: tuple[TensorState, ...]
    groups: tuple[str, ...]
    info: Info
    diff: Diff


def apply(base: Snapshot, changes: Changes, objects: Objects, draft: Draft) -> State:
    """Return the state after the changes.

    Parameters
    ----------
    base
        The snapshot that the changes are expressed against.
    changes
        What to change.
    objects, draft
        Read pages of the base, and take new ones.

    Raises
    ------
    ConflictError
        If two tensors or groups would have one name.
    """
    tensors = _tensors(base, changes, objects, draft)
    groups = base.groups if changes.groups is None else tuple(sorted(set(changes.groups)))
    if changes.tensors or changes.groups is not None:
        _check_names(tensors, groups)
    info = base.info if changes.info is None else draft.info(changes.info)
    return State(tensors, groups, info, diffing.accumulate(base, tensors, changes, objects, draft))


def _tensors(base: Snapshot, changes: Changes, objects: Objects, draft: Draft) -> tuple[TensorState, ...]:
    if not (changes.rows or changes.tensors or changes.deleted or changes.tensor_info):
        return base.tensors
    gone = set(changes.deleted)
    known = {state.key for state in base.tensors}
    created = [
        structs.replace(state, length=0, extents=ExtentTable(), info=Info())
        for key, state in changes.tensors.items()
        if key not in known
    ]
    states = [*(state for state in base.tensors if state.key not in gone), *created]
    inline = inline_bytes(len(states))
    return tuple(_tensor(state, changes, objects, draft, inline) for state in states)


def inline_bytes(tensors: int) -> int:
    """Return what the inline table of each of so many tensors may take in one document."""
    return min(INLINE_TABLE_BYTES, DOCUMENT_TABLES_BYTES // max(1, tensors))


def _tensor(state: TensorState, changes: Changes, objects: Objects, draft: Draft, inline: int) -> TensorState:
    key = state.key
    wanted = changes.tensors.get(key)
    if wanted is not None:
        state = structs.replace(wanted, length=state.length, extents=state.extents, info=state.info)
    info = changes.tensor_info.get(key)
    if info is not None:
        state = structs.replace(state, info=draft.info(info))
    rows = changes.rows.get(key)
    if rows is not None and not rows.is_empty:
        most = min(inline, FINISHED_TABLE_BYTES) if _fills_chunks(rows) else inline
        longer = appended_run(state.extents, rows.segments, rows.appended, most) if rows.only_appends else None
        if longer is not None:
            return structs.replace(state, length=state.length + rows.appended.length, extents=longer)
        editor = TableEditor(state.extents, objects)
        edit_rows(editor, rows)
        state = structs.replace(state, length=editor.length, extents=editor.store(draft, most))
    return state


def _fills_chunks(rows: RowChanges) -> bool:
    """Whether the appended rows fill an inner chunk by themselves, so that they are never gathered with others."""
    if rows.moved.length or not rows.appended.length:
        return False
    return appended_bytes(rows) >= limits.INNER_CHUNK_BYTES


def appended_bytes(rows: RowChanges) -> int:
    """Return about how many bytes the appended rows take in their segments."""
    counts = np.bincount(rows.appended.segment, rows.appended.count, len(rows.segments))
    return int(sum(entry.bytes * count / entry.rows for entry, count in zip(rows.segments, counts, strict=True)))


def edit_rows(editor: TableEditor, rows: RowChanges) -> None:
    """Carry out changes of rows on an extent table."""
    segments = rows.segments
    if rows.cleared:
        editor.clear()
    else:
        if rows.moved.length and not rows.behind_moved:
            editor.drop_last(rows.moved.length)
            editor.append(segments, rows.moved)
        elif rows.moved.length:
            end = editor.length - rows.behind_moved
            editor.replace(np.arange(end - rows.moved.length, end), segments, rows.moved)
        if len(rows.updated_rows):
            editor.replace(rows.updated_rows, segments, rows.updated)
        if len(rows.deleted_rows):
            editor.delete(rows.deleted_rows)
    if rows.appended.length:
        editor.append(segments, rows.appended)


def _check_names(tensors: tuple[TensorState, ...], groups: tuple[str, ...]) -> None:
    taken = set(groups)
    for state in tensors:
        if state.name in taken:
            raise ConflictError(
                f"the name {state.name!r} is taken by another tensor or group; rename one of them",
                ((state.name, None, "name"),),
            )
        taken.add(state.name)
    names = {state.name for state in tensors}
    for name in taken:
        parent = name.rpartition("/")[0]
        while parent:
            if parent in names:
                raise ConflictError(
                    f"{name!r} cannot lie inside {parent!r}, which is a tensor; rename one of them",
                    ((name, None, "name"),),
                )
            parent = parent.rpartition("/")[0]
