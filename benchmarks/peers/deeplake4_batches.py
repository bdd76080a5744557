"""Deep Lake 4 through its NumPy batches, which it keeps decoded in memory after the first epoch; no torch loader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.peers import deeplake4
from benchmarks.peers.base import Batches


class Adapter(deeplake4.Adapter):
    def epoch_fixed(self, path: str, batch: int) -> Batches:
        import torch

        ds = self.deeplake.open_read_only(path)

        def epoch() -> Iterator[Any]:
            for some in ds.batches(batch):
                # Copies, since the batches are read-only views of one decoded block.
                yield torch.from_numpy(some["images"].copy()), torch.from_numpy(some["labels"].copy())

        return epoch
