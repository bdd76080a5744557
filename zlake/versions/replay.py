"""Commits made again on another state: cherry-pick, revert and rebase."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zlake.context import Context
from zlake.errors import MergeNotSupportedError
from zlake.format.documents import Ref, Snapshot
from zlake.versions import diffing, history, refs
from zlake.versions.ancestors import is_ancestor, merge_base
from zlake.versions.apply import State
from zlake.versions.changes import NO_CHANGES, Changes
from zlake.versions.commit import build_commit
from zlake.versions.compare import changes_between
from zlake.versions.conflicts import Conflicts, Resolution
from zlake.versions.draft import Draft
from zlake.versions.head import EMPTY_SNAPSHOT, Head
from zlake.versions.landing import NothingToDoError, land
from zlake.versions.merge import Readers, check
from zlake.versions.objects import Objects
from zlake.versions.protocol import Proposal, write_pages, write_snapshot
from zlake.versions.rebase import carry
from zlake.versions.stage import build_staged


@dataclass(frozen=True, slots=True)
class Step:
    """A commit to make again: what leads from one snapshot to another.

    Attributes
    ----------
    before, after
        The snapshots.
    message, author
        Of the new commit.
    name
        What it is, for messages.
    exact
        If the state to change is ``before`` itself, take ``after`` as it is, the order of its rows included.
    """

    before: Snapshot
    after: Snapshot
    message: str
    author: str
    name: str
    exact: bool = False


class _Replay:
    """Makes commits on a state, and what is staged on a branch on top of them. Nothing of it is named by a ref yet."""

    def __init__(
        self, objects: Objects, context: Context, head: Head, readers: Readers, resolution: Resolution
    ) -> None:
        self.objects = objects
        self.context = context
        self.head = head
        self.readers = readers
        self.resolution = resolution

    def run(self, start: Snapshot, steps: Iterable[Step]) -> Proposal:
        """Return the branch with the steps made on ``start``, a commit or the empty state."""
        now = start
        for step in steps:
            now = self._step(now, step)
        if now.id == (self.head.ref.commit or ""):
            raise NothingToDoError
        staged = self._staged(now)
        ref = refs.next_ref(self.head.ref, now.id, None if staged is None else staged.id, self.context)
        return Proposal(staged or now, ref, stored=True)

    def _step(self, now: Snapshot, step: Step) -> Snapshot:
        changes, empty = self._carried(step.before, step.after, now, f"cannot {step.name}")
        if changes.is_empty and not empty:
            return now  # all of it is there already
        draft = Draft(self.objects, self.context)
        state = None
        if step.exact and now.id == step.before.id:
            after = step.after
            diff = diffing.accumulate(now, after.tensors, changes, self.objects, draft)
            state = State(after.tensors, after.groups, after.info, diff)
        made = build_commit(
            self._at(now),
            changes,
            draft,
            self.objects,
            self.context,
            message=step.message,
            author=step.author,
            allow_empty=True,
            state=state,
        )
        return self._write(draft, made)

    def _staged(self, now: Snapshot) -> Snapshot | None:
        """Carry what is staged over to the new commit."""
        if self.head.ref.staged is None:
            return None
        commit = self.head.ref.commit
        before = EMPTY_SNAPSHOT if commit is None else self.objects.snapshot(commit)
        what = "cannot carry what is staged on this branch over"
        changes, _ = self._carried(before, self.head.snapshot, now, what)
        if changes.is_empty:
            return None
        draft = Draft(self.objects, self.context)
        return self._write(draft, build_staged(self._at(now), changes, draft, self.objects, self.context))

    def _carried(self, before: Snapshot, after: Snapshot, now: Snapshot, what: str) -> tuple[Changes, bool]:
        """Return what leads from one snapshot to another as it applies to ``now``, and whether it is nothing at all."""
        reader = self.readers(before, after, now)
        changes = changes_between(before, after, self.objects, reader)
        if changes.is_empty:
            return NO_CHANGES, True
        conflicts = Conflicts(self.resolution, "there", "here", (before, now, after))
        carried = carry(before, changes, now, self.objects, reader, conflicts, after)
        check(conflicts, what)
        return carried, False

    def _at(self, commit: Snapshot) -> Head:
        ref = Ref(commit=commit.id or None, staged=None, sequence=0, write_id="")
        return Head(self.head.branch, ref, b"", commit)

    def _write(self, draft: Draft, made: Proposal) -> Snapshot:
        if self.head.branch is not None:  # else it is a rehearsal
            write_pages(self.objects.store, draft)
            write_snapshot(self.objects.store, made.snapshot)
        self.objects.remember("snapshot", made.snapshot.id, made.snapshot)
        return made.snapshot


def replay(
    objects: Objects,
    context: Context,
    head: Head,
    steps: Sequence[Step],
    readers: Readers,
    resolution: Resolution = None,
) -> Head | None:
    """Make commits again on a branch; what is staged on it stays staged, on top of them.

    Returns
    -------
    Head or None
        The branch with the new commits; None if it has all that they change already.

    Raises
    ------
    MergeConflictError, MergeMismatchError
        If the branch changed the same things; nothing was changed.
    CommitStateUnknownError, CommitError
        As of `zlake.versions.protocol.publish`.
    """

    def make(objects: Objects, head: Head, _: Draft) -> Proposal:
        commit = head.ref.commit
        start = EMPTY_SNAPSHOT if commit is None else objects.snapshot(commit)
        return _Replay(objects, context, head, readers, resolution).run(start, steps)

    return land(objects, context, head, make)


def rebase_branch(
    objects: Objects,
    context: Context,
    head: Head,
    onto: Snapshot,
    readers: Readers,
    resolution: Resolution = None,
) -> Head | None:
    """Make the commits of a branch that ``onto`` does not contain again on top of it, one by one; swap the branch once.

    Commits are taken along first parents: a merge commit counts as what it changed against the first one. Those that
    change nothing there are left out.

    Returns
    -------
    Head or None
        The branch on top of ``onto``; None if it was there already.

    Raises
    ------
    MergeNotSupportedError
        If the histories have nothing in common.
    MergeConflictError, MergeMismatchError
        If both sides changed the same things, naming the commit; nothing was changed.
    CommitStateUnknownError, CommitError
        As of `zlake.versions.protocol.publish`.
    """

    def make(objects: Objects, head: Head, _: Draft) -> Proposal:
        base = merge_base(objects, head.snapshot, onto)
        if base == onto.id:
            raise NothingToDoError
        if base is None and head.ref.commit is not None:
            raise MergeNotSupportedError(
                f"{objects.store.url}: commit {onto.id} and this branch have no commit in common, so that there is "
                "nothing to rebase from; merge them with force=True"
            )
        return _Replay(objects, context, head, readers, resolution).run(onto, _steps(objects, head.snapshot, onto))

    return land(objects, context, head, make)


def _steps(objects: Objects, tip: Snapshot, onto: Snapshot) -> list[Step]:
    """Return the commits along first parents that another commit does not contain, oldest first."""
    found = []
    for brief in history.log(tip, objects):
        if is_ancestor(objects, brief.id, onto):
            break
        found.append(brief.id)
    return [step_of(objects, objects.snapshot(commit_id), "replay") for commit_id in reversed(found)]


def step_of(objects: Objects, commit: Snapshot, verb: str) -> Step:
    """Return what a commit changed against its first parent, to be made again."""
    return Step(first_parent(objects, commit), commit, commit.message, commit.author, _called(verb, commit))


def reversed_step(objects: Objects, commit: Snapshot, author: str) -> Step:
    """Return what undoes a commit."""
    title = commit.message.partition("\n")[0]
    message = f'Revert "{title}"\n\nThis undoes commit {commit.id}.'
    return Step(commit, first_parent(objects, commit), message, author, _called("revert", commit), exact=True)


def _called(verb: str, commit: Snapshot) -> str:
    title = commit.message.partition("\n")[0]
    return f"{verb} commit {commit.id}" + (f" ({title:.60})" if title else "")


def first_parent(objects: Objects, commit: Snapshot) -> Snapshot:
    """Return the state that a commit's diff is against."""
    return objects.snapshot(commit.parents[0]) if commit.parents else EMPTY_SNAPSHOT
