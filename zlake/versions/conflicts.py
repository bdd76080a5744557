"""What was changed on both sides, and who decides about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from zlake.errors import ConflictError, MergeError
from zlake.format.documents import Snapshot
from zlake.types import IdArray, IntArray

Side = Literal["ours", "theirs"]
Mask = npt.NDArray[np.bool_]

_NAMED_IN_MESSAGE: Final = 5


@dataclass(frozen=True, slots=True)
class Conflict:
    """One thing that two sides changed in ways that do not go together.

    Attributes
    ----------
    tensor
        Name of the tensor or group; empty where it is the dataset itself.
    sample_id
        Id of the sample, or None where it is about no sample.
    kind
        What happened, in words.
    key
        Key of the tensor; empty where it is about none.
    base_row, ours_row, theirs_row
        The sample's row where the sides parted, on the branch that takes the changes, and where they come from; None
        where there is no such row.
    states
        The three snapshots that these are rows of; none where another writer is on the other side.
    values
        What each side has, in words, where it is about how samples are stored.
    """

    tensor: str
    sample_id: int | None
    kind: str
    key: str = ""
    base_row: int | None = None
    ours_row: int | None = None
    theirs_row: int | None = None
    states: tuple[Snapshot, ...] = field(default=(), repr=False, compare=False)
    values: str = field(default="", repr=False, compare=False)


Resolution = Side | Callable[[Conflict], Side | None] | None
"""Who decides: always the one side, a function for each conflict (None to leave it), or nobody."""


class Conflicts:
    """Decides about conflicts, and keeps those that were not decided.

    Parameters
    ----------
    resolution
        Who decides. ``"ours"`` keeps what the branch has that takes the changes, ``"theirs"`` makes the change.
    carried, onto
        Words for the side where the changes come from, and for the one that takes them.
    states
        Where the sides parted, the state that takes the changes, and the one that they come from.

    Attributes
    ----------
    found
        Conflicts that nobody decided about.
    """

    def __init__(
        self,
        resolution: Resolution = None,
        carried: str = "here",
        onto: str = "there",
        states: tuple[Snapshot, ...] = (),
    ) -> None:
        self.resolution = resolution
        self.carried = carried
        self.onto = onto
        self.states = states
        self.found: list[Conflict] = []

    def values(self, carried: object, onto: object) -> str:
        """Return what each side has, in words."""
        return f"{onto} {self.onto}, {carried} {self.carried}"

    @property
    def decided(self) -> Side | None:
        """The side that always wins, or None if each conflict is looked at."""
        return None if callable(self.resolution) else self.resolution

    def add(self, conflict: Conflict) -> None:
        """Keep a conflict that nobody can decide about."""
        self.found.append(replace(conflict, states=self.states))

    def decide(self, conflict: Conflict) -> bool:
        """Say whether the change is made all the same; keep the conflict if nobody decides.

        Raises
        ------
        MergeError
            If the function that decides answers neither "ours" nor "theirs".
        """
        conflict = replace(conflict, states=self.states)
        side = self.resolution(conflict) if callable(self.resolution) else self.resolution
        if side is None:
            self.found.append(conflict)
        elif side not in ("ours", "theirs"):
            raise MergeError(f"a conflict is resolved to 'ours' or 'theirs', or left with None, not {side!r:.100}")
        return side == "theirs"

    def decide_rows(
        self,
        kind: str,
        tensor: str,
        key: str,
        ids: IdArray,
        base_rows: IntArray | None,
        ours_rows: IntArray | None,
        theirs_rows: Callable[[], IntArray],
    ) -> Mask:
        """Say of each sample whether the change is made, ``(n,) bool``; rows that are not there are -1, or None."""
        if self.decided is not None or not len(ids):
            return np.full(len(ids), self.decided == "theirs")
        columns = [
            [None if row < 0 else row for row in rows.tolist()] if rows is not None else [None] * len(ids)
            for rows in (base_rows, ours_rows, theirs_rows())
        ]
        return np.array(
            [
                self.decide(Conflict(tensor, sample_id, kind, key, base, ours, theirs))
                for sample_id, base, ours, theirs in zip(ids.tolist(), *columns, strict=True)
            ],
            bool,
        )


def conflict_error(conflicts: Sequence[Conflict]) -> ConflictError:
    """Return the error that lists conflicts with another writer."""
    return ConflictError(
        f"another writer changed the same things since this session read the branch: {listed(conflicts)}",
        tuple((conflict.tensor, conflict.sample_id, conflict.kind) for conflict in conflicts),
    )


def listed(conflicts: Sequence[Conflict]) -> str:
    """Return the first conflicts in words."""
    shown = "; ".join(map(_words, conflicts[:_NAMED_IN_MESSAGE]))
    more = f" and {len(conflicts) - _NAMED_IN_MESSAGE} more" if len(conflicts) > _NAMED_IN_MESSAGE else ""
    return shown + more


def _words(conflict: Conflict) -> str:
    what = repr(conflict.tensor) if conflict.tensor else "the dataset"
    if conflict.sample_id is not None:
        what += f" sample {conflict.sample_id}"
        # of a merge the row on the branch that is open, else the one that the writer knows the sample at
        row = conflict.ours_row if conflict.states else conflict.base_row
        if row is not None:
            what += f" (row {row})"
    return f"{what}: {conflict.kind}{conflict.values and f' ({conflict.values})'}"
