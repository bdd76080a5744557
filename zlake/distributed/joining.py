"""Receipts to changes: what they add to a branch, after a look whether it fits, and is not there already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from msgspec import structs

from zlake.distributed.renumbering import Renumbered
from zlake.distributed.stored import check_segments
from zlake.errors import ConflictError, FormatError, ObjectNotFoundError, ReceiptError
from zlake.extents import edit
from zlake.extents.map import EMPTY, ExtentMap
from zlake.format import documents as d
from zlake.session.flush import Rows
from zlake.session.session import Session
from zlake.types import IdArray
from zlake.versions import idruns
from zlake.versions.appended import Appended, union
from zlake.versions.changes import Changes, RowChanges
from zlake.versions.head import EMPTY_SNAPSHOT, Head
from zlake.versions.rebase import rebase
from zlake.versions.rebase_schema import info_value
from zlake.versions.row_ids import ids_of

_FIXED: Final = ("htype", "dtype", "ndim")
"""What a tensor is, in a receipt as in its state."""


class AllLandedError(Exception):
    """Every receipt is a part of the branch already."""

    def __init__(self, commit_id: str) -> None:
        super().__init__(commit_id)
        self.commit_id = commit_id


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A receipt that is to be committed.

    Attributes
    ----------
    name
        What to call it in messages: its place among those given.
    receipt
        Its document.
    ids
        Sample ids of its rows by tensor key, in their order.
    runs
        The same as sets.
    """

    name: str
    receipt: d.Receipt
    ids: dict[str, IdArray]
    runs: dict[str, idruns.Runs]


class Joining:
    """Receipts of an ingest on their way to a branch.

    Parameters
    ----------
    session
        Reads and writes segments.
    plan
        Of the ingest.
    receipts
        Their documents with what to call them, each once, in the order in which their rows are to come.
    appended
        What the branch has appended since the ingest began.
    """

    def __init__(
        self, session: Session, plan: d.IngestPlan, receipts: Sequence[tuple[str, d.Receipt]], appended: Appended
    ) -> None:
        self._session = session
        self._objects = session.repository.objects
        self._base = structs.replace(EMPTY_SNAPSHOT, tensors=plan.tensors)
        self._known = {state.key: state for state in plan.tensors}
        self._appended = appended
        self._renumbered = Renumbered(session)
        self._parts = [self._part(name, receipt) for name, receipt in receipts]
        self._runs = self._all_runs()
        self._made: tuple[list[Part], tuple[d.TensorState, ...], Changes] | None = None

    def _part(self, name: str, receipt: d.Receipt) -> Part:
        ids = {}
        for each in receipt.tensors:
            reader = Rows(self._session, structs.replace(self._base, tensors=(self._settled(each),)))
            try:
                made = ids_of(each.key, each.segments, _all(each.segments), reader)
            except (FormatError, ObjectNotFoundError) as error:
                raise ReceiptError(f"{name}: {error}; nothing was committed: write its rows again") from error
            assert made is not None
            ids[each.key] = made
        return Part(name, receipt, ids, {key: idruns.from_ids(of) for key, of in ids.items()})

    def _all_runs(self) -> dict[str, idruns.Runs]:
        """Return the sample ids of all receipts together; refuse those that share rows."""
        found = union((part.name, part.runs) for part in self._parts)
        for key, runs in found.items():
            if idruns.count(runs) == sum(len(part.ids[key]) for part in self._parts if key in part.ids):
                continue
            seen = idruns.EMPTY
            for part in self._parts:
                own = part.runs.get(key, idruns.EMPTY)
                if idruns.count(own) != len(part.ids.get(key, ())) or len(idruns.intersection(seen, own)):
                    raise ReceiptError(
                        f"{part.name} has rows of tensor {self._known[key].name!r} that it has twice, or that another "
                        "receipt has too; nothing was committed: give each receipt of a writer once"
                    )
                seen = idruns.union(seen, own)
        return found

    # ------------------------------------------------------------ what is there already

    def check_news(self, head: Head) -> None:
        """Look whether a branch has all receipts already; raises `AllLandedError` then, else as `onto`."""
        self._waiting(head)

    def onto(self, head: Head) -> Changes:
        """Return what is to be done to a branch: the receipts that it does not have yet, one behind the other.

        Raises
        ------
        AllLandedError
            If it has them all.
        ReceiptError
            If a receipt does not fit the tensors as they are now, or the branch has a part of its rows.
        """
        parts, tensors = self._waiting(head), tuple(map(_without_rows, head.snapshot.tensors))
        # after a lost swap all this is as it was, as a rule: then others can hardly be quicker for ever
        if self._made is None or self._made[:2] != (parts, tensors):
            made = self._together(parts, head.snapshot)
            if self._renumbered.write():
                made = self._together(parts, head.snapshot)
            self._made = (parts, tensors, made)
        return self._made[2]

    def _waiting(self, head: Head) -> list[Part]:
        states = self._appended.by(head.snapshot)
        there = union(states)
        if not any(len(idruns.intersection(runs, there.get(key, idruns.EMPTY))) for key, runs in self._runs.items()):
            return self._parts
        waiting = []
        for part in self._parts:
            landed = {
                key: idruns.count(idruns.intersection(runs, there.get(key, idruns.EMPTY)))
                for key, runs in part.runs.items()
            }
            if not any(landed.values()):
                waiting.append(part)
            elif any(landed[key] != len(ids) for key, ids in part.ids.items()):
                raise ReceiptError(
                    f"{part.name}: branch {head.branch!r} has {sum(landed.values())} of its "
                    f"{sum(map(len, part.ids.values()))} samples already, but not all; nothing was committed"
                )
        if not waiting:
            has = (each for each, ids in states if any(self._touches(runs) for runs in ids.items()))
            raise AllLandedError(next(has, head.commit_id or ""))
        return waiting

    def _touches(self, found: tuple[str, idruns.Runs]) -> bool:
        key, runs = found
        return any(len(idruns.intersection(part.runs[key], runs)) for part in self._parts if key in part.runs)

    # ------------------------------------------------------------ whether the rows are there

    def check_stored(self, head: Head) -> None:
        """Look whether every segment is there, whole, of those receipts that a branch does not have yet.

        Raises
        ------
        AllLandedError
            If it has them all.
        ReceiptError
            If one is missing or damaged.
        """
        waiting = self._waiting(head)
        check_segments(
            self._session.store, {entry.segment: part.name for part in waiting for entry in _entries(part.receipt)}
        )

    # ------------------------------------------------------------ putting them together

    def _together(self, parts: list[Part], theirs: d.Snapshot) -> Changes:
        """Return the changes that append the rows of all parts to a state, names and dtypes united."""
        now = {state.key: state for state in theirs.tensors}
        bare = structs.replace(theirs, tensors=tuple(map(_without_rows, theirs.tensors)), diff=d.Diff())
        rows: dict[str, list[RowChanges]] = {}
        tensors: dict[str, d.TensorState] = {}
        infos: dict[str, Any] = {}
        reader = self._renumbered.reader(theirs)
        for part in parts:
            self._check_names(part, now)
            try:
                made = rebase(self._base, self._changes(part), bare, self._objects, reader)
            except ConflictError as error:
                raise ReceiptError(f"{part.name}: {error}; nothing was committed") from error
            for key, one in made.rows.items():
                rows.setdefault(key, []).append(one)
            tensors.update(made.tensors)
            infos.update(made.tensor_info)
            bare = structs.replace(bare, tensors=tuple(_settled(state, made) for state in bare.tensors))
            self._check_fits(part, {state.key: state for state in bare.tensors})
        return Changes({key: _joined(each) for key, each in rows.items()}, tensors, tensor_info=infos)

    def _changes(self, part: Part) -> Changes:
        """Return what a receipt changes against the tensors that its ingest began with."""
        rows, tensors, infos = {}, {}, {}
        for each in part.receipt.tensors:
            before, after = self._known[each.key], self._settled(each)
            if after != before:
                tensors[each.key] = after
            if each.class_names:
                info = info_value(self._objects, before.info)
                infos[each.key] = {**info, "class_names": [*info.get("class_names", ()), *each.class_names]}
            rows[each.key] = RowChanges(
                segments=each.segments, appended=_all(each.segments), appended_ids=part.ids[each.key]
            )
        return Changes(rows, tensors, tensor_info=infos)

    def _settled(self, each: d.ReceiptTensor) -> d.TensorState:
        """Return a tensor as the rows of a receipt leave it, which may be its first."""
        return structs.replace(self._known[each.key], **{field: getattr(each, field) for field in _FIXED})

    def _check_names(self, part: Part, now: dict[str, d.TensorState]) -> None:
        for each in part.receipt.tensors:
            state = now.get(each.key)
            if state is None:
                raise ReceiptError(
                    f"{part.name} has rows of tensor {each.name!r}, which was deleted since the ingest began; nothing "
                    "was committed: begin another ingest"
                )
            if state.name != each.name:
                raise ReceiptError(
                    f"{part.name} has rows of tensor {each.name!r}, which is called {state.name!r} by now; nothing was "
                    "committed: rename it back, or begin another ingest"
                )

    def _check_fits(self, part: Part, now: dict[str, d.TensorState]) -> None:
        for each in part.receipt.tensors:
            state, before = now[each.key], self._known[each.key]
            for field in (*_FIXED, "sequence", "sample_compression"):
                written, wanted = getattr(each, field, getattr(before, field)), getattr(state, field)
                if written != wanted:
                    raise ReceiptError(
                        f"{part.name} has rows of tensor {each.name!r} with {field} {written!r}, but it has {field} "
                        f"{wanted!r} by now; nothing was committed: write its rows again in another ingest"
                    )


def _all(segments: Sequence[d.SegmentTensor]) -> ExtentMap:
    return ExtentMap.from_runs((i, 0, entry.rows) for i, entry in enumerate(segments))


def _entries(receipt: d.Receipt) -> Iterator[d.SegmentTensor]:
    for each in receipt.tensors:
        yield from each.segments


def _without_rows(state: d.TensorState) -> d.TensorState:
    return structs.replace(state, length=0, extents=d.ExtentTable())


def _settled(state: d.TensorState, made: Changes) -> d.TensorState:
    """Return a tensor as changes of its schema and info leave it."""
    state = made.tensors.get(state.key, state)
    info = made.tensor_info.get(state.key)
    return _without_rows(state if info is None else structs.replace(state, info=d.Info(value=dict(info))))


def _joined(parts: Sequence[RowChanges]) -> RowChanges:
    """Return appended rows, one part behind the other."""
    segments: list[d.SegmentTensor] = []
    appended = []
    for part in parts:
        appended.append(edit.renumber(part.appended, np.arange(len(part.segments)) + len(segments)))
        segments += part.segments
    runs = [run for each in appended for run in each.runs()]
    return RowChanges(
        segments=tuple(segments),
        appended=ExtentMap.from_runs(runs) if runs else EMPTY,
        appended_ids=np.concatenate([part.appended_ids for part in parts]),
    )
