"""What a hierarchy says the samples are, read with zarr-python by the rules of the format alone."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import zarr

import zlake

ENCODED = ("photos", "captions", "notes")


def samples(node: zarr.Array | zarr.Group) -> list[Any]:
    """Return the samples: arrays, bytes where they are encoded, lists of those where they are sequences."""
    if isinstance(node, zarr.Array):
        return list(node[:])
    values = node["values-data"][:]
    if "values-offsets" in node:
        offsets = node["values-offsets"][:]
        items = [values[a:b] for a, b in itertools.pairwise(offsets)]
        if node.attrs["ragged:layout"] == "encoded":
            items = [item.tobytes() for item in items]
        elif "shape-data" in node:
            items = [item.reshape(shape) for item, shape in zip(items, node["shape-data"][:], strict=True)]
    else:
        items = list(values)
    if "sequence-offsets" in node:
        offsets = node["sequence-offsets"][:]
        items = [items[a:b] for a, b in itertools.pairwise(offsets)]
    assert len(items) == node.attrs["length"]
    assert "ragged:id_start" in node.attrs or len(items) == len(node["ids"][:])
    return items


def expected(tensor: zlake.Tensor) -> list[Any]:
    """Return the same from zlake itself."""
    if tensor.key in ENCODED:
        return [row.tobytes() for row in tensor]
    return tensor.numpy(aslist=True)


def assert_same(found: list[Any], wanted: list[Any]) -> None:
    """Compare samples of any kind."""
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        if isinstance(a, list):
            assert_same(a, list(b))
        elif isinstance(a, bytes):
            assert a == b
        else:
            np.testing.assert_array_equal(a, b, strict=True)


def assert_presents(group: zarr.Group, ds: zlake.Dataset) -> None:
    """Compare every tensor of a hierarchy with the dataset or view that it presents."""
    for name, tensor in ds.tensors.items():
        if tensor.dtype is not None or tensor.key in ENCODED:
            assert_same(samples(group[name]), expected(tensor))
            if isinstance(group[name], zarr.Group):
                np.testing.assert_array_equal(group[name]["ids"][:], tensor.ids())
