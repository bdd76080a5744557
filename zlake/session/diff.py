"""Versions compared as a session sees them: what differs, which commits made it so, and the rows one by one."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from zlake.errors import DiffError, TensorDoesNotExistError, TensorModifiedError
from zlake.format.documents import Snapshot, TensorState
from zlake.session import diff_entries, diff_text
from zlake.session.changed_rows import ChangedRow, State, changed_rows
from zlake.session.column import Column
from zlake.session.diff_entries import DiffDict, Entry
from zlake.session.flush import Rows
from zlake.session.session import Session, alone
from zlake.types import IntArray
from zlake.versions.ancestors import is_ancestor
from zlake.versions.compare import Comparison, schema
from zlake.versions.head import EMPTY_SNAPSHOT, Head
from zlake.versions.manifests import ahead
from zlake.versions.objects import Objects


class Diff:
    """Two versions of a dataset, compared. ``str()`` gives it as text; nothing changes it later.

    Attributes
    ----------
    before, after
        What is compared, in words.
    """

    def __init__(
        self,
        session: Session,
        a: tuple[str, Snapshot],
        b: tuple[str, Snapshot],
        sides: tuple[list[str], list[str]] | None,
        *,
        swapped: bool = False,
    ) -> None:
        self.before, self.a = a
        self.after, self.b = b
        self.sides = sides
        self._swapped = swapped
        self.objects: Objects = session.repository.objects
        self._reader = Rows(session, self.a, self.b)
        self.comparison = Comparison(self.a, self.b, self.objects, self._reader)
        self._ends = (State(session.repository, self.a), State(session.repository, self.b))

    @cached_property
    def names(self) -> dict[str, str]:
        """Names of the visible tensors by key: those of the second version, then those that only the first has."""
        return {key: state.name for key, state in self._states.items() if not state.options.get("hidden")}

    @cached_property
    def _states(self) -> dict[str, TensorState]:
        return {
            **self.comparison.after,
            **{k: v for k, v in self.comparison.before.items() if k not in self.comparison.after},
        }

    @cached_property
    def touched(self) -> dict[str, str]:
        """Names of the tensors that differ in any way, by key."""
        return {key: name for key, name in self.names.items() if self._differs(key)}

    def _differs(self, key: str) -> bool:
        a, b = self.comparison.before.get(key), self.comparison.after.get(key)
        if a is None or b is None or schema(a) != schema(b) or a.info != b.info:
            return True
        return self.comparison.rows_differ(key)

    @property
    def tensors(self) -> list[str]:
        """Names of the tensors that differ in any way."""
        return list(dict.fromkeys(self.touched.values()))

    def rows(self, tensor: str | None = None) -> Iterator[ChangedRow]:
        """Yield the samples that are not the same in both versions, whichever rows they are in.

        Found from extents; ids are read only of rows that differ, and samples when they are asked for.

        Parameters
        ----------
        tensor
            Name of a tensor in either version; None for all visible ones, one after the other.

        Yields
        ------
        ChangedRow
            Those removed, those updated, then those added, each in row order.

        Raises
        ------
        TensorDoesNotExistError
            If neither version has such a tensor.
        """
        chosen = self.names if tensor is None else self._named(tensor)
        return (row for key, name in chosen.items() for row in changed_rows(self.comparison, key, name, *self._ends))

    def _named(self, tensor: Any) -> dict[str, str]:
        """Return the tensors of a name: in the second version or gone from it, else in the first one."""
        found = {key: state.name for key, state in self._states.items() if state.name == tensor}
        if not found:
            found = {state.key: self._states[state.key].name for state in self.a.tensors if state.name == tensor}
        if not found:
            known = sorted(set(self.names.values()))
            near = difflib.get_close_matches(str(tensor), known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {known}"
            raise TensorDoesNotExistError(f"neither version has a tensor {tensor!r:.300}{hint}")
        return found

    def as_dict(self) -> DiffDict:
        """Return what each commit changed: ``dataset`` and ``tensors``, lists with the newest commit first.

        Of two versions these are pairs of lists, down to the commits that both follow: those of the present version
        and of ``id_1``, or of ``id_1`` and ``id_2``. A state that is not committed comes first, without author.
        """
        if self.sides is None:
            same = self.b.id == self.a.id
            dataset, tensors = diff_entries.unchanged() if same else self._entries(self.b, [self.b.id])
            return DiffDict(dataset=dataset, tensors=tensors)
        one, two = map(self._entries, (self.a, self.b), self.sides)
        if self._swapped:
            one, two = two, one
        return DiffDict(dataset=(one[0], two[0]), tensors=(one[1], two[1]))

    def _entries(self, tip: Snapshot, chain: list[str]) -> tuple[list[Entry], list[Entry]]:
        return diff_entries.entries(self.objects, tip, chain, self._reader)

    def __str__(self) -> str:
        return diff_text.text(self)

    def __repr__(self) -> str:
        return f"Diff({self.before!r} to {self.after!r})"


def show(session: Session, id_1: Any, id_2: Any, as_dict: bool) -> Diff | DiffDict:
    """Compare versions as `diff` does, and return the dictionary, or print the text and return the diff."""
    found = diff(session, id_1, id_2)
    if as_dict:
        return found.as_dict()
    sys.stdout.write(f"{found}\n")
    return found


@alone
def diff(session: Session, id_1: Any = None, id_2: Any = None) -> Diff:
    """Compare versions: this one with the commit before it; ``id_1`` with this one; or ``id_1`` with ``id_2``."""
    if id_1 is None and id_2 is not None:
        raise DiffError(f"id_2={id_2!r:.100} is given without id_1; name the version to compare it with")
    for name, address in (("id_1", id_1), ("id_2", id_2)):
        if address is not None and not isinstance(address, str):
            kind = type(address).__name__
            raise DiffError(f"{name} is the name of a branch or tag, or a commit id, not {address!r:.100} ({kind})")
    if id_1 is None:
        now = _now(session)
        before = _previous(session, now)
        label = f"commit {before.id}" if before.id else "nothing"
        return Diff(session, (label, before), (_label(now), now.snapshot), None)
    first = session.repository.resolve(id_1)
    second = _now(session) if id_2 is None else session.repository.resolve(id_2)
    objects = session.repository.objects
    a, b = first.snapshot, second.snapshot
    label_1, label_2 = _label(first, id_1), _label(second, id_2)
    sides = (ahead(a, b, objects), ahead(b, a, objects))
    return Diff(session, (label_1, a), (label_2, b), sides, swapped=id_2 is None)


def _now(session: Session) -> Head:
    """Return the session's state, with everything that was buffered flushed."""
    session.drop_interrupted()
    if session.changed:
        session.flush()
    return session.head


def _previous(session: Session, head: Head) -> Snapshot:
    """Return the commit that a state is to be compared with: of a branch its newest, of a commit the one before it."""
    if head.branch is not None and head.ref.staged is None:
        return head.snapshot
    return diff_entries.parent_of(head.snapshot, session.repository.objects)


def _label(head: Head, address: str | None = None) -> str:
    """Return a version in words."""
    if head.branch is not None:
        return f"branch {head.branch}{diff_text.UNCOMMITTED * head.has_staged_changes}"
    if not head.snapshot.id:
        return "nothing"
    what = f"commit {head.snapshot.id}" if head.snapshot.kind == "commit" else f"staged state {head.snapshot.id}"
    return what if address in (None, head.snapshot.id) else f"{address} ({what})"


@alone
def modified_rows(session: Session, column: Column, target: Any) -> IntArray:
    """Return the rows of a tensor that were added or updated since an ancestor, ascending.

    Parameters
    ----------
    session
        The session.
    column
        The tensor.
    target
        Address of the ancestor; None for the commit before this version.

    Raises
    ------
    TensorModifiedError
        If the target does not lead to this version.
    """
    head = _now(session)
    objects = session.repository.objects
    if target is None:
        before = _previous(session, head)
    else:
        if not isinstance(target, str):
            raise DiffError(f"target_id is a commit id, tag or branch, not {target!r:.100} ({type(target).__name__})")
        commit_id = session.repository.resolve(target).ref.commit
        if commit_id is not None and not is_ancestor(objects, commit_id, head.snapshot):
            raise TensorModifiedError(
                f"commit {commit_id} ({target!r:.300}) does not lead to {_label(head)}; name one of its ancestors, "
                "or compare any two versions with ds.diff"
            )
        before = EMPTY_SNAPSHOT if commit_id is None else objects.snapshot(commit_id)
    comparison = Comparison(before, head.snapshot, objects, Rows(session, before, head.snapshot))
    rows = comparison.rows(column.key)
    changed = rows.after_rows[rows.kept_after[comparison.updated(column.key)]]
    found: IntArray = np.sort(np.concatenate((changed, rows.after_rows[rows.new])))
    return found
