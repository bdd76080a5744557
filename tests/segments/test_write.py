from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from zlake import limits
from zlake.context import Context, random_id
from zlake.errors import FormatError, InvalidBlockError, ObjectExistsError, UnsupportedCompressionError
from zlake.format.seal import check_seal
from zlake.segments.block import Block
from zlake.segments.write import write_segment

from .blocks import dense, encoded, numbers, ragged, sample_ids
from .stores import WatchedStore

SEGMENT, IMAGES, LABELS = random_id(), random_id(), random_id()


def images_and_labels(rows: int) -> dict[str, tuple[Block, str]]:
    images = numbers((rows, 32, 32, 3), "uint8")
    labels = (np.arange(rows, dtype=np.int64) % 10)[:, None]
    return {IMAGES: (dense(images), "raw"), LABELS: (dense(labels), "zstd")}


@pytest.mark.parametrize(("rows", "overhead"), [(1, 2600), (80, 2700)])
def test_a_small_segment_is_three_objects(rows: int, overhead: int) -> None:
    store = WatchedStore()
    entries = write_segment(store, SEGMENT, images_and_labels(rows))
    assert sorted(store.objects) == sorted(
        f"segments/{SEGMENT}/{name}"
        for name in (
            "zarr.json",
            f"{IMAGES}/values-data/c.0.0.0.0",
            f"{LABELS}/values-data/c.0.0",
        )
    )
    assert sum(map(len, store.objects.values())) < rows * 3072 + overhead
    assert sum(entry.bytes for entry in entries.values()) == sum(
        len(data) for key, data in store.objects.items() if not key.endswith("zarr.json")
    )


def test_a_hundred_rows_are_three_objects_and_little_padding() -> None:
    store = WatchedStore()
    write_segment(store, SEGMENT, images_and_labels(100))
    assert len(store.objects) == 3
    assert sum(map(len, store.objects.values())) < 100 * 3072 + 2900


def test_the_segments_document_is_begun_when_all_else_is_stored() -> None:
    store = WatchedStore()
    landed: list[int] = []
    start = store.start_create

    def watch(key: str, value: Any) -> Any:
        if key.endswith(f"{SEGMENT}/zarr.json"):
            landed.append(len(store.objects))
        return start(key, value)

    store.start_create = watch  # type: ignore[method-assign]
    write_segment(store, SEGMENT, images_and_labels(500))
    assert store.started[-1] == f"segments/{SEGMENT}/zarr.json"
    assert landed == [len(store.started) - 1]


def test_large_segments_have_a_document_for_every_node() -> None:
    store = WatchedStore()
    rows = limits.NODE_METADATA_BYTES // 3072 + 1
    write_segment(store, SEGMENT, images_and_labels(rows))
    documents = {key for key in store.objects if key.endswith("zarr.json")}
    prefix = f"segments/{SEGMENT}/"
    nodes = [f"{key}/{name}" for key in (IMAGES, LABELS) for name in ("", "values-data/")]
    assert documents == {f"{prefix}zarr.json", *(f"{prefix}{node}zarr.json" for node in nodes)}
    whole = json.loads(store.objects[f"{prefix}zarr.json"])["consolidated_metadata"]["metadata"]
    for key in documents - {f"{prefix}zarr.json"}:
        check_seal(store.objects[key], key)
        node = json.loads(store.objects[key])
        del node["attributes"]["crc32c"]
        node.pop("consolidated_metadata", None)
        assert node == whole[key.removeprefix(prefix).removesuffix("/zarr.json")]


@pytest.mark.parametrize("codec", ["raw", "zstd"])
def test_writes_under_way_are_bounded(monkeypatch: pytest.MonkeyPatch, codec: str) -> None:
    monkeypatch.setattr(limits, "INNER_CHUNK_BYTES", 1024)
    monkeypatch.setattr(limits, "SHARD_BYTES", 16 * 1024)
    monkeypatch.setattr(limits, "WRITE_BYTES_IN_FLIGHT", 50 * 1024)
    block = dense(numbers((1000, 1024), "uint8"))
    store = WatchedStore()
    write_segment(store, SEGMENT, {IMAGES: (block, codec)})
    assert 3 <= store.most_objects <= 4
    assert store.most_bytes <= 50 * 1024
    store = WatchedStore()
    write_segment(store, SEGMENT, {IMAGES: (block, codec)}, Context(writes_in_flight=1))
    assert store.most_objects == 1


@pytest.mark.parametrize("codec", ["raw", "blosc"])
def test_a_failed_write_stops_the_rest(monkeypatch: pytest.MonkeyPatch, codec: str) -> None:
    monkeypatch.setattr(limits, "INNER_CHUNK_BYTES", 1024)
    monkeypatch.setattr(limits, "SHARD_BYTES", 16 * 1024)
    tensors = {IMAGES: (dense(numbers((300, 1024), "uint8")), codec)}
    whole = WatchedStore()
    write_segment(whole, SEGMENT, tensors)
    for number in range(len(whole.started)):
        for store, error in (
            (WatchedStore(fail_at=number), pytest.raises(OSError, match="no such luck")),
            (WatchedStore(lose_at=number), pytest.raises(ObjectExistsError, match=SEGMENT)),
        ):
            with error:
                write_segment(store, SEGMENT, tensors)
            assert not store.under_way
            assert f"segments/{SEGMENT}/zarr.json" not in store.objects
            assert all(whole.objects[key] == data for key, data in store.objects.items())


def test_shard_memory_is_used_again_only_when_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "INNER_CHUNK_BYTES", 1024)
    monkeypatch.setattr(limits, "SHARD_BYTES", 16 * 1024)
    monkeypatch.setattr(limits, "WRITE_BYTES_IN_FLIGHT", 40 * 1024)
    values = numbers((200, 1024), "uint8")
    few, many = WatchedStore(), WatchedStore()
    write_segment(few, SEGMENT, {IMAGES: (dense(values), "raw")}, Context(writes_in_flight=1))
    write_segment(many, SEGMENT, {IMAGES: (dense(values, 9), "raw")})
    assert few.objects == many.objects


def block(**changes: Any) -> Block:
    base = ragged([numbers((2, 3), "int32"), numbers((1, 1), "int32")])
    columns = {name: getattr(base, name) for name in Block.__slots__}
    return Block(**(columns | changes))


BAD_BLOCKS = {
    "dtype 'O'|dtype dtype\\('O'\\)": block(dtype=np.dtype("O")),
    "dtype dtype\\('>i4'\\)": block(dtype=np.dtype(">i4")),
    "ids must be 1-dimensional uint64, not 1-dimensional int64": block(ids=np.arange(2)),
    "ids must be 1-dimensional": block(ids=np.zeros((2, 1), np.uint64)),
    "there are no rows": Block("dense", np.dtype("int8"), sample_ids(0), [], (2,)),
    "needs offsets": block(offsets=None),
    "offsets has 2 entries; 3 were expected": block(offsets=np.array([0, 7])),
    "offsets must begin with 0": block(offsets=np.array([1, 6, 7])),
    "never fall": block(offsets=np.array([0, 8, 7])),
    "8 were expected": block(offsets=np.array([0, 6, 8]), shapes=None),
    "shape and its number of elements": block(shapes=np.array([[2, 3], [1, 2]])),
    "negative": block(shapes=np.array([[2, 3], [-1, -1]])),
    "shapes has 1 entries; 2": block(shapes=np.array([[2, 3]])),
    "shapes have 0 axes": block(shapes=np.zeros((2, 0), np.int64)),
    "shapes must be 2-dimensional int64": block(shapes=np.array([[2.0, 3], [1, 1]])),
    "a piece is float32": block(values=[np.zeros(7, np.float32)]),
    "a piece is an array": block(values=[np.zeros((7, 1), np.int32)]),
    "must be arrays, not bytes": block(values=[b"1234567"]),
    "must be arrays, not list": block(values=[[1, 2, 3, 4, 5, 6, 7]]),
    "no common sample shape": block(shape=(3,)),
    "neither offsets nor shapes": block(layout="dense"),
    "5 were expected": Block("dense", np.dtype("int8"), sample_ids(5), [np.zeros((4, 2), np.int8)], (2,)),
    "not \\(n, \\*\\(3,\\)\\)": Block("dense", np.dtype("int8"), sample_ids(4), [np.zeros((4, 2), np.int8)], (3,)),
    "not \\(n, \\*\\(\\)\\)": Block("dense", np.dtype("int8"), sample_ids(4), [np.zeros((), np.int8)], ()),
    "have 32 axes": Block("dense", np.dtype("int8"), sample_ids(1), [], (1,) * 32),
    "encoded samples are bytes": block(layout="encoded"),
    "sequence_offsets has 3 entries; 2": block(ids=sample_ids(1), sequence_offsets=np.array([0, 1, 2])),
    "sequence_offsets must begin": block(sequence_offsets=np.array([0, 2, 1])),
}


@pytest.mark.parametrize("reason", BAD_BLOCKS)
def test_nothing_is_written_for_columns_that_do_not_fit(reason: str) -> None:
    store = WatchedStore()
    with pytest.raises(InvalidBlockError, match=reason):
        write_segment(store, SEGMENT, images_and_labels(2) | {"f" * 26: (BAD_BLOCKS[reason], "raw")})
    assert store.started == []


def test_nothing_is_written_for_bad_names_and_codecs() -> None:
    store = WatchedStore()
    good = (dense(numbers((2, 2), "int8")), "raw")
    for segment, key in (("../x", IMAGES), (SEGMENT, "../x"), (SEGMENT, "")):
        with pytest.raises(FormatError):
            write_segment(store, segment, {key: good})
    with pytest.raises(UnsupportedCompressionError, match="'lzma'"):
        write_segment(store, SEGMENT, {IMAGES: good, LABELS: (good[0], "lzma")})
    assert store.started == []


@pytest.mark.parametrize("at", [0, 70, 4999])
@pytest.mark.parametrize("wrong", [np.zeros(4, np.int16), np.zeros(1, np.int16), np.zeros((3, 1), np.int16)])
def test_a_wrong_piece_among_many_is_found(monkeypatch: pytest.MonkeyPatch, at: int, wrong: np.ndarray) -> None:
    monkeypatch.setattr(limits, "INNER_CHUNK_BYTES", 32)  # chunks that hold several pieces, and parts of pieces
    good = ragged([numbers((3,), "int16")] * 5000)
    pieces = [*good.values[:at], wrong, *good.values[at + 1 :]]
    for codec in ("raw", "zstd"):
        store = WatchedStore()
        block = Block(good.layout, good.dtype, good.ids, pieces, (), good.offsets)
        with pytest.raises(InvalidBlockError, match="piece"):
            write_segment(store, SEGMENT, {IMAGES: (block, codec)})
        assert f"segments/{SEGMENT}/zarr.json" not in store.objects


@pytest.mark.parametrize("at", [0, 70, 4999])
@pytest.mark.parametrize("wrong", [b"", b"1", b"1234", b"12345678"])
def test_a_wrong_blob_among_many_is_found(monkeypatch: pytest.MonkeyPatch, at: int, wrong: bytes) -> None:
    monkeypatch.setattr(limits, "INNER_CHUNK_BYTES", 8)
    good = encoded([b"abc"] * 5000)
    pieces = [*good.values[:at], wrong, *good.values[at + 1 :]]
    for codec in ("raw", "zstd"):
        store = WatchedStore()
        block = Block(good.layout, good.dtype, good.ids, pieces, (), good.offsets)
        with pytest.raises(InvalidBlockError, match="piece"):
            write_segment(store, SEGMENT, {IMAGES: (block, codec)})
        assert f"segments/{SEGMENT}/zarr.json" not in store.objects


def test_a_segment_of_no_tensors_is_an_empty_group() -> None:
    store = WatchedStore()
    assert write_segment(store, SEGMENT, {}) == {}
    assert list(store.objects) == [f"segments/{SEGMENT}/zarr.json"]


def test_writing_twice_gives_the_same_bytes() -> None:
    tensors = {IMAGES: (encoded([b"a" * 400_000, b"b"]), "gzip"), LABELS: (ragged([numbers((9,), "float16")]), "blosc")}
    first, second = WatchedStore(), WatchedStore()
    assert write_segment(first, SEGMENT, tensors) == write_segment(second, SEGMENT, tensors)
    assert first.objects == second.objects
