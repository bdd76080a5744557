"""A merge: what another line of history changed since both had one state, carried onto a branch, as one commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from msgspec import structs

from zlake.context import Context
from zlake.errors import ConflictError, MergeConflictError, MergeMismatchError, MergeNotSupportedError
from zlake.format.documents import Snapshot
from zlake.versions import refs
from zlake.versions.ancestors import merge_base, merge_bases
from zlake.versions.apply import apply
from zlake.versions.changes import Changes, RowReader
from zlake.versions.commit import build_commit
from zlake.versions.compare import changes_between
from zlake.versions.conflicts import Conflicts, Resolution, listed
from zlake.versions.draft import Draft
from zlake.versions.head import EMPTY_SNAPSHOT, Head
from zlake.versions.landing import NothingToDoError, Scratch, land
from zlake.versions.objects import Objects
from zlake.versions.protocol import Proposal
from zlake.versions.rebase import carry
from zlake.versions.rebase_schema import SAMPLE_FIELDS

Readers = Callable[..., RowReader]
"""Makes a reader of rows of tensors of these snapshots."""


@dataclass(frozen=True, slots=True)
class MergeOptions:
    """How to merge.

    Attributes
    ----------
    message, author
        Of the merge commit.
    name
        What the target is called, for messages.
    resolution
        Who decides about conflicts.
    delete_removed_tensors
        Delete tensors that the target deleted.
    force
        Take tensors that were renamed on the one side and are gone, or renamed too, on the other one as new tensors;
        join tensors that were given one name on both sides; and merge histories that have nothing in common.
    """

    message: str = ""
    author: str = ""
    name: str = ""
    resolution: Resolution = None
    delete_removed_tensors: bool = False
    force: bool = False


def merge(
    objects: Objects,
    context: Context,
    head: Head,
    target: Snapshot,
    options: MergeOptions,
    readers: Readers,
) -> Head | None:
    """Bring what a commit and its ancestors changed to a branch; computed anew if the branch moves meanwhile.

    Of a head that is no branch it is only found out what would come of it, as `zlake.versions.landing.land` says; then
    the target may be a staged state.

    Parameters
    ----------
    objects, context
        The dataset's objects; clock and ids.
    head
        The branch as the caller knows it. What is staged on it becomes part of the merge commit.
    target
        The commit to merge.
    options
        How.
    readers
        Reads rows of the snapshots it is given.

    Returns
    -------
    Head or None
        The branch at the merge commit, or at the target where the branch had nothing of its own; None if the branch
        contains the target already.

    Raises
    ------
    MergeConflictError
        If both sides changed the same things and nobody decided about it; nothing was changed.
    MergeMismatchError
        If a tensor's samples are of different kinds on both sides; nothing was changed.
    MergeNotSupportedError
        If the histories have nothing in common.
    CommitStateUnknownError, CommitError
        As of `zlake.versions.protocol.publish`.
    """

    def make(objects: Objects, head: Head, draft: Draft) -> Proposal:
        return _made(objects, context, head, target, options, readers, draft)

    return land(objects, context, head, make)


def _made(
    objects: Objects,
    context: Context,
    head: Head,
    target: Snapshot,
    options: MergeOptions,
    readers: Readers,
    draft: Draft,
) -> Proposal:
    ours = head.snapshot
    bases = merge_bases(objects, ours, target)
    if target.id in bases:
        raise NothingToDoError
    if head.ref.staged is None and (head.ref.commit is None or head.ref.commit in bases):
        return Proposal(target, refs.next_ref(head.ref, target.id, None, context), stored=True)
    changes = _merged_changes(objects, context, ours, target, bases, options, readers)
    return build_commit(
        head,
        changes,
        draft,
        objects,
        context,
        message=options.message,
        author=options.author,
        allow_empty=True,
        merged=(target,),
    )


def _merged_changes(
    objects: Objects,
    context: Context,
    ours: Snapshot,
    target: Snapshot,
    bases: list[str],
    options: MergeOptions,
    readers: Readers,
) -> Changes:
    """Return what a merge changes in ``ours``; raises as `merge`."""
    if not bases and ours.generation and not options.force:
        raise MergeNotSupportedError(
            f"{objects.store.url}: commit {target.id} and this branch have no commit in common; force=True merges them "
            "as two histories that both began with an empty dataset"
        )
    if len(bases) > 1:
        objects = Scratch(objects.store)
    base = _base(objects, context, bases, readers)
    reader = readers(base, target, ours)
    changes = changes_between(base, target, objects, reader)
    if not options.delete_removed_tensors:
        changes = replace(changes, deleted=())
    conflicts = Conflicts(options.resolution, "there", "here", (base, ours, target))
    new_key = context.new_id if options.force else None
    carried = carry(base, changes, ours, objects, reader, conflicts, target, new_key)
    check(conflicts, f"cannot merge {options.name or target.id}")
    return carried


def _base(objects: Objects, context: Context, bases: list[str], readers: Readers) -> Snapshot:
    """Return the state where the sides parted; of branches that were merged crosswise, what several bases make merged.

    What they make is stored nowhere. With one base alone, rows that one side deleted after it took them from the other
    base would seem to be new.
    """
    base = objects.snapshot(bases[0]) if bases else EMPTY_SNAPSHOT
    for each in bases[1:]:
        other = objects.snapshot(each)
        first = merge_base(objects, base, other)
        start = EMPTY_SNAPSHOT if first is None else objects.snapshot(first)
        reader = readers(start, other, base)
        changes = changes_between(start, other, objects, reader)
        carried = carry(start, changes, base, objects, reader, Conflicts("ours"), other)
        state = apply(base, carried, objects, Draft(objects, context))
        base = structs.replace(base, tensors=state.tensors, groups=state.groups, info=state.info)
    return base


def check(conflicts: Conflicts, what: str) -> None:
    """Raise if there are conflicts that nobody decided about.

    Raises
    ------
    MergeMismatchError
        If some are about how samples are stored: nobody can decide about these.
    MergeConflictError
        If there are others.
    """
    unlike = [each for each in conflicts.found if each.kind in SAMPLE_FIELDS]
    if unlike:
        raise MergeMismatchError(
            f"{what}: samples of one tensor are of different kinds on both sides, in {listed(unlike)}; nothing was "
            "changed. Rename one of the tensors"
        )
    if conflicts.found:
        raise MergeConflictError(
            f"{what}: both sides changed the same things: {listed(conflicts.found)}; nothing was changed. "
            "Pass conflict_resolution='ours' or 'theirs', or a function that decides about each conflict",
            tuple(conflicts.found),
        )


def as_conflict(error: ConflictError) -> MergeConflictError:
    """Return a conflict of names that was found when the changes were applied."""
    return MergeConflictError(f"{error}; nothing was changed", error.conflicts)
