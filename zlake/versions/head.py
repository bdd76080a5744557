"""Where a session stands: a branch, what it named when it was read, and the snapshot there."""

from __future__ import annotations

from dataclasses import dataclass

from zlake.format.documents import Ref, Snapshot


@dataclass(frozen=True, slots=True)
class Head:
    """One version of a dataset.

    Attributes
    ----------
    branch
        Name of the branch, or None where this is a commit that was addressed by its id or by a tag.
    ref
        The branch document; of a commit, one that names it and nothing staged.
    generation
        Storage generation of ``ref``, to swap it; empty where there is nothing to swap.
    snapshot
        The state: the staged snapshot if there is one, else the commit, else `EMPTY_SNAPSHOT`.
    """

    branch: str | None
    ref: Ref
    generation: bytes
    snapshot: Snapshot

    @property
    def commit_id(self) -> str | None:
        """Id of the newest commit, or None before the first."""
        return self.ref.commit

    @property
    def has_staged_changes(self) -> bool:
        """Whether anything was flushed since the newest commit."""
        return self.ref.staged is not None


EMPTY_SNAPSHOT = Snapshot(id="", kind="staged", write_id="", parents=(), time=0.0)
"""The state of a branch that names neither a commit nor a staged snapshot. It is stored nowhere."""
