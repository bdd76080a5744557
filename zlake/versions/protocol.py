"""The write protocol: segments, which the caller wrote; then pages; then the snapshot; then the swap of the branch.

Each step is a function of its own, so that tests can stop between any two. A crash leaves objects that nothing names,
never a branch that names something unfinished.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from zlake.context import Context
from zlake.errors import (
    CommitError,
    ObjectExistsError,
    StaleSessionError,
    StorageUnavailableError,
    WriteStateUnknownError,
)
from zlake.format import encode, paths
from zlake.format.documents import Ref, Snapshot
from zlake.storage.store import Lost, Store, Versioned, Written
from zlake.versions import refs
from zlake.versions.changes import Changes, RowReader
from zlake.versions.draft import Draft
from zlake.versions.head import Head
from zlake.versions.objects import Objects
from zlake.versions.overtaken import look_back
from zlake.versions.read_head import read_head
from zlake.versions.rebase import rebase

ATTEMPTS: Final = 1024
"""Swaps that a writer may lose in a row before it gives up."""
_LONGEST_WAIT: Final = 1.0
_WIDEST: Final = 4
"""Waits are of up to two to this power times as long as an attempt takes."""
_PATIENCE: Final = 7
"""Swaps that a writer loses before it waits less and less."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A snapshot, and the branch document that will name it; ``stored`` if the snapshot is in the storage already."""

    snapshot: Snapshot
    ref: Ref
    stored: bool = False


Build = Callable[[Head, Changes, Draft], Proposal]
Follow = Callable[[Head, Changes, Head], Changes]


def rebasing(objects: Objects, reader: RowReader | None) -> Follow:
    """Return what ordinary writes do after a lost swap: express their changes against what is there now."""
    return lambda head, changes, theirs: rebase(head.snapshot, changes, theirs.snapshot, objects, reader)


def publish(
    objects: Objects,
    context: Context,
    head: Head,
    changes: Changes,
    build: Build,
    follow: Follow,
) -> Head:
    """Bring a branch from ``head`` to a new snapshot, by following what others have published in between.

    Parameters
    ----------
    objects
        The dataset's objects.
    context
        Clock and ids.
    head
        The branch as the caller knows it.
    changes
        What to change, against ``head.snapshot``.
    build
        Makes the snapshot and branch document from a head and changes against it.
    follow
        What to do when the swap was lost: returns the changes against what the branch is now, from what it was, the
        changes against that, and what it is.

    Returns
    -------
    Head
        The branch with our snapshot.

    Raises
    ------
    ConflictError
        If another writer changed the same things; the branch is as that writer left it.
    BranchDeletedError
        If the branch was deleted.
    StaleSessionError
        If it was reset, or put elsewhere in history.
    CommitStateUnknownError
        If it cannot be known whether the swap landed.
    CommitError
        If the branch changed faster than we could follow.
    """
    branch, store, proposal = head.branch, objects.store, None
    assert branch is not None
    for attempt in range(ATTEMPTS):
        started = context.monotonic()
        if proposal is None:
            draft = Draft(objects, context)
            proposal = build(head, changes, draft)
            write_pages(store, draft)
            if not proposal.stored:
                write_snapshot(store, proposal.snapshot)
        outcome = swap(store, head, proposal)
        if isinstance(outcome, Written):
            objects.remember("snapshot", proposal.snapshot.id, proposal.snapshot)
            return Head(branch, proposal.ref, outcome.generation, proposal.snapshot)
        overtaken = _is_overtaken(store, proposal, outcome, branch)
        waited = _wait(context, attempt, context.monotonic() - started)
        # A swap that was not answered may land as long as the branch stays as it was: the same one is sent again then,
        # so that there is never more than one of ours that can land.
        if outcome.generation != head.generation:
            # looked at after the wait: others who waited less have moved it on, and what we build must be on top
            theirs = read_head(objects, branch, None if waited else outcome)
            check_still_ours(store, head, theirs)
            if overtaken:
                found, changes = look_back(objects, head, proposal.snapshot.id, changes, theirs)
                if found:
                    return Head(branch, proposal.ref, head.generation, proposal.snapshot)
            if theirs.snapshot.id != head.snapshot.id:  # else nothing but the branch document was replaced
                changes = follow(head, changes, theirs)
            head, proposal = theirs, None
    raise CommitError(
        f"{store.url}: branch {branch!r} was changed by others {ATTEMPTS} times while this write was under way; "
        "nothing was lost, try again"
    )


def _is_overtaken(store: Store, proposal: Proposal, outcome: Versioned, branch: str) -> bool:
    """Whether others have swapped the branch so often since that it no longer tells whether ours was among them."""
    if outcome.value is None:
        return False
    now = refs.parse_branch(store, branch, outcome.value)
    return refs.landed(proposal.ref.write_id, proposal.ref.sequence, now) is None


def check_still_ours(store: Store, head: Head, theirs: Head) -> None:
    """Raise unless what a writer knows of a branch, ``head``, is still a part of what the branch is now.

    Raises
    ------
    StaleSessionError
        If what was staged was dropped, or the branch was put elsewhere in history.
    """
    since = head.ref.sequence
    if theirs.ref.restarted > since:
        what = "was deleted and made anew, or moved to another history,"
    elif theirs.ref.dropped > since and head.ref.staged is not None:
        what = "was reset, which dropped what was staged on it,"
    else:
        return
    raise StaleSessionError(
        f"{store.url}: branch {head.branch!r} {what} since this session read it; checkout(name, create=True) goes on "
        "from what this session knows, on a branch of its own; refresh() goes on from what the branch is now"
    )


def write_pages(store: Store, draft: Draft) -> None:
    """Write the pages that the snapshot names, all at once.

    Raises
    ------
    StorageUnavailableError
        If the storage stopped answering; the branch is as it was.
    """
    if draft.pending:
        with nothing_changed(store):
            store.create_many(draft.pending)


def write_snapshot(store: Store, snapshot: Snapshot) -> None:
    """Write the snapshot, create-only.

    Raises
    ------
    ObjectExistsError
        If there is another object under its id.
    StorageUnavailableError
        If the storage stopped answering; the branch is as it was.
    """
    key = paths.snapshot_key(snapshot.id)
    with nothing_changed(store):
        if isinstance(store.create(key, encode(snapshot)), Lost):
            raise ObjectExistsError(f"{store.url}: another object exists already under the key {key!r}; try again")


@contextmanager
def nothing_changed(store: Store) -> Iterator[None]:
    """Say of an object whose writing ends unclear what it means: nothing names it yet, so nothing was changed."""
    try:
        yield
    except WriteStateUnknownError as error:
        raise StorageUnavailableError(
            f"{store.url}: the storage stopped answering before anything was changed; write again ({error})"
        ) from error


def swap(store: Store, head: Head, proposal: Proposal) -> Written | Versioned:
    """Swap the branch, if it is still as ``head`` says.

    Returns
    -------
    Written or Versioned
        Where it landed, the generation to go on from: the old one if others have built upon ours already, which makes
        our next write find that out. Where it was lost, the branch document that is there instead.

    Raises
    ------
    CommitStateUnknownError
        If no answer came and the branch cannot be read, or so much has happened since that it no longer tells.
    """
    assert head.branch is not None
    return refs.swap_branch(store, head.branch, proposal.ref, head.generation)


def _wait(context: Context, attempt: int, took: float) -> bool:
    """Wait a random while before another attempt; say whether it was any.

    Not after the first loss, which as often as not means no more than that others have written since this session
    last looked. Then longer each time, so that many writers spread out, measured by how long an attempt takes on this
    storage. Who has lost more often still waits less again each time: else those who lost early would go on losing to
    those who come fresh, for as long as these come.
    """
    if not attempt:
        return False
    widths = took * 2 ** min(attempt - 1, _WIDEST, max(0, _WIDEST - (attempt - _PATIENCE) // 2))
    context.sleep(random.uniform(0, min(_LONGEST_WAIT, widths)))
    return True
