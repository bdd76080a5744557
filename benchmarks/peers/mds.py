"""MosaicML Streaming, format MDS, data on local disk."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.data import FIXED_SHAPE
from benchmarks.peers.base import Batches, Gather, Options, Single, decode_many

FIXED = {"images": "ndarray:uint8:" + ",".join(map(str, FIXED_SHAPE)), "labels": "int64"}


def _without_torchvision() -> None:
    """Let `streaming` be imported: its vision datasets, unused here, want torchvision, which needs a GPU build."""
    names = {
        "torchvision": (),
        "torchvision.datasets": ("VisionDataset",),
        "torchvision.transforms": (),
        "torchvision.transforms.functional": ("to_tensor",),
    }
    for name, members in names.items():
        module = ModuleType(name)
        for member in members:
            setattr(module, member, type(member, (), {}))
        sys.modules[name] = module


class Adapter:
    def __init__(self, options: Options) -> None:
        # First, because it looks for torchvision's version, which the stand-in has not.
        import transformers.feature_extraction_utils  # noqa: F401

        _without_torchvision()
        import streaming

        self.streaming = streaming

    def version(self) -> str:
        return f"mosaicml-streaming {self.streaming.__version__}"

    def write_fixed(self, path: str, images: np.ndarray, labels: np.ndarray) -> None:
        with self.streaming.MDSWriter(out=path, columns=FIXED) as out:
            for image, label in zip(images, labels, strict=True):
                out.write({"images": image, "labels": label})

    append_fixed = write_fixed

    def _loader(self, path: str, batch: int, *, shuffle: bool, collate: Any = None) -> Batches:
        """Return epochs over `LocalDataset`: with the data on this disk it is faster than `StreamingDataset`."""
        from torch.utils.data import DataLoader

        dataset = self.streaming.LocalDataset(path)
        return lambda: DataLoader(dataset, batch_size=batch, shuffle=shuffle, num_workers=0, collate_fn=collate)

    def epoch_fixed(self, path: str, batch: int) -> Batches:
        return self._loader(path, batch, shuffle=False)

    def shuffled_fixed(self, path: str, batch: int) -> Batches:
        return self._loader(path, batch, shuffle=True)

    def gather_fixed(self, path: str) -> Gather:
        dataset = self.streaming.LocalDataset(path)
        return lambda rows: np.stack([dataset[row]["images"] for row in rows.tolist()])

    def single_fixed(self, path: str) -> Single:
        dataset = self.streaming.LocalDataset(path)
        return lambda row: dataset[row]["images"]

    def write_ragged(self, path: str, rows: list[np.ndarray]) -> None:
        with self.streaming.MDSWriter(out=path, columns={"values": "ndarray:float32"}) as out:
            for row in rows:
                out.write({"values": row})

    def epoch_ragged(self, path: str, batch: int) -> Batches:
        return self._loader(path, batch, shuffle=False, collate=lambda rows: [row["values"] for row in rows])

    def gather_ragged(self, path: str) -> Gather:
        dataset = self.streaming.LocalDataset(path)
        return lambda rows: [dataset[row]["values"] for row in rows.tolist()]

    def single_ragged(self, path: str) -> Single:
        dataset = self.streaming.LocalDataset(path)
        return lambda row: dataset[row]["values"]

    def write_jpeg(self, path: str, files: Sequence[bytes]) -> None:
        with self.streaming.MDSWriter(out=path, columns={"images": "bytes"}) as out:
            for data in files:
                out.write({"images": data})

    def _decoded(self, path: str, batch: int, *, shuffle: bool) -> Batches:
        loaded = self._loader(path, batch, shuffle=shuffle, collate=lambda rows: [row["images"] for row in rows])

        def epoch() -> Iterator[Any]:
            for files in loaded():
                yield decode_many(files)

        return epoch

    def epoch_jpeg(self, path: str, batch: int) -> Batches:
        return self._decoded(path, batch, shuffle=False)

    def shuffled_jpeg(self, path: str, batch: int) -> Batches:
        return self._decoded(path, batch, shuffle=True)

    def single_jpeg(self, path: str) -> Single:
        dataset = self.streaming.LocalDataset(path)
        return lambda row: dataset[row]["images"]
