"""A flush: the staged snapshot of a branch, durable but not committed."""

from __future__ import annotations

from zlake.context import Context
from zlake.format.documents import Snapshot
from zlake.versions import refs
from zlake.versions.apply import apply
from zlake.versions.changes import Changes
from zlake.versions.draft import Draft
from zlake.versions.head import Head
from zlake.versions.history import ancestry
from zlake.versions.objects import Objects
from zlake.versions.protocol import Proposal


def build_staged(head: Head, changes: Changes, draft: Draft, objects: Objects, context: Context) -> Proposal:
    """Return the staged snapshot of ``head`` with the changes."""
    state = apply(head.snapshot, changes, objects, draft)
    recent, history = ancestry(head.snapshot, objects, draft)
    snapshot = Snapshot(
        id=context.new_id(),
        kind="staged",
        write_id=context.new_id(),
        parents=() if head.ref.commit is None else (head.ref.commit,),
        time=context.clock(),
        tensors=state.tensors,
        groups=state.groups,
        info=state.info,
        diff=state.diff,
        recent=recent,
        history=history,
        generation=head.snapshot.generation,
    )
    return Proposal(snapshot, refs.next_ref(head.ref, head.ref.commit, snapshot.id, context))
