"""Lance (package pylance)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.data import FIXED_SHAPE, permutation
from benchmarks.peers.base import Batches, Gather, Options, Single, decode_many

ELEMENTS = int(np.prod(FIXED_SHAPE))


class Numbers:
    """Rows are found by a key column: Lance has no rows by position to change."""

    def __init__(self, ds: Any, pa: Any, keys: np.ndarray) -> None:
        self.ds = ds
        self.pa = pa
        self.keys = keys

    def update(self, rows: np.ndarray, values: np.ndarray) -> None:
        new = self.pa.table({"key": self.pa.array(self.keys[rows]), "values": self.pa.array(values)})
        self.ds.merge_insert("key").when_matched_update_all().execute(new)

    def remove(self, rows: np.ndarray) -> None:
        self.ds.delete(f"key IN ({', '.join(map(str, self.keys[rows].tolist()))})")
        self.keys = np.delete(self.keys, rows)

    def read(self) -> np.ndarray:
        table = self.ds.to_table()
        return table.column("values").to_numpy()[np.argsort(table.column("key").to_numpy())]


class Adapter:
    def __init__(self, options: Options) -> None:
        import lance
        import pyarrow

        self.lance = lance
        self.pa = pyarrow

    def version(self) -> str:
        return f"pylance {self.lance.__version__}, pyarrow {self.pa.__version__}"

    def _table(self, images: np.ndarray, labels: np.ndarray) -> Any:
        flat = self.pa.array(np.ascontiguousarray(images).reshape(-1))
        pixels = self.pa.FixedSizeListArray.from_arrays(flat, ELEMENTS)
        return self.pa.table({"images": pixels, "labels": self.pa.array(labels)})

    @staticmethod
    def _arrays(table: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the columns of one batch; the pixels are copied where Arrow hands out read-only memory."""
        column = table.column("images")
        column = column.combine_chunks() if hasattr(column, "combine_chunks") else column
        images = column.flatten().to_numpy(zero_copy_only=False)
        labels = table.column("labels").to_numpy()
        return images.reshape(-1, *FIXED_SHAPE).copy(), labels.copy()

    def write_fixed(self, path: str, images: np.ndarray, labels: np.ndarray) -> None:
        self.lance.write_dataset(self._table(images, labels), path)

    def committer(self, path: str, labelled: bool = True) -> Callable[[np.ndarray, np.ndarray], None]:
        columns = ["images", "labels"] if labelled else ["images"]

        def table(images: np.ndarray, labels: np.ndarray) -> Any:
            return self._table(images, labels).select(columns)

        self.lance.write_dataset(table(np.empty((0, *FIXED_SHAPE), np.uint8), np.empty(0, np.int64)), path)

        def commit(images: np.ndarray, labels: np.ndarray) -> None:
            self.lance.write_dataset(table(images, labels), path, mode="append")

        return commit

    def numbers(self, path: str, values: np.ndarray) -> Numbers:
        keys = np.arange(len(values))
        self.lance.write_dataset(self.pa.table({"key": self.pa.array(keys), "values": self.pa.array(values)}), path)
        return Numbers(self.lance.dataset(path), self.pa, keys)

    def epoch_fixed(self, path: str, batch: int) -> Batches:
        import torch

        ds = self.lance.dataset(path)

        def epoch() -> Iterator[Any]:
            for some in ds.to_batches(batch_size=batch):
                images, labels = self._arrays(some)
                yield torch.from_numpy(images), torch.from_numpy(labels)

        return epoch

    def shuffled_fixed(self, path: str, batch: int) -> Batches:
        import torch

        ds = self.lance.dataset(path)
        order = permutation(ds.count_rows())

        def epoch() -> Iterator[Any]:
            for start in range(0, len(order), batch):
                images, labels = self._arrays(ds.take(order[start : start + batch].tolist()))
                yield torch.from_numpy(images), torch.from_numpy(labels)

        return epoch

    def gather_fixed(self, path: str) -> Gather:
        ds = self.lance.dataset(path)

        def gather(rows: np.ndarray) -> np.ndarray:
            column = ds.take(rows.tolist(), columns=["images"]).column("images").combine_chunks()
            return column.flatten().to_numpy(zero_copy_only=False).reshape(-1, *FIXED_SHAPE)

        return gather

    def single_fixed(self, path: str) -> Single:
        gather = self.gather_fixed(path)
        return lambda row: gather(np.array([row]))

    def write_ragged(self, path: str, rows: list[np.ndarray]) -> None:
        offsets = np.zeros(len(rows) + 1, np.int32)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        values = self.pa.ListArray.from_arrays(self.pa.array(offsets), self.pa.array(np.concatenate(rows)))
        self.lance.write_dataset(self.pa.table({"values": values}), path)

    @staticmethod
    def _split(column: Any) -> list[np.ndarray]:
        if hasattr(column, "combine_chunks"):
            column = column.combine_chunks()
        bounds = column.offsets.to_numpy()
        own = column.flatten().to_numpy().copy()
        return np.split(own, (bounds[1:-1] - bounds[0]))

    def epoch_ragged(self, path: str, batch: int) -> Batches:
        ds = self.lance.dataset(path)

        def epoch() -> Iterator[list[np.ndarray]]:
            for some in ds.to_batches(batch_size=batch):
                yield self._split(some.column("values"))

        return epoch

    def gather_ragged(self, path: str) -> Gather:
        ds = self.lance.dataset(path)
        return lambda rows: self._split(ds.take(rows.tolist()).column("values"))

    def single_ragged(self, path: str) -> Single:
        gather = self.gather_ragged(path)
        return lambda row: gather(np.array([row]))[0]

    def write_jpeg(self, path: str, files: Sequence[bytes]) -> None:
        self.lance.write_dataset(self.pa.table({"images": self.pa.array(files, self.pa.large_binary())}), path)

    def epoch_jpeg(self, path: str, batch: int) -> Batches:
        ds = self.lance.dataset(path)

        def epoch() -> Iterator[Any]:
            for some in ds.to_batches(batch_size=batch):
                yield decode_many(some.column("images").to_pylist())

        return epoch

    def shuffled_jpeg(self, path: str, batch: int) -> Batches:
        ds = self.lance.dataset(path)
        order = permutation(ds.count_rows())

        def epoch() -> Iterator[Any]:
            for start in range(0, len(order), batch):
                yield decode_many(ds.take(order[start : start + batch].tolist()).column("images").to_pylist())

        return epoch

    def single_jpeg(self, path: str) -> Single:
        ds = self.lance.dataset(path)
        return lambda row: ds.take([row]).column("images")[0].as_py()
