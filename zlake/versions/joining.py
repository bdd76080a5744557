"""The part of a repository that brings lines of history together: merge, cherry-pick, revert, rebase."""

from __future__ import annotations

from contextlib import AbstractContextManager

from zlake.context import Context
from zlake.errors import ReadOnlyModeError
from zlake.format.documents import Snapshot
from zlake.storage.store import Store
from zlake.versions import refs, replay
from zlake.versions.ancestors import merge_bases
from zlake.versions.conflicts import Resolution
from zlake.versions.head import Head
from zlake.versions.keeping import keeping
from zlake.versions.merge import MergeOptions, Readers, merge
from zlake.versions.objects import Objects
from zlake.versions.safety import check_writable


class Joining:
    """What a repository can do with two lines of history; each brings one branch from one whole state to another.

    Given a commit in place of a branch each of them writes no version, and raises or returns what it would of a branch
    that begins there: so it is known beforehand whether one is needed.
    """

    store: Store
    context: Context
    objects: Objects
    single_writer: bool

    def contains(self, snapshot: Snapshot, commit: Snapshot) -> bool:
        """Say whether a commit leads to a snapshot."""
        return commit.id in merge_bases(self.objects, snapshot, commit)

    def merge(
        self, head: Head, target: Snapshot, options: MergeOptions, readers: Readers, *, guarded: bool = True
    ) -> Head | None:
        """Durable: merge a commit into a branch; returns and raises as `zlake.versions.merge.merge`."""
        self._check_branch(head)
        with self._keeping(head, target, guarded):
            return merge(self.objects, self.context, head, target, options, readers)

    def cherry_pick(
        self,
        head: Head,
        commit: Snapshot,
        readers: Readers,
        resolution: Resolution = None,
        *,
        guarded: bool = True,
    ) -> Head | None:
        """Durable: make again on a branch what a commit changed; as `zlake.versions.replay.replay`."""
        self._check_branch(head)
        steps = [replay.step_of(self.objects, commit, "cherry-pick")]
        with self._keeping(head, commit, guarded):
            return replay.replay(self.objects, self.context, head, steps, readers, resolution)

    def revert(
        self,
        head: Head,
        commit: Snapshot,
        author: str,
        readers: Readers,
        resolution: Resolution = None,
        *,
        guarded: bool = True,
    ) -> Head | None:
        """Durable: undo on a branch what a commit changed; returns and raises as `zlake.versions.replay.replay`."""
        self._check_branch(head)
        steps = [replay.reversed_step(self.objects, commit, author)]
        with self._keeping(head, commit, guarded):
            return replay.replay(self.objects, self.context, head, steps, readers, resolution)

    def rebase(
        self, head: Head, onto: Snapshot, readers: Readers, resolution: Resolution = None, *, guarded: bool = True
    ) -> Head | None:
        """Durable: put a branch on top of a commit; returns and raises as `zlake.versions.replay.rebase_branch`."""
        self._check_branch(head)
        with self._keeping(head, onto, guarded):
            return replay.rebase_branch(self.objects, self.context, head, onto, readers, resolution)

    def _keeping(self, head: Head, commit: Snapshot, guarded: bool) -> AbstractContextManager[None]:
        """Keep a commit that a branch is to be joined with; not ``guarded`` is one that a branch names all the time."""
        guarded = guarded and head.branch is not None  # else nothing is written
        known = merge_bases(self.objects, head.snapshot, commit) if guarded else []
        needed = guarded and commit.id not in known
        return keeping(self.objects, self.context, commit.id if needed else None, known=known)

    def _check_branch(self, head: Head) -> None:
        """Raise if a head is a branch that cannot be written; of a commit nothing is written."""
        if head.branch is not None:
            self._check(head)

    def _check(self, head: Head) -> None:
        """Raise unless a head is a branch that can be written."""
        if head.branch is None:
            raise ReadOnlyModeError(
                f"{self.store.url} is at the past version {head.snapshot.id}, which cannot change; "
                "load the branch to write"
            )
        if head.ref.deleted:
            raise refs.branch_deleted(self.store, head.branch, head.ref)
        check_writable(self.store, single_writer=self.single_writer)
