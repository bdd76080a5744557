"""Rows that were written anew without a change, put in the place of the old ones: a commit that changes no row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import structs

from zlake.context import Context
from zlake.extents.map import ExtentMap
from zlake.format.documents import Diff, Ref, SegmentTensor, Snapshot, TensorState
from zlake.versions import refs
from zlake.versions.apply import State, inline_bytes
from zlake.versions.changes import NO_CHANGES
from zlake.versions.commit import build_commit
from zlake.versions.draft import Draft
from zlake.versions.extent_store import TableEditor
from zlake.versions.head import Head
from zlake.versions.history import ancestry
from zlake.versions.landing import NothingToDoError, land
from zlake.versions.objects import Objects
from zlake.versions.protocol import Proposal, write_pages, write_snapshot


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """Rows of one tensor that lie in two places now, with the same ids and content.

    Attributes
    ----------
    segments
        The table of both maps.
    old, new
        Where the rows were, each of them once, and where they are too, in the same order.
    """

    segments: tuple[SegmentTensor, ...]
    old: ExtentMap
    new: ExtentMap


def compact(
    objects: Objects, context: Context, head: Head, moves: Mapping[str, Moves], message: str, author: str
) -> tuple[Head, str | None] | None:
    """Let a branch name rows at their new places, whatever others make of it meanwhile.

    A place holds one sample for ever, so that this conflicts with nothing: rows that others append are not touched, and
    of a row that others have updated, removed or moved nothing is found at its old place any more.

    What is committed is recorded as a commit with an empty diff. What is staged stays staged, on top of that commit.

    Parameters
    ----------
    objects, context
        The dataset's objects; clock and ids.
    head
        The branch as the caller knows it.
    moves
        The rows by tensor key.
    message, author
        Of the commit.

    Returns
    -------
    tuple or None
        The branch, and the commit, or None if of what is committed nothing moved; None for both if nothing moved at
        all.

    Raises
    ------
    CommitStateUnknownError, CommitError
        As of `zlake.versions.protocol.publish`.
    """
    work = _Compaction(objects, context, moves, message, author)
    made = land(objects, context, head, lambda _, head, draft: work.build(head, draft))
    if made is None:
        return None
    return made, made.ref.commit if made.ref.commit in work.commits else None


class _Compaction:
    def __init__(
        self, objects: Objects, context: Context, moves: Mapping[str, Moves], message: str, author: str
    ) -> None:
        self.objects = objects
        self.context = context
        self.moves = moves
        self.message = message
        self.author = author
        self.commits: set[str] = set()
        """The commits made, of which at most one is named by the branch."""

    def build(self, head: Head, draft: Draft) -> Proposal:
        if head.ref.staged is None:
            commit = self._committed(head.snapshot, head.ref, draft, True)
            if commit is None:
                raise NothingToDoError
            return commit
        staged, tensors = head.snapshot, self._moved(head.snapshot, draft, True)
        commit = self._below(head.ref)
        if commit is None and tensors is None:
            raise NothingToDoError
        made = structs.replace(
            staged,
            id=self.context.new_id(),
            write_id=self.context.new_id(),
            time=self.context.clock(),
            tensors=tensors or staged.tensors,
        )
        name = head.ref.commit
        if commit is not None:
            name = commit.snapshot.id
            recent, history = ancestry(commit.snapshot, self.objects, draft)
            made = structs.replace(
                made, parents=(name,), recent=recent, history=history, generation=commit.snapshot.generation
            )
        return Proposal(made, refs.next_ref(head.ref, name, made.id, self.context))

    def _below(self, ref: Ref) -> Proposal | None:
        """Write the commit that is to be under what is staged, unless nothing of the one that is there moves."""
        if ref.commit is None:
            return None
        draft = Draft(self.objects, self.context)
        made = self._committed(self.objects.snapshot(ref.commit), ref, draft, False)
        if made is not None:
            write_pages(self.objects.store, draft)
            write_snapshot(self.objects.store, made.snapshot)
            self.objects.remember("snapshot", made.snapshot.id, made.snapshot)
        return made

    def _committed(self, base: Snapshot, ref: Ref, draft: Draft, newest: bool) -> Proposal | None:
        tensors = self._moved(base, draft, newest)
        if tensors is None:
            return None
        made = build_commit(
            Head(None, ref, b"", base),
            NO_CHANGES,
            draft,
            self.objects,
            self.context,
            message=self.message,
            author=self.author,
            allow_empty=True,
            state=State(tensors, base.groups, base.info, Diff()),
        )
        self.commits.add(made.snapshot.id)
        return made

    def _moved(self, base: Snapshot, draft: Draft, newest: bool) -> tuple[TensorState, ...] | None:
        """Return the tensors with their rows in the new places; None if there are none at the old ones."""
        inline = inline_bytes(len(base.tensors))
        tensors = tuple(self._tensor(state, draft, inline, newest) for state in base.tensors)
        return None if all(a is b for a, b in zip(tensors, base.tensors, strict=True)) else tensors

    def _tensor(self, state: TensorState, draft: Draft, inline: int, newest: bool) -> TensorState:
        """Return a tensor with its rows in the new places.

        It stays as it is if it would lie in more pieces than before: rows are chosen as they lie in the newest state,
        so that in the commit below it those that were removed since can be left over in between.
        """
        moves = self.moves.get(state.key)
        if moves is None:
            return state
        editor = TableEditor(state.extents, self.objects)
        before = editor.n_extents
        if not editor.substitute(moves.segments, moves.old, moves.new):
            return state
        if not newest and editor.n_extents > before:
            return state
        return structs.replace(state, extents=editor.store(draft, inline))
