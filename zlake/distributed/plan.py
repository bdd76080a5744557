"""What a worker needs to know to write rows for an ingest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import structs

from zlake.context import Context
from zlake.distributed.writer import Writer
from zlake.errors import ReceiptError
from zlake.format import decode, encode
from zlake.format import documents as d
from zlake.session.session import Session
from zlake.storage.offer import Offer, accept, offer
from zlake.storage.store import Store


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the dataset of an ingest lies, and which tensors it had when the ingest began. Made by `begin`.

    Whoever has the plan may write rows for the ingest: keep it to the workers.
    """

    document: d.IngestPlan = field(repr=False)
    store: Store = field(repr=False)
    context: Context = field(repr=False)

    def writer(self) -> Writer:
        """Return a writer of rows, to be used as a context manager; nothing is read or written yet."""
        return Writer(self.document, self.store, self.context)

    def to_bytes(self) -> bytes:
        """Return the plan as it travels to other processes: a few hundred bytes for each tensor.

        Credentials that were given as ``creds=`` travel no further than in a pickle: other processes of this user on
        this machine can use them while this one lives. Elsewhere they come from the environment.

        Raises
        ------
        MemoryDatasetCanNotBePickledError
            If the dataset lies in the memory of this process.
        """
        place = offer(self.store)
        return encode(
            structs.replace(
                self.document,
                url=place.url,
                userinfo=place.userinfo,
                credentials=place.credentials,
                public=place.public,
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes, context: Context | None = None) -> Plan:
        """Return a plan that has travelled; nothing is read or written yet.

        Take plans from nobody whom you would not let choose where your process writes.

        Parameters
        ----------
        data
            What `to_bytes` returned.
        context
            Concurrency and memory of its writers.

        Raises
        ------
        CorruptObjectError
            If the bytes are damaged, or no plan.
        UnsupportedFormatError
            If a newer zlake made it.
        StoragePermissionError
            If it names credentials of a process that has ended, or is on another machine.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise ReceiptError(f"a plan travels as bytes, not as {type(data).__name__}; use plan.to_bytes()")
        document = decode(d.IngestPlan, bytes(data), where="the plan")
        context = context or Context()
        place = Offer(document.url, document.userinfo, document.credentials, document.public)
        return cls(document, accept(place, context), context)

    def __reduce__(self) -> tuple[Callable[[bytes], Plan], tuple[bytes]]:
        return Plan.from_bytes, (self.to_bytes(),)

    def __repr__(self) -> str:
        return f"<Plan for {self.store.url}, branch {self.document.branch!r}>"


def plan_of(session: Session, ingest: str) -> Plan:
    """Return the plan of an ingest that begins at the state of a session without unflushed changes."""
    head = session.head
    assert head.branch is not None
    document = d.IngestPlan(
        dataset_id=session.repository.root.dataset_id,
        ingest=ingest,
        token=session.context.new_id(),
        branch=head.branch,
        snapshot=head.snapshot.id,
        commit=head.ref.commit or "",
        url="",
        tensors=tuple(_bare(session, state) for state in head.snapshot.tensors),
        lengths=tuple(state.length for state in head.snapshot.tensors),
    )
    return Plan(document, session.store, session.context)


def _bare(session: Session, state: d.TensorState) -> d.TensorState:
    """Return a tensor without rows, and without what a writer does not need of its info."""
    keys = session.columns[state.name].htype.keys
    info = state.info
    if "class_names" not in keys:
        info = d.Info()
    elif not info.object:
        info = d.Info(value={"class_names": info.value.get("class_names", [])})
    return structs.replace(state, length=0, extents=d.ExtentTable(), info=info)
