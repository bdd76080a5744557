"""Bringing a branch to what is made of the whole of it, or finding out beforehand what would come of that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zlake.context import Context
from zlake.versions.changes import NO_CHANGES
from zlake.versions.draft import Draft
from zlake.versions.head import Head
from zlake.versions.objects import Objects
from zlake.versions.protocol import Proposal, publish

Make = Callable[[Objects, Head, Draft], Proposal]
"""Makes the next state of a branch out of what it is."""


class NothingToDoError(Exception):
    """The branch has already what was to be brought to it. Never leaves this package."""


class Scratch(Objects):
    """Objects of which some are in memory alone, so that nothing may be forgotten."""

    def remember(self, kind: str, object_id: str, value: Any) -> None:
        """Keep a decoded object for good."""
        with self._lock:
            self._memory[kind][object_id] = value


def land(objects: Objects, context: Context, head: Head, make: Make) -> Head | None:
    """Publish what ``make`` makes of a branch, made anew if the branch moves meanwhile.

    Of a head that is no branch no version is written: this rehearses what a branch that begins there would come to, and
    raises what would be raised.

    Parameters
    ----------
    objects, context
        The dataset's objects; clock and ids.
    head
        The branch as the caller knows it, or a commit.
    make
        Makes its next state; raises `NothingToDoError` if there is none.

    Returns
    -------
    Head or None
        The branch in its next state, or the commit as it was given; None if there is nothing to do.

    Raises
    ------
    CommitStateUnknownError, CommitError
        As of `zlake.versions.protocol.publish`.
    """
    try:
        if head.branch is None:
            scratch = Scratch(objects.store)
            make(scratch, head, Draft(scratch, context))
            return head
        return publish(
            objects,
            context,
            head,
            NO_CHANGES,
            lambda head, _, draft: make(objects, head, draft),
            lambda *_: NO_CHANGES,
        )
    except NothingToDoError:
        return None
