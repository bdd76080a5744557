"""What an address means: a branch, a tag, a commit id, or the beginning of one."""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

from zlake.errors import AmbiguousRefError, RefNotFoundError
from zlake.format import paths
from zlake.format.documents import Snapshot
from zlake.format.names import is_id
from zlake.versions import refs
from zlake.versions.head import Head
from zlake.versions.objects import Objects
from zlake.versions.read_head import MAIN, detached, read_head

_BEGINNING: Final = re.compile(r"[a-z2-7]{4,25}")
_MOST_LISTED: Final = 64
"""Snapshots looked at for one abbreviated id: an id is 130 bits, so this many share a beginning only by intent."""


def resolve(objects: Objects, address: str) -> Head:
    """Return the version that an address names: a branch, a tag, a commit id or its beginning.

    A branch costs two reads, and so does a tag, which carries its commit; a commit id costs one. A name that is no
    branch and no tag is looked for among the beginnings of commit ids, of four characters or more, where the storage
    can list.

    Raises
    ------
    InvalidRefNameError
        If nothing can have this name.
    BranchDeletedError
        If it was a branch.
    AmbiguousRefError
        If several commits begin so.
    RefNotFoundError
        If nothing has it; near matches are suggested where the storage can list.
    """
    store = objects.store
    if is_id(address):
        return detached(find_commit(objects, address))
    key = paths.branch_key(address)  # which looks whether anything can have this name
    found = store.read_versioned(key)
    branch = None if found.value is None else refs.parse_branch(store, address, found.value)
    if address == MAIN or (branch is not None and not branch.deleted):
        return read_head(objects, address, found)
    tag = refs.find_tag(store, address)
    if tag is not None and tag.snapshot is not None:
        objects.remember("snapshot", tag.commit, tag.snapshot)
        return detached(tag.snapshot)
    if branch is not None:
        raise refs.branch_deleted(store, address, branch)
    if tag is not None:
        raise RefNotFoundError(f"{store.url}: tag {address!r} was deleted; it named commit {tag.commit}")
    return detached(_abbreviated(objects, address))


def find_commit(objects: Objects, commit_id: str) -> Snapshot:
    """Return a commit by its whole id, or by the beginning of it; raises as `resolve`."""
    if not is_id(commit_id):
        return _abbreviated(objects, commit_id)
    snapshot = objects.find_snapshot(commit_id)
    if snapshot is None:
        raise RefNotFoundError(f"{objects.store.url} has no commit {commit_id!r}")
    if snapshot.kind != "commit":
        raise RefNotFoundError(
            f"{objects.store.url}: {commit_id} is no commit but a staged state; commit it, or load its branch"
        )
    return snapshot


def _abbreviated(objects: Objects, beginning: str) -> Snapshot:
    """Return the one commit whose id begins so."""
    store = objects.store
    if not _BEGINNING.fullmatch(beginning) or not store.capabilities.listable:
        raise refs.not_found(store, beginning, "branch, tag or commit")
    keys = islice(store.list(paths.COMMITS + beginning), _MOST_LISTED)
    ids = sorted({key[len(paths.COMMITS) :].partition("/")[0] for key in keys})
    found = [objects.find_snapshot(commit_id) for commit_id in ids if is_id(commit_id)]
    commits = [snapshot for snapshot in found if snapshot is not None and snapshot.kind == "commit"]
    if not commits:
        raise refs.not_found(store, beginning, "branch, tag or commit")
    if len(commits) > 1:
        listed = ", ".join(f"{commit.id} ({commit.message.partition(chr(10))[0]:.40})" for commit in commits)
        raise AmbiguousRefError(f"{store.url}: {beginning!r} could be any of the commits {listed}; give more of the id")
    return commits[0]
