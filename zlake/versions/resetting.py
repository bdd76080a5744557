"""Dropping what is staged on a branch: one swap, of which those who knew the staged state are told when they write."""

from __future__ import annotations

from zlake.context import Context
from zlake.errors import NothingToResetError, StaleSessionError
from zlake.format import paths
from zlake.format.documents import Ref
from zlake.storage.store import Store, Versioned, Written
from zlake.versions import refs
from zlake.versions.branching import ATTEMPTS, committed_at, too_fast
from zlake.versions.head import EMPTY_SNAPSHOT, Head
from zlake.versions.objects import Objects
from zlake.versions.read_head import snapshot_of


def reset(objects: Objects, context: Context, head: Head, *, force: bool = False) -> Head:
    """Durable: drop what is staged on a branch, whoever staged it; it is at its newest commit then.

    Parameters
    ----------
    objects
        The dataset's objects.
    context
        Source of ids.
    head
        The branch as the session knows it: nothing that it does not know is dropped.
    force
        Drop also what others have staged since; nothing staged is no error.

    Raises
    ------
    NothingToResetError
        If nothing is staged, unless ``force``.
    BranchDeletedError
        If the branch was deleted.
    StaleSessionError
        If others have staged or committed something since, unless ``force``.
    CommitStateUnknownError
        If the storage gave no answer.
    """
    assert head.branch is not None
    store, name = objects.store, head.branch
    if head.ref.staged is None and not force:
        raise NothingToResetError(
            f"{store.url}: nothing is staged on branch {name!r}, so there is nothing to reset; "
            "commits are undone by revert"
        )
    for _ in range(ATTEMPTS):
        outcome: Written | Versioned
        if head.ref.staged is None:
            outcome = store.read_versioned(paths.branch_key(name))
        else:
            ref = refs.next_ref(head.ref, head.ref.commit, None, context, dropped=True)
            snapshot = committed_at(objects, ref.commit, name)  # read first: an error must not come after the swap
            outcome = refs.swap_branch(store, name, ref, head.generation)
            if isinstance(outcome, Written):
                return Head(name, ref, outcome.generation, snapshot)
        theirs = _known(store, name, outcome)
        if theirs.staged is None and (force or theirs.commit == head.ref.commit):
            return _at_commit(objects, name, theirs, outcome.generation)
        if not force and theirs.staged != head.ref.staged:
            what = "staged more" if theirs.staged is not None else f"committed what was staged as {theirs.commit}"
            raise StaleSessionError(
                f"{store.url}: others have {what} on branch {name!r} since this session read it, and nothing was "
                "dropped; refresh() shows it, and reset(force=True) drops whatever is staged"
            )
        head = Head(name, theirs, outcome.generation, EMPTY_SNAPSHOT)
    raise too_fast(store, name)


def _known(store: Store, name: str, found: Versioned) -> Ref:
    if found.value is None:
        raise refs.not_found(store, name, "branch")
    ref = refs.parse_branch(store, name, found.value)
    if ref.deleted:
        raise refs.branch_deleted(store, name, ref)
    return ref


def _at_commit(objects: Objects, name: str, ref: Ref, generation: bytes) -> Head:
    return Head(name, ref, generation, snapshot_of(objects, ref, name))
