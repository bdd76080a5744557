"""Baseline: NumPy memory maps of raw files, without checksums or versions; batches are copies that the caller owns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import permutation
from benchmarks.peers.base import Batches, Gather, Options, Single, decode


def _save(path: Path, array: np.ndarray) -> None:
    import os

    with path.open("wb") as out:
        np.save(out, array)
        out.flush()
        os.fsync(out.fileno())


class Adapter:
    def __init__(self, options: Options) -> None:
        self.options = options

    def version(self) -> str:
        return f"numpy {np.__version__}"

    @staticmethod
    def batch(images: np.ndarray, labels: np.ndarray) -> Any:
        return images, labels

    def write_fixed(self, path: str, images: np.ndarray, labels: np.ndarray) -> None:
        folder = Path(path)
        folder.mkdir(parents=True)
        _save(folder / "images.npy", images)
        _save(folder / "labels.npy", labels)

    def _open(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        folder = Path(path)
        return np.load(folder / "images.npy", mmap_mode="r"), np.load(folder / "labels.npy", mmap_mode="r")

    def epoch_fixed(self, path: str, batch: int) -> Batches:
        images, labels = self._open(path)

        def epoch() -> Iterator[Any]:
            for start in range(0, len(images), batch):
                yield self.batch(np.array(images[start : start + batch]), np.array(labels[start : start + batch]))

        return epoch

    def shuffled_fixed(self, path: str, batch: int) -> Batches:
        images, labels = self._open(path)
        order = permutation(len(images))

        def epoch() -> Iterator[Any]:
            for start in range(0, len(order), batch):
                rows = order[start : start + batch]
                yield self.batch(images[rows], labels[rows])

        return epoch

    def gather_fixed(self, path: str) -> Gather:
        images, _ = self._open(path)
        return lambda rows: images[rows]

    def single_fixed(self, path: str) -> Single:
        images, _ = self._open(path)
        return lambda row: np.array(images[row])

    def write_ragged(self, path: str, rows: list[np.ndarray]) -> None:
        folder = Path(path)
        folder.mkdir(parents=True)
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        _save(folder / "offsets.npy", offsets)
        _save(folder / "values.npy", np.concatenate(rows))

    def _open_ragged(self, path: str) -> tuple[np.ndarray, list[int]]:
        return np.load(Path(path) / "values.npy", mmap_mode="r"), np.load(Path(path) / "offsets.npy").tolist()

    def epoch_ragged(self, path: str, batch: int) -> Batches:
        values, offsets = self._open_ragged(path)

        def epoch() -> Iterator[list[np.ndarray]]:
            for start in range(0, len(offsets) - 1, batch):
                bounds = offsets[start : start + batch + 1]
                own = np.array(values[bounds[0] : bounds[-1]])
                yield [own[a - bounds[0] : b - bounds[0]] for a, b in pairwise(bounds)]

        return epoch

    def gather_ragged(self, path: str) -> Gather:
        values, offsets = self._open_ragged(path)
        return lambda rows: [np.array(values[offsets[row] : offsets[row + 1]]) for row in rows.tolist()]

    def single_ragged(self, path: str) -> Single:
        values, offsets = self._open_ragged(path)
        return lambda row: np.array(values[offsets[row] : offsets[row + 1]])

    def write_jpeg(self, path: str, files: Sequence[bytes]) -> None:
        self.write_ragged(path, [np.frombuffer(data, np.uint8) for data in files])

    def epoch_jpeg(self, path: str, batch: int) -> Batches:
        return self._decoded(path, batch, shuffle=False)

    def shuffled_jpeg(self, path: str, batch: int) -> Batches:
        return self._decoded(path, batch, shuffle=True)

    def single_jpeg(self, path: str) -> Single:
        values, offsets = self._open_ragged(path)
        return lambda row: values[offsets[row] : offsets[row + 1]].tobytes()

    def _decoded(self, path: str, batch: int, *, shuffle: bool) -> Batches:
        """Return the ceiling: two threads that do nothing but decode, each image into an array of its own."""
        values, offsets = self._open_ragged(path)
        count = len(offsets) - 1
        order = permutation(count).tolist() if shuffle else list(range(count))

        def one(row: int) -> np.ndarray:
            return decode(values[offsets[row] : offsets[row + 1]])

        def epoch() -> Iterator[list[np.ndarray]]:
            with ThreadPoolExecutor(2) as pool:
                # One batch ahead, so that neither thread waits at the end of a batch, and no more is held than that.
                ahead = [pool.submit(one, row) for row in order[:batch]]
                for start in range(batch, count + batch, batch):
                    waiting, ahead = ahead, [pool.submit(one, row) for row in order[start : start + batch]]
                    yield [image.result() for image in waiting]

        return epoch
