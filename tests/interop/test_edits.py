"""Random histories with tiny chunks and shards: extents, grids and sidecars of every alignment."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zlake
from tests.interop.reading import assert_presents
from zlake import limits
from zlake.interop import grid

TINY = {"INNER_CHUNK_BYTES": 64, "SHARD_BYTES": 256, "SIDECAR_CHUNK_BYTES": 64, "TILING_THRESHOLD_BYTES": 512}

extend = st.tuples(st.just("extend"), st.integers(1, 25))
update = st.tuples(st.just("update"), st.integers(0, 10**6))
pop = st.tuples(st.just("pop"), st.integers(0, 10**6))


@pytest.fixture
def _tiny(monkeypatch):
    for name, value in TINY.items():
        monkeypatch.setattr(limits, name, value)
    monkeypatch.setattr(grid, "BUILT_CHUNK_BYTES", 96)


def samples(first: int, count: int) -> dict[str, list]:
    numbers = range(first, first + count)
    return {
        "dense": [np.full(4, i, np.int32) for i in numbers],
        "packed": [np.full(4, i, np.int32) for i in numbers],
        "ragged": [np.full(i * 7 % 5, i, np.int32) for i in numbers],
        "planes": [np.full((i % 3, 1 + i % 2), i, np.int16) for i in numbers],
        "large": [np.full((1 + i % 5, 40), i, np.float32) for i in numbers],
        "captions": ["word" * (i % 4) for i in numbers],
        # the first row of a call has an item, for an empty one could not say what an item is
        "clips": [[np.full(1 + j, i, np.int16) for j in range(i % 10 % 3 or i % 100 == 0)] for i in numbers],
    }


def apply(ds: zlake.Dataset, step: tuple[str, int], at: int) -> None:
    name, value = step
    if name == "extend":
        ds.extend(samples(at * 100, value))
    elif len(ds) and name == "pop":
        ds.pop(value % len(ds))
    elif len(ds):
        row = samples(at * 100 + 50, 1)
        for tensor in ("dense", "ragged", "planes", "captions"):
            ds[tensor][value % len(ds)] = row[tensor][0]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(extend | update | pop, min_size=1, max_size=8),
    key=st.integers(-30, 30),
    step=st.sampled_from([1, 2, -1]),
)
@pytest.mark.usefixtures("_tiny")
def test_any_history(steps, key, step):
    ds = zlake.empty("mem://interop-edits", overwrite=True)
    for name, options in {
        "dense": {"dtype": "int32"},
        "packed": {"dtype": "int32", "chunk_compression": "zstd"},
        "ragged": {"dtype": "int32"},
        "planes": {"dtype": "int16"},
        "large": {"dtype": "float32"},
        "captions": {"htype": "text"},
        "clips": {"htype": "sequence[generic]", "dtype": "int16"},
    }.items():
        ds.create_tensor(name, **options)
    for at, each in enumerate(steps):
        apply(ds, each, at)
    present(ds)
    present(ds[key::step])


def present(ds: zlake.Dataset) -> None:
    store = ds.zarr_store()
    group = zarr.open_group(store, mode="r")
    assert_presents(group, ds)
    for path, node in store.hierarchy.arrays.items():  # what passes through and what is built agree
        if 0 in node.layout.shape:
            continue
        whole = node.read(tuple(slice(0, n, 1) for n in node.layout.shape))
        np.testing.assert_array_equal(group[path][...], whole, strict=True)
