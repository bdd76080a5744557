"""Switching a session to another branch, tag or commit, making branches, and dropping what is not committed."""

from __future__ import annotations

from functools import partial
from typing import Any

from zlake.errors import (
    BranchDeletedError,
    CheckoutError,
    ConflictError,
    EmptyCommitError,
    FormatError,
    NothingToResetError,
    StaleSessionError,
    UnsupportedFormatError,
)
from zlake.format.names import check_ref_name, is_id
from zlake.session import commit
from zlake.session.doubts import branch_landed, once
from zlake.session.session import Session, alone
from zlake.versions.head import Head
from zlake.versions.repository import Repository


@alone
def checkout(session: Session, address: Any, create: bool = False, reset: bool = False) -> str | None:
    """Go to another version and return the id of its newest commit, None before the first.

    Parameters
    ----------
    session
        The session.
    address
        Branch, tag, commit id or the beginning of one; with ``create`` the name of a branch to make.
    create
        Commit what is staged and buffered, make a branch there, and go on on it. If the branch that is left was
        deleted or reset meanwhile, or has changes that conflict with what is buffered, the new one starts from what
        this session knows of it, and nothing is lost.
    reset
        If what is staged on the branch is damaged, drop it.
    """
    session.drop_interrupted()
    if create:
        _create(session, address)
    else:
        _switch(session, address, reset)
    return commit.commit_id(session)


def _switch(session: Session, address: Any, reset: bool) -> None:
    head = open_head(session.repository, address, reset)  # raises before anything is changed
    if session.changed:
        session.flush()
        if head.branch == session.head.branch:
            return
    if head.branch is None or head.branch != session.head.branch:
        session.flushed = False
    session.adopt(head)


def open_head(repository: Repository, address: Any, reset: bool = False) -> Head:
    """Return the version that an address names; with ``reset`` drop what is staged on a branch if it is damaged."""
    try:
        return repository.resolve(address)
    except FormatError as error:
        head = None if is_id(address) else repository.unread(address)
        if head is None or head.ref.staged is None:
            raise
        if reset:
            return repository.reset(head, force=True)
        if isinstance(error, UnsupportedFormatError):
            raise
        instead = f", or load commit {head.ref.commit}" if head.ref.commit else ""
        raise type(error)(
            f"{error}; it is what is staged on branch {address!r}: pass reset=True to drop it{instead}"
        ) from error


def _create(session: Session, name: Any) -> None:
    if is_id(name):
        raise CheckoutError(f"{name!r} reads like a commit id, and cannot name a branch; choose another name")
    check_ref_name(name)
    session.check_writable()
    repository = session.repository
    session.recover()
    carried, guarded = False, session.head.branch is None
    if session.head.branch is not None and _is_uncommitted(session):
        if ("create branch", name) not in session.doubts:
            repository.check_free(name)  # before anything is committed
        try:
            _commit_all(session, name)
        except (BranchDeletedError, ConflictError, StaleSessionError):
            carried = guarded = True
    start = session.head
    make = partial(repository.create_branch, name, start, staged=carried, guarded=guarded)
    made = once(session, "create branch", name, make, branch_landed(session, name))
    if made.snapshot.id != start.snapshot.id and not session.changed:
        session.adopt(made)  # made by an earlier attempt, and others have written to it since
    else:
        # what is buffered fits the snapshot as it did; one that is outdated makes the next write find that out
        generation = made.generation if made.snapshot.id == start.snapshot.id else start.generation
        session.head = Head(made.branch, made.ref, generation, start.snapshot)
    session.flushed = carried and made.ref.staged is not None
    if session.changed and not session.depth:
        session.flush()


def _is_uncommitted(session: Session) -> bool:
    """Whether there is anything to commit: also nothing at all at first, for the branches to have that in common."""
    return session.changed or session.head.ref.staged is not None or session.head.ref.commit is None


def _commit_all(session: Session, name: str) -> None:
    """Commit what is staged and buffered."""
    try:
        commit.commit(session, f"Auto commit before checkout to {name}", None, False)
    except EmptyCommitError:  # others have committed what was staged
        assert session.head.branch is not None
        session.adopt(session.repository.head(session.head.branch))


@alone
def reset(session: Session, force: bool = False) -> None:
    """Drop what is staged on the branch, whoever staged it, and what this session has not flushed.

    Raises
    ------
    NothingToResetError
        If nothing is staged as far as this session knows, and nothing buffered, unless ``force``.
    StaleSessionError
        If others have staged more since this session looked, or committed it, unless ``force``; nothing was dropped.
    """
    session.drop_interrupted()
    session.check_writable()
    session.recover()
    if session.head.branch is None or (session.head.ref.staged is None and not force):
        if not session.changed and not force:
            raise NothingToResetError(
                f"{session.store.url}: nothing is staged and nothing buffered, so there is nothing to reset; "
                "commits are undone by revert"
            )
        session.adopt(session.head)
        return
    session.adopt(session.repository.reset(session.head, force=force))
    session.flushed = False
