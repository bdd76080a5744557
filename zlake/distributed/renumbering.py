"""Class numbers of many receipts that are to change: all of them are written anew at once, and only once."""

from __future__ import annotations

from collections.abc import Sequence

from zlake.extents.map import ExtentMap
from zlake.format.documents import SegmentTensor, Snapshot, TensorState
from zlake.session.flush import Rows
from zlake.session.rewrite import Renumbering, renumber_rows
from zlake.session.session import Session
from zlake.types import IntArray
from zlake.versions.protocol import nothing_changed

Located = tuple[tuple[SegmentTensor, ...], ExtentMap]
Wanted = tuple[str, tuple[str, ...], tuple[tuple[int, int, int], ...], bytes]
"""Tensor key, segments, extents and the new numbers."""


class Renumbered:
    """Rows that were written anew with other class numbers.

    Parameters
    ----------
    session
        Reads and writes segments.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.known: dict[Wanted, Located] = {}
        self.wanted: dict[Wanted, tuple[TensorState, Renumbering]] = {}

    def reader(self, *snapshots: Snapshot) -> Rows:
        """Return a reader that answers with the rows that were written anew, and notes those that are to be."""
        return _Reader(self, *snapshots)

    def write(self) -> bool:
        """Write what was noted; say whether that was anything."""
        by_tensor: dict[str, list[Wanted]] = {}
        for wanted in self.wanted:
            by_tensor.setdefault(wanted[0], []).append(wanted)
        for group in by_tensor.values():
            state = self.wanted[group[-1]][0]
            with nothing_changed(self.session.store):
                written = renumber_rows(self.session, state, [self.wanted[each][1] for each in group])
            self.known.update(zip(group, written, strict=True))
        self.wanted.clear()
        return bool(by_tensor)


class _Reader(Rows):
    def __init__(self, renumbered: Renumbered, *snapshots: Snapshot) -> None:
        super().__init__(renumbered.session, *snapshots)
        self._renumbered = renumbered

    def rewrite(
        self,
        source: TensorState,
        segments: Sequence[SegmentTensor],
        extents: ExtentMap,
        target: TensorState,
        numbers: IntArray | None = None,
    ) -> Located:
        if numbers is None:
            return super().rewrite(source, segments, extents, target)
        wanted = (
            target.key,
            tuple(entry.segment for entry in segments),
            tuple((int(a), int(b), int(c)) for a, b, c in extents.runs()),
            numbers.tobytes(),
        )
        found = self._renumbered.known.get(wanted)
        if found is None:
            self._renumbered.wanted[wanted] = (target, Renumbering(segments, extents, numbers))
            found = tuple(segments), extents
        return found
