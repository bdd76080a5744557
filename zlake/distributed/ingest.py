"""The side of an ingest that begins and commits it."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

from zlake import limits
from zlake.distributed.joining import AllLandedError, Joining
from zlake.distributed.plan import Plan, plan_of
from zlake.distributed.receipt import Receipt, is_signed
from zlake.distributed.upkeep import Upkeep
from zlake.errors import (
    CommitStateUnknownError,
    EmptyCommitError,
    FormatError,
    InvalidOperationError,
    LeaseLapsedError,
    ReceiptError,
)
from zlake.format import documents as d
from zlake.session.commit import check_text, default_author
from zlake.session.flush import Rows
from zlake.session.session import Session
from zlake.versions.appended import Appended
from zlake.versions.head import Head
from zlake.versions.lease import Lease
from zlake.versions.protocol import nothing_changed
from zlake.versions.safety import check_writable


@runtime_checkable
class _Dataset(Protocol):
    """A `zlake.Dataset`."""

    @property
    def _session(self) -> Session: ...

    def _whole(self, method: str) -> None: ...


def _session(ds: Any, method: str) -> Session:
    """Return the session of a dataset, which must be a whole one."""
    if not isinstance(ds, _Dataset):
        raise InvalidOperationError(f"{method} takes an open dataset, not {ds!r:.100}; zlake.load(path) opens one")
    ds._whole(method)
    return ds._session


def begin(ds: _Dataset) -> Ingest:
    """Begin an ingest: rows that other processes write and that become a part of the dataset all at once.

    Takes a lease: until the ingest is over, `Dataset.gc` deletes nothing that is written from now on.

    Parameters
    ----------
    ds
        The dataset, at the branch that the rows are to go to. What it has not flushed is flushed.

    Returns
    -------
    Ingest
        A context manager: at the end of its block the ingest is over, whether it was committed or not.

    Raises
    ------
    InvalidOperationError
        If this is a view.
    ReadOnlyModeError
        If the dataset cannot be written.
    UnsafeStorageError
        If the storage has no conditional writes.
    """
    session = _session(ds, "begin")
    with session.lock:
        session.check_writable()
        check_writable(session.store, single_writer=session.repository.single_writer)
        session.flush()
        session.attach()
        session.refresh()
        with nothing_changed(session.store):
            lease = Lease.take(session.store, session.context, session.head.snapshot.id or None)
        return Ingest(session, plan_of(session, lease.id), lease)


def resume(ds: _Dataset, plan: Plan | bytes) -> Ingest:
    """Go on with an ingest whose process has ended: receipts of its workers can be committed here.

    Those that the process has committed before it ended are not committed again.

    Parameters
    ----------
    ds
        The dataset.
    plan
        The ingest's plan, kept by whoever began it: `Plan.to_bytes`.

    Raises
    ------
    ReceiptError
        If it is the plan of an ingest into another dataset.
    """
    session = _session(ds, "resume")
    document = (plan if isinstance(plan, Plan) else Plan.from_bytes(plan, session.context)).document
    if document.dataset_id != session.repository.root.dataset_id:
        raise ReceiptError(
            f"this is the plan of an ingest into dataset {document.dataset_id}; {session.store.url} is dataset "
            f"{session.repository.root.dataset_id}"
        )
    with session.lock:
        session.check_writable()
        lease = Lease.find(session.store, session.context, document.ingest, document.snapshot or None)
        return Ingest(session, Plan(document, session.store, session.context), lease)


class Ingest:
    """An ingest that goes on. Made by `begin`; a context manager that ends it.

    Parameters
    ----------
    session
        The dataset's.
    plan
        For the workers.
    lease
        What keeps their segments; None if it is gone.
    """

    def __init__(self, session: Session, plan: Plan, lease: Lease | None) -> None:
        self._session = session
        self._plan = plan
        self._lease = lease
        self._over = ""
        self._doubtful = False
        document = plan.document
        self._appended = Appended(session.repository.objects, {document.snapshot, document.commit} - {""})
        self._upkeep = Upkeep(lease)
        weakref.finalize(self, self._upkeep.forget)

    @property
    def plan(self) -> Plan:
        """What the workers need: ``plan.to_bytes()`` in this process, ``Plan.from_bytes(data).writer()`` in theirs."""
        return self._plan

    def commit(self, receipts: Iterable[Receipt | bytes], message: str = "", author: str | None = None) -> str:
        """Commit the rows of all receipts at once, in the order of the receipts, behind the rows that are there.

        The commit takes in what is staged on the branch, as every commit does, and follows what others have committed
        meanwhile. No row is ever there twice: a receipt that is given twice counts once, and one that was committed
        before, by this call or another of the same ingest, is left out. So after `CommitStateUnknownError`, or in a
        process that goes on for one that has ended (`resume`), make the same call again. After an error
        the ingest goes on; when this has returned it is over.

        Parameters
        ----------
        receipts
            Of writers of this ingest.
        message, author
            As of `Dataset.commit`.

        Returns
        -------
        str
            Id of the commit; if all receipts had been committed before, of the newest one that has some.

        Raises
        ------
        ReceiptError
            If a receipt is not of this ingest, its rows are missing, or a tensor was deleted, renamed or changed
            meanwhile so that they no longer fit; nothing was committed.
        CorruptObjectError
            If a receipt is damaged; nothing was committed.
        LeaseLapsedError
            If the ingest was not looked after for so long that what was written may have been collected.
        EmptyCommitError
            If there are no rows.
        BranchDeletedError
            If the branch was deleted: restore it, and commit again.
        CommitStateUnknownError
            If the storage stopped answering at the last step: commit the same receipts again.
        """
        session = self._session
        with session.lock:
            session.check_writable()
            check_text("message", message, limits.MAX_MESSAGE_BYTES)
            check_text("author", author or "", limits.MAX_AUTHOR_BYTES)
            documents = self._read(receipts)
            if not any(document.tensors for _, document in documents):
                raise EmptyCommitError(
                    f"there are no rows in these {len(documents)} receipts: there is nothing to commit"
                )
            branch = self._plan.document.branch
            if session.head.branch == branch:
                session.flush()
            try:
                commit_id = self._commit(
                    Joining(session, self._plan.document, documents, self._appended), message, author
                )
            except CommitStateUnknownError as error:
                self._doubtful = True
                raise CommitStateUnknownError(
                    f"{error}; or commit the same receipts again: what has landed is not committed twice",
                    error.commit_id,
                    error.write_id,
                    error.sequence,
                    error.branch,
                ) from error
            self._end("this ingest was committed")
            return commit_id

    def _commit(self, joining: Joining, message: str, author: str | None) -> str:
        session, repository = self._session, self._session.repository
        head = repository.head(self._plan.document.branch)
        try:
            joining.check_news(head)
            self._hold()
            joining.check_stored(head)
            changes = joining.onto(head)
            head = repository.commit(
                head,
                changes,
                message,
                author or default_author(),
                reader=Rows(session, head.snapshot),
                follow=lambda _head, _changes, theirs: joining.onto(theirs),
            )
        except AllLandedError as landed:
            self._adopt(None)
            return landed.commit_id
        self._adopt(head)
        return str(head.ref.commit)

    def _adopt(self, head: Head | None) -> None:
        """Let the dataset show the rows, if it is at this branch."""
        session, branch = self._session, self._plan.document.branch
        if session.head.branch == branch:
            session.adopt(head or session.repository.head(branch))
            session.flushed = False

    def _hold(self) -> None:
        """Make sure that the lease has held all the time, and holds on."""
        if self._over:
            raise InvalidOperationError(f"{self._over}, so these rows are not kept any more; begin another one")
        if self._upkeep.lapsed is not None:
            raise self._upkeep.lapsed
        if self._lease is None:
            raise LeaseLapsedError(
                f"{self._session.store.url}: the ingest {self._plan.document.ingest} has no lease any more: it was "
                "ended, or nobody looked after it for too long, and what was written for it may have been collected; "
                "begin another one"
            )
        with nothing_changed(self._session.store):
            self._upkeep.renew(self._lease)

    def _read(self, receipts: Iterable[Receipt | bytes]) -> list[tuple[str, d.Receipt]]:
        """Return the receipts, each once, after a look whether they are of this ingest."""
        if isinstance(receipts, (bytes, Receipt)):
            raise ReceiptError("commit takes a list of receipts, not one receipt")
        found: dict[str, tuple[str, d.Receipt]] = {}
        plan = self._plan.document
        for number, given in enumerate(receipts):
            name = f"receipt {number}"
            try:
                document = (given if isinstance(given, Receipt) else Receipt.from_bytes(given)).document
            except (FormatError, ReceiptError) as error:
                raise type(error)(f"{name}: {error}") from error
            if document.dataset_id != plan.dataset_id:
                raise ReceiptError(f"{name} is of dataset {document.dataset_id}, this one is {plan.dataset_id}")
            if document.ingest != plan.ingest:
                raise ReceiptError(f"{name} is of the ingest {document.ingest}, this one is {plan.ingest}: see resume")
            if not is_signed(document, plan.token):
                raise ReceiptError(f"{name} was changed, or made by somebody who had no plan of this ingest")
            known = {state.key for state in plan.tensors}
            strange = next((each.name for each in document.tensors if each.key not in known), None)
            if strange is not None:
                raise ReceiptError(f"{name} has rows of a tensor {strange!r} that this ingest did not begin with")
            found.setdefault(document.mac, (name, document))
        return list(found.values())

    def abort(self) -> None:
        """End the ingest without committing; what was written for it is deleted by `Dataset.gc` some day."""
        if not self._over:
            self._end("this ingest was aborted")

    def _end(self, why: str) -> None:
        self._over = why
        self._upkeep.stop()
        if self._lease is not None:
            self._lease.release()

    def __enter__(self) -> Ingest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._doubtful and not self._over:
            self._upkeep.stop()  # the lease lapses by itself, so that somebody can go on until then
        else:
            self.abort()

    def __repr__(self) -> str:
        return f"<Ingest into {self._session.store.url}, branch {self._plan.document.branch!r}>"
