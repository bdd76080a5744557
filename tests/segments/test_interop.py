"""What is written reads back through tools that know nothing of zlake."""

from __future__ import annotations

import json
import warnings
from math import prod
from pathlib import Path
from typing import Any

import anndata
import awkward as ak
import jsonschema
import msgspec
import numpy as np
import pytest
import tensorstore as ts
import xarray as xr
import zarr
from hypothesis import HealthCheck, given, settings

from zlake import limits
from zlake.context import random_id
from zlake.format.checks import segment_problem
from zlake.format.documents import SegmentTensor
from zlake.format.seal import check_seal
from zlake.segments.block import Block
from zlake.segments.layout import ArrayLayout, arrays
from zlake.segments.metadata import array_metadata
from zlake.segments.write import write_segment
from zlake.storage import open_store

from .blocks import CODECS, DTYPES, blocks, dense, encoded, flat, numbers, ragged, sample_ids

SCHEMA = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "spec" / "schemas" / "segment.json").read_text())
)
CORE_CODECS = {"bytes", "transpose", "blosc", "zstd", "gzip", "crc32c", "sharding_indexed"}


def write(root: Path, *tensors: tuple[Block, str]) -> tuple[Path, list[tuple[str, SegmentTensor]]]:
    segment = random_id()
    keys = [random_id() for _ in tensors]
    entries = write_segment(open_store(root), segment, dict(zip(keys, tensors, strict=True)))
    return root / "segments" / segment, list(entries.items())


def counted(block: Block) -> bool:
    """Whether the ids count up, so that they are not stored."""
    return bool((np.diff(block.ids) == 1).all())


def expected(block: Block) -> dict[str, np.ndarray]:
    columns = {
        "values-data": flat(block),
        "values-offsets": block.offsets,
        "shape-data": block.shapes,
        "sequence-offsets": block.sequence_offsets,
        "ids": None if counted(block) else block.ids,
    }
    return {name: column for name, column in columns.items() if column is not None}


def same(found: Any, wanted: np.ndarray) -> None:
    found = np.asarray(found)
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    assert found.tobytes() == wanted.tobytes()


def check_zarr(folder: Path, key: str, block: Block) -> None:
    group = zarr.open_group(folder, mode="r", use_consolidated=True)
    assert sorted(name for name, _ in group[key].arrays()) == sorted(expected(block))
    for name, wanted in expected(block).items():
        same(group[f"{key}/{name}"][...], wanted)


def check_tensorstore(folder: Path, key: str, block: Block, entry: SegmentTensor) -> None:
    for name, layout in arrays(entry, block.dtype).items():
        array = open_tensorstore(folder, key, array_metadata(layout))(name)
        same(array.read().result(), expected(block)[name])


def open_tensorstore(folder: Path, key: str, metadata: dict[str, Any]) -> Any:
    def open_array(name: str) -> ts.TensorStore:
        spec = {
            "driver": "zarr3",
            "kvstore": {"driver": "file", "path": f"{folder}/{key}/{name}/"},
            "metadata": json.loads(json.dumps(metadata)),
            "fill_missing_data_reads": False,
        }
        return ts.open(spec, open=True, assume_metadata=True).result()

    return open_array


def check_documents(folder: Path) -> None:
    """All JSON is sealed, and every chain in it is core and ends in crc32c."""
    SCHEMA.validate(json.loads((folder / "zarr.json").read_bytes()))
    for path in folder.rglob("zarr.json"):
        data = path.read_bytes()
        check_seal(data, str(path))
        for array in arrays_of(json.loads(data)):
            assert array["dimension_names"]
            assert len(array["dimension_names"]) == len(array["shape"])
            assert array["chunk_grid"]["name"] == "regular"
            chains = [array["codecs"]]
            while chains:
                chain = chains.pop()
                assert {each["name"] for each in chain} <= CORE_CODECS
                if chain[0]["name"] == "sharding_indexed":
                    assert len(chain) == 1
                    chains += [chain[0]["configuration"]["codecs"], chain[0]["configuration"]["index_codecs"]]
                else:
                    assert chain[-1] == {"name": "crc32c"}


def arrays_of(node: dict[str, Any]) -> list[dict[str, Any]]:
    if node["node_type"] == "array":
        return [node]
    below = node.get("consolidated_metadata", {}).get("metadata", {})
    return [each for each in below.values() if each["node_type"] == "array"]


def check(folder: Path, entries: list[tuple[str, SegmentTensor]], *tensors: tuple[Block, str]) -> None:
    check_documents(folder)
    stored = 0
    for (key, entry), (block, codec) in zip(entries, tensors, strict=True):
        assert entry == msgspec.convert(msgspec.to_builtins(entry), SegmentTensor)
        assert segment_problem(entry) == ""
        assert entry.rows == block.rows
        assert entry.codec == codec
        assert entry.bytes == sum(path.stat().st_size for path in (folder / key).rglob("*") if path.is_file())
        stored += entry.bytes
        check_zarr(folder, key, block)
        check_tensorstore(folder, key, block, entry)
    assert stored + (folder / "zarr.json").stat().st_size == sum(
        p.stat().st_size for p in folder.rglob("*") if p.is_file()
    )


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_and_codec(tmp_path: Path, dtype: str, codec: str) -> None:
    """Three inner chunks, the last of them partly padding."""
    rows = 3 * limits.INNER_CHUNK_BYTES // (64 * np.dtype(dtype).itemsize) - 5
    tensors = [(dense(numbers((rows, 8, 8), dtype), 3), codec)]
    flat_samples = [numbers((n,), dtype, n) for n in (5, 0, limits.INNER_CHUNK_BYTES, 1)]
    tensors.append((ragged(flat_samples), codec))
    folder, entries = write(tmp_path, *tensors)
    assert all(entry.shard for _, entry in entries)
    check(folder, entries, *tensors)


@pytest.mark.parametrize("codec", ["raw", "zstd"])
@pytest.mark.parametrize("rows", [1, 2, 63, 64, 65, 1023, 1024, 1025, 1536, 2048, 3000])
def test_around_the_edges_of_chunks_and_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, codec: str
) -> None:
    monkeypatch.setattr(limits, "INNER_CHUNK_BYTES", 64 * 12)
    monkeypatch.setattr(limits, "SHARD_BYTES", 1024 * 12)
    monkeypatch.setattr(limits, "SIDECAR_CHUNK_BYTES", 4096)
    monkeypatch.setattr(limits, "NODE_METADATA_BYTES", 10_000)
    values = numbers((rows, 3), "float32")
    tensors = [(dense(values, 7), codec), (ragged([numbers((i % 5,), "int16", i) for i in range(rows)]), codec)]
    folder, entries = write(tmp_path, *tensors)
    entry = entries[0][1]
    assert entry.inner == ((rows,) if rows <= 64 else (64,) if rows > 1000 else (33,)) + (3,)
    assert entry.shard == (() if rows <= 64 else (min(1024, -(-rows // entry.inner[0]) * entry.inner[0]), 3))
    check(folder, entries, *tensors)


@pytest.mark.parametrize("codec", ["raw", "blosc"])
@pytest.mark.parametrize("shape", [(40, 50, 3), (2000,), (1, 7, 300), (13, 11, 7, 5)])
def test_huge_samples_are_tiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], codec: str
) -> None:
    monkeypatch.setattr(limits, "TILING_THRESHOLD_BYTES", 1000)
    monkeypatch.setattr(limits, "INNER_CHUNK_BYTES", 256)
    monkeypatch.setattr(limits, "SHARD_BYTES", 2048)
    for rows, pieces in ((1, 1), (3, 2)):
        block = dense(numbers((rows, *shape), "uint16"), pieces)
        folder, entries = write(tmp_path, (block, codec))
        entry = entries[0][1]
        assert entry.inner[0] == 1
        assert 64 < np.prod(entry.inner) * 2 <= 256
        assert np.prod(entry.shard) * 2 <= 2048
        assert all(s % c == 0 for s, c in zip(entry.shard, entry.inner, strict=True))
        check(folder, entries, (block, codec))


def test_encoded_samples_and_their_shapes(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    blobs = [rng.bytes(int(n)) for n in rng.integers(0, 30_000, 60)]
    tensors = [(encoded(blobs, rng.integers(0, 500, (60, 3))), "raw"), (encoded(blobs), "zstd")]
    mixed = encoded(blobs)
    pieces = [np.frombuffer(blob, np.uint8) if i % 3 else blob for i, blob in enumerate(blobs)]
    tensors.append((Block("encoded", np.dtype("uint8"), mixed.ids, pieces, (), mixed.offsets), "raw"))
    folder, entries = write(tmp_path, *tensors)
    check(folder, entries, *tensors)
    assert entries[0][1].shapes == 3
    assert entries[0][1].shard


def test_one_large_blob(tmp_path: Path) -> None:
    blob = np.random.default_rng(0).bytes(1_000_000)
    tensors = [(encoded([b"", blob, b"x"]), "raw"), (encoded([b"", blob, b"x"]), "gzip")]
    folder, entries = write(tmp_path, *tensors)
    check(folder, entries, *tensors)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 0), (1,), (2, 1), (1,) * 31])
def test_odd_sample_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    tensors = [(dense(numbers((rows, *shape), "int32"), rows), "raw") for rows in (1, 5)]
    folder, entries = write(tmp_path, *tensors)
    check(folder, entries, *tensors)


def test_many_small_pieces(tmp_path: Path) -> None:
    """So many that their lengths are taken from the offsets."""
    samples = [numbers((n % 9,), "float64", n % 50) for n in range(6000)]
    folder, entries = write(tmp_path, (ragged(samples), "raw"))
    check(folder, entries, (ragged(samples), "raw"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(block=blocks())
def test_any_block(tmp_path: Path, block: Block) -> None:
    tensors = [(block, codec) for codec in ("raw", "blosc")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr warns of dtypes that it thinks rare
        folder, entries = write(tmp_path, *tensors)
        check(folder, entries, *tensors)


# ------------------------------------------------------------ xarray and Awkward Array


def test_xarray_opens_a_segment(tmp_path: Path) -> None:
    ids = np.arange(60, 0, -2, np.uint64)
    image = dense(numbers((30, 4, 5, 3), "uint8"), ids=ids)
    label = ragged([numbers((n,), "int64", n) for n in range(30)])
    folder, ((image_key, _), (label_key, _)) = write(tmp_path, (image, "raw"), (label, "zstd"))
    found = xr.open_datatree(folder, engine="zarr")
    data = found[image_key]
    assert data["values-data"].dims == ("sample", "axis_0", "axis_1", "axis_2")
    assert data["ids"].dims == ("sample",)
    same(data["ids"].values, ids)
    assert found[label_key].attrs["ragged:id_start"] == 7
    assert "ids" not in found[label_key]
    same(data["values-data"].values, flat(image))
    assert found[label_key]["values-data"].dims == ("element",)
    same(found[label_key]["values-offsets"].values, label.offsets)


def test_xarray_opens_a_tensor_of_a_large_segment(tmp_path: Path) -> None:
    block = dense(numbers((400, 32, 32, 3), "uint8"))
    folder, ((key, _),) = write(tmp_path, (block, "raw"))
    assert (folder / key / "values-data" / "zarr.json").exists()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        data = xr.open_zarr(folder / key)
    same(data["values-data"].values, flat(block))
    same(zarr.open_array(folder / key / "values-data", mode="r")[...], flat(block))


def read_awkward(folder: Path, key: str) -> ak.Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that single arrays carry no attributes of anndata's
        return anndata.io.read_elem(zarr.open_group(folder, mode="r")[key])


def test_anndata_opens_every_layout(tmp_path: Path) -> None:
    vectors = [numbers((n,), "float32", n) for n in (3, 0, 5)]
    images = [numbers(shape, "uint8") for shape in ((2, 3), (0, 4), (1, 1))]
    blobs = [b"abc", b"", b"\xff\x00"]
    sequence = np.array([0, 2, 2, 3], np.int64)
    tensors = [
        (dense(numbers((3, 2, 4), "int16")), "raw"),
        (ragged(vectors), "raw"),
        (ragged(images), "zstd"),
        (encoded(blobs, np.arange(6).reshape(3, 2)), "raw"),
        (encoded(blobs), "raw"),
        (ragged(vectors, sequence_offsets=sequence), "raw"),
    ]
    folder, entries = write(tmp_path, *tensors)
    found = [read_awkward(folder, key) for key, _ in entries]
    assert all(len(each) == 3 for each in found)
    same(ak.to_numpy(found[0]), flat(tensors[0][0]))
    assert found[1].to_list() == [vector.tolist() for vector in vectors]
    assert found[2]["values"].to_list() == [image.reshape(-1).tolist() for image in images]
    assert found[2]["shape"].to_list() == [list(image.shape) for image in images]
    assert found[3]["values"].to_list() == blobs
    assert found[4].to_list() == blobs
    assert found[5].to_list() == [[vectors[0].tolist(), []], [], [vectors[2].tolist()]]


# ------------------------------------------------------------ damage


def list_of_checks(layout: ArrayLayout, size: int) -> range:
    """Where a shard of so many bytes lists the checksums of its chunks."""
    if not layout.shard:
        return range(0)
    chunks = prod(layout.shard) // prod(layout.chunk)
    return range(size - 20 * chunks - 4, size - 16 * chunks - 4)


@pytest.mark.parametrize("codec", CODECS)
def test_tensorstore_notices_every_flipped_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str) -> None:
    monkeypatch.setattr(limits, "INNER_CHUNK_BYTES", 64)
    monkeypatch.setattr(limits, "SHARD_BYTES", 256)
    block = dense(numbers((40, 2), "int32"), ids=sample_ids(40)[::-1].copy())
    folder, ((key, entry),) = write(tmp_path, (block, codec))
    layouts = arrays(entry, block.dtype)
    wanted = expected(block)
    rng = np.random.default_rng(5)
    objects = sorted(path for path in (folder / key).rglob("c.*"))
    assert len(objects) == 3
    for path in objects:
        good = path.read_bytes()
        name = path.parent.name
        array = open_tensorstore(folder, key, array_metadata(layouts[name]))(name)
        same(array.read().result(), wanted[name])
        for bit in rng.choice(len(good) * 8, 80, replace=False):
            damaged = bytearray(good)
            damaged[bit // 8] ^= 1 << int(bit) % 8
            path.write_bytes(damaged)
            if bit // 8 in list_of_checks(layouts[name], len(good)):  # which it passes over
                same(array.read().result(), wanted[name])
                continue
            with pytest.raises(ValueError, match=r"DATA_LOSS|FAILED_PRECONDITION|NOT_FOUND|INVALID"):
                array.read().result()
        path.write_bytes(good)


def test_ids_that_count_up_are_not_stored(tmp_path: Path) -> None:
    values = numbers((3, 2), "uint8")
    for ids, start in (
        ([5, 6, 7], 5),
        ([5, 7, 6], -1),
        ([5, 5, 7], -1),
        ([2**64 - 3, 2**64 - 2, 2**64 - 1], 2**64 - 3),
    ):
        folder, ((key, entry),) = write(tmp_path, (dense(values, ids=np.array(ids, np.uint64)), "raw"))
        assert entry.id_start == start
        assert (folder / key / "ids").exists() == (start < 0)
