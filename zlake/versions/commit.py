"""A commit: everything staged on a branch, and what the session has not flushed yet, under a name that stays."""

from __future__ import annotations

from collections.abc import Sequence

from zlake.context import Context
from zlake.errors import EmptyCommitError
from zlake.format.documents import Diff, Snapshot
from zlake.versions import refs
from zlake.versions.apply import State, apply
from zlake.versions.changes import Changes
from zlake.versions.draft import Draft
from zlake.versions.head import Head
from zlake.versions.history import ancestry
from zlake.versions.objects import Objects
from zlake.versions.protocol import Proposal


def build_commit(
    head: Head,
    changes: Changes,
    draft: Draft,
    objects: Objects,
    context: Context,
    *,
    message: str,
    author: str,
    allow_empty: bool,
    merged: Sequence[Snapshot] = (),
    state: State | None = None,
) -> Proposal:
    """Return the commit of ``head`` with the changes.

    Parameters
    ----------
    head, changes, draft, objects, context
        As `zlake.versions.apply.apply` takes them.
    message, author
        What `log` shows.
    allow_empty
        Commit even if nothing changed.
    merged
        Commits that were merged into this one: its further parents.
    state
        The state after the changes, if it is known.

    Raises
    ------
    EmptyCommitError
        If nothing is staged, nothing changes, there is a commit before, and ``allow_empty`` is false.
    """
    base = head.snapshot
    if state is None and changes.is_empty:
        if not allow_empty and not merged and head.ref.staged is None and head.ref.commit is not None:
            raise EmptyCommitError("there is nothing to commit; pass allow_empty=True to commit all the same")
        state = State(base.tensors, base.groups, base.info, base.diff if base.kind == "staged" else Diff())
    elif state is None:
        state = apply(base, changes, objects, draft)
    recent, history = ancestry(base, objects, draft)
    snapshot = Snapshot(
        id=context.new_id(),
        kind="commit",
        write_id=context.new_id(),
        parents=(*(() if head.ref.commit is None else (head.ref.commit,)), *(commit.id for commit in merged)),
        time=context.clock(),
        author=author,
        message=message,
        tensors=state.tensors,
        groups=state.groups,
        info=state.info,
        diff=state.diff,
        recent=recent,
        history=history,
        generation=1 + max(commit.generation for commit in (base, *merged)),
    )
    return Proposal(snapshot, refs.next_ref(head.ref, snapshot.id, None, context))
