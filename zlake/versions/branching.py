"""Making, deleting and restoring branches. Each is one swap of one small object.

A branch is deleted by swapping a tombstone in its place: who writes to it at that moment loses the swap and learns of
it, and what it named can be restored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from zlake.context import Context
from zlake.errors import (
    CommitError,
    DatasetCorruptError,
    FormatError,
    RefExistsError,
    RefNotFoundError,
    StorageError,
    VersionControlError,
)
from zlake.format import paths
from zlake.format.documents import Ref, Snapshot
from zlake.storage.store import Request, Store, Versioned, Written
from zlake.versions import refs
from zlake.versions.head import EMPTY_SNAPSHOT, Head
from zlake.versions.keeping import keeping
from zlake.versions.objects import Objects
from zlake.versions.read_head import MAIN, commit_of, snapshot_of

ATTEMPTS: Final = 256
"""Swaps of a branch that may be lost in a row to others who change it."""


def branches(store: Store) -> dict[str, Ref]:
    """Return all branches that are not deleted, by name: one listing, and one read for each, many in flight."""
    return {name: ref for name, ref in _all(store).items() if not ref.deleted}


def deleted_branches(store: Store) -> dict[str, Ref]:
    """Return the tombstones of deleted branches, by name."""
    return {name: ref for name, ref in _all(store).items() if ref.deleted}


def _all(store: Store) -> dict[str, Ref]:
    names = refs.branch_names(store)
    found = store.read_many([Request(paths.branch_key(name)) for name in names])
    return {n: refs.parse_branch(store, n, data) for n, data in zip(names, found, strict=True) if data is not None}


def check_free(store: Store, name: str) -> None:
    """Raise unless a branch of this name can be made: two reads.

    Raises
    ------
    InvalidRefNameError
        If nothing can have this name.
    RefExistsError
        If there is a branch or a tag of this name.
    """
    data = store.read(paths.branch_key(name))
    if name == MAIN or (data is not None and not refs.parse_branch(store, name, data).deleted):
        raise _exists(store, name)
    refuse_tag(store, name)


def refuse_tag(store: Store, name: str) -> None:
    """Raise if there is a tag of this name."""
    tag = refs.find_tag(store, name)
    if tag is not None and not tag.deleted:
        raise RefExistsError(
            f"{store.url} has a tag {name!r} (commit {tag.commit}), and no branch can have the same name; "
            "choose another one"
        )


def _exists(store: Store, name: str) -> RefExistsError:
    return RefExistsError(f"{store.url} has a branch {name!r} already; checkout({name!r}) switches to it")


def unread(objects: Objects, name: str) -> Head | None:
    """Return a branch as it is, with nothing in place of its snapshot, or None if there is none."""
    found = objects.store.read_versioned(paths.branch_key(name))
    ref = None if found.value is None else refs.parse_branch(objects.store, name, found.value)
    return None if ref is None or ref.deleted else Head(name, ref, found.generation, EMPTY_SNAPSHOT)


def committed_at(objects: Objects, commit: str | None, name: str) -> Snapshot:
    """Return the commit that a branch names, the empty snapshot before the first."""
    return EMPTY_SNAPSHOT if commit is None else commit_of(objects, commit, f"branch {name!r}")


def create(
    objects: Objects, context: Context, name: str, start: Head, *, staged: bool = False, guarded: bool = True
) -> Head:
    """Durable: make a branch at the commit of another head: one write, three reads, and what `keeping` takes.

    Parameters
    ----------
    objects
        The dataset's objects.
    context
        Source of ids.
    name
        Of the branch; the name of a deleted one may be used again.
    start
        Where it begins.
    staged
        Take along what is staged there, as this head knows it.
    guarded
        Keep what it names from collectors meanwhile: not needed where a branch or tag names it all the time.

    Raises
    ------
    InvalidRefNameError
        If nothing can have this name.
    RefExistsError
        If there is a branch or tag of this name.
    CollectedError
        If a part of what it names was collected; there is no branch then.
    CommitStateUnknownError
        If the storage gave no answer.
    """
    store = objects.store
    commit, carried = start.ref.commit, start.ref.staged if staged else None

    def made(before: Ref | None) -> Ref:
        if name == MAIN or (before is not None and not before.deleted):
            raise _exists(store, name)
        refuse_tag(store, name)
        if before is None:
            return Ref(commit=commit, staged=carried, sequence=0, write_id=context.new_id())
        return refs.next_ref(before, commit, carried, context, restarted=True)

    # read before the branch is there: an error must not come after it
    snapshot = start.snapshot if carried == start.ref.staged else committed_at(objects, commit, name)
    with keeping(objects, context, *((commit, carried) if guarded else ())):
        ref, written = _swap(store, name, made)
    _look_again(store, context, name, ref, written.generation)
    return Head(name, ref, written.generation, snapshot)


def delete(objects: Objects, context: Context, name: str) -> Head:
    """Durable: swap a branch to a tombstone, which keeps what it named; whatever others wrote to it meanwhile, too.

    Raises
    ------
    VersionControlError
        If it is ``main``.
    RefNotFoundError
        If there is no such branch; its subclass `BranchDeletedError`, if it was deleted already.
    CommitStateUnknownError
        If the storage gave no answer.
    """
    store = objects.store
    key = paths.branch_key(name)
    if name == MAIN:
        raise VersionControlError(f"{store.url}: branch {MAIN!r} cannot be deleted; {key!r} is where a dataset begins")

    def tombstone(before: Ref | None) -> Ref:
        if before is None:
            raise refs.not_found(store, name, "branch")
        if before.deleted:
            raise refs.branch_deleted(store, name, before)
        return refs.next_ref(before, before.commit, before.staged, context, deleted=True)

    ref, written = _swap(store, name, tombstone)
    return Head(name, ref, written.generation, EMPTY_SNAPSHOT)


def restore(objects: Objects, context: Context, name: str) -> Head:
    """Durable: bring a deleted branch back as it was: one write, and what `keeping` takes.

    Raises
    ------
    RefNotFoundError
        If there never was one, or what it named was collected since.
    RefExistsError
        If it is not deleted, or there is a tag of this name now.
    CollectedError
        If a part of what it named was collected; it is deleted as before.
    CommitStateUnknownError
        If the storage gave no answer.
    """
    store = objects.store
    for _ in range(ATTEMPTS):
        found = store.read_versioned(paths.branch_key(name))
        before, snapshot = _deleted(store, name, found)
        ref = refs.next_ref(before, before.commit, before.staged, context)
        with keeping(objects, context, before.commit, before.staged):
            outcome = refs.swap_branch(store, name, ref, found.generation)
        if isinstance(outcome, Written):
            _look_again(store, context, name, ref, outcome.generation)
            return Head(name, ref, outcome.generation, snapshot)
    raise too_fast(store, name)


def _deleted(store: Store, name: str, found: Versioned) -> tuple[Ref, Snapshot]:
    """Return the tombstone that a branch is, and what it named; raises as `restore`."""
    ref = None if found.value is None else refs.parse_branch(store, name, found.value)
    if ref is None:
        raise refs.not_found(store, name, "branch")
    if not ref.deleted:
        raise RefExistsError(f"{store.url}: branch {name!r} is not deleted, so there is nothing to restore")
    refuse_tag(store, name)
    objects = Objects(store)  # not what memory holds: it may have been collected
    try:
        snapshot = snapshot_of(objects, ref, name)
        committed_at(objects, ref.commit, name)
    except DatasetCorruptError as error:
        raise RefNotFoundError(
            f"{store.url}: branch {name!r} can no longer be restored: what it named was collected after it was "
            f"deleted ({error})"
        ) from error
    return ref, snapshot


def _look_again(store: Store, context: Context, name: str, ref: Ref, generation: bytes) -> None:
    """Look, after a branch was made, for a tag of its name, and delete the branch again if there is one."""
    try:
        refuse_tag(store, name)  # one that was made at the same moment sees this branch, or is seen here
    except VersionControlError:
        refs.swap_branch(store, name, refs.next_ref(ref, ref.commit, ref.staged, context, deleted=True), generation)
        raise
    except (StorageError, FormatError) as error:
        raise refs.unknown(store, name, ref) from error


def _swap(store: Store, name: str, follow: Callable[[Ref | None], Ref]) -> tuple[Ref, Written]:
    """Swap a branch to what follows from what it is, which may raise, until the swap is won."""
    key = paths.branch_key(name)
    found = store.read_versioned(key)
    for _ in range(ATTEMPTS):
        before = None if found.value is None else refs.parse_branch(store, name, found.value)
        ref = follow(before)
        outcome = refs.swap_branch(store, name, ref, found.generation)
        if isinstance(outcome, Written):
            return ref, outcome
        found = outcome
    raise too_fast(store, name)


def too_fast(store: Store, name: str) -> CommitError:
    """Return the error of who never wins a swap."""
    return CommitError(
        f"{store.url}: branch {name!r} was changed by others {ATTEMPTS} times while this was under way; try again"
    )
