"""What each commit changed, as dictionaries in Deep Lake's shape."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from zlake import limits
from zlake.format.documents import Snapshot, TensorDiff, TensorState
from zlake.session.commit import described
from zlake.versions.changes import RowReader
from zlake.versions.compare import Comparison
from zlake.versions.head import EMPTY_SNAPSHOT
from zlake.versions.objects import Objects

_BATCH: Final = limits.READS_IN_FLIGHT
"""Documents read, and held in memory, at once."""

Entry = dict[str, Any]


class DiffDict(dict[str, Any]):
    """A diff as a dictionary: ``dataset`` and ``tensors``; ``["tensor"]``, as Deep Lake calls it, answers too."""

    def __missing__(self, key: str) -> Any:
        if key == "tensor":
            return self["tensors"]
        raise KeyError(key)


def steps(objects: Objects, tip: Snapshot, chain: Sequence[str]) -> Iterator[tuple[Snapshot, Snapshot]]:
    """Yield states that follow each other along first parents, newest first, each with the one before it.

    The first of the chain is the tip, which is not read again: what was staged may be collected once it is replaced.
    """
    if not chain:
        return
    newer = tip
    for start in range(1, len(chain), _BATCH):
        for snapshot in objects.snapshots(chain[start : start + _BATCH]):
            yield snapshot, newer
            newer = snapshot
    yield parent_of(newer, objects), newer


def parent_of(snapshot: Snapshot, objects: Objects) -> Snapshot:
    """Return the commit that a state lies on, the first where it merges several; nothing at all before the first."""
    return objects.snapshot(snapshot.parents[0]) if snapshot.parents else EMPTY_SNAPSHOT


def entries(
    objects: Objects, tip: Snapshot, chain: Sequence[str], reader: RowReader
) -> tuple[list[Entry], list[Entry]]:
    """Return what each state of a chain changed in the dataset, and in its tensors."""
    made = [(dataset_entry(*step), tensor_entry(*step, objects, reader)) for step in steps(objects, tip, chain)]
    return [dataset for dataset, _ in made], [tensors for _, tensors in made]


def dataset_entry(before: Snapshot, after: Snapshot) -> Entry:
    """Return what a state changed in the dataset against the one before it."""
    committed = after.kind == "commit"
    known = described(after)
    names = {state.key: state.name for state in after.tensors}
    was = {state.key: state.name for state in before.tensors}
    return {
        "commit_id": after.id or None,
        "author": known["author"] if committed else None,
        "message": known["message"] if committed else None,
        "date": known["time"] if committed else None,
        "info_updated": after.diff.info_updated,
        "renamed": OrderedDict(
            (diff.renamed_from, names[diff.key])
            for diff in after.diff.tensors
            if diff.renamed_from and diff.key in names
        ),
        "deleted": [was[diff.key] for diff in after.diff.tensors if diff.deleted and diff.key in was],
    }


def tensor_entry(before: Snapshot, after: Snapshot, objects: Objects, reader: RowReader) -> Entry:
    """Return what a state changed in each tensor that it touched."""
    found: Entry = {"commit_id": after.id or None}
    comparison = Comparison(before, after, objects, reader)
    for diff in after.diff.tensors:
        state = comparison.after.get(diff.key)
        if state is not None and not state.options.get("hidden"):
            found[state.name] = _tensor(diff, state, comparison)
    return found


def unchanged() -> tuple[list[Entry], list[Entry]]:
    """Return the entries of a branch on which nothing is staged."""
    return [dataset_entry(EMPTY_SNAPSHOT, EMPTY_SNAPSHOT)], [{"commit_id": None}]


def counts(diff: TensorDiff) -> tuple[int, int, int]:
    """Return how many rows a manifest says were added, updated and removed."""
    added, updated, removed = (
        ids.count or sum(count for _, count in ids.runs) for ids in (diff.appended, diff.updated, diff.removed)
    )
    return added, updated, removed


def _tensor(diff: TensorDiff, state: TensorState, comparison: Comparison) -> Entry:
    length = state.length
    added, updated, deleted = [length, length], set[int](), set[int]()
    if diff.created or diff.cleared:
        added = [0, length]
    elif any(counts(diff)):
        rows = comparison.rows(diff.key)
        new = rows.after_rows[rows.new]
        if len(new):
            added = [int(new[0]), int(new[-1]) + 1]
        updated = set(rows.after_rows[rows.kept_after[comparison.updated(diff.key)]].tolist())
        deleted = set(rows.before_rows[rows.gone].tolist())
    return {
        "created": diff.created,
        "cleared": diff.cleared,
        "info_updated": diff.info_updated,
        "data_added": added,
        "data_updated": updated,
        "data_deleted": deleted,
        "data_transformed_in_place": False,
    }
