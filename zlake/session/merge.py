"""Bringing two lines of history together as a session sees it: merge, cherry-pick, revert and rebase."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

from zlake import limits
from zlake.errors import (
    CommitStateUnknownError,
    ConflictError,
    EmptyCommitError,
    MergeConflictError,
    MergeError,
)
from zlake.format.documents import Snapshot
from zlake.session import commit as committing
from zlake.session.conflict import MergeConflict, Values
from zlake.session.doubts import landed_before, noting
from zlake.session.flush import Rows
from zlake.session.named import commit_at
from zlake.session.session import Session, alone
from zlake.versions import conflicts
from zlake.versions.head import Head
from zlake.versions.merge import MergeOptions
from zlake.versions.read_head import detached

Resolution = Literal["ours", "theirs"] | Callable[[MergeConflict], Literal["ours", "theirs"] | None] | None


@alone
def merge(
    session: Session,
    address: Any,
    resolution: Resolution,
    delete_removed_tensors: bool,
    force: bool,
    message: str | None,
    author: str | None,
) -> str | None:
    """Merge another version into the branch; return the new commit, or None if there was nothing to merge."""
    repository = session.repository
    job = _Job(session, "merge", address, resolution, message, author)
    if job.landed is not None:
        return job.landed
    theirs = repository.resolve(address)
    branch = session.head.branch
    if theirs.branch is not None and theirs.branch == branch:
        return _nothing(f"{address!r} is the branch that is open: there is nothing to merge")
    if theirs.ref.staged is None and theirs.ref.commit is None:
        return _nothing(f"{address!r} has no commit and nothing staged: there is nothing to merge")
    if theirs.ref.staged is None and repository.contains(session.head.snapshot, theirs.snapshot):
        return _nothing(f"{address!r} is part of this version already: there is nothing to merge")
    title = message or f"Merge {theirs.branch or theirs.ref.commit} into {branch or 'a new branch'}"
    first = session.head.ref.commit is None and session.head.ref.staged is not None
    name = f"{address!r} into {branch!r}" if branch else repr(address)
    options = MergeOptions(title, job.author, name, job.resolution, delete_removed_tensors, force)
    if first or theirs.ref.staged is not None:
        with job.telling():  # before anything is committed, so that a conflict changes nothing
            repository.merge(detached(session.head.snapshot), theirs.snapshot, options, job.readers)
    guarded = theirs.branch is None
    target = _committed(session, theirs, f"Auto commit before merging into {branch or 'another branch'}", job.author)
    if first:
        try:
            committing.commit(session, f"Auto commit before merging {address}", job.author, False)
        except EmptyCommitError:  # others have just committed it
            session.refresh()
        options = replace(options, force=True)
    found = job.run(lambda head: repository.merge(head, target, options, job.readers, guarded=guarded))
    return found or _nothing(f"{address!r} is part of this branch already: there is nothing to merge")


@alone
def cherry_pick(session: Session, address: Any, resolution: Resolution) -> str | None:
    """Make what one commit changed again on the branch; return the new commit, or None if all of it is there."""

    def make(job: _Job, head: Head, commit: Snapshot, guarded: bool) -> Head | None:
        return session.repository.cherry_pick(head, commit, job.readers, job.resolution, guarded=guarded)

    nothing = f"all that {address!r} changed is here already: there is nothing to pick"
    return _made(session, "cherry-pick", address, resolution, make, nothing)


@alone
def revert(session: Session, address: Any, resolution: Resolution) -> str | None:
    """Undo what one commit changed; return the new commit, or None if nothing of it is left."""

    def make(job: _Job, head: Head, commit: Snapshot, guarded: bool) -> Head | None:
        return session.repository.revert(head, commit, job.author, job.readers, job.resolution, guarded=guarded)

    nothing = f"nothing of what {address!r} changed is left here: there is nothing to revert"
    return _made(session, "revert", address, resolution, make, nothing)


@alone
def rebase(session: Session, address: Any, resolution: Resolution) -> str | None:
    """Put the branch on top of another version; return its newest commit, or None if it was there already."""

    def make(job: _Job, head: Head, commit: Snapshot, guarded: bool) -> Head | None:
        return session.repository.rebase(head, commit, job.readers, job.resolution, guarded=guarded)

    nothing = f"this branch is on top of {address!r} already: there is nothing to rebase"
    return _made(session, "rebase", address, resolution, make, nothing)


def _made(
    session: Session,
    what: str,
    address: Any,
    resolution: Resolution,
    make: Callable[[_Job, Head, Snapshot, bool], Head | None],
    nothing: str,
) -> str | None:
    """Bring the branch to what ``make`` makes of it and of the commit at an address; says if nothing is made."""
    job = _Job(session, what, address, resolution)
    if job.landed is not None:
        return job.landed
    head = session.repository.resolve(address)
    commit = session.repository.snapshot(commit_at(session, head))
    guarded = head.branch is None  # a branch keeps what it names
    return job.run(lambda head: make(job, head, commit, guarded)) or _nothing(nothing)


class _Job:
    """One such call: made ready, carried out, and found again if its answer was lost.

    What is buffered is flushed first, so that it is a part of the branch.

    Attributes
    ----------
    landed
        The commit of the same call made before, of which nobody could tell how it ended, if it landed.
    author
        Who commits.
    resolution
        Who decides about conflicts, as the versions ask; a function is asked about each conflict once.
    """

    def __init__(
        self,
        session: Session,
        what: str,
        address: Any,
        resolution: Resolution,
        message: str | None = None,
        author: str | None = None,
    ) -> None:
        if not (resolution in (None, "ours", "theirs") or callable(resolution)):
            raise MergeError(f"conflict_resolution is 'ours', 'theirs', a function or None, not {resolution!r:.100}")
        session.check_writable()
        committing.check_text("message", message or "", limits.MAX_MESSAGE_BYTES)
        committing.check_text("author", author or "", limits.MAX_AUTHOR_BYTES)
        self.session = session
        self.author = author or committing.default_author()
        self._what, self._address = what, address
        self._values = Values(session.repository)
        self._asked: dict[conflicts.Conflict, Any] = {}
        self.resolution: conflicts.Resolution = self._decide_by(resolution) if callable(resolution) else resolution
        session.drop_interrupted()
        session.recover()
        self.landed = landed_before(session, *self._name, self._again)
        if self.landed is None and session.changed:
            session.flush()

    @property
    def _name(self) -> tuple[str, str]:
        """What an attempt is remembered by; on the branch that it is made on, so that a repeated call asks for it."""
        return self._what, f"{self.session.head.branch} {self._address}"

    def _again(self, error: CommitStateUnknownError) -> str | None:
        """Return the commit of a call of which nobody could tell, if it landed; then go on from there."""
        session, repository = self.session, self.session.repository
        assert session.head.branch is not None  # else no write was tried
        head = repository.settle(session.head.branch, error)
        if head is None:
            return None
        snapshot = repository.snapshot(error.commit_id)
        commit = snapshot if snapshot.kind == "commit" else repository.snapshot(snapshot.parents[0])
        session.go_on(head)
        return commit.id

    def readers(self, *snapshots: Snapshot) -> Rows:
        """Return what reads rows of tensors of these snapshots."""
        return Rows(self.session, *snapshots)

    def run(self, do: Callable[[Head], Head | None]) -> str | None:
        """Bring the branch to what ``do`` makes of it; return the commit, or None if it makes nothing.

        At a past commit a branch is made, but not for nothing: it is tried first whether anything will land on it.
        """
        session = self.session
        if session.head.branch is None:
            with self.telling():
                if do(session.head) is None:
                    return None
        session.attach()
        with noting(session, *self._name), self.telling(), session.advising():
            head = do(session.head)
        session.go_on(session.repository.head(str(session.head.branch)) if head is None else head)
        return None if head is None else str(head.ref.commit)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Let the conflicts of an error read their samples."""
        try:
            yield
        except MergeConflictError as error:
            found = tuple(MergeConflict(each, self._values) for each in error.conflicts)
            raise MergeConflictError(str(error), found) from None
        except ConflictError as error:  # names that clash only when everything is put together
            found = tuple(
                MergeConflict(conflicts.Conflict(tensor, sample_id, kind), self._values)
                for tensor, sample_id, kind in error.conflicts
            )
            raise MergeConflictError(f"{error}; nothing was changed", found) from error

    def _decide_by(self, function: Callable[[MergeConflict], Any]) -> Callable[[conflicts.Conflict], Any]:
        def decide(conflict: conflicts.Conflict) -> Any:
            if conflict not in self._asked:
                self._asked[conflict] = function(MergeConflict(conflict, self._values))
            return self._asked[conflict]

        return decide


def _committed(session: Session, theirs: Head, message: str, author: str) -> Snapshot:
    """Return the commit to merge, after committing what is staged on the branch that it comes from."""
    repository = session.repository
    branch = theirs.branch
    if theirs.ref.staged is not None and branch is not None:
        try:
            theirs = repository.commit(theirs, None, message, author, reader=Rows(session, theirs.snapshot))
        except EmptyCommitError:  # others have just committed it
            theirs = repository.head(branch)
    assert theirs.ref.commit is not None
    return repository.snapshot(theirs.ref.commit)


def _nothing(text: str) -> str | None:
    """Say why there is nothing to do; it is no error."""
    print(text)
    return None
