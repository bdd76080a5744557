"""A conflict as a user meets it: with the samples of both sides, read when they are looked at."""

from __future__ import annotations

from typing import Any

from zlake.format.documents import Snapshot
from zlake.session import present
from zlake.session.session import Session
from zlake.versions.conflicts import Conflict
from zlake.versions.read_head import detached
from zlake.versions.repository import Repository


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

    def read(self, snapshot: Snapshot, key: str, row: int) -> Any:
        """Return a sample as ``numpy()`` gives it."""
        session = self._sessions.get(snapshot.id)
        if session is None:
            session = Session(self._repository, detached(snapshot), read_only=True)
            self._sessions[snapshot.id] = session
        column = next(column for column in session.columns.values() if column.key == key)
        return present.one(column, row)


class MergeConflict:
    """One thing that both sides of a merge changed in ways that do not go together.

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
        """What happened, in words: *here* is the branch that is open, *there* the other side."""
        return self._conflict.kind

    @property
    def base_row(self) -> int | None:
        """The sample's row where the sides parted; None where it was not there."""
        return self._conflict.base_row

    @property
    def ours_row(self) -> int | None:
        """The sample's row on the branch that is open; None where it is gone."""
        return self._conflict.ours_row

    @property
    def theirs_row(self) -> int | None:
        """The sample's row on the other side; None where it is gone."""
        return self._conflict.theirs_row

    @property
    def base(self) -> Any:
        """The sample where the sides parted, read now; None where it was not there."""
        return self._value(0, self._conflict.base_row)

    @property
    def ours(self) -> Any:
        """The sample on the branch that is open, read now; None where it is gone."""
        return self._value(1, self._conflict.ours_row)

    @property
    def theirs(self) -> Any:
        """The sample on the other side, read now; None where it is gone."""
        return self._value(2, self._conflict.theirs_row)

    def _value(self, side: int, row: int | None) -> Any:
        conflict = self._conflict
        return None if row is None else self._values.read(conflict.states[side], conflict.key, row)

    def __repr__(self) -> str:
        sample = "" if self.sample_id is None else f" sample {self.sample_id}"
        rows = f", rows {self.base_row}/{self.ours_row}/{self.theirs_row}" if sample else ""
        return f"<MergeConflict {self.tensor or 'dataset'!r}{sample}: {self.kind}{rows}>"
