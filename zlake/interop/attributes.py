"""Attributes that people see in other tools: plain words and values.

Info is spread out among the attributes, so that ``units`` or ``description`` in a tensor's info mean to xarray what
they say.
"""

from __future__ import annotations

from collections.abc import Sequence

from zlake.format.conventions import iso_time
from zlake.session.column import Column
from zlake.session.session import Session
from zlake.types import JSON


def dataset_attributes(session: Session, branch: str | None, left_out: Sequence[str]) -> dict[str, JSON]:
    """Return what identifies a version, and the dataset's info.

    Parameters
    ----------
    session
        The dataset.
    branch
        The branch to name, if any.
    left_out
        Tensors that have no arrays, since nothing was appended to them that decided their dtype.
    """
    snapshot = session.head.snapshot
    found: dict[str, JSON] = {**session.info, "dataset:id": session.repository.root.dataset_id}
    if branch is not None:
        found["dataset:branch"] = branch
    if left_out:
        found["dataset:tensors_without_dtype"] = list(left_out)
    commit = snapshot if snapshot.kind == "commit" else next(iter(snapshot.recent), None)
    if commit is not None:
        found |= {
            "commit:id": commit.id,
            "commit:author": commit.author,
            "commit:time": iso_time(commit.time),
            "commit:message": commit.message,
        }
    if snapshot.kind == "staged" and snapshot.id:
        found["commit:staged_on_top"] = snapshot.id
    return found


def tensor_attributes(column: Column) -> dict[str, JSON]:
    """Return what the values of a tensor mean: its info, htype and compression."""
    state = column.state
    found: dict[str, JSON] = {**column.info, "htype": column.spec.text}
    if column.encoded:
        if state.dtype is not None:
            found["sample_dtype"] = state.dtype
        if state.sample_compression is not None:
            found["sample_compression"] = state.sample_compression
    return found
