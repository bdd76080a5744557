"""Icechunk, through zarr-python; ragged rows and files are flat arrays with offsets, since Zarr has nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.data import permutation
from benchmarks.peers.base import Batches, Gather, Options, Single, decode_many

# Rows in a chunk of small images: one batch.
CHUNK_ROWS = 256
CHUNK_BYTES = 1 << 20


class Numbers:
    def __init__(self, repository: Any, zarr: Any) -> None:
        self.repository = repository
        self.zarr = zarr

    def update(self, rows: np.ndarray, values: np.ndarray) -> None:
        session = self.repository.writable_session("main")
        self.zarr.open_group(session.store)["values"].oindex[rows] = values
        session.commit("some changed")

    def read(self) -> np.ndarray:
        return self.zarr.open_group(self.repository.readonly_session("main").store, mode="r")["values"][:]


class Adapter:
    def __init__(self, options: Options) -> None:
        import icechunk
        import zarr

        self.icechunk = icechunk
        self.zarr = zarr

    def version(self) -> str:
        return f"icechunk {self.icechunk.__version__}, zarr {self.zarr.__version__}"

    def _create(self, path: str) -> Any:
        return self.icechunk.Repository.create(self.icechunk.local_filesystem_storage(path))

    def _open(self, path: str) -> Any:
        repository = self.icechunk.Repository.open(self.icechunk.local_filesystem_storage(path))
        return self.zarr.open_group(repository.readonly_session("main").store, mode="r")

    def write_fixed(self, path: str, images: np.ndarray, labels: np.ndarray) -> None:
        session = self._create(path).writable_session("main")
        group = self.zarr.group(session.store)
        chunks = (CHUNK_ROWS, *images.shape[1:])
        group.create_array("images", data=images, chunks=chunks, compressors=None)
        group.create_array("labels", data=labels, chunks=(len(labels),))
        session.commit("all of them")

    def numbers(self, path: str, values: np.ndarray) -> Numbers:
        repository = self._create(path)
        session = repository.writable_session("main")
        self.zarr.group(session.store).create_array("values", data=values, chunks=(10_000,))
        session.commit("all of them")
        return Numbers(repository, self.zarr)

    def committer(self, path: str, labelled: bool = True) -> Callable[[np.ndarray, np.ndarray], None]:
        repository = self._create(path)
        session = repository.writable_session("main")
        group = self.zarr.group(session.store)
        shape = (32, 32, 3)
        group.create_array("images", shape=(0, *shape), dtype="u1", chunks=(100, *shape), compressors=None)
        if labelled:
            group.create_array("labels", shape=(0,), dtype="i8", chunks=(10_000,))
        session.commit("empty")

        def commit(images: np.ndarray, labels: np.ndarray) -> None:
            session = repository.writable_session("main")
            group = self.zarr.open_group(session.store)
            group["images"].append(images)
            if labelled:
                group["labels"].append(labels)
            session.commit("a hundred more")

        return commit

    def epoch_fixed(self, path: str, batch: int) -> Batches:
        import torch

        group = self._open(path)
        images, labels = group["images"], group["labels"]

        def epoch() -> Iterator[Any]:
            all_labels = labels[:]
            # Eight chunks a read, so that zarr fetches them together.
            for start in range(0, images.shape[0], 8 * batch):
                block = images[start : start + 8 * batch]
                for at in range(0, len(block), batch):
                    yield (
                        torch.from_numpy(block[at : at + batch]),
                        torch.from_numpy(all_labels[start + at : start + min(len(block), at + batch)]),
                    )

        return epoch

    def shuffled_fixed(self, path: str, batch: int) -> Batches:
        import torch

        group = self._open(path)
        images, labels = group["images"], group["labels"]
        order = permutation(images.shape[0])

        def epoch() -> Iterator[Any]:
            all_labels = labels[:]
            for start in range(0, len(order), batch):
                rows = order[start : start + batch]
                yield torch.from_numpy(images.oindex[rows]), torch.from_numpy(all_labels[rows])

        return epoch

    def gather_fixed(self, path: str) -> Gather:
        images = self._open(path)["images"]
        return lambda rows: images.oindex[rows]

    def single_fixed(self, path: str) -> Single:
        images = self._open(path)["images"]
        return lambda row: images[row]

    def _write_flat(self, path: str, values: np.ndarray, lengths: list[int]) -> None:
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        session = self._create(path).writable_session("main")
        group = self.zarr.group(session.store)
        group.create_array("values", data=values, chunks=(CHUNK_BYTES // values.itemsize,), compressors=None)
        group.create_array("offsets", data=offsets, chunks=(len(offsets),))
        session.commit("all of them")

    def _open_flat(self, path: str) -> tuple[Any, list[int]]:
        group = self._open(path)
        return group["values"], group["offsets"][:].tolist()

    def write_ragged(self, path: str, rows: list[np.ndarray]) -> None:
        self._write_flat(path, np.concatenate(rows), [len(row) for row in rows])

    def epoch_ragged(self, path: str, batch: int) -> Batches:
        values, offsets = self._open_flat(path)

        def epoch() -> Iterator[list[np.ndarray]]:
            # Many batches a read: one read of 256 rows would fetch the same chunk several times.
            for start in range(0, len(offsets) - 1, 64 * batch):
                bounds = offsets[start : start + 64 * batch + 1]
                block = values[bounds[0] : bounds[-1]]
                pairs = list(pairwise(bounds))
                for at in range(0, len(pairs), batch):
                    yield [block[a - bounds[0] : b - bounds[0]] for a, b in pairs[at : at + batch]]

        return epoch

    def gather_ragged(self, path: str) -> Gather:
        values, offsets = self._open_flat(path)
        return lambda rows: [values[offsets[row] : offsets[row + 1]] for row in rows.tolist()]

    def single_ragged(self, path: str) -> Single:
        values, offsets = self._open_flat(path)
        return lambda row: values[offsets[row] : offsets[row + 1]]

    def write_jpeg(self, path: str, files: Sequence[bytes]) -> None:
        self._write_flat(path, np.frombuffer(b"".join(files), np.uint8), [len(data) for data in files])

    def epoch_jpeg(self, path: str, batch: int) -> Batches:
        values, offsets = self._open_flat(path)

        def epoch() -> Iterator[Any]:
            for start in range(0, len(offsets) - 1, batch):
                bounds = offsets[start : start + batch + 1]
                block = values[bounds[0] : bounds[-1]].tobytes()
                pairs = pairwise(bounds)
                yield decode_many(block[a - bounds[0] : b - bounds[0]] for a, b in pairs)

        return epoch

    def shuffled_jpeg(self, path: str, batch: int) -> Batches:
        values, offsets = self._open_flat(path)
        order = permutation(len(offsets) - 1)

        def epoch() -> Iterator[Any]:
            for start in range(0, len(order), batch):
                rows = order[start : start + batch].tolist()
                yield decode_many([values[offsets[row] : offsets[row + 1]].tobytes() for row in rows])

        return epoch

    def single_jpeg(self, path: str) -> Single:
        values, offsets = self._open_flat(path)
        return lambda row: values[offsets[row] : offsets[row + 1]].tobytes()
