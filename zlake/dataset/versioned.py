"""The part of a dataset's face that deals with its versions: commits, branches, tags, diff and merge."""

from __future__ import annotations

from typing import Any

from zlake.dataset import show
from zlake.dataset.structure import Structure
from zlake.session import commit


class Versioned(Structure):
    """What a dataset can do with its versions."""

    __slots__ = ()

    def commit(self, message: str | None = None, allow_empty: bool = False, author: str | None = None) -> str:
        """Record the branch's staged state, with everything written so far, as a commit; return its id.

        Raises
        ------
        EmptyCommitError
            If nothing changed since the last commit and ``allow_empty`` is false.
        ConflictError
            If another writer changed the same rows; nothing is lost.
        CommitStateUnknownError
            If the storage stopped answering at the last step.
        """
        self._whole("commit")
        return commit.commit(self._session, message or "", author, allow_empty)

    @property
    def commit_id(self) -> str | None:
        """Id of the commit that this version is, or is based on; None before the first."""
        return commit.commit_id(self._session)

    @property
    def branch(self) -> str | None:
        """The branch that is open, or None at a past commit."""
        return self._session.head.branch

    @property
    def has_head_changes(self) -> bool:
        """Whether anything was written since the last commit."""
        return commit.has_changes(self._session)

    @property
    def commits(self) -> list[dict[str, Any]]:
        """The commits of this version, newest first: ``commit``, ``author``, ``time`` (UTC), ``message``."""
        return commit.commits(self._session)

    def log(self) -> None:
        """Print the commits of this version, newest first."""
        show.log(self._session)
