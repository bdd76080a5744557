"""Small datasets that hold every kind of tensor, in segments of their own."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import zlake


def jpeg(rng: np.random.Generator, height: int, width: int) -> bytes:
    out = BytesIO()
    Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(out, "jpeg")
    return out.getvalue()


def rows(first: int, count: int) -> dict[str, list]:
    """Return rows of every kind; each is a function of its number."""
    rng = np.random.default_rng(first)
    numbers = range(first, first + count)
    return {
        "dense": [np.full((3, 2), i, np.float32) for i in numbers],
        "labels": [i % 3 for i in numbers],
        "ragged": [np.arange(i % 5, dtype=np.int16) + i for i in numbers],
        "boxes": [np.arange((i % 4) * 4, dtype=np.float32).reshape(-1, 4) + i for i in numbers],
        "photos": [zlake.read(jpeg(rng, 4 + i % 3, 5)) for i in numbers],
        "captions": [f"number {i}" * (i % 3) for i in numbers],
        "notes": [{"number": i} for i in numbers],
        "clips": [[np.full((2, 2), i * 5 + j, np.uint8) for j in range(i % 3)] for i in numbers],
        "words": [[np.arange(j + 1, dtype=np.int32) + i for j in range(i % 3)] for i in numbers],
        "inner/deep/x": [np.arange(4, dtype=np.int64) * i for i in numbers],
    }


def every_kind(path: Path | str, **options: Any) -> zlake.Dataset:
    """Return an open dataset of two commits, 12 and then 5 rows, and the ids of both in ``ds.info``."""
    ds = zlake.empty(path, overwrite=True, **options)
    ds.create_tensor("dense")
    ds.create_tensor("labels", htype="class_label", class_names=["zero", "one", "two"])
    ds.create_tensor("ragged")
    ds.create_tensor("boxes", htype="bbox")
    ds.create_tensor("photos", htype="image", sample_compression="jpeg")
    ds.create_tensor("captions", htype="text")
    ds.create_tensor("notes", htype="json")
    ds.create_tensor("clips", htype="sequence[generic]")
    ds.create_tensor("words", htype="sequence[generic]")
    ds.create_tensor("inner/deep/x")
    ds.create_tensor("later")
    ds.create_group("hollow")
    ds.info["description"] = "every kind of tensor"
    ds.dense.info["long_name"] = "a dense tensor"
    ds.extend({**rows(0, 12)}, skip_ok=True)
    ds.commit("twelve rows")
    ds.extend({**rows(12, 5)}, skip_ok=True)
    ds.commit("five more")
    return ds
