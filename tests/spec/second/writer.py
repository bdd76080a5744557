"""Staging, committing and merging rows, and what a lost swap asks for (7.4 to 7.7, 7.14)."""

from __future__ import annotations

import secrets
import time
from typing import Any, NamedTuple

import numpy as np

from tests.spec.second.dataset import DEFAULTS, Dataset, Place, State, Tensor
from tests.spec.second.diff import manifest
from tests.spec.second.documents import GROUP, Body, new_id, sealed
from tests.spec.second.merge import UNDECIDABLE, Conflict, carry, common_ancestors, start
from tests.spec.second.refs import RefError, swap, swapped
from tests.spec.second.segments import TEXTS
from tests.spec.second.writing import extent_table, write_body, write_segment

BRIEF = ("id", "parents", "author", "time", "message", "generation")


class ConflictError(Exception):
    """Changes that cannot be carried over; nothing was written."""

    def __init__(self, conflicts: list[Conflict]) -> None:
        super().__init__(conflicts)
        self.conflicts = conflicts


class New(NamedTuple):
    """A sample that lies in no segment yet."""

    value: Any


class Writer:
    """Changes on top of a branch as it was read."""

    def __init__(self, dataset: Dataset, branch: str = "main") -> None:
        self.dataset = dataset
        self.name = branch
        self._read()
        self.state = self.base.copy()

    def _read(self) -> None:
        self.document, self.data = self.dataset.ref("branch", self.name)
        if self.document.get("deleted", False):
            raise RefError(f"there is no branch {self.name!r}")
        self.base = self.dataset.load(self.dataset.head(self.document))

    def create_tensor(self, name: str, htype: str = "generic", dtype: str | None = None, **fields: Any) -> None:
        """Add a tensor without rows (5.2)."""
        assert name not in self.state.named
        self.state.tensors[new_id()] = Tensor(
            {**DEFAULTS, "name": name, "htype": htype, "dtype": dtype, "info": {}, **fields}
        )

    def append(self, name: str, values: list[Any]) -> None:
        """Append samples, with ids that count up from a random start (2.3)."""
        tensor, first = self.state[name], secrets.randbits(63)
        fields = tensor.fields
        if fields["htype"] not in TEXTS:
            values = [np.asarray(value, fields["dtype"]) for value in values]
            fields["ndim"] = values[0].ndim if fields.get("ndim") is None else fields["ndim"]
            assert {value.ndim for value in values} == {fields["ndim"]}
        tensor.rows |= {first + i: New(value) for i, value in enumerate(values)}

    def update(self, name: str, row: int, value: Any) -> None:
        """Give a sample another value; it keeps its id."""
        tensor = self.state[name]
        text = tensor.fields["htype"] in TEXTS
        tensor.rows[tensor.ids[row]] = New(value if text else np.asarray(value, tensor.fields["dtype"]))

    def pop(self, name: str, row: int) -> None:
        """Remove a sample."""
        tensor = self.state[name]
        del tensor.rows[tensor.ids[row]]

    def flush(self) -> str:
        """Stage the changes (7.4); return the snapshot."""
        return self._save("staged", "", "", [])

    def commit(self, message: str = "", author: str = "") -> str:
        """Commit the changes and all that is staged (7.5); return the commit."""
        return self._save("commit", message, author, [])

    def merge(self, other: str, message: str = "", author: str = "", *, take: bool | None = None) -> str:
        """Merge a commit into the branch (7.14); return the commit that the branch names then.

        Conflicts raise, unless they are to be decided for the other commit (``take``) or for the branch.
        """
        while True:
            self._read()
            commit = self.document["commit"]
            bases = common_ancestors(self.dataset, commit, other) if commit else []
            if commit and not bases:
                raise RefError("the two have no commit in common")
            if bases == [other]:
                return commit
            if not self.document["staged"] and bases in ([], [commit]):
                if self._swap(other, None):
                    self._read()
                    self.state = self.base.copy()
                    return other
                continue
            base, new = start(self.dataset, commit, other), self.dataset.load(other)
            self.state, conflicts = carry(self.dataset, base, new, self.base, take=bool(take))
            if (take is None and conflicts) or any(conflict.what in UNDECIDABLE for conflict in conflicts):
                self.state = self.base.copy()
                raise ConflictError(conflicts)
            snapshot = self._snapshot("commit", message, author, [other])
            if self._swap(snapshot, None):
                return self._saved(snapshot)

    def _save(self, kind: str, message: str, author: str, merged: list[str]) -> str:
        self._write_rows()
        while True:
            snapshot = self._snapshot(kind, message, author, merged)
            commit, staged = (snapshot, None) if kind == "commit" else (self.document["commit"], snapshot)
            if self._swap(commit, staged):
                return self._saved(snapshot)
            self._rebase()

    def _saved(self, snapshot: str) -> str:
        self._read()
        self.state = self.base.copy()
        return snapshot

    def _swap(self, commit: str | None, staged: str | None) -> bool:
        return swap(self.dataset, self.name, self.data, swapped(self.document, commit=commit, staged=staged))

    def _write_rows(self) -> None:
        """Write new samples to a segment and put their places where they were (7.4 steps 1 and 2)."""
        rows: dict[str, tuple[Body, list[int], list[Any]]] = {}
        for key, tensor in self.state.tensors.items():
            new = {each: row.value for each, row in tensor.rows.items() if isinstance(row, New)}
            if new:
                rows[key] = tensor.fields, list(new), list(new.values())
        if rows:
            for key, part in write_segment(self.dataset, rows).items():
                self.dataset.parts[key, part.entry["segment"]] = part
                self.state.tensors[key].rows |= {each: Place(part, q) for q, each in enumerate(rows[key][1])}

    def _rebase(self) -> None:
        """Express the changes against the branch as it has become (7.6 steps 4 to 6)."""
        ours, base, before = self.state, self.base, self.document
        self._read()
        dropped = self.document.get("dropped", 0) if before["staged"] else 0
        if max(self.document.get("restarted", 0), dropped) > before["sequence"]:
            raise RefError(f"{self.name!r} was reset or put elsewhere")
        self.state, conflicts = carry(self.dataset, base, ours, self.base, delete=True)
        if conflicts:
            self.document, self.base, self.state = before, base, ours
            raise ConflictError(conflicts)

    def _snapshot(self, kind: str, message: str, author: str, merged: list[str]) -> str:
        """Write a snapshot of the state (7.4 steps 3 and 4); return its id."""
        commit = self.document["commit"]
        parents = [*([commit] if commit else []), *merged]
        generations = [self.dataset.snapshot(each)["generation"] for each in parents]
        body = {"document": "snapshot/1", "id": new_id(), "kind": kind, "write_id": new_id(), "parents": parents}
        body |= {"time": time.time(), "author": author, "message": message}
        body["tensors"] = [self._tensor(key, tensor) for key, tensor in self.state.tensors.items()]
        body |= {"groups": self.state.groups, "info": self._info(self.state.info)}
        body["diff"] = manifest(self.dataset, self.dataset.load(commit), self.state)
        body |= self._history(self.base)
        body["generation"] = max(generations, default=0) + (kind == "commit")
        self.dataset.folder.create(f"commits/{body['id']}/zarr.json", sealed(GROUP, body))
        return body["id"]

    def _tensor(self, key: str, tensor: Tensor) -> Body:
        table = extent_table(self.dataset, tensor.places)
        info = self._info(tensor.fields["info"])
        return {**tensor.fields, "key": key, "length": len(tensor), "extents": table, "info": info}

    def _info(self, value: Body) -> Body:
        large = len(repr(value)) > 4096
        return {"object": write_body(self.dataset, "info/1", value=value)} if large else {"value": value}

    def _history(self, base: State) -> Body:
        """Return ``recent`` and ``history`` of what is built on a state (7.7)."""
        snapshot = base.snapshot or {"kind": "staged"}
        recent, history = snapshot.get("recent", []), snapshot.get("history")
        if snapshot["kind"] == "staged":
            return {"recent": recent, "history": history}
        brief = {member: snapshot.get(member, "") for member in BRIEF}
        if len(recent) < 16:
            return {"recent": [brief, *recent], "history": history}
        commits, previous = recent, history
        if history is not None and len((page := self.dataset.history(history))["commits"]) <= 64 - 16:
            commits, previous = [*recent, *page["commits"]], page["previous"]
        return {
            "recent": [brief],
            "history": write_body(self.dataset, "history/1", commits=commits, previous=previous),
        }
