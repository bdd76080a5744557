"""Commits sent to, and fetched from, another clone of the dataset that is open."""

from __future__ import annotations

from functools import partial

from zlake.context import Context
from zlake.errors import CheckoutError, CommitStateUnknownError, ReadOnlyModeError, StorageError
from zlake.format import paths
from zlake.format.names import check_ref_name
from zlake.session.flush import Rows
from zlake.session.session import Session, alone
from zlake.storage.store import Store
from zlake.versions import refs
from zlake.versions.bring import How
from zlake.versions.claim import check_apart, claim
from zlake.versions.compare import changes_between
from zlake.versions.conflicts import Conflicts, conflict_error
from zlake.versions.draft import Draft
from zlake.versions.exchange import Exchange, Exchanged
from zlake.versions.head import Head
from zlake.versions.protocol import write_pages, write_snapshot
from zlake.versions.read_head import MAIN
from zlake.versions.rebase import carry
from zlake.versions.repository import Repository
from zlake.versions.safety import check_writable
from zlake.versions.stage import build_staged


def push(
    session: Session,
    dest: Store,
    context: Context,
    branch: str | None,
    into: str | None,
    *,
    force: bool,
    tags: bool,
    how: How,
    single_writer: bool,
) -> Exchanged:
    """Bring a branch of another clone, or of a new one, to the newest commit of one of ours.

    Parameters
    ----------
    session
        The session; what it has not committed stays here.
    dest
        Where the other clone lies, or is to lie.
    context
        Of the other clone.
    branch
        Name of our branch; by default the one that is open.
    into
        Name of theirs; by default the same.
    force, tags, how
        As in `zlake.versions.exchange.Exchange`.
    single_writer
        Write even where the storage has no conditional writes.
    """
    branch, into = _names(session, branch, into)
    source = session.repository
    check_apart(source.store, dest)
    if dest.read(paths.root_key()) is not None:
        check_writable(dest, single_writer=single_writer)
        theirs = Repository.open(dest, context, single_writer=single_writer)
        return Exchange(source, theirs, branch, into, force, tags, how=how).run()
    source.head(branch)  # raises before anything is written
    place = claim(dest, source.store, source.root.dataset_id, context, single_writer=single_writer)
    theirs = Repository(dest, context, source.root, single_writer=single_writer)
    done = Exchange(source, theirs, branch, into, force, tags, there=place.there, how=how).run()
    if into != MAIN:  # every dataset has it
        refs.create_branch(dest, MAIN, refs.first_ref(context))
    place.finish(source.root)
    return done


@alone
def pull(
    session: Session, source: Repository, branch: str | None, into: str | None, *, force: bool, tags: bool, how: How
) -> Exchanged:
    """Bring a branch of ours to the newest commit of a branch of another clone.

    If it is the branch that is open, what is staged on it follows, and the session goes on from there.

    Parameters
    ----------
    session
        The session; what is buffered is flushed first.
    source
        The other clone.
    branch
        Name of their branch; by default that of the one that is open.
    into
        Name of ours; by default the same.
    force, tags, how
        As in `zlake.versions.exchange.Exchange`.

    Raises
    ------
    ConflictError
        If what is staged changes the same rows as the commits that were fetched; the branch is as it was.
    CommitStateUnknownError
        If no answer came when the branch was to be moved, or read again.
    """
    branch, into = _names(session, branch, into)
    if session.read_only or not session.store.capabilities.writable:
        raise ReadOnlyModeError(f"{session.store.url} is open read-only; load it with read_only=False to pull into it")
    check_apart(source.store, session.store)
    if session.changed:
        session.flush()
    carry = None if force else partial(_carry, session)
    with session.advising():
        done = Exchange(source, session.repository, branch, into, force, tags, carry, how=how).run()
    if into == session.head.branch:
        try:
            session.adopt(session.repository.head(into))
        except StorageError as error:
            raise CommitStateUnknownError(
                f"{session.store.url}: branch {into!r} names {done.commit} now, but the storage stopped answering "
                "before this session had read it; call refresh(), or pull again",
                done.commit or "",
            ) from error
    return done


def _names(session: Session, branch: str | None, into: str | None) -> tuple[str, str]:
    name = session.head.branch if branch is None else branch
    if name is None:
        raise CheckoutError(
            f"{session.store.url} is at the past commit {session.head.snapshot.id}, on no branch; say which branch"
        )
    for each in (name, name if into is None else into):
        check_ref_name(each)
    return name, name if into is None else into


def _carry(session: Session, old: Head, new: Head) -> str | None:
    """Stage on another commit what is staged on a branch; return the id of the snapshot, None if nothing is left."""
    repository, context = session.repository, session.context
    objects = repository.objects
    base = repository.committed(old).snapshot
    reader = Rows(session, base, old.snapshot, new.snapshot)
    staged, conflicts = changes_between(base, old.snapshot, objects, reader), Conflicts()
    # some of it may have been committed in the other clone, if that was made when it was staged here
    changes = carry(base, staged, new.snapshot, objects, reader, conflicts, old.snapshot)
    if conflicts.found:
        raise conflict_error(conflicts.found)
    if changes.is_empty:
        return None
    draft = Draft(objects, context)
    proposal = build_staged(new, changes, draft, objects, context)
    write_pages(objects.store, draft)
    write_snapshot(objects.store, proposal.snapshot)
    return proposal.snapshot.id
