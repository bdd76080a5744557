"""From a path to a session: parsing the address, creating, opening at a version."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from zlake.context import Context
from zlake.errors import (
    DatasetExistsError,
    InvalidPathException,
    MemoryDatasetCanNotBePickledError,
    PathNotEmptyException,
)
from zlake.format import paths
from zlake.limits import MIB
from zlake.session.checkout import open_head
from zlake.session.session import Session
from zlake.storage import fork, open_store
from zlake.storage.batch import delete_many
from zlake.storage.local import LocalStore
from zlake.storage.probe import is_probe
from zlake.storage.store import Store
from zlake.versions.repository import Repository

MAIN = "main"


def split_address(path: str) -> tuple[str, str | None]:
    """Split ``path@address`` into the path and the branch, tag or commit; an ``@`` in a folder's name stays.

    Examples
    --------
    >>> split_address("s3://bucket/data@v1")
    ('s3://bucket/data', 'v1')
    >>> split_address("/home/me@work/data")
    ('/home/me@work/data', None)
    """
    head, at, address = path.rpartition("@")
    if not at or ("/" in address and "://" in address) or _is_userinfo(head, address):
        return path, None
    # a branch may be called team/x, so a slash behind the @ is a version only where the front is no folder's name
    if "/" in address and not _is_dataset_path(head):
        return path, None
    if not head:
        raise InvalidPathException(f"{path!r} names a version but no dataset; use path@version")
    if not address:
        raise InvalidPathException(f"{path!r} ends with '@' but names no version; use path@branch, @tag or @commit")
    return head, address


def _is_userinfo(head: str, address: str) -> bool:
    """Whether the ``@`` between them belongs to a URL, as in ``sftp://me@host/path``: a user comes before it."""
    scheme, is_url, front = head.partition("://")
    if not is_url or scheme in ("mem", "memory"):
        return False
    return "/" not in front and ("/" in address or ":" in front)


def _is_dataset_path(path: str) -> bool:
    return "://" in path or os.path.exists(os.path.join(path, "zarr.json"))


def make_context(
    context: Context | None = None,
    memory_cache_size: int | None = None,
    local_cache_size: int | None = None,
    durable: bool | None = None,
) -> Context:
    """Return the context with cache sizes in MB applied, and whether writes wait for the device."""
    context = context or Context()
    if durable is not None:
        if not isinstance(durable, bool):
            raise TypeError(f"durable is True, False or None (as the context says, which is True), not {durable!r}")
        context = replace(context, durable=durable)
    if memory_cache_size is not None:
        context = replace(context, cache_bytes=memory_cache_size * MIB)
    if local_cache_size:
        context = replace(context, disk_cache_bytes=local_cache_size * MIB)
    return context


def store_at(path: str, creds: Mapping[str, Any] | str | None, context: Context, read_only: bool = False) -> Store:
    """Return the store below a path or URL; a session that may become writable needs one that is not read-only."""
    return open_store(path, creds=creds, context=context, read_only=read_only)


def create_session(store: Store, context: Context, *, overwrite: bool, single_writer: bool = False) -> Session:
    """Create an empty dataset and open it.

    What an earlier call left that was cut short is made use of: a creation is completed, and a deletion too if
    ``overwrite`` is true.

    Raises
    ------
    DatasetExistsError
        If there is one and ``overwrite`` is false.
    PathNotEmptyException
        If the path holds something else.
    """
    fork.check_script()
    if not is_dataset(store):
        _make_room(store, overwrite)
    elif not _is_unfinished(store):
        if not overwrite:
            raise DatasetExistsError(
                f"there is a dataset at {store.url} already; load it, or pass overwrite=True to delete it first"
            )
        delete_all(store)
    repository = Repository.create(store, context, single_writer=single_writer)
    return Session(repository, repository.head(MAIN))


def _make_room(store: Store, overwrite: bool) -> None:
    """Check that a path without a dataset is empty, or holds nothing but what a deletion left that was cut short."""
    if not store.capabilities.listable:
        return
    left = 0
    for key in store.list(""):
        if key != paths.root_key() and paths.is_dataset_key(key):
            left += 1
        elif not is_probe(key):
            raise PathNotEmptyException(
                f"{store.url} is no dataset but holds objects ({key!r} for one); choose an empty path"
            )
    if left and not overwrite:
        raise PathNotEmptyException(
            f"{store.url} holds {left} objects of a dataset whose {paths.root_key()!r} is missing; restore it from a "
            "copy, choose an empty path, or pass overwrite=True to delete what is left"
        )
    if left:
        delete_all(store)


def _is_unfinished(store: Store) -> bool:
    """Whether creating the dataset was cut short, so that there is nothing in it yet, not even its branch."""
    return (
        store.capabilities.listable
        and store.read(paths.branch_key(MAIN)) is None
        and next(iter(store.list(paths.COMMITS)), None) is None
    )


def delete_all(store: Store) -> None:
    """Delete every object of a store; the root goes first, so that a half-deleted dataset is none."""
    fork.check_script()
    if store.read(paths.root_key()) is not None:  # deleting what is not there would make folders for it
        store.delete(paths.root_key())
    delete_many(store, store.list(""))
    if isinstance(store, LocalStore) and (root := store.local_path(paths.root_key())) is not None:
        _remove_empty_folders(os.path.dirname(root))


def _remove_empty_folders(top: str) -> None:
    """Remove a folder and those below it; one that is not empty, because somebody writes there again, stays."""
    for folder, _, _ in os.walk(top, topdown=False):
        with suppress(OSError):
            os.rmdir(folder)


def is_dataset(store: Store) -> bool:
    """Whether the store holds a zlake dataset."""
    found = store.read(paths.root_key())
    return found is not None and b'"zlake"' in found


def open_session(
    store: Store,
    context: Context,
    address: str | None,
    read_only: bool | None,
    *,
    committed: bool = False,
    single_writer: bool = False,
    reset: bool = False,
) -> Session:
    """Open a dataset at a branch (by default ``main``), a tag or a commit.

    A tag or commit can be written too: the first change makes a branch there.

    Parameters
    ----------
    store
        Where it lies.
    context
        Clock, ids, limits.
    address
        Branch, tag, commit id or the beginning of one.
    read_only
        None opens for writing where the storage allows, unless ``committed``.
    committed
        Open the branch's newest commit instead of its staged state.
    single_writer
        Write also where the storage has no conditional writes.
    reset
        Drop what is staged on the branch if it is damaged.
    """
    repository = Repository.open(store, context, single_writer=single_writer)
    head = open_head(repository, MAIN if address is None else address, reset)
    if committed and head.branch is not None:
        head = repository.committed(head)
    writable = store.capabilities.writable and not committed
    return Session(repository, head, read_only=not writable if read_only is None else read_only)


@dataclass(frozen=True)
class Portable:
    """A dataset at one snapshot as it travels to another process: no open files, no samples.

    Attributes
    ----------
    store
        Where it lies; stores pickle without secrets in the clear.
    branch
        The branch it was opened at, or None.
    snapshot
        Id of the snapshot, staged or committed; empty where the branch has none yet.
    read_only
        Whether to open it read-only.
    """

    store: Store
    branch: str | None
    snapshot: str
    read_only: bool = True

    @classmethod
    def of(cls, session: Session) -> Portable:
        """Return the portable form of a session without unflushed changes.

        Raises
        ------
        MemoryDatasetCanNotBePickledError
            If the dataset lies in this process's memory.
        """
        if not session.store.capabilities.shared:
            raise MemoryDatasetCanNotBePickledError(
                f"{session.store.url} lives in this process's memory and cannot travel to another; "
                "put the dataset at a path first"
            )
        return cls(session.store, session.head.branch, session.head.snapshot.id, session.read_only)

    def open(self) -> Session:
        """Open the very snapshot, in this process."""
        repository = Repository.open(self.store, Context())
        head = repository.at(self.snapshot, self.branch)
        # what was a branch and has moved on is read where it was; to write there would make a branch by surprise
        moved = self.branch is not None and head.branch is None
        return Session(repository, head, read_only=self.read_only or moved)
