"""What joins a branch to a commit that no ref may name: it stays so only if the commit was not collected meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from zlake.context import Context
from zlake.errors import CollectedError, FormatError, StorageError
from zlake.format.documents import Snapshot
from zlake.versions import refs
from zlake.versions.ancestors import merge_bases
from zlake.versions.guard import check_swept
from zlake.versions.head import Head
from zlake.versions.objects import Objects

Landed = Callable[[Head, Head], None]
"""Is told what a branch was, and what it is now that our swap landed; may raise."""


def keeping(objects: Objects, context: Context, commit: Snapshot | None) -> Landed | None:
    """Return what looks, after a branch took over rows that ``commit`` names, whether a collector has taken them.

    It takes the branch back then. A snapshot is deleted before what it names, and whatever one that is there names
    stays: so it is enough to look at the commit, not at every segment of it.

    Parameters
    ----------
    objects, context
        The dataset's objects; source of ids.
    commit
        The commit; None if a branch names it, so that there is nothing to look for.
    """
    if commit is None:
        return None

    def look(before: Head, after: Head) -> None:
        known = merge_bases(objects, before.snapshot, commit)
        if commit.id not in known:  # else the branch had it all the time
            _check(objects, context, commit, known, before, after)

    return look


def _check(objects: Objects, context: Context, commit: Snapshot, known: list[str], before: Head, after: Head) -> None:
    store, branch = objects.store, after.branch
    assert branch is not None
    try:
        check_swept(objects, commit.id, context=context, known=known)
    except CollectedError:
        back = refs.next_ref(after.ref, before.ref.commit, before.ref.staged, context)
        refs.swap_branch(store, branch, back, after.generation)
        raise
    except (StorageError, FormatError) as error:
        raise refs.unknown(store, branch, after.ref) from error


def check_again(objects: Objects, context: Context, branch: str, before: Snapshot, commit: Snapshot) -> None:
    """Look whether a commit is whole that landed in a call which did not come to look for itself.

    Parameters
    ----------
    objects, context
        The dataset's objects; source of ids.
    branch
        Names the commit now, or did after that call.
    before
        What it was before.
    commit
        The commit.

    Raises
    ------
    CollectedError
        If a part of it was collected.
    StorageError
        If the storage does not answer.
    """
    try:
        check_swept(objects, commit.id, context=context, known=merge_bases(objects, before, commit), thorough=True)
    except CollectedError as error:
        raise CollectedError(
            f"{error}; branch {branch!r} has come to name it: check out {before.id or 'a commit before it'} and make a "
            "branch there"
        ) from error
