"""Reading a tensor's rows in one segment (chapter 6)."""

from __future__ import annotations

import base64
import json
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numcodecs import lz4, zstd

from tests.spec.second.documents import Body, chunk, crc
from tests.spec.second.storage import Folder

ABSENT = 2**64 - 1
ARRAYS = ("values-data", "values-offsets", "shape-data", "sequence-offsets", "ids")
TEXTS = ("text", "json", "list", "tag")


class Part:
    """A tensor in a segment, opened from its segment entry alone (5.3, 6.2)."""

    def __init__(self, folder: Folder, key: str, state: Body, entry: Body) -> None:
        self.folder = folder
        self.state = state
        self.entry = entry
        self.prefix = f"segments/{entry['segment']}/{key}"
        self.rows: int = entry["rows"]
        self.layout: str = entry["layout"]
        self.sequence = entry.get("items", -1) >= 0
        self.items: int = entry["items"] if self.sequence else self.rows
        self.shape = (entry["elements"], *entry.get("shape", []))
        self.inner, self.shard = tuple(entry["inner"]), tuple(entry.get("shard", []))
        assert self.sequence == state.get("sequence", False)
        assert len(self.inner) == len(self.shape)
        assert self.layout != "dense" or self.items == entry["elements"]
        assert prod(self.inner) <= 2**30
        assert len(self.shard) in (0, len(self.inner))

    def lengths(self) -> dict[str, int]:
        """Return how many rows each sidecar array has that the segment holds (6.2)."""
        return {
            "values-offsets": 0 if self.layout == "dense" else self.items + 1,
            "shape-data": self.items if self.entry.get("shapes", 0) else 0,
            "sequence-offsets": self.rows + 1 if self.sequence else 0,
            "ids": self.rows if self.entry.get("id_start", -1) < 0 else 0,
        }

    def keys(self) -> dict[str, list[str]]:
        """Return the keys of the objects of each array, in C order (6.3, 6.4)."""
        outer = self.shard or self.inner
        grid = [-(-n // o) for n, o in zip(self.shape, outer, strict=True)]
        found = {"values-data": [".".join(map(str, at)) for at in np.ndindex(*grid)]}
        for name, length in self.lengths().items():
            rows = self.entry.get("sidecar", 0) or max(1, length)
            found[name] = [f"{k}{'.0' if name == 'shape-data' else ''}" for k in range(-(-length // rows))]
        return {name: [f"{self.prefix}/{name}/c.{at}" for at in places] for name, places in found.items()}

    def check(self, name: str, found: list[bytes]) -> None:
        """Refuse the objects of one array if the entry says that they are others (6.7)."""
        if self.checks:
            assert self.checks[name] == found

    @cached_property
    def checks(self) -> dict[str, list[bytes]]:
        """Checks of the objects of each array (6.7); nothing where the entry does not have one for each."""
        data = base64.b64decode(self.entry.get("checks", ""), validate=True)
        keys = self.keys()
        total = sum(map(len, keys.values()))
        if not data or total > 64:
            assert len(data) in (0, 4)
            return {}
        assert len(data) == 4 * total
        each = iter([data[at : at + 4] for at in range(0, len(data), 4)])
        return {name: [next(each) for _ in places] for name, places in keys.items()}

    @cached_property
    def values(self) -> np.ndarray:
        """Chunks and shards put together (6.3)."""
        dtype = np.dtype("uint8" if self.layout == "encoded" else self.state["dtype"])
        codec = self.entry.get("codec", "raw")
        outer = self.shard or self.inner
        grid = [-(-n // o) for n, o in zip(self.shape, outer, strict=True)]
        whole = np.empty([g * o for g, o in zip(grid, outer, strict=True)], dtype)
        found = []
        for position, key in zip(np.ndindex(*grid), self.keys()["values-data"], strict=True):
            data = self.folder.read(key)
            base = [p * o for p, o in zip(position, outer, strict=True)]
            if self.shard:
                found.append(self._shard(whole, base, data, codec))
            else:
                _put(whole, base, chunk(codec, data, dtype, self.inner))
                found.append(data[-4:])
        self.check("values-data", found)
        return whole[tuple(slice(n) for n in self.shape)]

    def _shard(self, whole: np.ndarray, base: list[int], data: bytes, codec: str) -> bytes:
        # returns the check of the shard (6.7 rule 2)
        counts = [s // i for s, i in zip(self.shard, self.inner, strict=True)]
        size = 16 * prod(counts) + 4
        index = chunk("raw", data[-size:], np.dtype(np.uint64), (*counts, 2))
        listed = data[-size - 4 * prod(counts) : -size] if self.checks else b""
        for number, at in enumerate(product(*map(range, counts))):
            offset, length = (int(n) for n in index[at])
            start = [b + a * i for b, a, i in zip(base, at, self.inner, strict=True)]
            beyond = any(a >= n for a, n in zip(start, self.shape, strict=True))
            assert beyond == (offset == ABSENT) == (length == ABSENT)
            stored = b"" if beyond else data[offset : offset + length]
            assert not listed or listed[4 * number : 4 * number + 4] == (stored[-4:] or bytes(4))
            if not beyond:
                _put(whole, start, chunk(codec, stored, whole.dtype, self.inner))
        return crc(listed)

    def sidecar(self, name: str, dtype: str = "int64", width: int = 0) -> np.ndarray:
        """Return a sidecar array (6.4)."""
        length, tail = self.lengths()[name], (width,) if width else ()
        rows = self.entry.get("sidecar", 0) or max(1, length)
        stored = [self.folder.read(key) for key in self.keys()[name]]
        self.check(name, [data[-4:] for data in stored])
        chunks = [chunk("sidecar", data, np.dtype(dtype), (rows, *tail)) for data in stored]
        return np.concatenate(chunks)[:length] if chunks else np.empty((0, *tail), dtype)

    def _offsets(self, name: str, end: int) -> np.ndarray:
        offsets = self.sidecar(name)
        assert offsets[0] == 0
        assert offsets[-1] == end
        assert (np.diff(offsets) >= 0).all()
        return offsets

    @cached_property
    def offsets(self) -> np.ndarray:
        return self._offsets("values-offsets", self.entry["elements"])

    @cached_property
    def sequence_offsets(self) -> np.ndarray:
        return self._offsets("sequence-offsets", self.items)

    @cached_property
    def shapes(self) -> np.ndarray | None:
        width = self.entry.get("shapes", 0)
        return self.sidecar("shape-data", width=width) if width else None

    @cached_property
    def ids(self) -> list[int]:
        """Sample ids of the rows of the segment (7.3)."""
        start = self.entry.get("id_start", -1)
        found = range(start, start + self.rows) if start >= 0 else self.sidecar("ids", "uint64").tolist()
        assert len(set(found)) == self.rows
        return list(found)

    def stored(self, q: int) -> list[tuple[tuple[int, ...] | None, bytes]]:
        """Return shape and bytes of each item of a row: rows with other content differ in them (7.11)."""
        first, end = (q, q + 1) if not self.sequence else (int(n) for n in self.sequence_offsets[q : q + 2])
        return [self._stored(i) for i in range(first, end)]

    def _stored(self, i: int) -> tuple[tuple[int, ...] | None, bytes]:
        if self.layout == "dense":
            return self.shape[1:], self.values[i].tobytes()
        flat = self.values[self.offsets[i] : self.offsets[i + 1]]
        if self.shapes is not None:
            return tuple(self.shapes[i].tolist()), flat.tobytes()
        return flat.shape if self.layout == "ragged" else None, flat.tobytes()

    def row(self, q: int) -> Any:
        """Return a sample (7.3): an array, (bytes, shape) of an image, or a list of these where it is a sequence."""
        items = [self._decoded(shape, data) for shape, data in self.stored(q)]
        return items if self.sequence else items[0]

    def _decoded(self, shape: tuple[int, ...] | None, data: bytes) -> Any:
        dtype, htype, codec = self.state["dtype"], self.state["htype"], self.state.get("sample_compression")
        if self.layout != "encoded":
            return np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).reshape(shape)
        if htype in TEXTS:
            text = str(inflated(codec, data), "utf-8")
            return text if htype == "text" else json.loads(text)
        if not data:
            return np.zeros(shape, dtype)
        if codec not in ("zstd", "lz4"):
            return data, shape
        own = tuple(np.frombuffer(data, "<u8", data[2], 3).tolist())
        assert (shape, np.dtype(f"<{chr(data[0])}{data[1]}")) == (own, np.dtype(dtype))
        return np.frombuffer(inflated(codec, data[3 + 8 * data[2] :]), dtype).reshape(own)


def _put(whole: np.ndarray, start: list[int], values: np.ndarray) -> None:
    whole[tuple(slice(a, a + n) for a, n in zip(start, values.shape, strict=True))] = values


def inflated(codec: str | None, data: bytes) -> bytes:
    """Return bytes compressed as one block or frame (6.6); numcodecs knows no empty ones."""
    if codec == "lz4":
        return b"" if data[:4] == bytes(4) else bytes(lz4.decompress(data))
    if codec == "zstd":
        return b"" if data == zstd.compress(b"", 1) else bytes(zstd.decompress(data))
    return data
