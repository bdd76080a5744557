"""What the loader's tests load, and what they expect of it."""

from __future__ import annotations

import io
import itertools
from contextlib import contextmanager

import numpy as np
import torch
from PIL import Image

import zlake

ROWS = 37


def jpeg(row: int, shape: tuple[int, ...] = (12, 16, 3)) -> bytes:
    """Return a small JPEG that differs from row to row."""
    pixels = np.random.default_rng(row).integers(0, 255, shape, dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG")
    return out.getvalue()


def row(i: int) -> dict:
    """Return row ``i`` of the dataset with one tensor of each kind."""
    rng = np.random.default_rng(i)
    return {
        "dense": rng.integers(0, 255, (4, 5, 3), dtype=np.uint8),
        "scalar": np.float32(i / 2),
        "ragged": rng.standard_normal((i % 4, 3)).astype(np.float32),
        "photo": zlake.read(jpeg(i)),
        "photos": zlake.read(jpeg(i, (8 + i % 3, 10, 3))),
        "text": f"row {i} ☃",
        "json": {"row": i, "list": [i, None]},
        "list": list(range(i % 3)),
        "label": ["cat", "dog", "emu"][i % 3],
        "frames": [rng.integers(0, 9, (2, 2)).astype(np.int16) for _ in range(1 + i % 2)],
        "group/inner": np.int64(-i),
    }


def fill(ds: zlake.Dataset, rows: int = ROWS) -> zlake.Dataset:
    """Create the tensors of `row`, and append rows in three commits."""
    ds.create_tensor("dense", dtype="uint8")
    ds.create_tensor("scalar", dtype="float32")
    ds.create_tensor("ragged", dtype="float32")
    ds.create_tensor("photo", htype="image", sample_compression="jpeg")
    ds.create_tensor("photos", htype="image", sample_compression="jpeg")
    ds.create_tensor("text", htype="text")
    ds.create_tensor("json", htype="json")
    ds.create_tensor("list", htype="list")
    ds.create_tensor("label", htype="class_label", class_names=["cat", "dog", "emu"])
    ds.create_tensor("frames", htype="sequence", dtype="int16")
    ds.create_tensor("group/inner", dtype="int64")
    for part in itertools.pairwise([0, rows // 4, rows // 2, rows]):
        with ds:
            for i in range(*part):
                ds.append(row(i))
        ds.commit(f"rows {part}")
    return ds


def expected(ds: zlake.Dataset, name: str, rows: list[int]) -> list:
    """Return the samples of some rows, read one by one."""
    if name in ("text", "json", "list"):
        return [{"text": tensor.text, "json": tensor.dict, "list": tensor.list}[name]() for tensor in
                (ds[name][i] for i in rows)]  # fmt: skip
    return [ds[name][i].numpy() for i in rows]


def rows_of(value) -> list:
    """Return a batch's samples of one tensor as arrays or what else they are."""
    return [sample.numpy() if isinstance(sample, torch.Tensor) else sample for sample in value]


def same(found, wanted) -> bool:
    """Whether two samples are equal, shapes included."""
    if isinstance(wanted, list) and wanted and isinstance(wanted[0], np.ndarray):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    if isinstance(wanted, np.ndarray):
        return np.shape(found) == wanted.shape and np.array_equal(np.asarray(found), wanted)
    return bool(found == wanted)


def check(ds: zlake.Dataset, batch, labels: dict[str, str] | None = None) -> list[int]:
    """Assert that a batch holds what the dataset has in its rows; return these."""
    rows = batch["index"].tolist()
    for label, value in batch.items():
        if label != "index":
            wanted = expected(ds, (labels or {}).get(label, label), rows)
            found = rows_of(value)
            assert len(found) == len(wanted)
            for i, (a, b) in enumerate(zip(found, wanted, strict=True)):
                assert same(a, b), (label, rows[i], a, b)
    return rows


def orders(loader) -> list[list[int]]:
    """Return the rows of each batch of one epoch."""
    return [batch["index"].tolist() for batch in loader]


def flat(parts: list[list]) -> list:
    """Return the lists one after the other."""
    return list(itertools.chain.from_iterable(parts))


@contextmanager
def iterating(loader):
    """Iterate with workers; after an error torch's own way of leaving waits five seconds for each of them."""
    batches = iter(loader)
    try:
        yield batches
    finally:
        batches._shutdown_workers()


def numbers(path, rows: int = 100, **options) -> zlake.Dataset:
    """Return a dataset of one tensor ``x`` whose rows are their own numbers, (1,) int64."""
    ds = zlake.empty(path, **options)
    ds.create_tensor("x", dtype="int64")
    ds.extend({"x": np.arange(rows)[:, None]})
    ds.commit("numbers")
    return ds
