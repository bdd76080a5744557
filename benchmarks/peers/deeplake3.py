"""Deep Lake 3.9."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.peers.base import Batches, Gather, Options, Single


class Numbers:
    def __init__(self, ds: Any) -> None:
        self.ds = ds

    def update(self, rows: np.ndarray, values: np.ndarray) -> None:
        order = np.argsort(rows)
        with self.ds:
            self.ds["values"][rows[order].tolist()] = values[order, None]
        self.ds.commit("some changed")

    def update_each(self, rows: np.ndarray, values: np.ndarray) -> None:
        with self.ds:
            for row, value in zip(rows.tolist(), values.tolist(), strict=True):
                self.ds["values"][row] = value
        self.ds.commit("some changed, one by one")

    def remove(self, rows: np.ndarray) -> None:
        with self.ds:
            self.ds.pop(rows.tolist())
        self.ds.commit("some removed")

    def read(self) -> np.ndarray:
        return self.ds["values"].numpy().reshape(-1)


class Adapter:
    def __init__(self, options: Options) -> None:
        import deeplake

        self.deeplake = deeplake

    def version(self) -> str:
        return f"deeplake {self.deeplake.__version__}"

    def _load(self, path: str) -> Any:
        return self.deeplake.load(path, read_only=True, verbose=False)

    def _create_fixed(self, path: str, labelled: bool = True) -> Any:
        ds = self.deeplake.empty(path, overwrite=True)
        with ds:
            ds.create_tensor("images", htype="generic", dtype="uint8")
            if labelled:
                ds.create_tensor("labels", htype="generic", dtype="int64")
        return ds

    def write_fixed(self, path: str, images: np.ndarray, labels: np.ndarray) -> None:
        ds = self._create_fixed(path)
        with ds:
            ds.images.extend(images)
            ds.labels.extend(labels)
        ds.commit("all of them")

    def append_fixed(self, path: str, images: np.ndarray, labels: np.ndarray) -> None:
        ds = self._create_fixed(path)
        with ds:
            for image, label in zip(images, labels, strict=True):
                ds.append({"images": image, "labels": label})
        ds.commit("row by row")

    def committer(self, path: str, labelled: bool = True) -> Callable[[np.ndarray, np.ndarray], None]:
        ds = self._create_fixed(path, labelled)

        def commit(images: np.ndarray, labels: np.ndarray) -> None:
            with ds:
                ds.images.extend(images)
                if labelled:
                    ds.labels.extend(labels)
            ds.commit("a hundred more")

        return commit

    def numbers(self, path: str, values: np.ndarray) -> Numbers:
        ds = self.deeplake.empty(path, overwrite=True)
        with ds:
            ds.create_tensor("values", htype="generic", dtype="int64")
            ds["values"].extend(values)
        ds.commit("all of them")
        return Numbers(ds)

    def epoch_fixed(self, path: str, batch: int) -> Batches:
        ds = self._load(path)
        return lambda: ds.pytorch(tensors=["images", "labels"], batch_size=batch, num_workers=0, shuffle=False)

    def shuffled_fixed(self, path: str, batch: int) -> Batches:
        ds = self._load(path)
        return lambda: ds.pytorch(tensors=["images", "labels"], batch_size=batch, num_workers=0, shuffle=True)

    def gather_fixed(self, path: str) -> Gather:
        images = self._load(path).images
        return lambda rows: images[rows.tolist()].numpy()

    def single_fixed(self, path: str) -> Single:
        images = self._load(path).images
        return lambda row: images[row].numpy()

    def write_ragged(self, path: str, rows: list[np.ndarray]) -> None:
        ds = self.deeplake.empty(path, overwrite=True)
        with ds:
            ds.create_tensor("values", htype="generic", dtype="float32")
            ds.values.extend(rows)
        ds.commit("all of them")

    def epoch_ragged(self, path: str, batch: int) -> Batches:
        values = self._load(path).values

        def epoch() -> Iterator[list[np.ndarray]]:
            for start in range(0, len(values), batch):
                yield values[start : start + batch].numpy(aslist=True)

        return epoch

    def gather_ragged(self, path: str) -> Gather:
        values = self._load(path).values
        return lambda rows: values[rows.tolist()].numpy(aslist=True)

    def single_ragged(self, path: str) -> Single:
        values = self._load(path).values
        return lambda row: values[row].numpy()

    def write_jpeg(self, path: str, files: Sequence[bytes]) -> None:
        from deeplake.core.sample import Sample

        ds = self.deeplake.empty(path, overwrite=True)
        with ds:
            ds.create_tensor("images", htype="image", sample_compression="jpeg")
            ds.images.extend([Sample(buffer=data, compression="jpeg") for data in files])
        ds.commit("all of them")

    def epoch_jpeg(self, path: str, batch: int) -> Batches:
        ds = self._load(path)
        return lambda: ds.pytorch(batch_size=batch, num_workers=0, shuffle=False)

    def shuffled_jpeg(self, path: str, batch: int) -> Batches:
        ds = self._load(path)
        return lambda: ds.pytorch(batch_size=batch, num_workers=0, shuffle=True)

    def single_jpeg(self, path: str) -> Single:
        images = self._load(path).images
        return lambda row: images[row].tobytes()
