"""Commits as a session sees them."""

from __future__ import annotations

import datetime
import getpass
import os
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from zlake import limits
from zlake.errors import CommitError, EmptyCommitError
from zlake.format.documents import CommitBrief, Snapshot
from zlake.session import flush as flushing
from zlake.session.session import Session, alone


@alone
def commit(session: Session, message: str, author: str | None, allow_empty: bool) -> str:
    """Commit what is staged and what is buffered, and go on from there; return the commit id."""
    session.check_writable()
    check_text("message", message, limits.MAX_MESSAGE_BYTES)
    check_text("author", author or "", limits.MAX_AUTHOR_BYTES)
    session.drop_interrupted()
    done = session.recover()
    if done is not None and session.repository.snapshot(done).kind == "commit":
        # the same commit, tried again after an answer that was lost
        session.flushed = False
        return done
    if session.head.branch is None and not (session.changed or allow_empty):
        raise EmptyCommitError("there is nothing to commit; pass allow_empty=True to commit all the same")
    session.attach()
    with session.noting_doubt(), session.advising():
        head = session.repository.commit(
            session.head,
            flushing.changes(session),
            message,
            author or default_author(),
            allow_empty,
            flushing.Rows(session),
            flushed=session.flushed,
        )
    session.adopt(head)
    session.flushed = False
    return str(head.ref.commit)


def check_text(what: str, text: Any, most: int) -> None:
    """Refuse what no commit document can hold, before anything is written."""
    if not isinstance(text, str):
        raise CommitError(f"the {what} of a commit is text, not {text!r:.100} ({type(text).__name__})")
    try:
        size = len(msgspec.json.encode(text)) - 2
    except UnicodeEncodeError:
        raise CommitError(f"the {what} of a commit holds half a character: {text!r:.100} is no valid Unicode") from None
    if size > most:
        raise CommitError(f"the {what} of a commit has at most {most:,} bytes, not {size:,}; keep long text in ds.info")


def default_author() -> str:
    """Return who commits: ``ZLAKE_AUTHOR``, git's environment or configuration, or else the user's name."""
    chosen = os.environ.get("ZLAKE_AUTHOR")
    if chosen:
        return chosen
    name = os.environ.get("GIT_AUTHOR_NAME") or _git("user.name")
    if name:
        email = os.environ.get("GIT_AUTHOR_EMAIL") or _git("user.email")
        return f"{name} <{email}>" if email else name
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"


@cache
def _git(setting: str) -> str:
    """Return a setting of git, once for the process; empty where it is not set, or there is no git."""
    try:
        found = subprocess.run(
            ["git", "config", "--get", setting], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return found.stdout.strip()


def commit_id(session: Session) -> str | None:
    """Return the newest commit at or below the session's version."""
    snapshot = session.head.snapshot
    if snapshot.kind == "commit":
        return snapshot.id or None
    return snapshot.parents[0] if snapshot.parents else None


def has_changes(session: Session) -> bool:
    """Whether anything is staged or buffered on top of the newest commit."""
    return session.changed or session.head.has_staged_changes


def history(session: Session) -> Iterator[CommitBrief]:
    """Yield the commits of the version, newest first, reading one history page per 64."""
    return session.repository.log(session.head.snapshot)


def commits(session: Session) -> list[dict[str, Any]]:
    """Return the commits of the version, newest first, as dictionaries."""
    return [described(brief) for brief in history(session)]


def described(found: CommitBrief | Snapshot) -> dict[str, Any]:
    """Return a commit as a dictionary."""
    return {
        "commit": found.id,
        "author": found.author,
        "time": datetime.datetime.fromtimestamp(found.time, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "message": found.message,
    }
