"""The codec chains of segment arrays by name: their Zarr v3 metadata, and bytes to chunks and back.

Every chain ends in ``crc32c``, so a chunk is checked before anything interprets it. What is encoded here reads
identically through zarr-python and TensorStore.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Final

import google_crc32c
import numpy as np
import numpy.typing as npt

from zlake.errors import CorruptObjectError, UnsupportedCompressionError
from zlake.format.documents import CODECS, DTYPES
from zlake.types import Array
from zlake.zstd_frame import HEADER_BYTES, content_size

SIDECAR: Final = "sidecar"
"""The chain of ids, offsets and shapes: integers that grow slowly shrink to almost nothing."""
CHECKSUM_BYTES: Final = 4
INDEX_ENTRY_BYTES: Final = 16
"""Offset and size of one inner chunk in the index of a shard, uint64 each."""
ABSENT: Final = 2**64 - 1
"""Offset and size, in the index of a shard, of a chunk that is not stored."""

_ZSTD_LEVEL = 1
_GZIP_LEVEL = 5
_GZIP_WBITS = 31  # zlib: a gzip header and the largest window
_BLOSC = {"blosc": ("lz4", 5), SIDECAR: ("zstd", 3)}
_BLOSC_HEADER_BYTES = 16

Bytes = bytes | bytearray | memoryview | npt.NDArray[np.uint8]
Encoder = Callable[[Array], Any]


def is_storable(dtype: np.dtype[Any]) -> bool:
    """Return whether values of this dtype can be stored: a core Zarr v3 number in native (little-endian) order."""
    return dtype.isnative and dtype_name(dtype) in DTYPES


@lru_cache(maxsize=256)
def dtype_name(dtype: np.dtype[Any]) -> str:
    """Return the Zarr v3 name of a dtype, which is NumPy's; NumPy takes microseconds to find it."""
    return dtype.name


def crc32c(data: bytes | Array) -> int:
    """Return the CRC-32C of contiguous bytes, without copying them."""
    return int(google_crc32c.value(data))


def checksum(data: bytes | Array) -> bytes:
    """Return what the ``crc32c`` codec appends: 4 bytes, little endian."""
    return crc32c(data).to_bytes(CHECKSUM_BYTES, "little")


@cache
def chain_metadata(codec: str, dtype: np.dtype[Any]) -> list[dict[str, Any]]:
    """Return the Zarr v3 codecs of a chain, first applied first.

    Parameters
    ----------
    codec
        One of `zlake.format.documents.CODECS`, or `SIDECAR`.
    dtype
        Dtype of the array.

    Returns
    -------
    list of dict
        To be read only: the list is shared by all callers.

    Raises
    ------
    UnsupportedCompressionError
        If there is no chain of this name.
    """
    middle: list[dict[str, Any]] = []
    if codec in _BLOSC:
        name, level = _BLOSC[codec]
        shuffle = "shuffle" if dtype.itemsize > 1 else "noshuffle"
        settings = {"typesize": dtype.itemsize, "cname": name, "clevel": level, "shuffle": shuffle, "blocksize": 0}
        middle = [{"name": "blosc", "configuration": settings}]
    elif codec == "zstd":
        middle = [{"name": "zstd", "configuration": {"level": _ZSTD_LEVEL, "checksum": False}}]
    elif codec == "gzip":
        middle = [{"name": "gzip", "configuration": {"level": _GZIP_LEVEL}}]
    elif codec != "raw":
        raise UnsupportedCompressionError(f"there is no codec chain {codec!r}; the chains are {', '.join(CODECS)}")
    return [{"name": "bytes", "configuration": {"endian": "little"}}, *middle, {"name": "crc32c"}]


@cache
def encoder(codec: str) -> Encoder:
    """Return the function that compresses a contiguous chunk, without the checksum at its end.

    It lets other threads run while it compresses. For ``raw`` it returns the chunk itself.

    Raises
    ------
    UnsupportedCompressionError
        If there is no chain of this name.
    """
    from numcodecs import blosc, zstd  # not at import: numcodecs looks through every installed package

    if codec in _BLOSC:
        name, level = _BLOSC[codec][0].encode(), _BLOSC[codec][1]
        return lambda chunk: blosc.compress(chunk, name, level, int(chunk.itemsize > 1), 0)
    if codec == "zstd":
        return lambda chunk: zstd.compress(chunk, _ZSTD_LEVEL)
    if codec == "gzip":
        return _gzip
    chain_metadata(codec, np.dtype(np.uint8))  # raises if there is none
    return lambda chunk: chunk


def encode(codec: str, chunk: Array) -> bytes:
    """Return a chunk as the whole chain encodes it, checksum included.

    Parameters
    ----------
    codec
        One of `zlake.format.documents.CODECS`, or `SIDECAR`.
    chunk
        C-contiguous values.

    Raises
    ------
    UnsupportedCompressionError
        If there is no chain of this name.
    """
    data = encoder(codec)(chunk)
    return b"".join((data, checksum(data)))


def decode(codec: str, data: Bytes, nbytes: int, where: str) -> npt.NDArray[np.uint8]:
    """Return the bytes of a chunk, after checking them.

    Parameters
    ----------
    codec
        One of `zlake.format.documents.CODECS`, or `SIDECAR`.
    data
        The encoded chunk, checksum included.
    nbytes
        Bytes of the decoded chunk. Never more are allocated, whatever the chunk claims.
    where
        What an error names: the object, and the chunk in it.

    Returns
    -------
    ndarray
        ``(nbytes,) uint8``; of a ``raw`` chunk a view of ``data``.

    Raises
    ------
    CorruptObjectError
        If the checksum or the length is wrong, or the bytes are no such compressed chunk.
    UnsupportedCompressionError
        If there is no chain of this name.
    """
    encoder(codec)  # raises if there is none
    stored = np.frombuffer(data, np.uint8)
    if len(stored) < CHECKSUM_BYTES:
        raise CorruptObjectError(f"{where}: {len(stored)} bytes are too few for a chunk and its checksum")
    body = stored[:-CHECKSUM_BYTES]
    expected = int.from_bytes(stored[-CHECKSUM_BYTES:].tobytes(), "little")
    found = crc32c(body)
    if found != expected:
        raise CorruptObjectError(f"{where}: the crc32c of the chunk is {found:08x}, stored is {expected:08x}")
    if codec == "raw":
        if len(body) != nbytes:
            raise CorruptObjectError(f"{where}: the chunk has {len(body)} bytes, not {nbytes}")
        return body
    try:
        return _decompress(codec, body, nbytes)
    except (ValueError, RuntimeError, zlib.error) as error:
        raise CorruptObjectError(f"{where}: not a {codec} chunk of {nbytes} bytes ({error})") from error


def _decompress(codec: str, body: npt.NDArray[np.uint8], nbytes: int) -> npt.NDArray[np.uint8]:
    if codec == "gzip":
        inflate = zlib.decompressobj(_GZIP_WBITS)
        plain = inflate.decompress(body.data, nbytes + 1)  # one more than right, so that too long shows
        if len(plain) != nbytes or not inflate.eof:
            raise ValueError("it holds another number of bytes")
        return np.frombuffer(plain, np.uint8)
    from numcodecs import blosc, zstd

    # A frame shorter than the buffer it is decompressed into would leave the rest of the buffer undefined.
    claimed = content_size(body[:HEADER_BYTES].tobytes()) if codec == "zstd" else _blosc_content_bytes(body)
    if claimed != nbytes:
        raise ValueError(
            f"it claims to hold {claimed} bytes" if claimed >= 0 else "its frame does not state its length"
        )
    out = np.empty(nbytes, np.uint8)
    (zstd if codec == "zstd" else blosc).decompress(body, out)
    return out


def _blosc_content_bytes(body: npt.NDArray[np.uint8]) -> int:
    if len(body) < _BLOSC_HEADER_BYTES:
        raise ValueError("its header is cut off")
    if int.from_bytes(body[12:16].tobytes(), "little") != len(body):
        raise ValueError("its compressed length is wrong")
    return int.from_bytes(body[4:8].tobytes(), "little")


def _gzip(chunk: Array) -> bytes:
    deflate = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WBITS)
    return deflate.compress(chunk.data) + deflate.flush()
