"""Baseline: the memory map whose copied batches are handed out as torch tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers import memmap


class Adapter(memmap.Adapter):
    @staticmethod
    def batch(images: np.ndarray, labels: np.ndarray) -> Any:
        import torch

        return torch.from_numpy(images), torch.from_numpy(labels)

    def version(self) -> str:
        import torch

        return f"{super().version()}, torch {torch.__version__}"
