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

    def _save(self, path: str, columns: dict[str, Any]) -> None:

        self.datasets.Dataset(self.pa.table(columns)).save_to_disk(path)

    def _load(self, path: str, form: str | None) -> Any:
        return self.datasets.load_from_disk(path).with_format(form)

    def write_fixed(self, path: str, images: np.ndarray, labels: np.ndarray) -> None:
        # Flat lists of one length: the nested `Array3D` is written at a tenth of this speed.
        flat = self.pa.array(np.ascontiguousarray(images).reshape(-1))
        pixels = self.pa.FixedSizeListArray.from_arrays(flat, int(np.prod(FIXED_SHAPE)))
        self._save(path, {"images": pixels, "labels": self.pa.array(labels)})

    def epoch_fixed(self, path: str, batch: int) -> Batches:
        dataset = self._load(path, "torch")

        def epoch() -> Iterator[Any]:
            for some in dataset.iter(batch_size=batch):
                yield some["images"].reshape(-1, *FIXED_SHAPE), some["labels"]

        return epoch

    def shuffled_fixed(self, path: str, batch: int) -> Batches:
        dataset = self._load(path, "torch")
        order = permutation(len(dataset))

        def epoch() -> Iterator[Any]:
            for start in range(0, len(order), batch):
                some = dataset[order[start : start + batch].tolist()]
                yield some["images"].reshape(-1, *FIXED_SHAPE), some["labels"]

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
        self._save(
            path, {"values": self.pa.ListArray.from_arrays(self.pa.array(offsets), self.pa.array(np.concatenate(rows)))}
        )

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
        self._save(path, {"images": self.pa.array(files, self.pa.large_binary())})

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
