"""Reading where a branch, tag or commit stands: the ref, then the snapshot that it names."""

from __future__ import annotations

from zlake.errors import DatasetCorruptError, RefNotFoundError
from zlake.format import paths
from zlake.format.documents import Ref, Snapshot
from zlake.format.names import is_id
from zlake.storage.store import Versioned
from zlake.versions import refs
from zlake.versions.head import EMPTY_SNAPSHOT, Head
from zlake.versions.objects import Objects

MAIN = "main"


def read_head(objects: Objects, branch: str, found: Versioned | None = None) -> Head:
    """Return a branch with its snapshot: two reads, no listing; one where its document is known already, as ``found``.

    Raises
    ------
    RefNotFoundError
        If there is no such branch.
    DatasetCorruptError
        If the branch names something that is missing, or is no state of this branch.
    CorruptObjectError
        If the branch or its snapshot is damaged.
    """
    store = objects.store
    if found is None:
        found = store.read_versioned(paths.branch_key(branch))
    if found.value is None:
        if branch != MAIN:
            raise refs.not_found(store, branch, "branch")
        _check_unborn(objects)
        # creating the dataset was cut short after its root: the first write completes it
        return Head(branch, UNBORN, found.generation, EMPTY_SNAPSHOT)
    ref = refs.parse_branch(store, branch, found.value)
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
    """Return the head of a snapshot that is addressed by its id: it can be read, not written."""
    commit = snapshot.id if snapshot.kind == "commit" else next(iter(snapshot.parents), None)
    staged = snapshot.id if snapshot.kind == "staged" and snapshot.id else None
    return Head(None, Ref(commit=commit, staged=staged, sequence=0, write_id=""), b"", snapshot)


def resolve(objects: Objects, address: str | None) -> Head:
    """Return the version that an address names: a branch (``main`` for None), a tag, or a commit id.

    Raises
    ------
    InvalidRefNameError
        If nothing can have this name.
    RefNotFoundError
        If nothing has it; near matches are suggested where the storage can list.
    """
    if address is None:
        return read_head(objects, MAIN)
    if is_id(address):
        if objects.find_snapshot(address) is None:
            raise RefNotFoundError(f"{objects.store.url} has no commit {address!r}")
        return detached(commit_of(objects, address, "the address"))
    try:
        return read_head(objects, address)
    except RefNotFoundError:
        tag = refs.find_tag(objects.store, address)
        if tag is None:
            raise refs.not_found(objects.store, address, "branch, tag or commit") from None
    return detached(commit_of(objects, tag.commit, f"tag {address!r}"))
