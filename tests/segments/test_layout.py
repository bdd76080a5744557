from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from zlake import limits
from zlake.format.documents import SegmentTensor
from zlake.segments.block import Block
from zlake.segments.layout import arrays, choose_layout

from .blocks import blocks, sample_ids

MIB = limits.MIB


def dense_of(rows: int, shape: tuple[int, ...], dtype: str = "uint8") -> Block:
    """A block of a size, without the memory: layouts look at sizes alone."""
    values = np.broadcast_to(np.zeros((), dtype), (rows, *shape))
    return Block("dense", np.dtype(dtype), np.zeros(rows, np.uint64), [values], shape)


def ragged_of(elements: int, dtype: str, rows: int = 1, layout: str = "ragged") -> Block:
    offsets = np.linspace(0, elements, rows + 1).astype(np.int64)
    return Block(layout, np.dtype(dtype), sample_ids(rows), [], (), offsets)  # type: ignore[arg-type]


def layout(block: Block, codec: str = "raw") -> SegmentTensor:
    return choose_layout(block, codec, "s")


@pytest.mark.parametrize(
    ("block", "inner", "shard"),
    [
        (dense_of(1, (32, 32, 3)), (1, 32, 32, 3), ()),
        (dense_of(85, (32, 32, 3)), (85, 32, 32, 3), ()),
        (dense_of(86, (32, 32, 3)), (43, 32, 32, 3), (86, 32, 32, 3)),
        (dense_of(100, (32, 32, 3)), (50, 32, 32, 3), (100, 32, 32, 3)),
        (dense_of(1024, (32, 32, 3)), (64, 32, 32, 3), (1024, 32, 32, 3)),
        (dense_of(50_000, (32, 32, 3)), (64, 32, 32, 3), (8192, 32, 32, 3)),
        (dense_of(8, (1024, 1024)), (1, 1024, 1024), (8, 1024, 1024)),
        (dense_of(100, (1024, 1024)), (1, 1024, 1024), (32, 1024, 1024)),
        (dense_of(3, (16, MIB)), (1, 16, MIB), (2, 16, MIB)),
        (dense_of(1, (16, MIB)), (1, 16, MIB), ()),
        (dense_of(1_000_000, (), "float32"), (65_536,), (1_048_576,)),
        (dense_of(100_000_000, (), "float32"), (65_536,), (8_388_608,)),
        (dense_of(0, (4, 0)), (1, 4, 1), ()),
        (dense_of(9, (4, 0)), (9, 4, 1), ()),
        (ragged_of(0, "float32", 9), (1,), ()),
        (ragged_of(65_536, "float32"), (65_536,), ()),
        (ragged_of(65_537, "float32"), (32_769,), (65_538,)),
        (ragged_of(100_000_000, "float64"), (32_768,), (4_194_304,)),
        (ragged_of(300 * MIB, "uint8", layout="encoded"), (262_144,), (32 * MIB,)),
        (dense_of(1, (512, 512, 512)), (1, 64, 64, 64), (1, 512, 256, 256)),
        (dense_of(1, (4000, 6000, 3)), (1, 250, 188, 3), (1, 2000, 3008, 3)),
        (dense_of(1, (20 * MIB,)), (1, 163_840), (1, 20_971_520)),
    ],
)
def test_chunks_and_shards(block: Block, inner: tuple[int, ...], shard: tuple[int, ...]) -> None:
    found = layout(block)
    assert (found.inner, found.shard) == (inner, shard)


@given(
    st.integers(1, 10**9),
    st.lists(st.integers(1, 5000), max_size=4),
    st.sampled_from(["uint8", "float32", "complex128"]),
)
def test_chunks_are_within_bounds(rows: int, shape: list[int], dtype: str) -> None:
    if np.prod([rows, *shape], dtype=float) > 2**60:
        rows = 1
    block = Block("dense", np.dtype(dtype), sample_ids(1), [], tuple(shape), None, None, np.array([0, rows]))
    found = choose_layout(block, "raw", "s")
    item = np.dtype(dtype).itemsize
    sample_bytes = int(np.prod(shape, dtype=int)) * item
    inner_bytes = int(np.prod(found.inner)) * item
    shard_bytes = int(np.prod(found.shard or found.inner)) * item
    assert len(found.inner) == 1 + len(shape)
    assert inner_bytes <= max(limits.INNER_CHUNK_BYTES, min(sample_bytes, limits.TILING_THRESHOLD_BYTES))
    assert shard_bytes <= limits.SHARD_BYTES
    array = arrays(found, block.dtype)["values-data"]
    if found.shard:
        assert all(s % c == 0 for s, c in zip(found.shard, found.inner, strict=True))
        if sample_bytes <= limits.TILING_THRESHOLD_BYTES:
            padding = array.objects[0] * found.shard[0] - rows
            assert padding < found.shard[0]
            if array.objects[0] == 1:
                assert padding < found.inner[0]
    else:
        assert found.inner == array.shape


@pytest.mark.parametrize(("rows", "sidecar"), [(1, 0), (131_071, 0), (131_072, 131_072), (400_000, 131_072)])
def test_sidecars_are_cut_at_a_power_of_two(rows: int, sidecar: int) -> None:
    found = structs.replace(layout(dense_of(rows, ())), id_start=-1)
    assert found.sidecar == sidecar
    ids = arrays(found, np.dtype("uint8"))["ids"]
    assert ids.chunk == (sidecar or rows,)
    assert ids.objects == (-(-rows // (sidecar or rows)),)


def test_the_widest_sidecar_sets_the_rows() -> None:
    rows = 200_000
    block = Block(
        "ragged",
        np.dtype("int8"),
        sample_ids(rows),
        [],
        (),
        np.zeros(rows + 1, np.int64),
        np.zeros((rows, 3), np.int64),
    )
    found = arrays(layout(block), block.dtype)
    assert {name: array.chunk for name, array in found.items()} == {
        "values-data": (1,),
        "values-offsets": (32_768,),
        "shape-data": (32_768, 3),
    }


@given(blocks())
def test_arrays_of_any_block(block: Block) -> None:
    found = arrays(layout(block), block.dtype)
    assert next(iter(found)) == "values-data"
    counted = bool((np.diff(block.ids) == 1).all())
    assert "ids" not in found if counted else found["ids"].shape == (block.rows,)
    assert ("values-offsets" in found) == (block.layout != "dense")
    assert ("shape-data" in found) == (block.shapes is not None)
    assert ("sequence-offsets" in found) == (block.sequence_offsets is not None)
    sizes: dict[str, int] = {}
    for array in found.values():
        assert min(array.chunk) >= 1
        assert len(array.dimensions) == len(array.shape)
        for name, size in zip(array.dimensions, array.shape, strict=True):
            assert sizes.setdefault(name, size) == size  # or xarray could not open the group


def test_object_keys_make_no_folders() -> None:
    found = arrays(layout(dense_of(50_000, (32, 32, 3))), np.dtype("uint8"))["values-data"]
    assert found.objects == (7, 1, 1, 1)
    assert found.object_key((6, 0, 0, 0)) == "values-data/c.6.0.0.0"
