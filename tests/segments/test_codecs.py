from __future__ import annotations

import numpy as np
import pytest
import zarr

from zlake.errors import CorruptObjectError, UnsupportedCompressionError
from zlake.segments import codecs
from zlake.segments.codecs import SIDECAR, chain_metadata, decode, encode

from .blocks import CODECS, DTYPES, numbers

ALL = (*CODECS, SIDECAR)
CORE = {"bytes", "zstd", "blosc", "gzip", "crc32c"}


@pytest.mark.parametrize("codec", ALL)
@pytest.mark.parametrize("dtype", DTYPES)
def test_chunks_come_back(codec: str, dtype: str) -> None:
    chunk = numbers((33, 5), dtype)
    data = encode(codec, chunk)
    assert isinstance(data, bytes)
    found = decode(codec, data, chunk.nbytes, "here").view(dtype).reshape(chunk.shape)
    assert found.tobytes() == chunk.tobytes()


@pytest.mark.parametrize("codec", ALL)
@pytest.mark.parametrize("size", [1, 5, 255, 256, 300, 65_791, 65_792, 70_000])
def test_every_length_comes_back(codec: str, size: int) -> None:
    chunk = np.arange(size, dtype=np.uint8)
    assert decode(codec, encode(codec, chunk), size, "here").tobytes() == chunk.tobytes()


@pytest.mark.parametrize("codec", ALL)
def test_chains_are_core_and_end_in_crc32c(codec: str) -> None:
    names = [each["name"] for each in chain_metadata(codec, np.dtype("float32"))]
    assert set(names) <= CORE
    assert names[0] == "bytes"
    assert names[-1] == "crc32c"


@pytest.mark.parametrize("codec", ALL)
def test_our_chunk_decodes_with_zarr_and_zarrs_with_us(codec: str) -> None:
    chunk = numbers((100,), "int32", 3)
    store = zarr.storage.MemoryStore()
    array = zarr.create_array(
        store, shape=chunk.shape, chunks=chunk.shape, dtype="int32", compressors=None, zarr_format=3
    )
    metadata = array.metadata.to_dict()
    metadata["codecs"] = chain_metadata(codec, chunk.dtype)
    array = zarr.Array(zarr.core.array.AsyncArray(type(array.metadata).from_dict(metadata), array.store_path))
    array[:] = chunk
    theirs = bytes(store._store_dict["c/0"].to_bytes())
    assert decode(codec, theirs, chunk.nbytes, "here").tobytes() == chunk.tobytes()


@pytest.mark.parametrize("codec", ALL)
def test_every_flipped_bit_is_noticed(codec: str) -> None:
    data = encode(codec, np.arange(40, dtype=np.int64))
    for bit in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptObjectError, match="segments/x"):
            decode(codec, damaged, 320, "segments/x")


@pytest.mark.parametrize("codec", ALL)
@pytest.mark.parametrize("nbytes", [0, 1, 319, 321, 1 << 20])
def test_a_chunk_of_another_length_is_refused(codec: str, nbytes: int) -> None:
    data = encode(codec, np.arange(40, dtype=np.int64))
    with pytest.raises(CorruptObjectError, match="here"):
        decode(codec, data, nbytes, "here")


@pytest.mark.parametrize("codec", ALL)
@pytest.mark.parametrize(
    "body", [b"", b"\0" * 3, b"\x28\xb5\x2f\xfd", b"\x28\xb5\x2f\xfd\xe0", b"\xff" * 40, b"\x1f\x8b" * 9]
)
def test_foreign_bytes_with_a_good_checksum_are_refused(codec: str, body: bytes) -> None:
    with pytest.raises(CorruptObjectError):
        decode(codec, body + codecs.checksum(body), 320, "here")


@pytest.mark.parametrize("codec", ["zstd", "blosc", "gzip", SIDECAR])
def test_a_bomb_is_not_inflated(codec: str) -> None:
    bomb = encode(codec, np.zeros(1 << 26, np.uint8))
    with pytest.raises(CorruptObjectError):
        decode(codec, bomb, 1000, "here")


def test_an_unknown_chain_is_refused() -> None:
    for call in (chain_metadata, lambda name, dtype: encode(name, np.zeros(1, dtype))):
        with pytest.raises(UnsupportedCompressionError, match=r"'lzma'.*raw, zstd"):
            call("lzma", np.dtype("uint8"))
    with pytest.raises(UnsupportedCompressionError):
        decode("lzma", b"12345" + codecs.checksum(b"12345"), 5, "here")


def test_what_can_be_stored() -> None:
    assert all(codecs.is_storable(np.dtype(dtype)) for dtype in DTYPES)
    for dtype in (">i4", "S3", "U3", "O", "M8[s]", "V4", [("a", "i4")]):
        assert not codecs.is_storable(np.dtype(dtype))
