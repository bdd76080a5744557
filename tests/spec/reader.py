"""A second reader of the format, written from the chapters of ``spec/`` alone: nothing of zlake is imported here.

It is as short as the specification allows, reads whole chunks, and refuses what it does not know.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from functools import cached_property
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numcodecs import blosc, lz4, zstd

GROUP = b'{"zarr_format":3,"node_type":"group","attributes":{"crc32c":"'
ARRAY = b'{"zarr_format":3,"node_type":"array","attributes":{"crc32c":"'
BARE = b'{"crc32c":"'
ID = re.compile(r"[a-z2-7]{26}")
ABSENT = 2**64 - 1
INFLATE = {"raw": bytes, "zstd": zstd.decompress, "blosc": blosc.decompress, "gzip": gzip.decompress}
INFLATE["sidecar"] = blosc.decompress


def document(data: bytes, envelope: bytes, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the body of a document and the whole of it (3.1, 3.2)."""
    assert data.startswith(envelope)
    at = len(envelope)
    digits = data[at : at + 8]
    assert re.fullmatch(rb"[0-9a-f]{8}", digits)
    assert data[at + 8 : at + 9] == b'"'
    assert google_crc32c.value(data[:at] + b"00000000" + data[at + 8 :]) == int(digits, 16)
    whole = json.loads(data)
    body = (whole if envelope == BARE else whole["attributes"])["zlake"]
    assert next(iter(body)) == "document"
    assert body["document"] == kind
    return body, whole


def chunk(codec: str, data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
    """Return one chunk (6.5)."""
    body, crc = data[:-4], data[-4:]
    assert google_crc32c.value(body) == int.from_bytes(crc, "little")
    plain = bytes(INFLATE[codec](body))
    assert len(plain) == prod(shape) * dtype.itemsize
    return np.frombuffer(plain, dtype.newbyteorder("<")).reshape(shape)


class Dataset:
    """A dataset in a folder (7.2)."""

    def __init__(self, folder: Path, address: str = "main") -> None:
        self.folder = folder
        root, _ = document(self.read("zarr.json"), GROUP, "root/1")
        assert root["format_version"] == 1
        assert not root.get("features")
        self.snapshot = self.resolve(address)
        self.tensors = {state["name"]: Tensor(self, state) for state in self.snapshot.get("tensors", [])}
        self.info = self.info_of(self.snapshot)

    def read(self, key: str) -> bytes:
        return (self.folder / key).read_bytes()

    def exists(self, key: str) -> bool:
        return (self.folder / key).exists()

    def resolve(self, address: str) -> dict[str, Any]:
        """Return the snapshot that an id, branch or tag names (2.5, 4.2, 4.4)."""
        if ID.fullmatch(address):
            return self.load(address, "commit")
        branch: dict[str, Any] = {"deleted": True}
        if self.exists(f"refs/branches/{address}.json"):
            branch, _ = document(self.read(f"refs/branches/{address}.json"), BARE, "branch/1")
            assert branch.get("name", "main") == address
        if not branch.get("deleted", False):
            parents = [] if branch["commit"] is None else [branch["commit"]]
            if branch["staged"] is not None:
                staged = self.load(branch["staged"], "staged")
                assert staged["parents"] == parents
                return staged
            return self.load(branch["commit"], "commit") if parents else {}
        tag, _ = document(self.read(f"refs/tags/{address}.json"), BARE, "tag/1")
        assert tag["name"] == address
        assert not tag.get("deleted", False)
        assert tag["snapshot"] == self.load(tag["commit"], "commit")
        return tag["snapshot"]

    def load(self, snapshot_id: str, kind: str) -> dict[str, Any]:
        snapshot, _ = document(self.read(f"commits/{snapshot_id}/zarr.json"), GROUP, "snapshot/1")
        assert snapshot["id"] == snapshot_id
        assert snapshot["kind"] == kind
        return snapshot

    def info_of(self, holder: dict[str, Any]) -> dict[str, Any]:
        """Return the info of a snapshot or tensor (5.6)."""
        info = holder.get("info", {})
        if "object" not in info:
            return info.get("value", {})
        body, _ = document(self.read(f"pages/{info['object']}/zarr.json"), GROUP, "info/1")
        assert body["id"] == info["object"]
        return body["value"]

    def page(self, page_id: str, kind: str, dtype: str, width: int) -> tuple[dict[str, Any], np.ndarray]:
        """Return a page of extents or ids (5.4, 5.5)."""
        body, whole = document(self.read(f"pages/{page_id}/zarr.json"), ARRAY, kind)
        data = self.read(f"pages/{page_id}/c.0.0")
        assert body["id"] == page_id
        assert body["chunk"] == f"{int.from_bytes(data[-4:], 'little'):08x}"
        assert whole["data_type"] == dtype
        assert whole["shape"][1] == width
        return body, chunk("blosc", data, np.dtype(dtype), tuple(whole["shape"]))

    def ids(self, ids: dict[str, Any]) -> list[int]:
        """Return the members of an id set (5.5)."""
        runs = ids.get("runs", [])
        if ids.get("page"):
            body, runs = self.page(ids["page"], "id-page/1", "uint64", 2)
            assert body["count"] == ids["count"]
        return [int(first) + i for first, count in runs for i in range(int(count))]

    def deleted_branch(self, name: str) -> dict[str, Any]:
        """Return the tombstone of a branch (4.3)."""
        branch, _ = document(self.read(f"refs/branches/{name}.json"), BARE, "branch/1")
        assert branch["deleted"]
        return branch

    def leases(self) -> list[dict[str, Any]]:
        """Return the newest document of each lease (4.6)."""
        found = []
        for folder in sorted((self.folder / "leases").glob("*")):
            newest = max(int(path.stem) for path in folder.glob("*.json"))
            lease, _ = document(self.read(f"leases/{folder.name}/{newest}.json"), BARE, "lease/1")
            assert (lease["id"], lease["number"]) == (folder.name, newest)
            found.append(lease)
        return found

    def marked(self) -> dict[str, set[str]]:
        """Return what collectors found unreachable (4.7)."""
        found: dict[str, set[str]] = {"commits": set(), "pages": set(), "segments": set()}
        for path in (self.folder / "gc" / "marks").glob("*.json"):
            mark, _ = document(self.read(f"gc/marks/{path.name}"), BARE, "gc-mark/1")
            assert mark["id"] == path.stem
            for kind, ids in found.items():
                ids.update(mark.get(kind, []))
        return found

    def reached(self) -> set[str]:
        """Return the ids of this snapshot and of all that it follows (5.1)."""
        found, waiting = set(), [self.snapshot]
        while waiting:
            snapshot = waiting.pop()
            if snapshot["id"] not in found:
                found.add(snapshot["id"])
                waiting.extend(self.load(parent, "commit") for parent in snapshot["parents"])
        return found

    def log(self) -> list[dict[str, Any]]:
        """Return the commits along first parents, newest first (5.7, 7.7)."""
        own = [self.snapshot] if self.snapshot["kind"] == "commit" else []
        found = [*own, *self.snapshot.get("recent", [])]
        page_id = self.snapshot.get("history")
        while page_id is not None:
            page, _ = document(self.read(f"pages/{page_id}/zarr.json"), GROUP, "history/1")
            assert page["id"] == page_id
            found += page["commits"]
            page_id = page["previous"]
        return found


class Tensor:
    """A tensor at one version (5.2, 7.3)."""

    def __init__(self, dataset: Dataset, state: dict[str, Any]) -> None:
        self.dataset = dataset
        self.state = state
        self.info = dataset.info_of(state)
        self.parts: dict[str, Part] = {}

    @cached_property
    def places(self) -> list[tuple[Part, int]]:
        """Part and row in it of each row (5.3)."""
        table = self.state["extents"]
        tables = []
        for page in table.get("pages", []):
            body, extents = self.dataset.page(page["id"], "extent-page/1", "int64", 3)
            assert len(extents) == page["extents"]
            assert extents[:, 2].sum() == page["rows"] == body["rows"]
            tables.append((body["segments"], extents.tolist()))
        tables.append((table.get("segments", []), table.get("extents", [])))
        places = []
        for segments, extents in tables:
            for segment, start, count in extents:
                entry = segments[segment]
                assert start + count <= entry["rows"]
                part = self.parts.setdefault(entry["segment"], Part(self.dataset, self.state, entry))
                assert part.entry == entry
                places += [(part, start + i) for i in range(count)]
        assert len(places) == self.state["length"]
        return places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, row: int) -> Any:
        part, q = self.places[row]
        return part.row(q)

    def ids(self) -> list[int]:
        return [part.sample_id(q) for part, q in self.places]

    @property
    def layouts(self) -> set[tuple[str, bool]]:
        """Layout and whether it is sharded, of every part."""
        return {(part.entry["layout"], bool(part.entry.get("shard"))) for part, _ in self.places}


class Part:
    """A tensor in a segment (chapter 6)."""

    def __init__(self, dataset: Dataset, state: dict[str, Any], entry: dict[str, Any]) -> None:
        self.dataset = dataset
        self.state = state
        self.entry = entry
        self.prefix = f"segments/{entry['segment']}/{state['key']}"
        self.rows = entry["rows"]
        sequence = entry.get("items", -1) >= 0
        assert sequence == state.get("sequence", False)
        self.items = entry["items"] if sequence else self.rows
        self.sequence = sequence

    def checks(self, name: str) -> bytes:
        """Return the checks of the objects of one array (6.7); nothing where the entry has none for each."""
        entry = self.entry
        checks = base64.b64decode(entry.get("checks", ""), validate=True)
        lengths = {"values-offsets": self.items + 1, "shape-data": self.items, "sequence-offsets": self.rows + 1}
        lengths["ids"] = self.rows
        absent = {"values-offsets": entry["layout"] == "dense", "shape-data": not entry.get("shapes", 0)}
        absent |= {"sequence-offsets": not self.sequence, "ids": entry.get("id_start", -1) >= 0}
        rows = entry.get("sidecar", 0)
        shape, outer = (entry["elements"], *entry.get("shape", [])), entry.get("shard") or entry["inner"]
        counts = {"values-data": prod(-(-n // o) for n, o in zip(shape, outer, strict=True))}
        counts |= {k: 0 if absent[k] else -(-n // (rows or max(1, n))) for k, n in lengths.items()}
        total = sum(counts.values())
        if not checks or total > 64:
            assert len(checks) in (0, 4)
            return b""
        assert len(checks) == 4 * total
        begin = sum(list(counts.values())[: list(counts).index(name)])
        return checks[4 * begin : 4 * (begin + counts[name])]

    @cached_property
    def values(self) -> np.ndarray:
        """Chunks and shards put together (6.3)."""
        entry = self.entry
        dtype = np.dtype("uint8" if entry["layout"] == "encoded" else self.state["dtype"])
        shape = (entry["elements"], *entry.get("shape", []))
        inner, shard = tuple(entry["inner"]), tuple(entry.get("shard", []))
        codec = entry.get("codec", "raw")
        outer = shard or inner
        whole = np.empty(tuple(-(-n // o) * o for n, o in zip(shape, outer, strict=True)), dtype)
        checks, found = self.checks("values-data"), list[bytes]()
        for position in np.ndindex(*(-(-n // o) for n, o in zip(shape, outer, strict=True))):
            data = self.dataset.read(f"{self.prefix}/values-data/c.{'.'.join(map(str, position))}")
            base = [p * o for p, o in zip(position, outer, strict=True)]
            if not shard:
                self._put(whole, base, chunk(codec, data, dtype, inner))
                found.append(data[-4:])
                continue
            counts = [s // i for s, i in zip(shard, inner, strict=True)]
            listed = data[-20 * prod(counts) - 4 : -16 * prod(counts) - 4] if checks else b""
            found.append(google_crc32c.value(listed).to_bytes(4, "little"))
            index = chunk("raw", data[-16 * prod(counts) - 4 :], np.dtype(np.uint64), (*counts, 2))
            for at in product(*map(range, counts)):
                offset, size = (int(n) for n in index[at])
                start = [b + a * i for b, a, i in zip(base, at, inner, strict=True)]
                beyond = any(a >= n for a, n in zip(start, shape, strict=True))
                assert beyond == (offset == ABSENT) == (size == ABSENT)
                at_list = 4 * int(np.ravel_multi_index(at, counts))
                stored = b"" if beyond else data[offset : offset + size]
                assert listed[at_list : at_list + 4] == (stored[-4:] or bytes(4)) or not checks
                if not beyond:
                    self._put(whole, start, chunk(codec, stored, dtype, inner))
        assert not checks or checks == b"".join(found)
        return whole[tuple(slice(n) for n in shape)]

    @staticmethod
    def _put(whole: np.ndarray, start: list[int], values: np.ndarray) -> None:
        whole[tuple(slice(a, a + n) for a, n in zip(start, values.shape, strict=True))] = values

    def sidecar(self, name: str, dtype: str, length: int, width: int = 0) -> np.ndarray:
        """Return a sidecar array (6.4)."""
        rows = self.entry.get("sidecar", 0) or max(1, length)
        tail = (width,) if width else ()
        stored = [
            self.dataset.read(f"{self.prefix}/{name}/c.{k}{'.0' if width else ''}") for k in range(-(-length // rows))
        ]
        assert self.checks(name) in (b"", b"".join(data[-4:] for data in stored))
        chunks = [chunk("sidecar", data, np.dtype(dtype), (rows, *tail)) for data in stored]
        return np.concatenate(chunks)[:length] if chunks else np.empty((0, *tail), dtype)

    @cached_property
    def offsets(self) -> np.ndarray:
        return self.sidecar("values-offsets", "int64", self.items + 1)

    @cached_property
    def shapes(self) -> np.ndarray | None:
        width = self.entry.get("shapes", 0)
        return self.sidecar("shape-data", "int64", self.items, width) if width else None

    @cached_property
    def sequence_offsets(self) -> np.ndarray:
        return self.sidecar("sequence-offsets", "int64", self.rows + 1)

    def row(self, q: int) -> Any:
        """Return a sample (7.3): an array, (bytes, shape) where it is encoded, or a list of these for a sequence."""
        if not self.sequence:
            return self.item(q)
        return [self.item(i) for i in range(self.sequence_offsets[q], self.sequence_offsets[q + 1])]

    def item(self, i: int) -> Any:
        if self.entry["layout"] == "dense":
            return self.values[i]
        flat = self.values[self.offsets[i] : self.offsets[i + 1]]
        shape = None if self.shapes is None else tuple(self.shapes[i].tolist())
        if self.entry["layout"] == "ragged":
            return flat if shape is None else flat.reshape(shape)
        return decoded(flat.tobytes(), shape, self.state)

    def sample_id(self, q: int) -> int:
        start = self.entry.get("id_start", -1)
        return int(self.sidecar("ids", "uint64", self.rows)[q]) if start < 0 else start + q


def inflated(codec: str, data: bytes) -> bytes:
    """Return bytes that ``lz4`` or ``zstd`` compressed as one block or frame (6.6); numcodecs knows no empty ones."""
    if codec == "lz4":
        return b"" if data[:4] == bytes(4) else bytes(lz4.decompress(data))
    assert codec == "zstd"
    return b"" if data == zstd.compress(b"", 1) else bytes(zstd.decompress(data))


def decoded(data: bytes, shape: tuple[int, ...] | None, state: dict[str, Any]) -> Any:
    """Return an encoded item (6.6)."""
    codec, htype = state.get("sample_compression"), state["htype"]
    if htype in ("text", "json", "list", "tag"):
        if codec is not None:
            data = inflated(codec, data)
        text = str(data, "utf-8")
        return text if htype == "text" else json.loads(text)
    if not data:
        return np.zeros(shape, state["dtype"])
    if codec not in ("zstd", "lz4"):
        return data, shape
    kind, size, rank = chr(data[0]), data[1], data[2]
    own = tuple(np.frombuffer(data, "<u8", rank, 3).tolist())
    plain = inflated(codec, data[3 + 8 * rank :])
    dtype = np.dtype(f"<{kind}{size}")
    assert shape == own
    assert dtype == np.dtype(state["dtype"])
    return np.frombuffer(plain, dtype).reshape(own)
