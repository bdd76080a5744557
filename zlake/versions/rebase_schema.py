"""What tensors are, infos and groups, changed on two sides: merged field by field, key by key, name by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import structs

from zlake.format.documents import Info, TensorState
from zlake.samples.spec import UNSPECIFIED
from zlake.versions.compare import SCHEMA_FIELDS
from zlake.versions.conflicts import Conflict, Conflicts
from zlake.versions.names import CLASS_NAMES
from zlake.versions.objects import Objects

SAMPLE_FIELDS: Final = ("htype", "dtype", "ndim", "sequence", "sample_compression", "chunk_compression")
"""Fields that say how samples are stored: where both sides set one differently, their rows do not fit together."""

UNDECIDED: Final = {"htype": UNSPECIFIED, "dtype": None, "ndim": None}
"""Fields that the first sample may set, and what they are before."""

_MISSING: Final = object()


def merge_schema(
    conflicts: Conflicts, base: TensorState, mine: TensorState, onto: TensorState, *, created: bool = False
) -> TensorState:
    """Return the tensor ``onto`` with what ``mine`` changed against ``base``, field by field.

    With ``created`` there was no such tensor before: then nobody knows which side has changed a field that differs.
    """
    merged: dict[str, Any] = {}
    for name in SCHEMA_FIELDS:
        was, ours, other = getattr(base, name), getattr(mine, name), getattr(onto, name)
        if created and name not in UNDECIDED:
            was = _MISSING
        if ours in (was, other):
            merged[name] = other
        elif other == was:
            merged[name] = ours
        elif name in SAMPLE_FIELDS:
            conflicts.add(Conflict(base.name, None, name, base.key, values=conflicts.values(ours, other)))
            merged[name] = other
        else:
            kind = "named differently here and there" if name == "name" else f"{name} changed here and there"
            conflict = Conflict(base.name, None, kind, base.key)
            merged[name] = ours if conflicts.decide(conflict) else other
    return structs.replace(onto, **merged)


def merge_info(
    conflicts: Conflicts,
    objects: Objects,
    base: Info,
    mine: Mapping[str, Any],
    onto: Info,
    tensor: TensorState | None = None,
    names: Sequence[str] | None = None,
) -> Mapping[str, Any]:
    """Return an info with what ``mine`` changed against ``base``, key by key.

    Parameters
    ----------
    conflicts
        Decides about keys that both sides set differently.
    objects
        Reads large infos.
    base, mine, onto
        The info before, as the changes want it, and as it is.
    tensor
        Whose info it is; None for the dataset's.
    names
        The class names of both sides, if they were united.
    """
    if onto == base and names is None:
        return mine
    was, other = info_value(objects, base), info_value(objects, onto)
    merged = dict(other)
    for key in {**was, **mine}:
        if key == CLASS_NAMES and names is not None:
            merged[key] = list(names)
            continue
        before, ours, now = was.get(key, _MISSING), mine.get(key, _MISSING), other.get(key, _MISSING)
        if ours in (before, now):
            continue
        name, tensor_key = ("", "") if tensor is None else (tensor.name, tensor.key)
        kind = f"info {key!r} changed here and there"
        if now != before and not conflicts.decide(Conflict(name, None, kind, tensor_key)):
            continue
        if ours is _MISSING:
            merged.pop(key, None)
        else:
            merged[key] = ours
    return merged


def info_value(objects: Objects, info: Info) -> Mapping[str, Any]:
    """Return a user's dictionary, reading its object where it is large; not to be changed."""
    return objects.info(info.object) if info.object else info.value


def merge_groups(
    conflicts: Conflicts,
    base: Sequence[str],
    mine: Sequence[str],
    onto: Sequence[str],
    names: Iterable[str],
    *,
    keep_filled: bool,
) -> tuple[str, ...]:
    """Return the groups of ``onto`` with what ``mine`` changed against ``base``.

    Parameters
    ----------
    conflicts
        Takes groups that were deleted on one side and filled on the other.
    base, mine, onto
        The groups before, as the changes want them, and as they are.
    names
        Names of the tensors that there will be.
    keep_filled
        A group with something in it stays, and that is no conflict.
    """
    was = set(base)
    removed = was - set(mine)
    merged = (set(onto) | (set(mine) - was)) - removed
    for name in (*names, *sorted(merged)):
        for group in removed:
            if name.startswith(f"{group}/"):
                if keep_filled:
                    merged.add(group)
                else:
                    conflicts.add(Conflict(name, None, "group deleted"))
    return tuple(sorted(merged))
