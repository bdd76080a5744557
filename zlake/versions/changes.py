"""What a session changed against the snapshot that it started from: what a flush takes and a rebase rewrites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from zlake.extents.map import EMPTY, ExtentMap
from zlake.format.documents import SegmentTensor, TensorState
from zlake.types import IdArray, IntArray
from zlake.versions.idruns import NO_IDS

NO_ROWS: IntArray = np.empty(0, np.int64)


def _no_ids() -> IdArray:
    return NO_IDS


def _no_rows() -> IntArray:
    return NO_ROWS


@dataclass(frozen=True, slots=True, eq=False)
class RowChanges:
    """Changed rows of one tensor.

    *Base rows* are rows of the snapshot that the session started from. They are changed in this order: the moved
    tail, updates, deletions, then the appended rows come behind what is left.

    Attributes
    ----------
    segments
        Newly written segments: the table of all maps here.
    appended, appended_ids
        Rows to append, and their sample ids ``(n,) uint64``.
    updated, updated_rows, updated_ids
        New content for base rows, those base rows ``(n,) int64`` (each once), and their ids.
    deleted_rows, deleted_ids
        Base rows removed ``(n,) int64`` (each once, none of them updated), and their ids.
    cleared
        Every base row is removed; then no row is listed as updated or deleted.
    moved, behind_moved
        ``moved.length`` base rows, copied with their ids to where small segments are gathered; what they hold does not
        change. They are the last base rows but ``behind_moved``.
    """

    segments: tuple[SegmentTensor, ...] = ()
    appended: ExtentMap = EMPTY
    appended_ids: IdArray = field(default_factory=_no_ids)
    updated: ExtentMap = EMPTY
    updated_rows: IntArray = field(default_factory=_no_rows)
    updated_ids: IdArray = field(default_factory=_no_ids)
    deleted_rows: IntArray = field(default_factory=_no_rows)
    deleted_ids: IdArray = field(default_factory=_no_ids)
    cleared: bool = False
    moved: ExtentMap = EMPTY
    behind_moved: int = 0

    @property
    def touches_base(self) -> bool:
        """Whether any base row is updated or removed."""
        return self.cleared or len(self.updated_rows) > 0 or len(self.deleted_rows) > 0

    @property
    def only_appends(self) -> bool:
        """Whether rows are appended, and nothing else changes."""
        return self.appended.length > 0 and not (self.moved.length or self.touches_base)

    @property
    def only_moves(self) -> bool:
        """Whether all rows stay what they are, though perhaps not where they are."""
        return not (self.appended.length or self.touches_base)

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return self.only_moves and not self.moved.length


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Everything that a session changed.

    Attributes
    ----------
    rows
        Changed rows by tensor key.
    tensors
        Tensors created, or whose schema changed, by key, as they are to be; their length, extents and info are not
        looked at.
    deleted
        Keys of tensors removed.
    groups
        All groups as they are to be, or None if no group changed.
    info
        The dataset's info as it is to be, or None if it did not change.
    tensor_info
        Info of tensors as it is to be, by key, where it changed.
    """

    rows: Mapping[str, RowChanges] = field(default_factory=dict)
    tensors: Mapping[str, TensorState] = field(default_factory=dict)
    deleted: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    info: Mapping[str, Any] | None = None
    tensor_info: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return (
            not self.tensors
            and not self.deleted
            and self.groups is None
            and self.info is None
            and not self.tensor_info
            and all(rows.is_empty for rows in self.rows.values())
        )


NO_CHANGES = Changes()


class IdReader(Protocol):
    """Reads the sample ids of stored rows."""

    def ids(self, key: str, segments: Sequence[SegmentTensor], extents: ExtentMap) -> IdArray:
        """Return the sample ids of rows of tensor ``key``, ``(n,) uint64``."""
        ...


class RowReader(IdReader, Protocol):
    """What a rebase must be able to ask of the one who can read segments. It asks for few rows, and rarely."""

    def equal(
        self,
        key: str,
        segments: Sequence[SegmentTensor],
        extents: ExtentMap,
        other_segments: Sequence[SegmentTensor],
        other: ExtentMap,
    ) -> npt.NDArray[np.bool_]:
        """Return for each row whether it and the same row of ``other`` hold the same sample, ``(n,) bool``."""
        ...

    def holds_classes(self, state: TensorState) -> bool:
        """Say whether the samples of a tensor are numbers of the classes that its info names."""
        ...

    def rewrite(
        self,
        source: TensorState,
        segments: Sequence[SegmentTensor],
        extents: ExtentMap,
        target: TensorState,
        numbers: IntArray | None = None,
    ) -> tuple[tuple[SegmentTensor, ...], ExtentMap]:
        """Copy rows of a tensor, with their ids, to where another one, or the same, can name them.

        Parameters
        ----------
        source
            The tensor that has the rows.
        segments, extents
            The rows.
        target
            The tensor that they are written for; of the same htype, dtype, rank and sample compression.
        numbers
            New numbers of classes by their old ones, ``(n,) int64``; numbers beyond them stay.

        Returns
        -------
        tuple
            New segments, and the rows there in the same order.
        """
        ...
