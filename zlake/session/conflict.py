"""A conflict as a user meets it: with the samples of both sides, read when they are looked at."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np

from zlake.errors import MergeError
from zlake.format.documents import Snapshot
from zlake.session import present
from zlake.session.column import Column
from zlake.session.session import Session
from zlake.versions.conflicts import Conflict
from zlake.versions.read_head import detached
from zlake.versions.repository import Repository

Side = Literal["base", "ours", "theirs"]

_SIDES: Final[tuple[Side, ...]] = ("base", "ours", "theirs")
"""In the order of a conflict's states."""


class Values:
    """Reads samples of any state of a dataset; opens each state once.

    Parameters
    ----------
    repository
        Of the dataset.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._sessions: dict[str, Session] = {}

    def column(self, snapshot: Snapshot, key: str) -> Column:
        """Return a tensor as it is in a state."""
        session = self._sessions.get(snapshot.id)
        if session is None:
            session = Session(self._repository, detached(snapshot), read_only=True)
            self._sessions[snapshot.id] = session
        return next(column for column in session.columns.values() if column.key == key)


class MergeConflict:
    """One thing that both sides of a merge changed in ways that do not go together.

    *Ours* is the branch that is open, *theirs* what is merged, picked or undone. In a rebase *ours* is what the branch
    is put on top of, and *theirs* the branch's own commit that is being made again.

    Parameters
    ----------
    conflict
        What is known of it.
    values
        Reads samples.
    """

    __slots__ = ("_conflict", "_values")

    def __init__(self, conflict: Conflict, values: Values) -> None:
        self._conflict = conflict
        self._values = values

    @property
    def tensor(self) -> str:
        """Name of the tensor or group; empty where it is the dataset itself."""
        return self._conflict.tensor

    @property
    def sample_id(self) -> int | None:
        """Id of the sample, or None where it is about no sample."""
        return self._conflict.sample_id

    @property
    def kind(self) -> str:
        """What happened, in words: *here* is our side, *there* is theirs."""
        return self._conflict.kind

    @property
    def base_row(self) -> int | None:
        """The sample's row where the sides parted; None where it was not there."""
        return self._conflict.base_row

    @property
    def ours_row(self) -> int | None:
        """The sample's row on our side; None where it is gone."""
        return self._conflict.ours_row

    @property
    def theirs_row(self) -> int | None:
        """The sample's row on their side; None where it is gone."""
        return self._conflict.theirs_row

    @property
    def base(self) -> Any:
        """The sample where the sides parted, read now; None where it was not there."""
        return self._value("base")

    @property
    def ours(self) -> Any:
        """The sample on our side, read now; None where it is gone."""
        return self._value("ours")

    @property
    def theirs(self) -> Any:
        """The sample on their side, read now; None where it is gone."""
        return self._value("theirs")

    def data(self, side: Side) -> dict[str, Any] | None:
        """Return the sample of one side as `Tensor.data` does; None where it is not there.

        Of class labels it has the ``text``: the numbers of classes that were added are each side's own.

        Raises
        ------
        MergeError
            If there is no such side.
        """
        if side not in _SIDES:
            raise MergeError(f"a conflict has the sides {', '.join(map(repr, _SIDES))}, not {side!r:.100}")
        found = self._found(side)
        return None if found is None else present.data(*found, lambda: np.array([found[1]]), (), False)

    def _value(self, side: Side) -> Any:
        found = self._found(side)
        return None if found is None else present.one(*found)

    def _found(self, side: Side) -> tuple[Column, int] | None:
        conflict = self._conflict
        row: int | None = getattr(conflict, f"{side}_row")
        return None if row is None else (self._values.column(conflict.states[_SIDES.index(side)], conflict.key), row)

    def __repr__(self) -> str:
        sample = "" if self.sample_id is None else f" sample {self.sample_id}"
        rows = f", rows {self.base_row}/{self.ours_row}/{self.theirs_row}" if sample else ""
        return f"<MergeConflict {self.tensor or 'dataset'!r}{sample}: {self.kind}{rows}>"
