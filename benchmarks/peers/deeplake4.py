"""Deep Lake 4. A column dies with its dataset, so what is handed out holds on to the dataset (`_keep`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.data import FIXED_SHAPE, permutation
from benchmarks.peers.base import Batches, Gather, Options, Single


class Numbers:
    def __init__(self, ds: Any) -> None:
        self.ds = ds

    def update(self, rows: np.ndarray, values: np.ndarray) -> None:
        column = self.ds["values"]
        for row, value in zip(rows.tolist(), values.tolist(), strict=True):  # one by one, or slices, is all it offers
            column[row] = value
        self.ds.commit("some changed")

    update_each = update

    def remove(self, rows: np.ndarray) -> None:
        for row in np.sort(rows)[::-1].tolist():  # one by one is all it offers
            self.ds.delete(row)
        self.ds.commit("some removed")

    def read(self) -> np.ndarray:
        return np.asarray(self.ds["values"][:])


class Adapter:
    def __init__(self, options: Options) -> None:
        import deeplake

        self.deeplake = deeplake

    def version(self) -> str:
        return f"deeplake {self.deeplake.__version__}"

    def _create_fixed(self, path: str, labelled: bool = True) -> Any:
        ds = self.deeplake.create(path)
        ds.add_column("images", self.deeplake.types.Array("uint8", shape=list(FIXED_SHAPE)))
        if labelled:
            ds.add_column("labels", "int64")
        return ds

    def write_fixed(self, path: str, images: np.ndarray, labels: np.ndarray) -> None:
        ds = self._create_fixed(path)
        ds.append({"images": images, "labels": labels})
        ds.commit("all of them")

    def append_fixed(self, path: str, images: np.ndarray, labels: np.ndarray) -> None:
        ds = self._create_fixed(path)
        for image, label in zip(images, labels, strict=True):
            ds.append([{"images": image, "labels": label}])
        ds.commit("row by row")

    def committer(self, path: str, labelled: bool = True) -> Callable[[np.ndarray, np.ndarray], None]:
        ds = self._create_fixed(path, labelled)

        def commit(images: np.ndarray, labels: np.ndarray) -> None:
            ds.append({"images": images, "labels": labels} if labelled else {"images": images})
            ds.commit("a hundred more")

        return commit

    def numbers(self, path: str, values: np.ndarray) -> Numbers:
        ds = self.deeplake.create(path)
        ds.add_column("values", "int64")
        ds.append({"values": values})
        ds.commit("all of them")
        return Numbers(ds)

    def epoch_fixed(self, path: str, batch: int) -> Batches:
        from torch.utils.data import DataLoader

        loader = DataLoader(self.deeplake.open_read_only(path).pytorch(), batch_size=batch)
        return lambda: loader

    def shuffled_fixed(self, path: str, batch: int) -> Batches:
        import torch

        ds = self.deeplake.open_read_only(path)
        # By index, batch by batch: faster than its torch data set behind a shuffling DataLoader.
        order = permutation(len(ds))

        def epoch() -> Iterator[Any]:
            images, labels = ds["images"], ds["labels"]
            for start in range(0, len(order), batch):
                rows = order[start : start + batch].tolist()
                yield torch.from_numpy(images[rows]), torch.from_numpy(labels[rows])

        return epoch

    def gather_fixed(self, path: str) -> Gather:
        ds = self.deeplake.open_read_only(path)
        images = ds["images"]
        return lambda rows, _keep=ds: images[rows.tolist()]

    def single_fixed(self, path: str) -> Single:
        ds = self.deeplake.open_read_only(path)
        images = ds["images"]
        return lambda row, _keep=ds: images[row]

    def write_ragged(self, path: str, rows: list[np.ndarray]) -> None:
        ds = self.deeplake.create(path)
        ds.add_column("values", self.deeplake.types.Array("float32", dimensions=1))
        ds.append({"values": rows})
        ds.commit("all of them")

    def epoch_ragged(self, path: str, batch: int) -> Batches:
        ds = self.deeplake.open_read_only(path)

        def epoch() -> Iterator[list[np.ndarray]]:
            for some in ds.batches(batch):
                yield some["values"]

        return epoch

    def gather_ragged(self, path: str) -> Gather:
        ds = self.deeplake.open_read_only(path)
        values = ds["values"]
        return lambda rows, _keep=ds: values[rows.tolist()]

    def single_ragged(self, path: str) -> Single:
        ds = self.deeplake.open_read_only(path)
        values = ds["values"]
        return lambda row, _keep=ds: values[row]

    def write_jpeg(self, path: str, files: Sequence[bytes]) -> None:
        ds = self.deeplake.create(path)
        ds.add_column("images", self.deeplake.types.Image("uint8", sample_compression="jpeg"))
        ds.append({"images": list(files)})
        ds.commit("all of them")

    def epoch_jpeg(self, path: str, batch: int) -> Batches:
        ds = self.deeplake.open_read_only(path)

        def epoch() -> Iterator[Any]:
            for some in ds.batches(batch):
                yield some["images"]

        return epoch

    def shuffled_jpeg(self, path: str, batch: int) -> Batches:
        ds = self.deeplake.open_read_only(path)
        order = permutation(len(ds))

        def epoch() -> Iterator[Any]:
            for start in range(0, len(order), batch):
                yield ds["images"][order[start : start + batch].tolist()]

        return epoch

    def single_jpeg(self, path: str) -> Single:
        ds = self.deeplake.open_read_only(path)
        images = ds["images"]
        return lambda row, _keep=ds: images.get_bytes(row)
