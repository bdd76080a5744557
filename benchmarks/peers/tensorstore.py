"""Raw TensorStore, called by hand on the arrays, chunk shapes and codecs that zlake writes, without any versions."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.data import permutation
from benchmarks.peers.base import Batches, Gather, Options, Single
from zlake import limits

# Reads under way at once.
WINDOW = 16
CACHE_BYTES = limits.CACHE_BYTES


def _power_of_two(below: float) -> int:
    return 1 << max(0, int(np.log2(below)))


class Adapter:
    def __init__(self, options: Options) -> None:
        import tensorstore as ts

        self.options = options
        self.ts = ts
        self.context = ts.Context({"cache_pool": {"total_bytes_limit": CACHE_BYTES}})
        if options.s3:
            os.environ["AWS_ACCESS_KEY_ID"] = options.s3["key"]
            os.environ["AWS_SECRET_ACCESS_KEY"] = options.s3["secret"]

    def version(self) -> str:
        from importlib.metadata import version

        return f"tensorstore {version('tensorstore')}"

    def _kvstore(self, path: str) -> dict[str, Any]:
        if not self.options.s3:
            return {"driver": "file", "path": path + "/"}
        s3 = self.options.s3
        return {
            "driver": "s3",
            "bucket": s3["bucket"],
            "path": path.strip("/") + "/",
            "endpoint": s3["endpoint"],
            "aws_region": s3["region"],
        }

    def _create(self, path: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        row_bytes = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
        inner = _power_of_two(limits.INNER_CHUNK_BYTES / row_bytes)
        shard = inner * max(1, limits.SHARD_BYTES // (inner * row_bytes))
        chain: list[dict[str, Any]] = [{"name": "bytes", "configuration": {"endian": "little"}}]
        if self.options.codec == "zstd":
            chain.append({"name": "zstd", "configuration": {"level": 3}})
        chain.append({"name": "crc32c"})
        index = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
        sharding = {"chunk_shape": [inner, *shape[1:]], "codecs": chain, "index_codecs": index}
        metadata = {
            "shape": list(shape),
            "data_type": dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [shard, *shape[1:]]}},
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        }
        spec = {"driver": "zarr3", "kvstore": self._kvstore(path), "metadata": metadata}
        return self.ts.open(spec, create=True, context=self.context).result()

    def _create_sidecar(self, path: str, rows: int, dtype: np.dtype[Any]) -> Any:
        blosc = {"cname": "zstd", "clevel": 5, "shuffle": "shuffle", "typesize": dtype.itemsize, "blocksize": 0}
        chunk = max(1, min(rows, limits.SIDECAR_CHUNK_BYTES // dtype.itemsize))
        metadata = {
            "shape": [rows],
            "data_type": dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [chunk]}},
            "codecs": [
                {"name": "bytes", "configuration": {"endian": "little"}},
                {"name": "blosc", "configuration": blosc},
                {"name": "crc32c"},
            ],
        }
        spec = {"driver": "zarr3", "kvstore": self._kvstore(path), "metadata": metadata}
        return self.ts.open(spec, create=True, context=self.context).result()

    def _open(self, path: str) -> Any:
        spec = {"driver": "zarr3", "kvstore": self._kvstore(path)}
        return self.ts.open(spec, open=True, recheck_cached=False, context=self.context).result()

    def write_fixed(self, path: str, images: np.ndarray, labels: np.ndarray) -> None:
        rows = len(images)
        ids = np.arange(rows, dtype=np.uint64)
        writes = [
            self._create(f"{path}/images", images.shape, images.dtype).write(images),
            self._create_sidecar(f"{path}/labels", rows, labels.dtype).write(labels),
            self._create_sidecar(f"{path}/images-ids", rows, ids.dtype).write(ids),
            self._create_sidecar(f"{path}/labels-ids", rows, ids.dtype).write(ids),
        ]
        for write in writes:
            write.result()

    def _batches(self, count: int, batch: int, read: Callable[[int, int], Any]) -> Iterator[Any]:
        """Yield batches with `WINDOW` reads under way."""
        waiting: deque[Any] = deque()
        for start in range(0, count, batch):
            waiting.append(read(start, min(count, start + batch)))
            if len(waiting) == WINDOW:
                yield waiting.popleft()
        yield from waiting

    def epoch_fixed(self, path: str, batch: int) -> Batches:
        import torch

        images, labels = self._open(f"{path}/images"), self._open(f"{path}/labels")

        def epoch() -> Iterator[Any]:
            all_labels = labels.read().result()
            reads = self._batches(images.shape[0], batch, lambda a, b: (images[a:b].read(), a, b))
            for future, a, b in reads:
                yield torch.from_numpy(future.result()), torch.from_numpy(all_labels[a:b])

        return epoch

    def shuffled_fixed(self, path: str, batch: int) -> Batches:
        import torch

        images, labels = self._open(f"{path}/images"), self._open(f"{path}/labels")
        order = permutation(images.shape[0])

        def epoch() -> Iterator[Any]:
            all_labels = labels.read().result()
            reads = self._batches(len(order), batch, lambda a, b: (images[order[a:b]].read(), order[a:b]))
            for future, rows in reads:
                yield torch.from_numpy(future.result()), torch.from_numpy(all_labels[rows])

        return epoch

    def gather_fixed(self, path: str) -> Gather:
        images = self._open(f"{path}/images")
        return lambda rows: images[rows].read().result()

    def single_fixed(self, path: str) -> Single:
        images = self._open(f"{path}/images")
        return lambda row: images[row].read().result()

    def write_ragged(self, path: str, rows: list[np.ndarray]) -> None:
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        values = np.concatenate(rows)
        ids = np.arange(len(rows), dtype=np.uint64)
        writes = [
            self._create(f"{path}/values", values.shape, values.dtype).write(values),
            self._create_sidecar(f"{path}/offsets", len(offsets), offsets.dtype).write(offsets),
            self._create_sidecar(f"{path}/ids", len(rows), ids.dtype).write(ids),
        ]
        for write in writes:
            write.result()

    def epoch_ragged(self, path: str, batch: int) -> Batches:
        values = self._open(f"{path}/values")
        offsets = self._open(f"{path}/offsets").read().result().tolist()

        def epoch() -> Iterator[list[np.ndarray]]:
            def read(a: int, b: int) -> tuple[Any, list[int]]:
                return values[offsets[a] : offsets[b]].read(), offsets[a : b + 1]

            for future, bounds in self._batches(len(offsets) - 1, batch, read):
                own = future.result()
                yield [own[a - bounds[0] : b - bounds[0]] for a, b in pairwise(bounds)]

        return epoch

    def gather_ragged(self, path: str) -> Gather:
        values = self._open(f"{path}/values")
        offsets = self._open(f"{path}/offsets").read().result().tolist()

        def gather(rows: np.ndarray) -> list[np.ndarray]:
            futures = [values[offsets[row] : offsets[row + 1]].read() for row in rows.tolist()]
            return [future.result() for future in futures]

        return gather

    def single_ragged(self, path: str) -> Single:
        values = self._open(f"{path}/values")
        offsets = self._open(f"{path}/offsets").read().result().tolist()
        return lambda row: values[offsets[row] : offsets[row + 1]].read().result()
