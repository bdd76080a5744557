"""Reading where a branch stands: the ref, then the snapshot that it names."""

from __future__ import annotations

from zlake.errors import DatasetCorruptError
from zlake.format import paths
from zlake.format.documents import Ref, Snapshot
from zlake.storage.store import Versioned
from zlake.versions import refs
from zlake.versions.head import EMPTY_SNAPSHOT, Head
from zlake.versions.objects import Objects

MAIN = "main"


def read_head(objects: Objects, branch: str, found: Versioned | None = None, *, deleted_ok: bool = False) -> Head:
    """Return a branch with its snapshot: two reads, no listing; one where its document is known already, as ``found``.

    With ``deleted_ok`` it may also be a tombstone, or a branch that was never made.

    Raises
    ------
    RefNotFoundError
        If there is no such branch; its subclass `BranchDeletedError`, if it was deleted.
    DatasetCorruptError
        If the branch names something that is missing, or is no state of this branch.
    CorruptObjectError
        If the branch or its snapshot is damaged.
    """
    store = objects.store
    if found is None:
        found = store.read_versioned(paths.branch_key(branch))
    if found.value is None:
        if deleted_ok:
            return Head(branch, UNBORN, found.generation, EMPTY_SNAPSHOT)
        if branch != MAIN:
            raise refs.not_found(store, branch, "branch")
        _check_unborn(objects)
        # creating the dataset was cut short after its root: the first write completes it
        return Head(branch, UNBORN, found.generation, EMPTY_SNAPSHOT)
    ref = refs.parse_branch(store, branch, found.value)
    if ref.deleted and not deleted_ok:
        raise refs.branch_deleted(store, branch, ref)
    return Head(branch, ref, found.generation, snapshot_of(objects, ref, branch))


UNBORN = Ref(commit=None, staged=None, sequence=0, write_id="a" * 26)
"""What stands for the main branch of a dataset whose creation was cut short."""


def _check_unborn(objects: Objects) -> None:
    store = objects.store
    if not store.capabilities.listable or next(iter(store.list(paths.COMMITS)), None) is not None:
        raise DatasetCorruptError(
            f"{store.url}: {paths.branch_key(MAIN)!r} is missing, though the dataset has commits; "
            "restore it from a copy, or load a commit by its id"
        )


def snapshot_of(objects: Objects, ref: Ref, branch: str) -> Snapshot:
    """Return the snapshot that a branch names: staged if there is one, else committed."""
    if ref.staged is not None:
        snapshot = objects.snapshot(ref.staged)
        parents = () if ref.commit is None else (ref.commit,)
        if snapshot.kind != "staged" or snapshot.parents != parents:
            raise _unfit(objects, branch, snapshot)
        return snapshot
    if ref.commit is None:
        return EMPTY_SNAPSHOT
    return commit_of(objects, ref.commit, f"branch {branch!r}")


def commit_of(objects: Objects, commit_id: str, named_by: str) -> Snapshot:
    """Return a commit."""
    snapshot = objects.snapshot(commit_id)
    if snapshot.kind != "commit":
        raise _unfit(objects, named_by, snapshot)
    return snapshot


def _unfit(objects: Objects, named_by: str, snapshot: Snapshot) -> DatasetCorruptError:
    return DatasetCorruptError(
        f"{objects.store.url}: {named_by} names {snapshot.id}, which is a {snapshot.kind} snapshot on "
        f"{list(snapshot.parents)}; restore the branch from a copy, or load a commit by its id"
    )


def detached(snapshot: Snapshot) -> Head:
    """Return the head of a snapshot that is no branch's: it can be read, and a commit can be the start of a branch."""
    commit = snapshot.id if snapshot.kind == "commit" else next(iter(snapshot.parents), None)
    staged = snapshot.id if snapshot.kind == "staged" and snapshot.id else None
    return Head(None, Ref(commit=commit, staged=staged, sequence=0, write_id=""), b"", snapshot)
