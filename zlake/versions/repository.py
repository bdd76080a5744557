"""One versioned dataset in one store: its branches, snapshots and history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import msgspec

from zlake.context import Context
from zlake.extents.map import ExtentMap
from zlake.format.documents import CommitBrief, ExtentTable, Info, Root, SegmentTensor, Snapshot
from zlake.storage.store import Store
from zlake.versions import history, read_head
from zlake.versions.changes import NO_CHANGES, Changes, RowReader
from zlake.versions.commit import build_commit
from zlake.versions.compact import Moves, compact
from zlake.versions.create import create_dataset, read_root
from zlake.versions.extent_store import inline_map, load_extents
from zlake.versions.head import EMPTY_SNAPSHOT, Head
from zlake.versions.joining import Joining
from zlake.versions.named import Named
from zlake.versions.objects import Located, Objects
from zlake.versions.protocol import Follow, publish, rebasing
from zlake.versions.safety import check_writable
from zlake.versions.stage import build_staged


class Repository(Named, Joining):
    """A dataset's versions; its only state is a memory of what it read. Safe to share between threads.

    Parameters
    ----------
    store
        Where the dataset lies.
    context
        Clock, ids and limits.
    root
        The root document.
    single_writer
        Write even where the storage has no conditional writes.
    """

    def __init__(self, store: Store, context: Context, root: Root, *, single_writer: bool = False) -> None:
        self.store = store
        self.context = context
        self.root = root
        self.single_writer = single_writer
        self.objects = Objects(store)

    @classmethod
    def create(cls, store: Store, context: Context, *, single_writer: bool = False) -> Repository:
        """Create an empty dataset: its root, then its branch ``main``.

        Raises
        ------
        DatasetExistsError
            If there is one already.
        UnsafeStorageError
            If the storage has no conditional writes, unless ``single_writer``.
        """
        check_writable(store, single_writer=single_writer)
        return cls(store, context, create_dataset(store, context), single_writer=single_writer)

    @classmethod
    def open(cls, store: Store, context: Context, *, single_writer: bool = False) -> Repository:
        """Open a dataset: one read. With `head` that makes three, and no listing.

        Raises
        ------
        DatasetNotFoundError
            If there is none.
        DatasetCorruptError
            If its root is damaged.
        UnsupportedFormatError
            If it was written by a newer zlake.
        """
        return cls(store, context, read_root(store), single_writer=single_writer)

    # ------------------------------------------------------------ reading

    def head(self, branch: str = read_head.MAIN) -> Head:
        """Return a branch as it is now: two reads; raises as `zlake.versions.read_head.read_head`."""
        return read_head.read_head(self.objects, branch)

    def at(self, snapshot_id: str, branch: str | None = None) -> Head:
        """Return one very snapshot, staged or committed, to read; empty for the state before the first.

        Parameters
        ----------
        snapshot_id
            Its id, or an empty string.
        branch
            Ignored by readers; if given, and the branch is still at this snapshot, the head can be written.
        """
        if branch is not None:
            head = self.head(branch)
            if head.snapshot.id == snapshot_id:
                return head
        return read_head.detached(self.snapshot(snapshot_id) if snapshot_id else EMPTY_SNAPSHOT)

    def committed(self, head: Head) -> Head:
        """Return the newest commit of a head, without what is staged on it, to read."""
        if head.ref.staged is None:
            return head
        if head.ref.commit is None:
            return read_head.detached(EMPTY_SNAPSHOT)
        return read_head.detached(self.snapshot(head.ref.commit))

    def acknowledged(self, head: Head) -> Head:
        """Return a head whose next write is carried over to what its branch is now, whatever happened to it since."""
        assert head.branch is not None
        now = self.head(head.branch).ref
        ref = msgspec.structs.replace(head.ref, sequence=now.sequence)
        return Head(head.branch, ref, head.generation, head.snapshot)

    def snapshot(self, snapshot_id: str) -> Snapshot:
        """Return a commit or staged snapshot.

        Raises
        ------
        DatasetCorruptError, CorruptObjectError
            If it is missing or damaged.
        """
        return self.objects.snapshot(snapshot_id)

    def load_extents(self, table: ExtentTable) -> Located:
        """Return the segment table and the extent map of a tensor, reading pages at once where there are any."""
        return load_extents(table, self.objects)

    def tail(self, table: ExtentTable) -> tuple[tuple[SegmentTensor, ...], ExtentMap]:
        """Return the newest rows of a tensor, those that the snapshot itself locates, without any read."""
        return table.segments, inline_map(table)

    def load_info(self, info: Info) -> dict[str, Any]:
        """Return a user's dictionary, of your own to change, reading its object where it is large."""
        return dict(self.objects.info(info.object) if info.object else info.value)

    def log(self, snapshot: Snapshot) -> Iterator[CommitBrief]:
        """Yield the commits that lead to a snapshot, newest first: one read for 64 of them."""
        return history.log(snapshot, self.objects)

    # ------------------------------------------------------------ writing

    def flush(self, head: Head, changes: Changes, reader: RowReader | None = None) -> Head:
        """Durable: stage changes on a branch, after the caller wrote their segments.

        Two writes (plus pages, rarely). Others' staged changes are kept: ours are rebased onto them.

        Parameters
        ----------
        head
            The branch as the session knows it.
        changes
            What to change, against ``head.snapshot``.
        reader
            Reads sample ids and compares samples, should others have moved the rows that we touched.

        Returns
        -------
        Head
            The branch with the changes.

        Raises
        ------
        ConflictError
            If another writer changed the same things; nothing was changed.
        CommitStateUnknownError
            If no answer came, so that it is unknown whether the changes are staged.
        ReadOnlyModeError
            If the head is no branch, or the storage takes no writes.
        """
        self._check(head)
        if changes.is_empty:
            return head
        build = partial(build_staged, objects=self.objects, context=self.context)
        return publish(self.objects, self.context, head, changes, build, rebasing(self.objects, reader))

    def commit(
        self,
        head: Head,
        changes: Changes | None = None,
        message: str = "",
        author: str = "",
        allow_empty: bool = False,
        reader: RowReader | None = None,
        *,
        flushed: bool = False,
        follow: Follow | None = None,
    ) -> Head:
        """Durable: commit everything staged on a branch, other writers' flushes included, and the changes given.

        Two writes, a third in one of 16 commits (plus pages, rarely).

        Parameters
        ----------
        head
            The branch as the session knows it.
        changes
            What the session has not flushed, against ``head.snapshot``; None for nothing.
        message, author
            What `log` shows.
        allow_empty
            Commit even if nothing changed.
        reader
            As for `flush`.
        flushed
            The session has flushed changes since its last commit: if another writer's commit took them in, this one is
            made all the same, with an empty diff.
        follow
            What to do after a lost swap, as `zlake.versions.protocol.publish` takes it; by default the changes are
            rebased.

        Returns
        -------
        Head
            The branch at the new commit, ``head.commit_id``.

        Raises
        ------
        EmptyCommitError
            If there is nothing to commit.
        ConflictError, CommitStateUnknownError, ReadOnlyModeError
            As for `flush`.
        """
        self._check(head)
        build = partial(
            build_commit,
            objects=self.objects,
            context=self.context,
            message=message,
            author=author,
            allow_empty=allow_empty or flushed or bool(changes and not changes.is_empty),
        )
        follow = follow or rebasing(self.objects, reader)
        return publish(self.objects, self.context, head, changes or NO_CHANGES, build, follow)

    def compact(
        self, head: Head, moves: Mapping[str, Moves], message: str, author: str
    ) -> tuple[Head, str | None] | None:
        """Durable: let a branch name rows where they were written anew; as `zlake.versions.compact.compact`."""
        self._check(head)
        return compact(self.objects, self.context, head, moves, message, author)
