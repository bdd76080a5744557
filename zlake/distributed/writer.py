"""A worker's side of an ingest: rows become segments, and segments a receipt. No ref is read or written."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from msgspec import structs

from zlake.context import Context
from zlake.distributed.receipt import Receipt, signed
from zlake.errors import InvalidOperationError
from zlake.format import documents as d
from zlake.session import append
from zlake.session.lease import Keeper
from zlake.session.session import Session
from zlake.storage.store import Store
from zlake.versions.changes import Changes, RowReader
from zlake.versions.head import EMPTY_SNAPSHOT, Head
from zlake.versions.repository import Repository


class Writer:
    """Writes rows that are to become a part of a dataset later, all together. Made by `Plan.writer`.

    Rows are buffered, and written as a segment whenever the buffer is full; the rest at the end of the ``with`` block.
    Then all of them are durable, and `receipt` names them. A block that ends with an error leaves no receipt: then
    what it has written is garbage, which `Dataset.gc` deletes once the ingest is over.

    Threads may share a writer.

    Parameters
    ----------
    plan, store, context
        Of the ingest.
    """

    def __init__(self, plan: d.IngestPlan, store: Store, context: Context) -> None:
        self._plan = plan
        self._shelf = _Shelf(plan, store, context)
        lengths = dict(zip((state.key for state in plan.tensors), plan.lengths, strict=True))
        states = tuple(structs.replace(state, length=lengths[state.key]) for state in plan.tensors)
        ref = d.Ref(commit=None, staged=None, sequence=0, write_id=plan.ingest)
        snapshot = structs.replace(EMPTY_SNAPSHOT, tensors=states)
        self._session = Session(self._shelf, Head(plan.branch, ref, b"", snapshot))
        self._session.keeper = Keeper(store, context, wanted=False)  # the ingest has a lease
        self._session.enter()
        self._receipt: Receipt | None = None
        self._over = ""

    def append(self, sample: Mapping[str, Any], skip_ok: bool = False, append_empty: bool = False) -> None:
        """Append one row; as `zlake.Dataset.append`."""
        self._check()
        append.append_row(self._session, sample, skip_ok=skip_ok, append_empty=append_empty)

    def extend(
        self,
        samples: Mapping[str, Any],
        skip_ok: bool = False,
        append_empty: bool = False,
        ignore_errors: bool = False,
        progressbar: bool = False,
    ) -> None:
        """Append many rows, all or none; as `zlake.Dataset.extend`.

        Raises
        ------
        SampleExtendError
            If a sample does not fit, or a tensor is left out; none of these rows was taken.
        TensorDoesNotExistError
            If the dataset had no tensor of a name when the ingest began.
        StorageError
            If a full buffer could not be written; none of these rows was taken, and the call can be made again.
        """
        self._check()
        append.extend_rows(
            self._session,
            samples,
            skip_ok=skip_ok,
            append_empty=append_empty,
            ignore_errors=ignore_errors,
            progressbar=progressbar,
        )

    def close(self) -> Receipt:
        """Make all rows durable and return their receipt; as the end of a ``with`` block.

        Raises
        ------
        StorageError
            If the storage fails. Nothing is lost: call it again.
        """
        if self._receipt is None:
            self._check()
            if self._session.depth:
                self._session.leave()
            else:  # the first try failed
                self._session.flush()
            self._receipt = Receipt(signed(self._shelf.document(self._session), self._plan.token))
        return self._receipt

    @property
    def receipt(self) -> Receipt:
        """What to hand back to the process that began the ingest.

        Raises
        ------
        InvalidOperationError
            If the rows are not all durable yet, or never will be.
        """
        if self._receipt is None:
            self._check()
            raise InvalidOperationError("there is a receipt when all rows are durable: at the end of the with block")
        return self._receipt

    def _check(self) -> None:
        if self._over:
            raise InvalidOperationError(f"{self._over}; take another writer from the plan")
        if self._receipt is not None:
            raise InvalidOperationError("this writer has given its receipt; take another writer from the plan")

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._receipt is None:
            self._over = f"the block of this writer ended with an error ({kind.__name__}), so its rows are dropped"
            self._session.adopt(self._session.head)  # without what is buffered


class _Shelf(Repository):
    """What stands for the repository of a writer's session: takes segments, and leaves branches alone."""

    def __init__(self, plan: d.IngestPlan, store: Store, context: Context) -> None:
        super().__init__(store, context, d.Root(format_version=d.FORMAT_VERSION, dataset_id=plan.dataset_id, created=0))
        self._plan = plan
        self._written: dict[str, list[d.SegmentTensor]] = {}

    def flush(self, head: Head, changes: Changes, reader: RowReader | None = None) -> Head:
        """Keep what was written, and return a head that has as many rows, though it does not know where they are."""
        states = []
        for before in head.snapshot.tensors:
            state = changes.tensors.get(before.key, before)
            rows = changes.rows.get(before.key)
            if rows is not None:
                self._written.setdefault(before.key, []).extend(rows.segments)
            info = changes.tensor_info.get(before.key)
            states.append(
                structs.replace(
                    state,
                    length=before.length + (0 if rows is None else rows.appended.length),
                    extents=d.ExtentTable(),
                    info=before.info if info is None else d.Info(value=dict(info)),
                )
            )
        return Head(head.branch, head.ref, head.generation, structs.replace(head.snapshot, tensors=tuple(states)))

    def document(self, session: Session) -> d.Receipt:
        """Return the receipt of everything written."""
        tensors = []
        for before in self._plan.tensors:
            segments = self._written.get(before.key)
            if not segments:
                continue
            state = session.columns[before.name].state
            added: tuple[str, ...] = ()
            if state.info != before.info:
                known = len(self.load_info(before.info).get("class_names", ()))
                added = tuple(state.info.value["class_names"][known:])
            tensors.append(
                d.ReceiptTensor(
                    key=before.key,
                    name=before.name,
                    htype=state.htype,
                    dtype=state.dtype,
                    ndim=state.ndim,
                    segments=tuple(segments),
                    class_names=added,
                )
            )
        return d.Receipt(self._plan.dataset_id, self._plan.ingest, tuple(tensors))
