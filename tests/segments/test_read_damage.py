"""Damaged, cut off, missing and foreign objects: an error that names the object, or the right data."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from msgspec.structs import replace

from tests.segments.blocks import dense, encoded, numbers, ragged
from tests.segments.reading import NO_CACHE, put, rows_of, small_chunks
from zlake.context import Context
from zlake.errors import CorruptObjectError, ObjectNotFoundError
from zlake.format.documents import SegmentTensor
from zlake.format.paths import tensor_prefix
from zlake.segments.block import Block
from zlake.segments.gather import gather_array, gather_blobs, gather_ids, gather_list
from zlake.segments.source import Source, open_source
from zlake.storage import open_store

WAYS = {"mapped": ("raw", NO_CACHE), "resident": ("zstd", Context()), "tensorstore": ("zstd", NO_CACHE)}
"""Codec and context by way to the values. TensorStore must not remember chunks that change behind its back."""


class Tensor:
    """A stored tensor whose files can be touched, and opened again."""

    def __init__(self, folder: Path, block: Block, way: str = "mapped") -> None:
        self.block = block
        codec, self.context = WAYS[way]
        self.store = open_store(str(folder), context=self.context)
        with small_chunks(64, 256, 64):
            self.entry, self.key = put(self.store, block, codec)
        self.folder = folder / tensor_prefix(self.entry.segment, self.key)

    def open(self, entry: SegmentTensor | None = None) -> Source:
        return open_source(self.store, entry or self.entry, self.key, self.block.dtype, self.context)

    def files(self, name: str = "*") -> list[Path]:
        return sorted(path for path in self.folder.glob(f"{name}/c.*"))


def read_all(source: Source) -> list[Any]:
    """Everything a source can give, as one comparable value."""
    everything = rows_of(slice(0, source.rows, 1))
    some = rows_of(np.arange(source.rows)[::-1].copy())
    if source.layout == "encoded":
        values = [gather_blobs(everything, [source]).result(), gather_blobs(some, [source]).result()[::-1]]
        values.append([source.one_blob(row) for row in range(source.rows)])
    else:
        lists = [gather_list(everything, [source]).result(), gather_list(some, [source]).result()[::-1]]
        lists.append([source.one(row) for row in range(source.rows)])
        values = [[sample.tobytes() for sample in found] for found in lists]
    return [values, gather_ids(everything, [source]).tolist()]


def outcome(tensor: Tensor) -> Any:
    """What reading everything gives, or that an error named the segment."""
    try:
        return read_all(tensor.open())
    except CorruptObjectError as error:
        return "corrupt" if tensor.entry.segment in str(error) else error


def random_ids(rows: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2**64, rows, dtype=np.uint64)


def make(layout: str) -> Block:
    if layout == "dense":
        return dense(numbers((12, 5), "float32"), ids=random_ids(12))
    if layout == "ragged":
        return ragged([numbers((n, 2), "float32", n) for n in range(7)], ids=random_ids(7))
    return encoded([bytes(range(5 * n)) for n in range(7)], ids=random_ids(7))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layout", ["dense", "ragged", "encoded"])
def test_every_flipped_byte_is_an_error_or_does_nothing(layout: str, way: str, tmp_path: Path) -> None:
    tensor = Tensor(tmp_path, make(layout), way)
    expected = read_all(tensor.open())
    harmless = 0
    for file in tensor.files():
        good = file.read_bytes()
        for position in range(len(good)):
            bad = bytearray(good)
            bad[position] ^= 1 << position % 8
            file.write_bytes(bad)
            found = outcome(tensor)
            assert found in (expected, "corrupt"), f"{file} flipped at {position}"
            harmless += found == expected
        file.write_bytes(good)
    # TensorStore passes over the list of checksums that a shard has before its index
    shards = [file.stat().st_size for file in tensor.files("values-data") if tensor.entry.shard]
    chunks = tensor.entry.shard[0] // tensor.entry.inner[0] if shards else 0
    assert harmless == (4 * chunks * len(shards) if way == "tensorstore" else 0)
    assert read_all(tensor.open()) == expected


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layout", ["dense", "ragged", "encoded"])
def test_every_truncation_is_an_error(layout: str, way: str, tmp_path: Path) -> None:
    tensor = Tensor(tmp_path, make(layout), way)
    for file in tensor.files():
        good = file.read_bytes()
        for length in range(len(good)):
            file.write_bytes(good[:length])
            with pytest.raises(CorruptObjectError, match=tensor.entry.segment):
                read_all(tensor.open())
        file.write_bytes(good + b"\0")
        with pytest.raises(CorruptObjectError, match=tensor.entry.segment):
            read_all(tensor.open())
        file.write_bytes(good)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layout", ["dense", "ragged", "encoded"])
def test_every_missing_object_is_an_error(layout: str, way: str, tmp_path: Path) -> None:
    tensor = Tensor(tmp_path, make(layout), way)
    assert len(tensor.files()) >= 2
    for file in tensor.files():
        good = file.read_bytes()
        file.unlink()
        with pytest.raises(ObjectNotFoundError, match=tensor.entry.segment):
            read_all(tensor.open())
        file.write_bytes(good)


def test_damage_is_named_by_object_and_chunk(tmp_path: Path) -> None:
    tensor = Tensor(tmp_path, dense(numbers((40, 4), "float32")))
    second = tensor.files("values-data")[1]
    data = bytearray(second.read_bytes())
    data[70] ^= 1
    second.write_bytes(data)
    with pytest.raises(CorruptObjectError, match=r"values-data/c.1.0: the crc32c of chunk 1 is"):
        gather_array(rows_of(slice(0, 40, 1)), [tensor.open()])
    untouched = gather_array(rows_of(slice(0, 16, 1)), [tensor.open()]).result()
    np.testing.assert_array_equal(untouched, tensor.block.values[0][:16])


def test_a_map_outlives_its_file(tmp_path: Path) -> None:
    tensor = Tensor(tmp_path, make("dense"))
    source = tensor.open()
    expected = read_all(source)
    shutil.rmtree(tensor.folder)
    assert read_all(source) == expected


def test_chunks_that_were_damaged_after_their_check_are_not_checked_again(tmp_path: Path) -> None:
    # This is the price of speed that the design pays: the first touch checks, later ones trust the page cache.
    tensor = Tensor(tmp_path, make("dense"))
    source = tensor.open()
    source.one(0)
    file = tensor.files("values-data")[0]
    with file.open("r+b") as opened:
        opened.write(b"\xff")
    source.one(0)
    with pytest.raises(CorruptObjectError):
        tensor.open().one(0)


def zeros_left_out(tensor: Tensor, values: np.ndarray) -> None:
    """Write the values again with zarr-python, which stores no chunk of zeros."""
    folder = tensor.folder / "values-data"
    shutil.rmtree(folder)
    zarr.create_array(
        store=str(folder),
        shape=values.shape,
        dtype=values.dtype,
        chunks=tensor.entry.inner,
        shards=tensor.entry.shard,
        serializer=zarr.codecs.BytesCodec(),
        compressors=[zarr.codecs.Crc32cCodec()],
        fill_value=0,
        chunk_key_encoding={"name": "default", "separator": "."},
    )[...] = values


@pytest.mark.parametrize("context", [Context(), NO_CACHE], ids=["resident", "tensorstore"])
def test_shards_of_another_tool_with_chunks_left_out(context: Context, tmp_path: Path) -> None:
    values = numbers((40, 4), "float32")
    tensor = Tensor(tmp_path, dense(values))
    tensor.context = context
    values[4:8] = 0
    values[30:36] = 0
    zeros_left_out(tensor, values)
    with pytest.raises(CorruptObjectError, match=r"values-data/c\.0\.0"):
        Tensor.open(tensor).one(0)
    tensor.entry = replace(tensor.entry, checks=b"")  # else it would have to be what zlake wrote
    for rows in (slice(0, 40, 1), slice(4, 8, 1), np.array([39, 5, 0, 5])):
        np.testing.assert_array_equal(gather_array(rows_of(rows), [tensor.open()]).result(), values[rows])
    np.testing.assert_array_equal(tensor.open().one(5), values[5])
    tensor.files("values-data")[0].unlink()
    with pytest.raises(ObjectNotFoundError, match=r"values-data/c\.0\.0: the object is missing"):
        gather_array(rows_of(slice(0, 40, 1)), [tensor.open()]).result()


def offsets_of(tensor: Tensor) -> np.ndarray:
    assert tensor.block.offsets is not None
    return tensor.block.offsets.copy()


@pytest.mark.parametrize(
    "change",
    [lambda o: o[::-1], lambda o: o + 1, lambda o: np.where(o == o.max(), 10**12, o), lambda o: np.zeros_like(o)],
    ids=["descending", "shifted", "beyond", "short"],
)
def test_sound_chunks_with_senseless_offsets(change: Callable[[np.ndarray], np.ndarray], tmp_path: Path) -> None:
    from zlake.segments.codecs import SIDECAR, encode

    tensor = Tensor(tmp_path, encoded([b"abc", b"de", b"f"]))
    (file,) = tensor.files("values-offsets")
    file.write_bytes(encode(SIDECAR, np.ascontiguousarray(change(offsets_of(tensor)), np.int64)))
    with pytest.raises(CorruptObjectError, match="the object is another one"):
        tensor.open().one_blob(0)
    with pytest.raises(CorruptObjectError, match="no offsets that ascend from 0 to 6"):
        tensor.open(replace(tensor.entry, checks=b"")).one_blob(0)


def test_shapes_that_contradict_the_offsets(tmp_path: Path) -> None:
    from zlake.segments.codecs import SIDECAR, encode

    tensor = Tensor(tmp_path, ragged([numbers((2, 3), "int8"), numbers((1, 1), "int8")]))
    (file,) = tensor.files("shape-data")
    file.write_bytes(encode(SIDECAR, np.array([[2, 2], [1, 1]])))
    tensor.entry = replace(tensor.entry, checks=b"")
    with pytest.raises(CorruptObjectError, match="shape"):
        tensor.open().one(0)
    with pytest.raises(CorruptObjectError, match="shape"):
        gather_list(rows_of(slice(0, 2, 1)), [tensor.open()])


def test_a_segment_that_claims_absurd_lengths_costs_no_memory(tmp_path: Path) -> None:
    import msgspec

    tensor = Tensor(tmp_path, encoded([b"abc"]))
    absurd = msgspec.structs.replace(
        tensor.entry, rows=2**60, elements=2**60, inner=(2**20,), shard=(2**25,), sidecar=2**17
    )
    with pytest.raises((CorruptObjectError, ObjectNotFoundError)):
        tensor.open(absurd).one_blob(2**59)


@pytest.mark.parametrize("way", ["mapped", "resident"])
@pytest.mark.parametrize("layout", ["dense", "ragged", "encoded"])
def test_exchanged_objects_are_noticed_at_first_touch(layout: str, way: str, tmp_path: Path) -> None:
    """Two objects of one form, in one segment or in two, in the place of each other."""
    block = make(layout) if layout != "dense" else dense(numbers((40, 5), "float32"), ids=random_ids(40))
    ids = np.random.default_rng(1).integers(0, 2**64, block.rows, dtype=np.uint64)
    other = dataclasses.replace(
        block,
        values=[
            np.flip(np.frombuffer(v, block.dtype)).copy() if isinstance(v, bytes) else v[::-1].copy()
            for v in block.values
        ],
        ids=ids,
    )
    one, two = Tensor(tmp_path, block, way), Tensor(tmp_path, other, way)
    pairs = list(zip(one.files(), two.files(), strict=True))
    shards = one.files("values-data")
    if len(shards) > 2:
        pairs.append((shards[0], shards[1]))
    assert len(pairs) >= 2
    for first, second in pairs:
        data = first.read_bytes(), second.read_bytes()
        if data[0] == data[1]:
            continue
        assert way == "resident" or first.parent.name != "values-data" or len(data[0]) == len(data[1])
        first.write_bytes(data[1])
        second.write_bytes(data[0])
        for tensor in (one, two) if second not in shards else (one,):
            assert outcome(tensor) == "corrupt", (first, second)
        first.write_bytes(data[0])
        second.write_bytes(data[1])
    assert read_all(one.open()) != "corrupt"


def test_one_row_is_enough_to_notice_another_shard(tmp_path: Path) -> None:
    tensor = Tensor(tmp_path, dense(numbers((40, 4), "float32")))
    first, second, *_ = tensor.files("values-data")
    data = first.read_bytes(), second.read_bytes()
    first.write_bytes(data[1])
    for row in range(16):
        with pytest.raises(CorruptObjectError, match=r"values-data/c\.0\.0: this is another object"):
            tensor.open().one(row)
    chunk, end = 68, len(data[0]) - 20 * 4 - 4
    first.write_bytes(data[0][chunk : 2 * chunk] + data[0][:chunk] + data[0][2 * chunk :])
    assert end == 4 * chunk
    with pytest.raises(CorruptObjectError, match=r"values-data/c\.0\.0: chunk 0 is another one"):
        tensor.open().one(0)
    np.testing.assert_array_equal(tensor.open().one(8), tensor.block.values[0][8])


@pytest.mark.parametrize("checks", [b"\0" * 4, b"\0" * 8, b"\0" * 256])
def test_an_entry_that_says_the_wrong_number_of_checks(checks: bytes, tmp_path: Path) -> None:
    tensor = Tensor(tmp_path, dense(numbers((40, 4), "float32")))
    assert len(tensor.entry.checks) == 12
    with pytest.raises(CorruptObjectError, match="bytes of checks for 3 objects"):
        tensor.open(replace(tensor.entry, checks=checks))


def test_entries_of_many_objects_hold_one_check_for_all(tmp_path: Path) -> None:
    tensor = Tensor(tmp_path, dense(numbers((1200, 4), "float32")))
    assert len(tensor.files("values-data")) > 64
    assert len(tensor.entry.checks) == 4
    assert read_all(tensor.open()) == read_all(tensor.open(replace(tensor.entry, checks=tensor.entry.checks[::-1])))
