"""The guard of whoever makes a version reachable again that refs had let go of."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from zlake import limits
from zlake.context import Context
from zlake.errors import CollectedError, FormatError
from zlake.format import paths
from zlake.storage.store import Request, Store
from zlake.versions.marks import read_marks, sweeps_now
from zlake.versions.objects import Objects
from zlake.versions.reach import Reach, reach

PATIENCE: Final = 30.0
"""Seconds to wait for a collector that is deleting."""


def check_swept(
    objects: Objects,
    commit_id: str,
    *,
    context: Context | None = None,
    known: Collection[str] = frozenset(),
    thorough: bool = False,
    patience: float | None = None,
) -> None:
    """Make sure that a commit, which a lease has just been made to keep, is whole and stays so.

    **Call it after the lease was acknowledged, and before any ref names the commit** (`zlake.versions.keeping`). A
    collector that reads the leases after that sees it; this looks for one that read them before and may be deleting
    still, and for what one has deleted.

    Needed only where the commit may have been out of every ref's reach: restoring a deleted branch, a branch or tag at
    a commit by its id, merging or picking from one, pushing onto objects that were there already. An ordinary commit,
    and a branch, tag or merge of what a branch names, need none of it.

    Costs two listings and a read, unless a collector has marked the commit or is at work.

    Parameters
    ----------
    objects
        The dataset's objects.
    commit_id
        The commit, or staged snapshot.
    context
        Source of ids, and what waits.
    known
        Commits that branches or tags have reached all the time: neither they nor what is behind them is looked at.
    thorough
        Look at everything that the commit reaches, also where nobody marked it: for a commit that names objects which
        were found, not written (a push).
    patience
        Seconds to wait for a collector that is deleting; `PATIENCE` for None.

    Raises
    ------
    CollectedError
        If a part of it is gone, or a collector is deleting at this moment, so that this cannot be known.
    StorageError
        If the storage does not answer.
    """
    store, context = objects.store, context or Context()
    end, pause = context.monotonic() + (PATIENCE if patience is None else patience), 0.05
    at_work = sweeps_now(store, context)
    while at_work:
        if context.monotonic() >= end:
            raise CollectedError(
                f"{store.url}: garbage is being collected at this moment, and {commit_id} may be a part of it; "
                "try again when that is done"
            )
        context.sleep(pause)
        pause = min(1.0, pause * 2)
        now = sweeps_now(store, context)
        at_work = now if None in at_work | now else at_work & now  # who began since has read the lease
    marks = read_marks(store)
    if thorough or any(commit_id in mark.ids[paths.COMMITS] for mark in marks):
        found = check_whole(Objects(store), commit_id, known)  # memory may hold what is gone
        for mark in marks:
            if any(ids & found.ids(folder) for folder, ids in mark.ids.items()):
                store.delete(mark.key)  # what it says is not so any longer: if it is again, a grace period begins anew
    elif commit_id not in known and store.read(paths.snapshot_key(commit_id), 0, 1) is None:
        raise _gone(store, commit_id)


def check_whole(objects: Objects, commit_id: str, known: Collection[str] = frozenset()) -> Reach:
    """Return what a commit reaches, after looking whether all of it is there.

    Raises
    ------
    CollectedError
        If anything is missing, or damaged.
    """
    try:
        found = reach(objects, [commit_id], known)
    except FormatError as error:
        raise _gone(objects.store, commit_id) from error
    keys = [f"{paths.segment_prefix(segment)}zarr.json" for segment in sorted(found.segments)]
    keys += [f"{paths.page_prefix(page)}c.0.0" for page in sorted(found.arrays)]
    keys += map(paths.page_key, sorted(found.pages))
    for start in range(0, len(keys), limits.READS_IN_FLIGHT):
        batch = keys[start : start + limits.READS_IN_FLIGHT]
        if None in objects.store.read_many([Request(key, 0, 1) for key in batch]):
            raise _gone(objects.store, commit_id)
    return found


def _gone(store: Store, commit_id: str) -> CollectedError:
    return CollectedError(
        f"{store.url}: {commit_id} can no longer be used: no branch or tag had named it for longer than the grace "
        "period, and it was collected as garbage, at least in part"
    )
