"""Class names that both sides of a merge changed, and the numbers of the rows that go with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from zlake.extents import edit
from zlake.format.documents import TensorState
from zlake.types import IntArray
from zlake.versions.changes import RowChanges, RowReader
from zlake.versions.names import are_names, merge_names


def united(was: Any, here: Any, carried: Any, *, keep: bool) -> tuple[list[str] | None, IntArray | None]:
    """Unite the class names of both sides.

    Parameters
    ----------
    was, here, carried
        The names in the base, in the state that takes the changes, and where the changes come from.
    keep
        Take no name away: samples that came since may have its class.

    Returns
    -------
    tuple
        The names, if they are not what the one or the other side alone would give; and the numbers that the classes
        of changed rows get, if they are not those that they have.
    """
    if keep and len(carried) < len(was) and was[: len(carried)] == carried:
        return list(here), None
    if here in (was, carried) or not all(map(are_names, (was, here, carried))):
        return None, None
    merged, numbers = merge_names(was, here, carried)
    same = np.array_equal(numbers, np.arange(len(numbers)))
    return merged, None if same else numbers


def renumber(state: TensorState, rows: RowChanges, numbers: IntArray, reader: RowReader) -> RowChanges:
    """Return changes whose samples, which are class numbers, have other numbers for the same classes."""
    n = rows.updated.length
    both = edit.concat(rows.updated, rows.appended)
    if not both.length:
        return rows
    made, extents = reader.rewrite(state, rows.segments, both, state, numbers)
    extents = edit.renumber(extents, np.arange(len(made)) + len(rows.segments))
    return replace(
        rows,
        segments=(*rows.segments, *made),
        updated=edit.slice_(extents, 0, n),
        appended=edit.slice_(extents, n, extents.length),
    )
