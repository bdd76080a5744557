"""zlake, called as its README shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.peers.base import Batches, Gather, Options, Single

SEED = 7


class Numbers:
    def __init__(self, ds: Any) -> None:
        self.ds = ds

    def update(self, rows: np.ndarray, values: np.ndarray) -> None:
        with self.ds:
            self.ds.values[rows.tolist()] = values
            self.ds.commit("some changed")

    def update_each(self, rows: np.ndarray, values: np.ndarray) -> None:
        with self.ds:
            for row, value in zip(rows.tolist(), values.tolist(), strict=True):
                self.ds.values[row] = value
            self.ds.commit("some changed, one by one")

    def remove(self, rows: np.ndarray) -> None:
        with self.ds:
            self.ds.pop(rows.tolist())
            self.ds.commit("some removed")

    def read(self) -> np.ndarray:
        return self.ds.values.numpy().reshape(-1)


class Adapter:
    def __init__(self, options: Options) -> None:
        import zlake

        self.options = options
        self.zlake = zlake

    def version(self) -> str:
        from importlib.metadata import version

        return f"zlake {version('zlake')}"

    def _where(self, path: str) -> tuple[str, dict[str, Any]]:
        if not self.options.s3:
            return path, {}
        s3 = self.options.s3
        creds = {
            "aws_access_key_id": s3["key"],
            "aws_secret_access_key": s3["secret"],
            "aws_region": s3["region"],
            "endpoint_url": s3["endpoint"],
        }
        return f"s3://{s3['bucket']}/{path.strip('/')}", {"creds": creds}

    def load(self, path: str) -> Any:
        url, more = self._where(path)
        return self.zlake.load(url, read_only=True, **more)

    def create(self, path: str) -> Any:
        url, more = self._where(path)
        return self.zlake.empty(url, overwrite=True, durable=self.options.durable, **more)

    def extents(self, path: str) -> int:
        """Return in how many extents the images lie."""
        return int(self.load(path)._session.columns["images"].content().n_extents)

    def optimize(self, path: str) -> int:
        """Bring scattered rows together; return in how many extents the images lie then."""
        self.zlake.load(path).optimize()
        return self.extents(path)

    def create_fixed(self, path: str, labelled: bool = True) -> Any:
        ds = self.create(path)
        with ds:
            ds.create_tensor("images", htype="generic", dtype="uint8", chunk_compression=self.options.codec)
            if labelled:
                ds.create_tensor("labels", htype="generic", dtype="int64")
        return ds

    def write_fixed(self, path: str, images: np.ndarray, labels: np.ndarray) -> None:
        ds = self.create_fixed(path)
        ds.extend({"images": images, "labels": labels})
        ds.commit("all of them")

    def append_fixed(self, path: str, images: np.ndarray, labels: np.ndarray) -> None:
        ds = self.create_fixed(path)
        with ds:
            for image, label in zip(images, labels, strict=True):
                ds.append({"images": image, "labels": label})
        ds.commit("row by row")

    def write_single_rows(self, path: str, images: np.ndarray, labels: np.ndarray) -> None:
        ds = self.create_fixed(path)
        for image, label in zip(images, labels, strict=True):
            ds.append({"images": image, "labels": label})

    def committer(self, path: str, labelled: bool = True) -> Callable[[np.ndarray, np.ndarray], None]:
        ds = self.create_fixed(path, labelled)
        ds.commit("empty", allow_empty=True)

        def commit(images: np.ndarray, labels: np.ndarray) -> None:
            with ds:
                ds.extend({"images": images, "labels": labels} if labelled else {"images": images})
                ds.commit("a hundred more")

        return commit

    def numbers(self, path: str, values: np.ndarray) -> Numbers:
        ds = self.create(path)
        ds.create_tensor("values", htype="generic", dtype="int64")
        ds.extend({"values": values})
        ds.commit("all of them")
        return Numbers(ds)

    def epoch_fixed(self, path: str, batch: int) -> Batches:
        ds = self.load(path)
        return lambda: ds.pytorch(batch_size=batch, shuffle=False)

    def shuffled_fixed(self, path: str, batch: int) -> Batches:
        ds = self.load(path)
        return lambda: ds.pytorch(batch_size=batch, shuffle=True, seed=SEED)

    def gather_fixed(self, path: str) -> Gather:
        images = self.load(path).images
        return lambda rows: images[rows].numpy()

    def single_fixed(self, path: str) -> Single:
        ds = self.load(path)
        return lambda row: ds.images[row].numpy()

    def write_ragged(self, path: str, rows: list[np.ndarray]) -> None:
        ds = self.create(path)
        with ds:
            ds.create_tensor("values", htype="generic", dtype="float32", chunk_compression=self.options.codec)
        ds.extend({"values": rows})
        ds.commit("all of them")

    def epoch_ragged(self, path: str, batch: int) -> Batches:
        values = self.load(path).values

        def epoch() -> Iterator[list[np.ndarray]]:
            for start in range(0, len(values), batch):
                yield values[start : start + batch].numpy(aslist=True)

        return epoch

    def whole_ragged(self, path: str) -> Batches:
        values = self.load(path).values
        return lambda: [values.numpy(aslist=True)]

    def gather_ragged(self, path: str) -> Gather:
        values = self.load(path).values
        return lambda rows: values[rows].numpy(aslist=True)

    def single_ragged(self, path: str) -> Single:
        ds = self.load(path)
        return lambda row: ds.values[row].numpy()

    def write_jpeg(self, path: str, files: Sequence[bytes]) -> None:
        ds = self.create(path)
        with ds:
            ds.create_tensor("images", htype="image", sample_compression="jpeg")
        ds.extend({"images": [self.zlake.read(data) for data in files]})
        ds.commit("all of them")

    def epoch_jpeg(self, path: str, batch: int) -> Batches:
        ds = self.load(path)
        return lambda: ds.pytorch(batch_size=batch, shuffle=False)

    def shuffled_jpeg(self, path: str, batch: int) -> Batches:
        ds = self.load(path)
        return lambda: ds.pytorch(batch_size=batch, shuffle=True, seed=SEED)

    def single_jpeg(self, path: str) -> Single:
        ds = self.load(path)
        return lambda row: ds.images[row].tobytes()
