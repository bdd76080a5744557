"""Hugging Face datasets: Arrow files on disk, memory-mapped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.data import FIXED_SHAPE, permutation
from benchmarks.peers.base import Batches, Gather, Options, Single, decode_many


class Adapter:
    def __init__(self, options: Options) -> None:
        import datasets
        import pyarrow

        datasets.disable_progress_bars()
        self.datasets = datasets
        self.pa = pyarrow

    def version(self) -> str:
        return f"datasets {self.datasets.__version__}, pyarrow {self.pa.__version__}"

    def _save(self, path: str, columns: dict[str, Any], features: dict[str, Any]) -> None:
        schema = self.datasets.Features(features).arrow_schema
        table = self.pa.Table.from_arrays(list(columns.values()), schema=schema)
        # With a fingerprint of our own, since computing one means hashing all the data twice.
        self.datasets.Dataset(table, fingerprint="benchmark").save_to_disk(path)

    def _load(self, path: str, form: str | None) -> Any:
        return self.datasets.load_from_disk(path).with_format(form)

    def write_fixed(self, path: str, images: np.ndarray, labels: np.ndarray) -> None:
        from datasets.features.features import Array3DExtensionType

        # Built from the flat buffer: `Dataset.from_dict` walks the rows in Python.
        nested = self.pa.array(np.ascontiguousarray(images).reshape(-1))
        for size in reversed(FIXED_SHAPE):
            offsets = np.arange(0, len(nested) + 1, size, dtype=np.int32)
            nested = self.pa.ListArray.from_arrays(self.pa.array(offsets), nested)
        pixels = self.pa.ExtensionArray.from_storage(Array3DExtensionType(FIXED_SHAPE, "uint8"), nested)
        kinds = {"images": self.datasets.Array3D(FIXED_SHAPE, "uint8"), "labels": self.datasets.Value("int64")}
        self._save(path, {"images": pixels, "labels": self.pa.array(labels)}, kinds)

    def epoch_fixed(self, path: str, batch: int) -> Batches:
        import torch

        dataset = self._load(path, "numpy")

        def epoch() -> Iterator[Any]:
            # NumPy's format and a copy: the torch format converts row by row and is slower.
            for some in dataset.iter(batch_size=batch):
                yield torch.from_numpy(some["images"].copy()), torch.from_numpy(some["labels"].copy())

        return epoch

    def shuffled_fixed(self, path: str, batch: int) -> Batches:
        import torch

        dataset = self._load(path, "numpy")
        order = permutation(len(dataset))

        def epoch() -> Iterator[Any]:
            for start in range(0, len(order), batch):
                some = dataset[order[start : start + batch].tolist()]
                yield torch.from_numpy(some["images"].copy()), torch.from_numpy(some["labels"].copy())

        return epoch

    def gather_fixed(self, path: str) -> Gather:
        dataset = self._load(path, "numpy").select_columns(["images"])
        return lambda rows: dataset[rows.tolist()]["images"]

    def single_fixed(self, path: str) -> Single:
        dataset = self._load(path, "numpy").select_columns(["images"])
        return lambda row: dataset[row]["images"]

    def write_ragged(self, path: str, rows: list[np.ndarray]) -> None:
        offsets = np.zeros(len(rows) + 1, np.int32)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        values = self.pa.ListArray.from_arrays(self.pa.array(offsets), self.pa.array(np.concatenate(rows)))
        self._save(path, {"values": values}, {"values": self.datasets.List(self.datasets.Value("float32"))})

    def epoch_ragged(self, path: str, batch: int) -> Batches:
        dataset = self._load(path, "numpy")

        def epoch() -> Iterator[Any]:
            for some in dataset.iter(batch_size=batch):
                yield some["values"]

        return epoch

    def gather_ragged(self, path: str) -> Gather:
        dataset = self._load(path, "numpy")
        return lambda rows: dataset[rows.tolist()]["values"]

    def single_ragged(self, path: str) -> Single:
        dataset = self._load(path, "numpy")
        return lambda row: dataset[row]["values"]

    def write_jpeg(self, path: str, files: Sequence[bytes]) -> None:
        column = self.pa.array(files, self.pa.large_binary())
        self._save(path, {"images": column}, {"images": self.datasets.Value("large_binary")})

    def epoch_jpeg(self, path: str, batch: int) -> Batches:
        dataset = self._load(path, None)

        def epoch() -> Iterator[Any]:
            for some in dataset.iter(batch_size=batch):
                yield decode_many(some["images"])

        return epoch

    def shuffled_jpeg(self, path: str, batch: int) -> Batches:
        dataset = self._load(path, None)
        order = permutation(len(dataset))

        def epoch() -> Iterator[Any]:
            for start in range(0, len(order), batch):
                yield decode_many(dataset[order[start : start + batch].tolist()]["images"])

        return epoch

    def single_jpeg(self, path: str) -> Single:
        dataset = self._load(path, None)
        return lambda row: dataset[row]["images"]
