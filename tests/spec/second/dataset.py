"""Opening a dataset: root, refs, snapshots and their rows (chapters 4 and 5, 7.2, 7.3, 7.7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.spec.second.documents import ARRAY, BARE, GROUP, Body, chunk, is_id, opened
from tests.spec.second.segments import Part
from tests.spec.second.storage import Folder

DEFAULTS = {"ndim": None, "sample_compression": None, "chunk_compression": None, "sequence": False, "options": {}}


class Place(NamedTuple):
    """Where a sample lies: it stays the same for ever (7.16)."""

    part: Part
    q: int

    @property
    def content(self) -> Any:
        return self.part.stored(self.q)


@dataclass
class Tensor:
    """A tensor at one version: the members of 5.2 without ``length`` and ``extents``, and its rows by sample id."""

    fields: Body
    rows: dict[int, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Any:
        part, q = self.places[row]
        return part.row(q)

    @property
    def places(self) -> list[Place]:
        return list(self.rows.values())

    @property
    def ids(self) -> list[int]:
        return list(self.rows)

    def copy(self) -> Tensor:
        return Tensor({**self.fields, "info": dict(self.fields["info"])}, dict(self.rows))


@dataclass
class State:
    """What a version holds: tensors by key, groups, info; and the snapshot that says so, unless it is not stored."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)
    info: Body = field(default_factory=dict)
    snapshot: Body | None = None

    def __getitem__(self, name: str) -> Tensor:
        return self.named[name]

    @property
    def named(self) -> dict[str, Tensor]:
        return {tensor.fields["name"]: tensor for tensor in self.tensors.values()}

    def copy(self) -> State:
        tensors = {key: tensor.copy() for key, tensor in self.tensors.items()}
        return State(tensors, list(self.groups), dict(self.info))


class Dataset:
    """A dataset in a folder."""

    def __init__(self, path: Path) -> None:
        self.folder = Folder(path)
        self.parts: dict[tuple[str, str], Part] = {}
        root, _ = opened(self.folder.read("zarr.json"), GROUP, "root/1")
        assert root["format_version"] == 1
        assert not root.get("features")
        if self.folder.get("refs/branches/main.json") is None:
            assert not self.folder.keys("commits")  # else it is no creation that was cut short (4.2)

    def refs(self, kind: str) -> dict[str, Body]:
        """Return all documents of branches or tags by name, tombstones among them (4.2, 4.4)."""
        start = f"refs/{'branches' if kind == 'branch' else 'tags'}/"
        names = [key.removeprefix(start).removesuffix(".json") for key in self.folder.keys(start)]
        return {name: self.ref(kind, name)[0] for name in names}

    def ref(self, kind: str, name: str) -> tuple[Body, bytes | None]:
        """Return the document of a branch or tag, and its bytes; a tombstone where there never was one."""
        data = self.folder.get(f"refs/{'branches' if kind == 'branch' else 'tags'}/{name}.json")
        if data is not None:
            return opened(data, BARE, f"{kind}/1", name=name)[0], data
        if (kind, name) == ("branch", "main"):
            return {"document": "branch/1", "commit": None, "staged": None, "sequence": 0, "write_id": "a" * 26}, None
        return {"deleted": True}, None

    def resolve(self, address: str) -> str | None:
        """Return the id of the snapshot that an address names, None for the empty one (2.5, 4.2)."""
        if is_id(address):
            return self.snapshot(address, "commit")["id"]
        branch, _ = self.ref("branch", address)
        if not branch.get("deleted", False):
            return self.head(branch)
        tag, _ = self.ref("tag", address)
        assert not tag.get("deleted", False)
        assert tag["snapshot"] == self.snapshot(tag["commit"], "commit")
        return tag["commit"]

    def head(self, branch: Body) -> str | None:
        """Return the id of the state of a branch: what is staged, else its newest commit (4.2)."""
        commit, staged = branch["commit"], branch["staged"]
        if staged is not None:
            assert self.snapshot(staged, "staged")["parents"] == ([] if commit is None else [commit])
        return staged or (None if commit is None else self.snapshot(commit, "commit")["id"])

    def snapshot(self, snapshot_id: str, kind: str | None = None) -> Body:
        """Return the document of a snapshot (5.1)."""
        found, _ = opened(self.folder.read(f"commits/{snapshot_id}/zarr.json"), GROUP, "snapshot/1", id=snapshot_id)
        assert kind in (None, found["kind"])
        return found

    def state(self, address: str) -> State:
        """Return what the version at an address holds (7.2)."""
        return self.load(self.resolve(address))

    def load(self, snapshot_id: str | None) -> State:
        """Return what a snapshot holds; nothing for None."""
        if snapshot_id is None:
            return State()
        found = self.snapshot(snapshot_id)
        tensors = {}
        for state in found.get("tensors", []):
            fields = {name: value for name, value in state.items() if name not in ("key", "length", "extents")}
            tensors[state["key"]] = Tensor({**DEFAULTS, **fields, "info": self.info(state)}, dict(self.rows(state)))
            assert len(tensors[state["key"]]) == state["length"]  # also if a sample id is there twice (2.3)
        return State(tensors, list(found.get("groups", [])), self.info(found), found)

    def rows(self, state: Body) -> Iterator[tuple[int, Place]]:
        """Yield sample id and place of each row of a tensor (5.3, 7.3)."""
        for entry, start, count in self.extents(state["extents"]):
            part = self.parts.setdefault(
                (state["key"], entry["segment"]), Part(self.folder, state["key"], state, entry)
            )
            assert part.entry == entry
            assert start + count <= part.rows
            for q in range(start, start + count):
                yield part.ids[q], Place(part, q)

    def extents(self, table: Body) -> Iterator[tuple[Body, int, int]]:
        """Yield segment entry, first row and count of each extent: those of the pages, then the inline ones (5.3)."""
        for reference in table.get("pages", []):
            body, extents = self.page(reference["id"], "extent-page/1")
            assert len(extents) == reference["extents"]
            assert extents[:, 2].sum() == reference["rows"] == body["rows"]
            for segment, start, count in extents.tolist():
                yield body["segments"][segment], start, count
        for segment, start, count in table.get("extents", []):
            yield table["segments"][segment], start, count

    def page(self, page_id: str, kind: str) -> tuple[Body, np.ndarray]:
        """Return a page of extents or ids (5.4, 5.5)."""
        body, whole = opened(self.folder.read(f"pages/{page_id}/zarr.json"), ARRAY, kind, id=page_id)
        data = self.folder.read(f"pages/{page_id}/c.0.0")
        assert body["chunk"] == f"{int.from_bytes(data[-4:], 'little'):08x}"
        return body, chunk("blosc", data, np.dtype(whole["data_type"]), tuple(whole["shape"]))

    def ids(self, id_set: Body) -> list[int]:
        """Return the members of an id set (5.5)."""
        runs = id_set.get("runs", [])
        if id_set.get("page"):
            body, runs = self.page(id_set["page"], "id-page/1")
            assert body["count"] == id_set["count"]
        return [int(first) + i for first, count in runs for i in range(int(count))]

    def info(self, holder: Body) -> Body:
        """Return the info of a snapshot or tensor (5.6)."""
        info = holder.get("info", {})
        if not info.get("object"):
            return info.get("value", {})
        page = self.folder.read(f"pages/{info['object']}/zarr.json")
        return opened(page, GROUP, "info/1", id=info["object"])[0]["value"]

    def history(self, page_id: str) -> Body:
        """Return a page of history (5.7)."""
        return opened(self.folder.read(f"pages/{page_id}/zarr.json"), GROUP, "history/1", id=page_id)[0]

    def log(self, snapshot: Body) -> list[Body]:
        """Return the commits along first parents, newest first, in brief (5.7, 7.7)."""
        found = [*([snapshot] if snapshot["kind"] == "commit" else []), *snapshot.get("recent", [])]
        page_id, met = snapshot.get("history"), set()
        while page_id is not None and page_id not in met:
            met.add(page_id)
            page = self.history(page_id)
            found += page["commits"]
            page_id = page["previous"]
        return found
