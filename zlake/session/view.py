"""Chosen rows and tensors of a session: what loaders, stores and exports work on."""

from __future__ import annotations

from dataclasses import dataclass

from zlake.extents.selection import Selection
from zlake.session.column import Column
from zlake.session.session import Session


@dataclass(frozen=True, slots=True)
class View:
    """Rows and tensors of a dataset.

    Attributes
    ----------
    rows
        The rows, or None for all that every tensor has.
    names
        Full names of the tensors, in order.
    group
        Prefix (with its ``/``) that is left off in front of names that users see.
    """

    rows: Selection | None
    names: tuple[str, ...]
    group: str = ""

    def columns(self, session: Session) -> list[Column]:
        """Return the columns of the view."""
        return [session.column(name) for name in self.names]

    def selection(self, session: Session) -> Selection:
        """Return the rows of the view; where none were chosen, those that every tensor has."""
        if self.rows is not None:
            return self.rows
        return Selection.all(min((len(column) for column in self.columns(session)), default=0))

    def label(self, column: Column) -> str:
        """Return the name of a column as the view's user knows it."""
        return column.name.removeprefix(self.group)
