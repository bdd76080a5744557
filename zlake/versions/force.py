"""Forced merges: tensors whose names clash are taken as new ones, or joined; their samples are copied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import structs

from zlake.format.documents import TensorState
from zlake.versions.changes import RowChanges, RowReader
from zlake.versions.conflicts import Conflict, Conflicts
from zlake.versions.extent_store import load_extents
from zlake.versions.names import CLASS_NAMES, are_names, merge_names
from zlake.versions.objects import Objects
from zlake.versions.rebase_schema import SAMPLE_FIELDS, UNDECIDED, info_value
from zlake.versions.row_ids import ids_of

_NEVER: Final = object()

Copied = tuple[TensorState, RowChanges, Mapping[str, Any]]
"""A tensor, the rows to append to it, and its info."""


def copied(state: TensorState, objects: Objects, reader: RowReader, new_key: Callable[[], str]) -> Copied:
    """Return a tensor as a new one: a key names one tensor only, so its samples are written again under another."""
    made = structs.replace(state, key=new_key())
    return made, _rows(state, made, objects, reader), info_value(objects, state.info)


def joined(
    state: TensorState, onto: TensorState, objects: Objects, reader: RowReader, conflicts: Conflicts
) -> Copied | None:
    """Return what appends the samples of one tensor to another one; None, and a conflict, where they do not fit.

    A field that is not decided yet fits any. Class names are united, and info that only ``state`` has is added.
    """
    changed = {}
    for name in SAMPLE_FIELDS:
        mine, other = getattr(state, name), getattr(onto, name)
        open_ = UNDECIDED.get(name, _NEVER)
        unlike = name == "htype" and not (_may_become(state, other) and _may_become(onto, mine))
        if not unlike and mine in (other, open_):
            continue
        if unlike or other != open_:
            conflicts.add(Conflict(onto.name, None, name, onto.key, values=conflicts.values(mine, other)))
            return None
        changed[name] = mine
    made = structs.replace(onto, **changed)
    mine_info, other_info = info_value(objects, state.info), info_value(objects, onto.info)
    info = {**mine_info, **other_info}
    numbers = None
    carried, here = mine_info.get(CLASS_NAMES, []), other_info.get(CLASS_NAMES, [])
    if carried != here and are_names(carried) and are_names(here) and reader.holds_classes(onto):
        info[CLASS_NAMES], numbers = merge_names([], here, carried)
    return made, _rows(state, made, objects, reader, numbers), info


def _may_become(state: TensorState, htype: str) -> bool:
    """Say whether a tensor can hold samples of an htype; an undecided one that has a dtype or rank holds arrays."""
    if state.htype != UNDECIDED["htype"] or htype in (state.htype, "generic"):
        return True
    return state.dtype is None and state.ndim is None


def _rows(
    state: TensorState, made: TensorState, objects: Objects, reader: RowReader, numbers: Any = None
) -> RowChanges:
    segments, extents = load_extents(state.extents, objects)
    if not extents.length:
        return RowChanges()
    ids = ids_of(state.key, segments, extents, reader)
    assert ids is not None
    written, places = reader.rewrite(state, segments, extents, made, numbers)
    return RowChanges(segments=written, appended=places, appended_ids=ids)
