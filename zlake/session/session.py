"""An opened dataset at one version, with this process's own changes on top: the one mutable object of a dataset."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import numpy as np

from zlake.context import Context
from zlake.errors import (
    BranchDeletedError,
    CommitStateUnknownError,
    ConflictError,
    ReadOnlyModeError,
    RefExistsError,
    StaleSessionError,
    TensorDoesNotExistError,
)
from zlake.format.documents import Info, SegmentTensor
from zlake.segments.block import Block
from zlake.segments.source import Source, open_source
from zlake.session.column import Column
from zlake.session.doubts import branch_landed, settled
from zlake.session.lease import Keeper
from zlake.storage import fork
from zlake.storage.store import Store
from zlake.versions.head import Head
from zlake.versions.repository import Repository


class _Locked(Protocol):
    """A session, or a column of one."""

    lock: threading.RLock


_MOST_SOURCES = 256
"""Opened segments kept before those are looked for that no row lies in any more."""

_S = TypeVar("_S", bound=_Locked)
_P = ParamSpec("_P")
_T = TypeVar("_T")


def alone(function: Callable[Concatenate[_S, _P], _T]) -> Callable[Concatenate[_S, _P], _T]:
    """Let no other thread change the session meanwhile: it is the first argument, or that of the column that is."""

    @wraps(function)
    def locked(first: _S, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        fork.check()  # before the lock, which a thread that a fork left behind may hold for ever
        with first.lock:
            return function(first, *args, **kwargs)

    return locked


class Session:
    """A dataset at one version.

    Threads may share it: changes are made one after the other, and reads see the rows before or after a change.

    Parameters
    ----------
    repository
        The opened repository.
    head
        The branch head, or the detached version, to start from.
    read_only
        Refuse every change.
    """

    def __init__(self, repository: Repository, head: Head, *, read_only: bool = False) -> None:
        self.lock = threading.RLock()
        self.repository = repository
        self.head = head
        self.read_only = read_only
        self.keeper = Keeper(repository.store, repository.context, wanted=not read_only)
        self.columns: dict[str, Column] = {}
        self.groups: set[str] = set()
        self.deleted: dict[str, Column] = {}
        """Tensors deleted since the last flush, by key."""
        self.depth = 0
        self.version = 0
        """Counts the times the rows may have moved: faces that keep rows compare it."""
        self.info_changed = False
        self.flushed = False
        """Whether anything was flushed since the last commit of this session."""
        self.aligned = False
        """Whether the last change was a row appended to every tensor, all of which were known to have one length."""
        self._kept = False  # what is buffered outside a block is left over from one whose flush failed
        self._unsure: CommitStateUnknownError | None = None
        self._own: tuple[str, str] | None = None  # a past snapshot, and the branch that is being made for it
        self.doubts: dict[tuple[str, str], CommitStateUnknownError] = {}
        """Changes of refs whose outcome is unknown, by what was done and the name."""
        self._held: dict[str, Block] = {}  # buffered rows, by tensor key, that were no part of that write
        self._info: dict[str, Any] | None = None
        self._sources: dict[tuple[str, str], Source] = {}
        self._most_sources = _MOST_SOURCES
        self._load()

    # ------------------------------------------------------------ opening

    @property
    def store(self) -> Store:
        """The store the dataset lies in."""
        return self.repository.store

    @property
    def context(self) -> Context:
        """Clock, ids and limits."""
        return self.repository.context

    def _load(self) -> None:
        """Take the state of `head`, forgetting all unflushed changes."""
        snapshot = self.head.snapshot
        known = {column.key: column for column in self.columns.values()} | self.deleted
        columns = {}
        for state in snapshot.tensors:
            column = known.pop(state.key, None)
            if column is None:
                column = Column(self, state)
            elif column.state is not state or column.changed or column.deleted:
                column.reset(state)
                column.deleted = False
            columns[state.name] = column
        for column in known.values():
            column.deleted = True
        self.columns = columns
        self.groups = set(snapshot.groups)
        self.deleted = {}
        self.info_changed = False
        self._info = None
        self.aligned = False
        self._kept = False
        self.version += 1

    def adopt(self, head: Head) -> None:
        """Go on from another head, forgetting unflushed changes."""
        self.head = head
        self._unsure = None
        self._load()
        if len(self._sources) > self._most_sources:
            used = {(entry.segment, c.key) for c in self.columns.values() for entry in c.base()[0]}
            self._sources = {k: s for k, s in dict(self._sources).items() if k in used}
            self._most_sources = max(_MOST_SOURCES, 2 * len(self._sources))

    def go_on(self, head: Head) -> None:
        """Adopt a head that what this session flushed is a part of, whoever wrote it."""
        self.adopt(head)
        self.flushed = self.flushed and head.ref.staged is not None

    @alone
    def refresh(self, discard: bool = False) -> None:
        """Read the branch again and see what others flushed.

        Unflushed changes of this session are flushed first, or forgotten with ``discard``. If nobody could tell how the
        last write ended, what is seen now is how: it does not land later.
        """
        if self._unsure is not None and self.head.branch is not None:
            with suppress(CommitStateUnknownError):  # so much has happened since that it can only be looked at
                self.repository.settle(self.head.branch, self._unsure)
        if discard:
            self.adopt(self.head)
        elif self.changed:
            try:
                self.flush()
            except StaleSessionError:
                self.head = self.repository.acknowledged(self.head)
                self.flush()
        if self.head.branch is not None:
            self.adopt(self.repository.head(self.head.branch))
        self.keep()

    def keep(self) -> None:
        """Hold a lease on what this session reads, if it has been open for days."""
        self.keeper.keep(self.head.snapshot.id)

    @alone
    def pinned(self) -> Session:
        """Return a read-only session on the snapshot as it is now, which later changes of this one do not move."""
        if self.changed:
            self.flush()
        self.keep()
        twin = Session(self.repository, self.head, read_only=True)
        twin.keeper = Keeper(self.store, self.context, wanted=self.keeper.wanted)
        twin._sources = self._sources  # shared, so that what either opened, mapped and checked serves both
        return twin

    def open_source(self, entry: SegmentTensor, key: str, dtype: np.dtype | None) -> Source:
        """Return the source of a stored segment, opened once for all columns and versions of this session."""
        found = self._sources.get((entry.segment, key))
        if found is None:
            stored = np.dtype(np.uint8) if entry.layout == "encoded" or dtype is None else dtype
            found = open_source(self.store, entry, key, stored, self.context)
            self._sources[entry.segment, key] = found
        return found

    def load_info(self, info: Info) -> dict[str, Any]:
        """Return a user's dictionary, reading its object where it is large."""
        return self.repository.load_info(info)

    @property
    def info(self) -> dict[str, Any]:
        """The dataset's info; change it through `zlake.session.info`."""
        if self._info is None:
            self._info = self.load_info(self.head.snapshot.info)
        return self._info

    def replace_info(self, info: dict[str, Any]) -> None:
        """Set the dataset's info, to be written by the next flush."""
        self._info = info
        self.info_changed = True

    # ------------------------------------------------------------ looking up

    def column(self, name: str) -> Column:
        """Return a tensor by its full name.

        Raises
        ------
        TensorDoesNotExistError
            If there is none.
        """
        try:
            return self.columns[name]
        except KeyError:
            import difflib

            near = difflib.get_close_matches(str(name), self.columns, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {sorted(self.columns)}"
            raise TensorDoesNotExistError(f"there is no tensor {name!r} in this dataset{hint}") from None

    def length(self) -> int:
        """Rows that every visible tensor has."""
        return min((len(c) for c in self.columns.values() if not c.state.options.get("hidden")), default=0)

    def max_length(self) -> int:
        """Rows of the longest visible tensor."""
        return max((len(c) for c in self.columns.values() if not c.state.options.get("hidden")), default=0)

    # ------------------------------------------------------------ changing

    def check_writable(self) -> None:
        """Raise unless this session may change the dataset."""
        if self.read_only:
            raise ReadOnlyModeError(
                f"{self.store.url} is open read-only; load it with read_only=False, or set ds.read_only = False"
            )
        if self.head.branch is None and self.head.snapshot.kind == "staged":
            raise ReadOnlyModeError(
                f"{self.store.url} is at a past state that was never committed; load a branch or commit to write"
            )
        fork.check_script()

    def begin(self, *columns: Column) -> None:
        """Make ready for a change of these columns, before anything of it is looked at.

        What must be written first is written here, so that a storage that fails refuses the coming change as a whole:
        a call that raised has left nothing behind, and can be made again.

        Raises
        ------
        ReadOnlyModeError
            If this session may not change the dataset.
        TensorDoesNotExistError
            If a column was deleted.
        """
        self.check_writable()
        self.keep()
        if self._unsure is not None:
            self.recover()
        if self.depth:
            if self.buffered >= self.context.flush_bytes:
                self._flush_full()
        elif self.changed:
            self.flush()
        for column in columns:
            if column.deleted:
                raise TensorDoesNotExistError(
                    f"tensor {column.name!r} was deleted; create it again, or load a commit that has it"
                )
        self.aligned = False

    @alone
    def enter(self) -> None:
        """Begin a ``with`` block."""
        self.drop_interrupted()
        self.depth += 1

    def drop_interrupted(self) -> None:
        """Forget what a call outside a block has left that did not come to its flush: it was interrupted."""
        if not self.depth and not self._kept and self.changed:
            self._load()

    @property
    def changed(self) -> bool:
        """Whether there is anything to flush."""
        return bool(
            self.deleted
            or self.info_changed
            or self.groups != set(self.head.snapshot.groups)
            or any(c.changed for c in self.columns.values())
        )

    @property
    def buffered(self) -> int:
        """Bytes of rows that are not flushed yet."""
        total = 0
        for column in self.columns.values():  # asked for every row: a plain loop takes a third of `sum`
            total += column.buffer.nbytes
        return total

    def written(self) -> None:
        """Flush as the current block demands, after a change."""
        if self.depth:
            return
        try:
            self._flush()
        except BaseException:
            # the caller's change was not acknowledged: leave nothing of it behind that a retry would double
            self._load()
            raise

    def _flush_full(self) -> None:
        """Flush a full buffer up to the last shard boundary; the few rows behind it stay buffered."""
        from zlake.session import align  # which needs the class

        held = align.hold_back(self)
        try:
            self._write()
        except BaseException:
            align.show_again(self, held)
            self._held = held
            raise
        align.put_back(self, held)

    @alone
    def leave(self) -> None:
        """End a ``with`` block; the outermost one flushes, also after an error: what was appended is kept.

        If the flush fails everything stays buffered: it can be flushed again.
        """
        self.depth -= 1
        if self.depth == 0 and not self.read_only:
            self._kept = True
            self._flush()
            self._kept = False

    @alone
    def set_read_only(self, value: bool) -> None:
        """Allow or refuse changes from now on."""
        if not value and not self.store.capabilities.writable:
            raise ReadOnlyModeError(f"{self.store.url} cannot be written to")
        if value and self.changed:
            self.flush()
        self.read_only = value

    @alone
    def flush(self) -> None:
        """Write everything that is buffered and make it durable; after an error everything is still buffered."""
        self.drop_interrupted()
        self._flush()

    def _flush(self) -> None:
        if self.changed:
            self.recover()
        if self.changed:
            self._write()

    def _write(self) -> None:
        from zlake.session.flush import flush  # which needs the class

        self.attach()
        with self.noting_doubt(), self.advising():
            self.adopt(flush(self))
        self.flushed = True

    def attach(self) -> None:
        """Stand on a branch to write: at a past commit make one, ``auto_<id>``, and go on there."""
        if self.head.branch is not None:
            return
        if self._own is None or self._own[0] != self.head.snapshot.id:
            self._own = self.head.snapshot.id, f"auto_{self.context.new_id()}"
        try:
            made = self.repository.create_branch(self._own[1], self.head)
        except RefExistsError:  # ours, from a call whose answer was lost: nobody else draws this id
            made = self.repository.head(self._own[1])
        self._own = None
        self.head = Head(made.branch, made.ref, made.generation, self.head.snapshot)

    @contextmanager
    def advising(self) -> Iterator[None]:
        """Add to a conflict what the user can do about it."""
        try:
            yield
        except ConflictError as error:
            again = "call refresh() to see theirs, and make the change again"
            raise ConflictError(f"{error}; {self._advice(again)}", error.conflicts) from error
        except (BranchDeletedError, StaleSessionError) as error:
            again = "checkout(name, create=True) goes on on a new branch"
            raise type(error)(f"{error}; {self._advice(again)}") from error

    def _advice(self, again: str) -> str:
        """Say what has become of the changes, and what to do: ``again`` where they were those of one call."""
        if self.depth or self._kept:
            return (
                "what this session has not flushed is still buffered: checkout(name, create=True) takes it to a new "
                "branch, which can be merged; refresh(discard=True) drops it"
            )
        return f"nothing of this call was written: {again}"

    # ------------------------------------------------------------ writes whose outcome is unknown

    @contextmanager
    def noting_doubt(self) -> Iterator[None]:
        """Remember that the write in the block may have landed, if that is how it ends."""
        try:
            yield
        except CommitStateUnknownError as error:
            self._unsure, self._held = error, {}
            raise

    def recover(self) -> str | None:
        """Settle whether the last write landed, if its outcome is unknown, before anything else is changed.

        If it did the session goes on from there, and nothing of it is written again.

        Returns
        -------
        str or None
            Id of the snapshot that landed; None if there was no doubt, or everything is still to be written.

        Raises
        ------
        CommitStateUnknownError
            The same one, if it still cannot be known.
        """
        error, held = self._unsure, self._held
        if error is None or self.head.branch is None:
            return None
        from zlake.session import align  # which needs the class

        head = settled(error, branch_landed(self, self.head.branch))
        if head is None:
            self._unsure = None
            return None
        kept = self._kept
        self.adopt(head)
        align.put_back(self, held)
        self._kept = kept
        self.flushed = True
        return error.commit_id
