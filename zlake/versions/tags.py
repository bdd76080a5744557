"""Tags: names of commits that never move. Made by a create-only write; deleted by a swap to a tombstone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from zlake.context import Context
from zlake.errors import (
    CommitStateUnknownError,
    FormatError,
    RefExistsError,
    RefNotFoundError,
    StorageError,
    VersionControlError,
    WriteStateUnknownError,
)
from zlake.format import encode, paths
from zlake.format.documents import Tag
from zlake.storage.store import Lost, Request, Store, Written
from zlake.versions import refs
from zlake.versions.keeping import keeping
from zlake.versions.objects import Objects
from zlake.versions.read_head import commit_of


def tags(store: Store) -> dict[str, str]:
    """Return the commit ids of all tags that are not deleted, by name: one listing, and one read for each."""
    names = refs.tag_names(store)
    found = store.read_many([Request(paths.tag_key(name)) for name in names])
    parsed = {n: refs.parse_tag(store, n, data) for n, data in zip(names, found, strict=True) if data is not None}
    return {name: tag.commit for name, tag in parsed.items() if not tag.deleted}


def create(objects: Objects, context: Context, name: str, commit_id: str, *, guarded: bool = True) -> Literal[True]:
    """Durable: name a commit, which is there; one write, two reads, the commit's own, and what `keeping` takes.

    With ``guarded`` the commit is kept from collectors meanwhile: not needed where a branch or tag names it all the
    time.

    Raises
    ------
    InvalidRefNameError
        If nothing can have this name.
    RefExistsError
        If there is a tag or branch of this name, or was a tag; nothing was changed.
    CollectedError
        If a part of it was collected; there is no tag then.
    CommitStateUnknownError
        If the storage gave no answer.
    """
    store = objects.store
    _refuse_branch(store, name)
    with keeping(objects, context, commit_id if guarded else None):
        commit = commit_of(objects, commit_id, f"tag {name!r}")
        ours = Tag(name=name, commit=commit_id, write_id=context.new_id(), snapshot=commit)
        made = _write(store, name, "made", ours, lambda value: store.create(paths.tag_key(name), value))
    if not made:
        tag = refs.find_tag(store, name)
        if tag is None or not tag.deleted:
            at = "" if tag is None else f" at commit {tag.commit}"
            raise RefExistsError(
                f"{store.url} has a tag {name!r}{at} already, and tags do not move; choose another name"
            )
        raise RefExistsError(
            f"{store.url} had a tag {name!r} at commit {tag.commit}, which was deleted; the names of deleted tags are "
            "not used again, so that a name never means two commits; choose another one"
        )
    try:
        _refuse_branch(store, name)  # one that was made at the same moment sees this tag, or is seen here
    except VersionControlError:
        delete(store, context, name)
        raise
    except (StorageError, FormatError) as error:
        raise _unknown(store, name, "made", ours) from error
    return True


def _refuse_branch(store: Store, name: str) -> None:
    data = store.read(paths.branch_key(name))
    if data is not None and not refs.parse_branch(store, name, data).deleted:
        raise RefExistsError(
            f"{store.url} has a branch {name!r}, and no tag can have the same name; choose another one"
        )


def delete(store: Store, context: Context, name: str) -> Literal[True]:
    """Durable: swap a tag to a tombstone. Its name is not used again.

    Raises
    ------
    RefNotFoundError
        If there is no such tag, or it was deleted already.
    CommitStateUnknownError
        If the storage gave no answer.
    """
    key = paths.tag_key(name)
    found = store.read_versioned(key)
    if found.value is None:
        raise refs.not_found(store, name, "tag")
    tag = refs.parse_tag(store, name, found.value)
    tombstone = Tag(name=name, commit=tag.commit, write_id=context.new_id(), deleted=True)
    # a tag changes once in its life: a swap that is lost, was lost to another tombstone
    if tag.deleted or not _write(
        store, name, "deleted", tombstone, lambda value: store.swap(key, value, found.generation)
    ):
        raise RefNotFoundError(f"{store.url}: tag {name!r} was deleted already; it named commit {tag.commit}")
    return True


def _write(store: Store, name: str, what: str, ours: Tag, write: Callable[[bytes], Written | Lost]) -> bool:
    """Write a tag, and say whether it is ours that is there."""
    doubt = None
    try:
        if isinstance(write(encode(ours)), Written):
            return True
    except WriteStateUnknownError as error:
        doubt = error
    # Lost, or told so by a driver that met its own object when it tried again, or told nothing: the tag says it.
    try:
        now = refs.find_tag(store, name)
    except (StorageError, FormatError) as error:
        raise _unknown(store, name, what, ours) from doubt or error
    if now is not None and now.write_id == ours.write_id:
        return True
    if doubt is not None and now is not None and now.deleted and not ours.deleted:
        raise _unknown(store, name, what, ours) from doubt  # it may be ours that others have deleted since
    return False


def _unknown(store: Store, name: str, what: str, tag: Tag) -> CommitStateUnknownError:
    return CommitStateUnknownError(
        f"{store.url}: it is not known whether tag {name!r} was {what}: the storage gave no answer. See whether it is "
        "among the tags before you repeat it",
        tag.commit,
        tag.write_id,
    )
