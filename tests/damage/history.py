"""A small dataset with everything that versions leave behind, in memory, and all that readers make of its objects."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

import zlake
from tests.damage.dataset import small_limits
from zlake.context import Context
from zlake.format.documents import IdRuns, Snapshot
from zlake.session.opening import create_session, open_session
from zlake.storage import open_store
from zlake.storage.store import Buffer, Capabilities, Lost, ObjectInfo, Request, Store, Versioned, Written
from zlake.types import Pending
from zlake.versions import refs
from zlake.versions.repository import Repository

CONTEXT = Context(cache_bytes=0, threads=2)
KEEPING = Context(cache_bytes=1 << 20, threads=2)
"""Decodes small values by itself, and then looks whether they belong where they lie."""
_CHUNK = re.compile(r"segments/[a-z2-7]{26}/(?P<key>[a-z2-7]{26})/.*")
_names = itertools.count()


def build(ds: zlake.Dataset) -> None:
    """Branches, a merge, tags, tombstones of both, staged rows, pages of extents, of ids, of history and of infos."""
    rng = np.random.default_rng(3)
    with ds:
        ds.create_tensor("dense", dtype="int32")
        ds.create_tensor("group/ragged", dtype="float32")
        ds.create_tensor("text", htype="text")
        ds.create_tensor("packed", dtype="uint16", chunk_compression="zstd")
        ds.create_tensor("label", htype="class_label", class_names=[f"class number {i}" for i in range(12)])
        ds.create_tensor("steps", htype="sequence[generic]", dtype="int8")
        ds.extend(rows(rng, 30))
    ds.commit("first")
    ds.tag("v1")
    ds.tag("old")
    ds.delete_tag("old")
    ds.checkout("gone", create=True)
    ds.extend(rows(rng, 2))
    ds.checkout("side", create=True)
    ds.delete_branch("gone")
    ds.dense[:24:2] = np.zeros((12, 3), np.int32)
    ds.info["about"] = "x" * 100
    ds.commit("updated on side")
    ds.extend(rows(rng, 3))
    ds.commit("three more on side")
    ds.checkout("main")
    ds.extend(rows(rng, 4))
    ds.pop(5)
    ds.commit("four more on main")
    ds.merge("side")
    for i in range(2):
        ds.commit(f"commit {i}", allow_empty=True)
    ds.extend(rows(rng, 2))
    ds.tag("v2", "side")
    ds.checkout("side")
    ds.text[1] = "changed"


def rows(rng: np.random.Generator, count: int) -> dict[str, Any]:
    return {
        "dense": rng.integers(0, 99, (count, 3), np.int32),
        "group/ragged": [rng.random(i % 4, np.float32) for i in range(count)],
        "text": [f"text {i} ✓" for i in range(count)],
        "packed": np.arange(count * 4, dtype=np.uint16).reshape(count, 4),
        "label": [i % 12 for i in range(count)],
        "steps": [[np.ones(2, np.int8)] * (i % 3) for i in range(count)],
    }


def read_documents(store: Store, names: Sequence[str] = ()) -> dict[str, Any]:
    """Everything that the documents and pages of all versions say, read the way that sessions read them.

    Parameters
    ----------
    store
        Where the dataset lies.
    names
        Branches and tags to look for, besides those that a listing finds.
    """
    repository = Repository.open(store, CONTEXT)
    branches, tags = repository.branches(), repository.tags()
    found: dict[str, Any] = {"root": repository.root}
    for name in sorted({*branches, *tags, *names}):
        head = repository.resolve(name)
        log = list(repository.log(head.snapshot))
        found[name] = (head.ref, head.snapshot.id, log, head.branch)
        waiting = [head.snapshot.id, *(brief.id for brief in log)]
        while waiting:
            snapshot_id = waiting.pop()
            if snapshot_id not in found:
                found[snapshot_id] = snapshot = repository.snapshot(snapshot_id)
                found[f"{snapshot_id} pages"] = read_pages(repository, snapshot)
                waiting.extend(snapshot.parents)
    for name in refs.branch_names(store):
        refs.parse_branch(store, name, store.read(f"refs/branches/{name}.json") or b"")
    for name in refs.tag_names(store):
        refs.find_tag(store, name)
    return found


def read_pages(repository: Repository, snapshot: Snapshot) -> list[Any]:
    """What the pages say that a snapshot names."""
    found: list[Any] = [repository.load_info(snapshot.info)]
    for tensor in snapshot.tensors:
        segments, extents = repository.load_extents(tensor.extents)
        arrays = (extents.segment, extents.start, extents.count)
        found += [repository.load_info(tensor.info), segments, *(array.tobytes() for array in arrays)]
    for diff in snapshot.diff.tensors:
        ids: Sequence[IdRuns] = (diff.appended, diff.updated, diff.removed)
        found += [repository.objects.id_runs(each.page).tobytes() for each in ids if each.page]
    return found


def read_tensor(store: Store, branch: str, name: str, context: Context = CONTEXT) -> list[Any]:
    """All rows of a tensor."""
    tensor = zlake.Dataset(open_session(store, context, branch, True))[name]
    values = tensor.text() if name == "text" else tensor.numpy(aslist=True)
    return [_plain(values), _plain([tensor[0].numpy(), tensor[-1].numpy()]), tensor.ids().tolist()]


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str) else (value.shape, value.dtype.str, value.tobytes())


class Objects(Store):
    """Objects in a dictionary, some of them replaced, to read."""

    capabilities = Capabilities(writable=False, shared=False)

    def __init__(self, objects: Mapping[str, bytes], replaced: Mapping[str, bytes | None]) -> None:
        self.url = "mem://damaged"
        self._objects = {**objects, **replaced}
        self.asked: set[str] = set()

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes | None:
        self.asked.add(key)
        found = self._objects.get(key)
        return None if found is None else found[start:stop]

    def read_versioned(self, key: str) -> Versioned:
        return Versioned(self.read(key), b"1")

    def read_many(self, requests: Sequence[Request]) -> list[bytes | None]:
        return [self.read(request.key, request.start, request.stop) for request in requests]

    def list(self, prefix: str = "") -> Iterator[str]:
        return iter(sorted(key for key, value in self._objects.items() if key.startswith(prefix) and value is not None))

    def list_info(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return (ObjectInfo(key, len(self._objects[key] or b""), 0.0) for key in self.list(prefix))

    def local_path(self, key: str) -> str | None:
        return None

    def tensorstore_spec(self, prefix: str) -> tuple[dict[str, Any], Any]:
        raise AssertionError("documents are not read by TensorStore")

    def start_create(self, key: str, value: Buffer) -> Pending[Written | Lost]:
        raise AssertionError("nothing is written")

    def swap(self, key: str, value: Buffer, generation: bytes) -> Written | Lost:
        raise AssertionError("nothing is written")

    def delete(self, key: str) -> None:
        raise AssertionError("nothing is deleted")


class History:
    """The dataset as it was written, and what readers make of it with objects replaced."""

    def __init__(self) -> None:
        store = open_store("mem://damaged-history")
        with small_limits():
            build(zlake.Dataset(create_session(store, CONTEXT, overwrite=False)))
        self.objects = {key: store.read(key) or b"" for key in store.list()}
        store.delete_prefix()
        whole = Objects(self.objects, {})
        self.expected = read_documents(whole)
        self.documents = sorted(whole.asked & self.objects.keys())
        self._names = [name for name in ("main", "side", "v1", "v2") if self.expected[name]]
        self.tensors: dict[tuple[str, str], list[Any]] = {}
        self.uses: dict[str, list[tuple[str, str]]] = {}
        """Branches and tensors that read a chunk, by its key."""
        keys: dict[tuple[str, str], set[str]] = {}
        for branch in ("main", "side"):
            with self.store({}) as whole:
                repository = Repository.open(whole, CONTEXT)
                for state in repository.head(branch).snapshot.tensors:
                    self.tensors[branch, state.name] = read_tensor(whole, branch, state.name)
                    entries = repository.load_extents(state.extents)[0]
                    keys[branch, state.name] = {f"segments/{entry.segment}/{state.key}/" for entry in entries}
        for key in self.objects:
            used = [use for use, prefixes in keys.items() if any(map(key.startswith, prefixes))]
            if used:
                self.uses[key] = used
        self._needed = {
            use: [key for key in self.objects if not key.startswith("segments/") or any(map(key.startswith, prefixes))]
            for use, prefixes in keys.items()
        }

    @contextmanager
    def store(self, replaced: Mapping[str, bytes | None], keys: Sequence[str] | None = None) -> Iterator[Store]:
        """A store of its own with the objects, some of them replaced; nothing of it is in a cache."""
        store = open_store(f"mem://damaged-history-{next(_names)}")
        for key in self.objects if keys is None else keys:
            value = replaced.get(key, self.objects[key])
            if value is not None:
                store.create(key, value)
        yield store
        store.delete_prefix()

    def check_documents(self, replaced: Mapping[str, bytes | None]) -> None:
        """Read all documents with some replaced: raises an error of the tree, or finds what it should."""
        assert read_documents(Objects(self.objects, replaced), self._names) == self.expected, "other data"

    def check_rows(self, replaced: Mapping[str, bytes | None], use: tuple[str, str], context: Context) -> None:
        """Read all rows of a tensor with some objects replaced, likewise."""
        with self.store(replaced, self._needed[use]) as store:
            assert read_tensor(store, *use, context) == self.tensors[use], "other data"

    def others(self, key: str, context: Context) -> list[str]:
        """Objects to put in the place of one: all, unless TensorStore reads it (chapter 10 of the specification)."""
        compared = context is KEEPING or "/values-data/" not in key
        size = len(self.objects[key])
        return [other for other in self.objects if compared or len(self.objects[other]) != size]
