"""A small dataset with every kind of object, copies of it with one object changed, and all that reads from it."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zlake
from zlake import limits
from zlake.context import Context
from zlake.errors import ZlakeError
from zlake.storage import open_store
from zlake.versions.objects import Objects

ID = "[a-z2-7]{26}"
DOCUMENTS = {
    "root": r"zarr\.json",
    "branch": r"refs/branches/.*\.json",
    "tag": r"refs/tags/.*\.json",
    "snapshot": rf"commits/{ID}/zarr\.json",
    "page": rf"pages/{ID}/zarr\.json",
    "segment": rf"segments/{ID}/zarr\.json",
}
CHUNK = re.compile(rf"pages/{ID}/c\.0\.0|segments/{ID}/(?P<key>{ID})/(?P<array>[a-z-]+)/c(\.\d+)*")

CONTEXTS = (Context(threads=2), Context(cache_bytes=0, threads=2))
"""Readers that map and keep chunks; readers that keep nothing, and so leave all but maps to TensorStore."""


@contextmanager
def small_limits() -> Iterator[None]:
    """Let small data fill chunks, shards and pages."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "INNER_CHUNK_BYTES": 128,
            "SHARD_BYTES": 512,
            "SIDECAR_CHUNK_BYTES": 256,
            "TILING_THRESHOLD_BYTES": 1024,
            "INLINE_EXTENTS": 6,
            "INLINE_IDS": 2,
            "RECENT_COMMITS": 1,
            "INLINE_INFO_BYTES": 64,
        }.items():
            patch.setattr(limits, name, value)
        yield


def build(folder: Path) -> None:
    """Make the dataset: every layout, codec and kind of page, three commits and staged rows."""
    rng = np.random.default_rng(7)
    context = Context(durable=False, threads=2)
    with small_limits():
        ds = zlake.empty(folder, context=context)
        with ds:
            ds.create_tensor("plain", dtype="int32")
            ds.create_tensor("sharded", dtype="uint8")
            ds.create_tensor("lists/ragged", dtype="float32")
            ds.create_tensor("lists/planes", dtype="int16")
            ds.create_tensor("image", htype="image", sample_compression="jpeg")
            ds.create_tensor("text", htype="text")
            ds.create_tensor("steps", htype="sequence[generic]", dtype="float64")
            ds.create_tensor("tiled", dtype="uint8")
            ds.create_tensor("zstd", dtype="int64", chunk_compression="zstd")
            ds.create_tensor("blosc", dtype="uint16", chunk_compression="blosc")
            ds.create_tensor("label", htype="class_label", class_names=[f"class number {i}" for i in range(12)])
            ds.plain.extend(np.arange(9, dtype=np.int32))
            ds.sharded.extend(rng.integers(0, 255, (50, 4, 4), dtype=np.uint8))
            ds["lists/ragged"].extend([rng.random(i % 7, np.float32) for i in range(40)])
            ds["lists/planes"].extend([rng.integers(0, 99, (i % 3, 2), dtype=np.int16) for i in range(12)])
            ds.image.extend([rng.integers(0, 255, (8 + i, 8, 3), dtype=np.uint8) for i in range(3)])
            ds.text.extend(["", "one", "zwei", "trois ✓"])
            ds.steps.extend([[np.ones(2), np.zeros(3)], [], [np.arange(2.0)]])
            ds.tiled.extend(rng.integers(0, 255, (1, 40, 40), dtype=np.uint8))
            ds.zstd.extend(np.arange(60).reshape(20, 3))
            ds.blosc.extend(np.arange(90, dtype=np.uint16).reshape(30, 3))
            ds.label.extend([0, 5, "class number 7"])
        ds.info["about"] = "x" * 100
        ds.commit("first")
        ds.tag("v1")
        ds.sharded[:24:2] = np.zeros((12, 4, 4), np.uint8)
        for i in range(2):
            ds.commit(f"commit {i}", allow_empty=True)
        with ds:
            ds.plain.append(99)
            ds.sharded.pop(7)
            ds.text[1] = "changed"
    used = {ds._session.head.snapshot.id, *(commit["commit"] for commit in ds.commits)}
    for snapshot in (folder / "commits").iterdir():
        if snapshot.name not in used:  # staged once, and named by nothing any more
            (snapshot / "zarr.json").unlink()
            snapshot.rmdir()


def read(path: str | Path, context: Context, tensors: tuple[str, ...] | None = None) -> dict[str, Any]:
    """Everything that a dataset says, in every version; with ``tensors`` nothing but their rows in the newest one."""
    ds = zlake.load(path, read_only=True, context=context)
    if tensors is not None:
        return {name: rows(ds[name]) for name in tensors}
    found: dict[str, Any] = {"log": ds.commits, "info": dict(ds.info), "groups": sorted(ds._session.groups)}
    found["schema"] = {name: (tensor.meta, dict(tensor.info)) for name, tensor in ds.tensors.items()}
    for address in (*(commit["commit"] for commit in ds.commits), "v1"):
        old = zlake.load(f"{path}@{address}", context=context)
        found[address] = {name: (len(tensor), tensor.ids().tolist()) for name, tensor in old.tensors.items()}
    found["rows"] = {name: rows(tensor) for name, tensor in ds.tensors.items()}
    return found


def load_document(folder: Path, key: str) -> None:
    """Read one document the way the dataset does."""
    folder_name, _, name = key.partition("/")
    if folder_name != "pages":
        refs = {"commits": name.partition("/")[0], "refs": name.partition("/")[2].removesuffix(".json")}
        zlake.load(folder, ref=refs.get(folder_name))
        return
    page = name.partition("/")[0]
    objects = Objects(open_store(str(folder)))
    kind = (folder / "pages" / page / "zarr.json").read_bytes().partition(b'"document":"')[2].partition(b"/")[0]
    reads = {b"history": objects.history, b"info": objects.info, b"id-page": objects.id_runs}
    reads.get(kind, lambda page: objects.extent_pages([page]))(page)


def rows(tensor: zlake.Tensor) -> Any:
    """All rows of a tensor in every way of reading them."""
    every = tensor.text() if tensor.base_htype == "text" else tensor.numpy(aslist=True)
    some = tensor[::-2].numpy(aslist=True)
    single = [tensor[row].numpy() for row in range(len(tensor))]
    return [_plain(every), _plain(some), _plain(single), tensor.ids().tolist(), np.asarray(tensor.shapes()).tolist()]


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str) else (value.shape, value.dtype.str, value.tobytes())


class Original:
    """The dataset as it was written, and copies of it in which one object is changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "original"
        build(self.folder)
        self.objects = {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }
        self._copies = (folder / f"copy-{i}" for i in itertools.count())
        self._work = shutil.copytree(self.folder, folder / "work")
        ds = zlake.load(self.folder)
        self.names = {tensor._column.key: name for name, tensor in ds.tensors.items()}
        self._expected: dict[Any, Any] = {}

    def kind(self, key: str) -> str:
        """Which kind of document an object is, or the name of its array."""
        for kind, pattern in DOCUMENTS.items():
            if re.fullmatch(pattern, key):
                return kind
        match = CHUNK.fullmatch(key)
        assert match, key
        return match["array"] or "page chunk"

    def keys(self, *kinds: str) -> list[str]:
        return [key for key in self.objects if self.kind(key) in kinds]

    def form(self, key: str) -> tuple[Any, ...]:
        """What a chunk or shard must be to be read in the place of another one: codecs, sizes, number of chunks."""
        folder, tensor, array = key.rsplit("/", 3)[:-1]
        metadata = json.loads(self.objects[f"{folder}/zarr.json"])["consolidated_metadata"]["metadata"]
        node = metadata[f"{tensor}/{array}"]
        chunk, codecs = node["chunk_grid"]["configuration"]["chunk_shape"], node["codecs"]
        itemsize = np.dtype(node["data_type"]).itemsize
        inner = codecs[0].get("configuration", {})
        if codecs[0]["name"] != "sharding_indexed":
            return (tuple(codec["name"] for codec in codecs), math.prod(chunk) * itemsize)
        names = tuple(codec["name"] for codec in inner["codecs"])
        return (names, math.prod(inner["chunk_shape"]) * itemsize, math.prod(chunk) // math.prod(inner["chunk_shape"]))

    def tensors(self, key: str) -> tuple[str, ...] | None:
        """The one tensor that an object holds values of; None where more than that depends on it."""
        match = CHUNK.fullmatch(key)
        return (self.names[match["key"]],) if match and match["key"] else None

    @contextmanager
    def changed(self, key: str, value: bytes | None) -> Iterator[Path]:
        """A dataset in which an object has another value, or is gone.

        What somebody may have mapped or keep in memory is never changed under the same path.
        """
        if self.kind(key) not in (*DOCUMENTS, "page chunk"):
            with self.copy(key, value) as folder:
                yield folder
            return
        path = self._work / key
        path.unlink()
        if value is not None:
            path.write_bytes(value)
        try:
            yield self._work
        finally:
            path.write_bytes(self.objects[key])

    @contextmanager
    def copy(self, key: str, value: bytes | None, *, whole: bool = False) -> Iterator[Path]:
        """A copy in a folder of its own, in which an object has another value, or is gone.

        Of segments it holds no more than the tensor that the object belongs to, unless it is to be ``whole``.
        """
        folder = next(self._copies)
        tensors = None if whole else self.tensors(key)
        for other in self.objects:
            if tensors is not None and self.tensors(other) not in (tensors, None):
                continue
            target = folder / other
            target.parent.mkdir(parents=True, exist_ok=True)
            if other != key:
                os.link(self.folder / other, target)
            elif value is not None:
                target.write_bytes(value)
        yield folder
        for path in sorted(folder.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        folder.rmdir()

    def expected(self, tensors: tuple[str, ...] | None) -> Any:
        if tensors not in self._expected:
            self._expected[tensors] = read(self.folder, CONTEXTS[0], tensors)
        return self._expected[tensors]

    def outcome(self, key: str, value: bytes | None, context: Context) -> str:
        """Read everything that depends on the object: ``"same"``, or the name of the error of the tree."""
        tensors = self.tensors(key)
        expected = self.expected(tensors)
        with self.changed(key, value) as folder:
            try:
                found = read(folder, context, tensors)
            except ZlakeError as error:
                return type(error).__name__
        assert found == expected, f"wrong data after a change of {key}"
        return "same"
