"""What a writer does whom others have long overtaken: the branch no longer remembers whether its swap landed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from zlake.extents import edit
from zlake.format.documents import Diff
from zlake.versions import history, idruns
from zlake.versions.changes import Changes, RowChanges
from zlake.versions.diffing import read_ids
from zlake.versions.head import Head
from zlake.versions.objects import Objects


def look_back(objects: Objects, head: Head, snapshot_id: str, changes: Changes, theirs: Head) -> tuple[bool, Changes]:
    """Find out whether a swap landed that the storage says was lost, though so many have passed that no ref tells.

    It has not, unless a driver lost the first answer and tried again. Then ours was the swap right after ``head``, so
    the state that the next commit names holds what we changed.

    Parameters
    ----------
    objects
        The dataset's objects.
    head
        The branch as the swap expected it.
    snapshot_id
        What the swap would have made it name.
    changes
        What is to be changed, against ``head.snapshot``.
    theirs
        The branch as it is now.

    Returns
    -------
    tuple
        Whether it landed as a commit; and the changes without the rows that are there already.
    """
    next_commit = None
    for brief in history.log(theirs.snapshot, objects):
        if brief.id == snapshot_id:
            return True, changes
        if brief.id == head.ref.commit:
            break
        next_commit = brief.id
    diff = theirs.snapshot.diff if next_commit is None else objects.snapshot(next_commit).diff
    return False, _without(changes, diff, objects)


def _without(changes: Changes, diff: Diff, objects: Objects) -> Changes:
    rows = dict(changes.rows)
    for each in diff.tensors:
        if each.key in rows:
            rows[each.key] = _left(rows[each.key], read_ids(each.appended, objects))
    return replace(changes, rows=rows)


def _left(rows: RowChanges, there: idruns.Runs) -> RowChanges:
    known = idruns.contains(there, rows.appended_ids)
    if not known.any():
        return rows
    kept = np.flatnonzero(~known)
    return replace(rows, appended=edit.take(rows.appended, kept), appended_ids=rows.appended_ids[kept])
