"""A page as a Zarr array: a sealed document beside one chunk of 64-bit integers, checked before it is inflated."""

from __future__ import annotations

from typing import Any, Final, Generic, Literal, TypeVar

import google_crc32c
import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from zlake import limits
from zlake.errors import CorruptObjectError, FormatError
from zlake.format import documents as d
from zlake.format.bounds import check_bounds, check_version
from zlake.format.checks import BreachError
from zlake.format.seal import ARRAY_PREFIX, PLACEHOLDER, check_seal, seal

METADATA_KEY: Final = "zarr.json"
CHUNK_KEY: Final = "c.0.0"
PAGE_KEYS: Final = (METADATA_KEY, CHUNK_KEY)
"""Keys of a page's two objects, relative to its prefix: without ``/``, which would cost folders on disk."""

T = TypeVar("T", d.ExtentPageHead, d.IdPageHead)

_BLOSC_HEADER: Final = 16
_CRC_BYTES: Final = 4


class _Attributes(Struct, Generic[T], frozen=True):
    crc32c: str
    zlake: T


class Array(Struct, Generic[T], frozen=True, forbid_unknown_fields=True):
    """The array metadata of a page; all but the shape follows from the kind of page."""

    zarr_format: Literal[3]
    node_type: Literal["array"]
    attributes: _Attributes[T]
    shape: tuple[int, int]
    data_type: str
    chunk_grid: dict[str, Any]
    chunk_key_encoding: dict[str, Any]
    fill_value: int
    codecs: list[dict[str, Any]]
    dimension_names: list[str]


_EXTENT_DECODER: Final = msgspec.json.Decoder(Array[d.ExtentPageHead])
_ID_DECODER: Final = msgspec.json.Decoder(Array[d.IdPageHead])
EXTENTS: Final = ("int64", ("extent", "segment_start_count"))
IDS: Final = ("uint64", ("run", "first_count"))
"""Data type and dimension names of the two kinds of pages."""
_KINDS: Final[dict[type, tuple[str, tuple[str, str]]]] = {d.ExtentPageHead: EXTENTS, d.IdPageHead: IDS}


def encode_chunk(values: npt.NDArray[Any]) -> tuple[bytes, str]:
    """Return the chunk of a page's array, and its crc32c as a document writes it."""
    from numcodecs import blosc  # not at import: numcodecs looks through every installed package

    packed = blosc.compress(values, b"zstd", 5, blosc.SHUFFLE, 0)
    crc = google_crc32c.value(packed)
    return packed + crc.to_bytes(_CRC_BYTES, "little"), f"{crc:08x}"


def encode_head(
    head: d.ExtentPageHead | d.IdPageHead, shape: tuple[int, ...], dtype: str, names: tuple[str, str]
) -> bytes:
    """Return the document of a page, sealed.

    Parameters
    ----------
    head
        Its body.
    shape
        ``(n, k)`` of the array.
    dtype, names
        `EXTENTS` or `IDS`.

    Raises
    ------
    ValueError
        If the document breaks a rule of the format.
    """
    body = msgspec.json.encode(head)
    rest = msgspec.json.encode(array_metadata(shape, dtype, names))[1:-1]
    metadata = b'%b%b","zlake":%b},%b}' % (ARRAY_PREFIX, PLACEHOLDER, body, rest)
    check_bounds(metadata, limits.DOCUMENT_BYTES)
    (_EXTENT_DECODER if isinstance(head, d.ExtentPageHead) else _ID_DECODER).decode(metadata)
    return seal(metadata)


def decode_array(kind: type[T], page_id: str, metadata: bytes, chunk: bytes, where: str) -> tuple[T, npt.NDArray[Any]]:
    """Return the body and the values of a page.

    Raises
    ------
    CorruptObjectError
        If the bytes are not an intact page of this kind.
    UnsupportedFormatError
        If the page is of a newer version.
    """
    array, at = decode_head(kind, page_id, metadata, where), f"{where}/{CHUNK_KEY}"
    dtype, _ = _KINDS[kind]
    return array.attributes.zlake, _decode_chunk(chunk, array.attributes.zlake.chunk, array.shape, dtype, at)


def decode_head(kind: type[T], page_id: str, metadata: bytes, where: str) -> Array[T]:
    """Return the metadata of a page alone; raises as `decode_array`."""
    extents = kind is d.ExtentPageHead
    at = f"{where}/{METADATA_KEY}"
    if len(metadata) > limits.DOCUMENT_BYTES:
        raise CorruptObjectError(f"{at} has {len(metadata)} bytes; a document has at most {limits.DOCUMENT_BYTES}")
    check_seal(metadata, at)
    try:
        check_bounds(metadata, limits.DOCUMENT_BYTES)
        check_version(metadata, ARRAY_PREFIX, str(kind.__struct_config__.tag), at)
        array: Array[T] = (_EXTENT_DECODER if extents else _ID_DECODER).decode(metadata)  # type: ignore[assignment]
        _check_metadata(array, *_KINDS[kind])
    except FormatError:
        raise
    except (ValueError, RecursionError) as error:
        raise CorruptObjectError(f"{at} breaks the format: {error}") from error
    if array.attributes.zlake.id != page_id:
        raise CorruptObjectError(f"{at} holds the page {array.attributes.zlake.id!r}")
    return array


def _decode_chunk(chunk: bytes, crc: str, shape: tuple[int, int], dtype: str, where: str) -> npt.NDArray[Any]:
    """Check a chunk's checksum and that it inflates to exactly the array, before it is inflated."""
    packed, stored = chunk[:-_CRC_BYTES], chunk[-_CRC_BYTES:]
    if len(packed) < _BLOSC_HEADER or google_crc32c.value(packed) != int.from_bytes(stored, "little"):
        raise CorruptObjectError(f"{where} is damaged or cut short: its {len(chunk)} bytes fail their checksum")
    if int.from_bytes(stored, "little") != int(crc, 16):
        raise CorruptObjectError(f"{where} is the chunk of another page: {METADATA_KEY!r} beside it names {crc}")
    size = shape[0] * shape[1] * 8
    inflated, length = int.from_bytes(packed[4:8], "little"), int.from_bytes(packed[12:16], "little")
    if inflated != size or length != len(packed):
        raise CorruptObjectError(f"{where} breaks the format: it inflates to {inflated} bytes, not to {size}")
    from numcodecs import blosc

    try:
        data = blosc.decompress(packed)
    except (RuntimeError, ValueError) as error:
        raise CorruptObjectError(f"{where} breaks the format: it cannot be inflated ({error})") from error
    return np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).reshape(shape).astype(dtype, copy=False)


def _check_metadata(array: Array[T], dtype: str, names: tuple[str, str]) -> None:
    """Check that the array is described exactly as pages of this kind are."""
    n, width = array.shape
    most, fields = (limits.PAGE_EXTENTS, 3) if dtype == "int64" else (limits.ID_PAGE_RUNS, 2)
    if not 1 <= n <= most or width != fields:
        raise BreachError(f"shape: {list(array.shape)} is not [1 to {most}, {fields}]")
    for field, value in array_metadata(array.shape, dtype, names).items():
        if getattr(array, field) != value:
            raise BreachError(f"{field}: a page has {value!r}, not {getattr(array, field)!r:.200}")


def array_metadata(shape: tuple[int, ...], dtype: str, names: tuple[str, str]) -> dict[str, Any]:
    """Return the array metadata of a page, beside its attributes."""
    return {
        "shape": tuple(shape),
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(shape)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": 0,
        "codecs": [
            {"name": "bytes", "configuration": {"endian": "little"}},
            {
                "name": "blosc",
                "configuration": {"cname": "zstd", "clevel": 5, "shuffle": "shuffle", "typesize": 8, "blocksize": 0},
            },
            {"name": "crc32c"},
        ],
        "dimension_names": list(names),
    }
