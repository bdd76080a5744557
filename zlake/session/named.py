"""Branches and tags as a session sees them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zlake.errors import CommitStateUnknownError, VersionControlError
from zlake.format.documents import CommitBrief
from zlake.session import commit
from zlake.session.doubts import Find, branch_landed, once, settled
from zlake.session.session import Session, alone
from zlake.versions.head import Head
from zlake.versions.read_head import MAIN


def _tag_landed(session: Session, name: str) -> Find[bool]:
    def find(error: CommitStateUnknownError) -> bool | None:
        found = session.repository.find_tag(name)
        return True if found is not None and found.write_id == error.write_id else None

    return find


def branches(session: Session) -> list[str]:
    """Return the names of all branches; there is always ``main``, also where the first write to it is still to come."""
    return sorted({MAIN, *session.repository.branches()})


@alone
def delete_branch(session: Session, name: str) -> None:
    """Delete a branch, so that it can be restored."""
    session.check_writable()
    if name == session.head.branch:
        raise VersionControlError(
            f"{session.store.url}: branch {name!r} is open here, and cannot be deleted; check another one out first"
        )
    once(session, "delete branch", name, lambda: session.repository.delete_branch(name), branch_landed(session, name))


@alone
def restore_branch(session: Session, name: str) -> None:
    """Bring a deleted branch back as it was."""
    session.check_writable()
    repository = session.repository
    head = once(session, "restore branch", name, lambda: repository.restore_branch(name), branch_landed(session, name))
    if session.head.branch == name and session.head.ref.deleted:
        session.adopt(head)


@alone
def landed(session: Session, error: object) -> bool:
    """Say whether a write landed of which an error says that nobody knows, of this session or of another one.

    Raises
    ------
    CommitStateUnknownError
        The same one, if it still cannot be known.
    VersionControlError
        If the error is another one, or does not say which branch was written.
    """
    if not isinstance(error, CommitStateUnknownError) or not error.branch:
        raise VersionControlError(
            f"{error!r:.300} is not about a branch that was written: landed() takes the CommitStateUnknownError of a "
            "write. Of a tag, look whether it is among the tags"
        )
    session.check_writable()  # it may take a write to make sure
    return settled(error, branch_landed(session, error.branch)) is not None


@alone
def tag(session: Session, name: str, address: str | None) -> str:
    """Name a commit, by default the newest of this version, and return its id."""
    session.check_writable()
    repository = session.repository
    if address is None:
        commit_id, guarded = commit.commit_id(session), session.head.branch is None
        if commit_id is None:
            raise VersionControlError(f"{session.store.url} has no commit yet for tag {name!r} to name; commit first")
    else:
        head = repository.resolve(address)
        commit_id = commit_at(session, head)
        guarded = head.branch is None and not _leads_here(session, commit_id)
    once(
        session,
        "tag",
        name,
        lambda: repository.create_tag(name, commit_id, guarded=guarded),
        _tag_landed(session, name),
    )
    return commit_id


def _leads_here(session: Session, commit_id: str) -> bool:
    """Whether it can be told without a read that a commit leads to the branch that is open, which keeps it."""
    head = session.head
    return head.branch is not None and commit_id in (head.ref.commit, *(brief.id for brief in head.snapshot.recent))


def commit_of(session: Session, address: Any) -> str:
    """Return the id of the newest commit of a branch, tag, commit id or the beginning of one."""
    return commit_at(session, session.repository.resolve(address))


def commit_at(session: Session, head: Head) -> str:
    """Return the id of the newest commit of a head."""
    if head.ref.commit is None:
        raise VersionControlError(f"{session.store.url}: branch {head.branch!r} has no commit yet")
    return head.ref.commit


@alone
def delete_tag(session: Session, name: str) -> None:
    """Delete a tag; the commit stays."""
    session.check_writable()
    once(session, "delete tag", name, lambda: session.repository.delete_tag(name), _tag_landed(session, name))


def details(session: Session, address: Any) -> dict[str, Any]:
    """Return what `commits` says of one commit, and its parents."""
    snapshot = session.repository.snapshot(commit_of(session, address))
    return {**commit.described(snapshot), "parents": list(snapshot.parents)}


def labels(session: Session) -> dict[str, list[str]]:
    """Return the names of branches and tags by the commit that they name; nothing where the storage cannot list."""
    found: dict[str, list[str]] = {}
    if session.store.capabilities.listable:
        for name, ref in session.repository.branches().items():
            if ref.commit is not None:
                shown = f"{name}, staged changes" if ref.staged is not None else name
                found.setdefault(ref.commit, []).append(shown)
        for name, commit_id in session.repository.tags().items():
            found.setdefault(commit_id, []).append(f"tag: {name}")
    return found


def graph(session: Session, named: dict[str, list[str]], everything: bool) -> Iterator[CommitBrief]:
    """Yield the commits of the version through all parents, each before its parents; with ``everything`` all named."""
    tips = [session.head.snapshot]
    if everything:
        tips += [session.repository.snapshot(commit_id) for commit_id in named]
    return session.repository.ancestors(*tips)


def pending_commit_id(session: Session) -> str | None:
    """Return the id of the staged state that the next commit would record, None if nothing is staged."""
    return session.head.ref.staged
