"""Pages of extents and of sample ids: two objects each, compact, checked to the last bit, open to other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
import tensorstore
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from numcodecs import blosc

from zlake import limits
from zlake.errors import CorruptObjectError, FormatError, UnsupportedFormatError
from zlake.format import documents as d
from zlake.format import pages, seal

from .strategies import segment_tensors, to_id


def entry(number: int, rows: int = 100) -> d.SegmentTensor:
    segment = to_id(b"%016d" % number)
    return d.SegmentTensor(
        segment=segment, layout="dense", rows=rows, elements=rows, inner=(64, 3), shape=(3,), bytes=rows * 3
    )


PAGE = to_id(b"p" * 16)
SEGMENTS = (entry(0), entry(1), entry(2))
EXTENTS = np.array([[0, 0, 100], [2, 50, 50], [1, 7, 1], [0, 0, 3]])
IDS = np.array([[5, 3], [100, 1], [2**63, 2**63]], np.uint64)


@st.composite
def extent_pages(draw: st.DrawFn) -> tuple[tuple[d.SegmentTensor, ...], np.ndarray]:
    segments = draw(st.lists(segment_tensors(), min_size=1, max_size=4, unique_by=lambda s: s.segment))
    extents = []
    for _ in range(draw(st.integers(1, 8))):
        segment = draw(st.integers(0, len(segments) - 1))
        start = draw(st.integers(0, segments[segment].rows - 1))
        extents.append((segment, start, draw(st.integers(1, segments[segment].rows - start))))
    return tuple(segments), np.array(extents)


@given(extent_pages())
@settings(deadline=None, max_examples=60)
def test_pages_of_extents_survive_the_round_trip(page: tuple[tuple[d.SegmentTensor, ...], np.ndarray]) -> None:
    segments, extents = page
    (_, metadata), (_, chunk) = pages.encode_extent_page(PAGE, segments, extents)
    back, rows = pages.decode_extent_page(PAGE, metadata, chunk, where="pages/a")
    assert back == segments
    assert rows.dtype == np.int64
    np.testing.assert_array_equal(rows, extents)


@given(st.sets(st.integers(0, 2**64), min_size=2, max_size=20).map(sorted))
@settings(deadline=None, max_examples=60)
def test_pages_of_ids_survive_the_round_trip(edges: list[int]) -> None:
    pairs = [(a, b - a) for a, b in zip(edges[::2], edges[1::2], strict=False) if b - a < 2**50]
    if not pairs:
        return
    runs = np.array(pairs, np.uint64)
    (_, metadata), (_, chunk) = pages.encode_id_page(PAGE, runs)
    back = pages.decode_id_page(PAGE, metadata, chunk, where="pages/a")
    assert back.dtype == np.uint64
    np.testing.assert_array_equal(back, runs)


def test_other_tools_open_pages(tmp_path: Path) -> None:
    runs = IDS[:2]
    for name, objects, values in (
        ("extents", pages.encode_extent_page(PAGE, SEGMENTS, EXTENTS), EXTENTS),
        ("ids", pages.encode_id_page(PAGE, runs), runs),
    ):
        assert [key for key, _ in objects] == list(pages.PAGE_KEYS)
        for key, data in objects:
            path = tmp_path / name / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        np.testing.assert_array_equal(zarr.open_array(tmp_path / name, mode="r")[:], values)
        spec = {"driver": "zarr3", "kvstore": f"file://{tmp_path / name}/"}
        np.testing.assert_array_equal(tensorstore.open(spec).result().read().result(), values)


def scattered_updates(rows: int, updates: int) -> np.ndarray:
    """Return the extents of a segment of which single rows were replaced by those of a second one."""
    where = np.sort(np.random.default_rng(0).choice(rows, updates, replace=False))
    bounds = np.concatenate(([-1], where, [rows]))
    kept = np.stack([np.zeros(updates + 1, int), bounds[:-1] + 1, np.diff(bounds) - 1], axis=1)
    new = np.stack([np.ones(updates, int), np.arange(updates), np.ones(updates, int)], axis=1)
    extents = np.empty((2 * updates + 1, 3), np.int64)
    extents[::2], extents[1::2] = kept, new
    return extents[extents[:, 2] > 0]


def test_ten_thousand_single_updates_are_compact() -> None:
    table = (entry(0, 50_000), entry(1, 10_000))
    extents = scattered_updates(50_000, 10_000)
    stored = [pages.encode_extent_page(PAGE, *page) for page in pages.split_extents(table, extents)]
    assert len(stored) == 2
    assert sum(len(data) for page in stored for _, data in page) < 4 * len(extents)


def rejoined(split: list[tuple[tuple[d.SegmentTensor, ...], np.ndarray]]) -> list[tuple[str, int, int]]:
    return [(table[s].segment, start, count) for table, part in split for s, start, count in part.tolist()]


@pytest.mark.parametrize("number", [1, 5000, 20_000])
def test_split_pages_fit_and_hold_the_same_rows(number: int) -> None:
    table = tuple(entry(i) for i in range(number))
    rng = np.random.default_rng(1)
    extents = np.stack([rng.permutation(np.arange(20_000) % number), rng.integers(0, 50, 20_000)], axis=1)
    extents = np.column_stack([extents, rng.integers(1, 50, 20_000)])
    split = list(pages.split_extents(table, extents))
    assert rejoined(split) == [(table[s].segment, start, count) for s, start, count in extents.tolist()]
    for segments, part in split:
        assert set(part[:, 0].tolist()) == set(range(len(segments)))
        (_, metadata), _ = pages.encode_extent_page(PAGE, segments, part)
        assert len(metadata) <= limits.DOCUMENT_BYTES
        assert len(part) <= limits.PAGE_EXTENTS
    assert len(split) <= 4


BAD_EXTENTS: dict[str, Any] = {
    "none": np.empty((0, 3), int),
    "too many": np.tile([[0, 0, 1]], (limits.PAGE_EXTENTS + 1, 1)),
    "flat": np.array([0, 0, 1]),
    "two columns": np.array([[0, 1]]),
    "segment": np.array([[3, 0, 1]]),
    "negative segment": np.array([[-1, 0, 1]]),
    "start": np.array([[0, -1, 1]]),
    "empty": np.array([[0, 0, 0]]),
    "beyond": np.array([[0, 99, 2]]),
    "overflow": np.array([[0, 2**62, 2**62]]),
    "most": np.array([[0, 1, 2**63 - 1]]),
}


@pytest.mark.parametrize("extents", BAD_EXTENTS.values(), ids=BAD_EXTENTS)
def test_bad_extents_are_neither_written_nor_read(extents: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FormatError, match="cannot be written"):
        pages.encode_extent_page(PAGE, SEGMENTS, extents)
    if extents.ndim == 1:
        return
    with monkeypatch.context() as patch:
        patch.setattr(pages, "_check_extents", lambda *_: 1)
        (_, metadata), (_, chunk) = pages.encode_extent_page(PAGE, SEGMENTS, extents)
    with pytest.raises(CorruptObjectError, match="pages/a"):
        pages.decode_extent_page(PAGE, metadata, chunk, where="pages/a")


BAD_RUNS: dict[str, Any] = {
    "none": np.empty((0, 2), np.uint64),
    "flat": np.array([1, 1], np.uint64),
    "empty": np.array([[1, 0]], np.uint64),
    "not sorted": np.array([[5, 1], [4, 1]], np.uint64),
    "overlap": np.array([[5, 2], [6, 1]], np.uint64),
    "wraps": np.array([[2**64 - 1, 2]], np.uint64),
    "wraps wholly": np.array([[5, 2**64 - 1]], np.uint64),
    "too many": IDS,
}


@pytest.mark.parametrize("runs", BAD_RUNS.values(), ids=BAD_RUNS)
def test_bad_runs_are_neither_written_nor_read(runs: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FormatError, match="cannot be written"):
        pages.encode_id_page(PAGE, runs)
    if runs.ndim == 1:
        return
    with monkeypatch.context() as patch:
        patch.setattr(pages, "_check_runs", lambda *_: 1)
        (_, metadata), (_, chunk) = pages.encode_id_page(PAGE, runs)
    with pytest.raises(CorruptObjectError, match="pages/a"):
        pages.decode_id_page(PAGE, metadata, chunk, where="pages/a")


def decode(metadata: bytes, chunk: bytes) -> Any:
    return pages.decode_extent_page(PAGE, metadata, chunk, where="pages/a")


def test_every_flipped_bit_and_every_truncation_is_noticed() -> None:
    (_, metadata), (_, chunk) = pages.encode_extent_page(PAGE, SEGMENTS, EXTENTS)
    for at in range(len(metadata)):
        for bit in range(8):
            damaged = bytearray(metadata)
            damaged[at] ^= 1 << bit
            with pytest.raises(FormatError):
                decode(bytes(damaged), chunk)
        with pytest.raises(CorruptObjectError):
            decode(metadata[:at], chunk)
    for at in range(len(chunk)):
        for bit in range(8):
            damaged = bytearray(chunk)
            damaged[at] ^= 1 << bit
            with pytest.raises(CorruptObjectError, match=r"c\.0\.0"):
                decode(metadata, bytes(damaged))
        with pytest.raises(CorruptObjectError, match=r"c\.0\.0"):
            decode(metadata, chunk[:at])
    with pytest.raises(CorruptObjectError):
        decode(metadata, chunk + b"\0")


def packed(values: np.ndarray) -> bytes:
    data: bytes = blosc.compress(np.ascontiguousarray(values), b"zstd", 5, 1, 0)
    return data + google_crc32c.value(data).to_bytes(4, "little")


def forged(metadata: bytes, old: bytes, new: bytes) -> bytes:
    assert old in metadata
    data = metadata.replace(old, new, 1)
    at = data.index(b'"crc32c":"') + 10
    return seal(data[:at] + b"00000000" + data[at + 8 :])


def bound(metadata: bytes, chunk: bytes) -> bytes:
    """The document of a page as if it had been written with another chunk."""
    at = metadata.index(b'"chunk":"') + 9
    return forged(metadata, metadata[at - 9 : at + 8], b'"chunk":"%08x' % int.from_bytes(chunk[-4:], "little"))


def test_a_chunk_is_not_inflated_beyond_its_array() -> None:
    (_, metadata), _ = pages.encode_extent_page(PAGE, SEGMENTS, EXTENTS)
    huge = packed(np.zeros(10_000_000, np.int64))
    with pytest.raises(CorruptObjectError, match="it inflates to 80000000 bytes, not to 96"):
        decode(bound(metadata, huge), huge)
    extents = np.repeat(EXTENTS, 1000, axis=0)
    (_, metadata), _ = pages.encode_extent_page(PAGE, SEGMENTS, extents)
    lying = bytearray(packed(extents)[:-4])
    lying[20:] = b"\xff" * len(lying[20:])
    sealed = bytes(lying) + google_crc32c.value(bytes(lying)).to_bytes(4, "little")
    with pytest.raises(CorruptObjectError, match=r"c\.0\.0 breaks the format: it cannot be inflated"):
        decode(bound(metadata, sealed), sealed)


def test_a_chunk_of_another_page_is_refused() -> None:
    (_, metadata), _ = pages.encode_extent_page(PAGE, SEGMENTS, EXTENTS)
    (_, _), (_, other) = pages.encode_extent_page(PAGE, SEGMENTS, EXTENTS[[0, 1, 2, 2]])
    with pytest.raises(CorruptObjectError, match="the chunk of another page"):
        decode(metadata, other)
    with pytest.raises(CorruptObjectError, match="it says 154, but the extents hold 152"):
        decode(bound(metadata, other), other)
    (_, metadata), _ = pages.encode_id_page(PAGE, IDS[:2])
    (_, _), (_, other) = pages.encode_id_page(PAGE, np.array([[5, 3], [100, 2]], np.uint64))
    with pytest.raises(CorruptObjectError, match="it says 4 ids, but the runs hold 5"):
        pages.decode_id_page(PAGE, bound(metadata, other), other, where="pages/a")


def test_another_page_is_refused() -> None:
    (_, metadata), (_, chunk) = pages.encode_extent_page(to_id(b"o" * 16), SEGMENTS, EXTENTS)
    with pytest.raises(CorruptObjectError, match="holds the page"):
        decode(metadata, chunk)
    (_, metadata), (_, chunk) = pages.encode_id_page(to_id(b"o" * 16), IDS[:2])
    with pytest.raises(CorruptObjectError, match="holds the page"):
        pages.decode_id_page(PAGE, metadata, chunk, where="pages/a")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"shape":[4,3]', b'"shape":[400000000,3]'),
        (b'"shape":[4,3]', b'"shape":[4]'),
        (b'"chunk_shape":[4,3]', b'"chunk_shape":[2,3]'),
        (b'"int64"', b'"uint8"'),
        (b'"fill_value":0', b'"fill_value":1'),
        (b'"fill_value":0', b'"fill_value":0,"storage_transformers":[]'),
        (b',{"name":"crc32c"}]', b"]"),
        (b'"extent-page/1"', b'"id-page/1"'),
        (b'"rows":154', b'"rows":155'),
        (b'"rows":100', b'"rows":99'),
    ],
)
def test_forged_metadata_is_refused(old: bytes, new: bytes) -> None:
    (_, metadata), (_, chunk) = pages.encode_extent_page(PAGE, SEGMENTS, EXTENTS)
    with pytest.raises(CorruptObjectError, match="pages/a"):
        decode(forged(metadata, old, new), chunk)


def test_newer_pages_are_named_with_their_version() -> None:
    (_, metadata), (_, chunk) = pages.encode_extent_page(PAGE, SEGMENTS, EXTENTS)
    with pytest.raises(UnsupportedFormatError, match="extent-page document of version 7"):
        decode(forged(metadata, b"extent-page/1", b"extent-page/7"), chunk)
    with pytest.raises(UnsupportedFormatError, match="codec 'fsst'"):
        decode(forged(metadata, b'"inner":', b'"codec":"fsst","inner":'), chunk)
    with pytest.raises(FormatError, match="fsst"):
        pages.encode_extent_page(PAGE, (replace(entry(0), codec="fsst"),), EXTENTS[:1])


def test_bad_segments_are_not_written() -> None:
    for changes in ({"segment": "../up"}, {"rows": -1}, {"elements": 99}, {"inner": (0, 3)}):
        with pytest.raises(FormatError, match="this page of extents cannot be written"):
            pages.encode_extent_page(PAGE, (replace(entry(0), **changes),), EXTENTS[:1])


def test_oversize_is_refused_before_parsing() -> None:
    (_, metadata), (_, chunk) = pages.encode_extent_page(PAGE, SEGMENTS, EXTENTS)
    with pytest.raises(CorruptObjectError, match="at most 1048576"):
        decode(metadata + b" " * limits.DOCUMENT_BYTES, chunk)
    with pytest.raises(FormatError, match="cannot be written"):
        pages.encode_extent_page(PAGE, [entry(i) for i in range(9000)], EXTENTS)
