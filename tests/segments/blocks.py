"""Blocks to write, the samples they hold, and a store that remembers what was asked of it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from zlake.segments.block import Block

DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
)
CODECS = ("raw", "zstd", "blosc", "gzip")


def numbers(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> np.ndarray:
    """Values of all bytes that make sense for the dtype, the same for the same seed."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    if dtype.kind == "c":
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
    return rng.normal(size=shape).astype(dtype)


def sample_ids(rows: int, start: int = 7) -> np.ndarray:
    return np.arange(start, start + rows, dtype=np.uint64)


def dense(values: np.ndarray, pieces: int = 1, ids: np.ndarray | None = None, **columns: Any) -> Block:
    """A dense block whose values come in pieces of uneven length."""
    cuts = np.linspace(0, len(values), pieces + 1).astype(int) if pieces > 1 else np.array([0, len(values)])
    parts = [values[a:b] for a, b in pairwise(cuts)]
    ids = sample_ids(len(values)) if ids is None else ids
    return Block("dense", values.dtype, ids, parts, values.shape[1:], **columns)


def ragged(samples: list[np.ndarray], ids: np.ndarray | None = None, dtype: Any = None, **columns: Any) -> Block:
    """A ragged block of samples of one rank, one piece for each."""
    dtype = np.dtype(dtype) if dtype is not None else samples[0].dtype
    sizes = [sample.size for sample in samples]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    ndim = samples[0].ndim if samples else 1
    shapes = None
    if ndim != 1:
        shapes = np.array([sample.shape for sample in samples], np.int64).reshape(len(samples), ndim)
    values = [np.ascontiguousarray(sample).reshape(-1) for sample in samples]
    ids = sample_ids(len(samples)) if ids is None else ids
    return Block("ragged", dtype, ids, values, (), offsets, shapes, **columns)


def encoded(blobs: list[bytes], shapes: np.ndarray | None = None, **columns: Any) -> Block:
    offsets = np.concatenate([[0], np.cumsum([len(blob) for blob in blobs])]).astype(np.int64)
    ids = columns.pop("ids", None)
    ids = sample_ids(len(blobs)) if ids is None else ids
    return Block("encoded", np.dtype(np.uint8), ids, blobs, (), offsets, shapes, **columns)


def flat(block: Block) -> np.ndarray:
    """What ``values-data`` must hold."""
    parts = [np.frombuffer(v, np.uint8) if isinstance(v, bytes) else v for v in block.values]
    empty = np.empty((0, *block.shape), block.dtype)
    return np.concatenate([empty, *parts])


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    """Small blocks of every layout."""
    layout = draw(st.sampled_from(("dense", "ragged", "encoded")))
    items = draw(st.integers(0, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    columns: dict[str, Any] = {}
    if draw(st.booleans()):
        rows = draw(st.integers(1, 5))
        cuts = np.sort(rng.integers(0, items + 1, rows - 1))
        columns["sequence_offsets"] = np.concatenate([[0], cuts, [items]]).astype(np.int64)
    else:
        rows = items = max(1, items)
    columns["ids"] = rng.integers(0, 2**63, rows).astype(np.uint64) if draw(st.booleans()) else sample_ids(rows)
    if layout == "encoded":
        blobs = [rng.bytes(int(n)) for n in rng.integers(0, 40, items)]
        shapes = rng.integers(0, 99, (items, 3)) if draw(st.booleans()) else None
        return encoded(blobs, shapes, **columns)
    dtype = draw(st.sampled_from(DTYPES))
    if layout == "dense":
        shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
        values = numbers((items, *shape), dtype, draw(st.integers(0, 99)))
        return dense(values, draw(st.integers(1, 4)), **columns)
    ndim = draw(st.integers(1, 3))
    samples = [numbers(tuple(rng.integers(0, 4, ndim)), dtype, i) for i in range(items)]
    if not samples:
        ndim = 1
    return ragged(samples, dtype=dtype, **columns)
