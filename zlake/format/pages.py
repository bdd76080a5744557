"""Pages: extents and sample ids too many for a commit document, as small immutable Zarr arrays.

A page is two objects below ``pages/<id>/``: ``zarr.json``, a sealed document with the segment table in its attributes,
and one chunk of 64-bit integers behind ``blosc`` and ``crc32c``. Any Zarr reader opens it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Generic, Literal, TypeVar

import google_crc32c
import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct
from numcodecs import blosc

from zlake import limits
from zlake.errors import CorruptObjectError, FormatError, UnsupportedFormatError
from zlake.format import documents as d
from zlake.format.bounds import check_bounds, check_version
from zlake.format.checks import BreachError, UnknownError, check_segments
from zlake.format.seal import ARRAY_PREFIX, PLACEHOLDER, check_seal, seal
from zlake.types import IdArray, IntArray

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


class _Array(Struct, Generic[T], frozen=True, forbid_unknown_fields=True):
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


_EXTENT_DECODER: Final = msgspec.json.Decoder(_Array[d.ExtentPageHead])
_ID_DECODER: Final = msgspec.json.Decoder(_Array[d.IdPageHead])
EXTENTS: Final = ("int64", ("extent", "segment_start_count"))
IDS: Final = ("uint64", ("run", "first_count"))
"""Data type and dimension names of the two kinds of pages."""


def split_extents(
    segments: Sequence[d.SegmentTensor], extents: IntArray
) -> Iterator[tuple[tuple[d.SegmentTensor, ...], IntArray]]:
    """Cut an extent map into pages, in row order, each with a segment table of its own.

    Parameters
    ----------
    segments
        The segment table.
    extents
        ``(n, 3) int64``: segment (position in the table), first row, rows.

    Yields
    ------
    tuple
        The segments that this page names, in order of appearance, and its extents over them, ``(k, 3) int64``.
    """
    sizes = np.array([len(msgspec.json.encode(segment)) + 1 for segment in segments], np.int64)
    at = 0
    while at < len(extents):
        part = extents[at : at + limits.PAGE_EXTENTS]
        named, first = np.unique(part[:, 0], return_index=True)
        order = np.argsort(first)
        named, first = named[order], first[order]
        fit = int(np.searchsorted(np.cumsum(sizes[named]), limits.PAGE_TABLE_BYTES, side="right"))
        if fit < len(named):
            fit = max(fit, 1)
            part, named = part[: first[fit]], named[:fit]
        local = np.empty(len(segments), np.int64)
        local[named] = np.arange(len(named))
        page = part.copy()
        page[:, 0] = local[part[:, 0]]
        yield tuple(segments[i] for i in named), page
        at += len(part)


def encode_extent_page(segments: Sequence[d.SegmentTensor], extents: IntArray) -> list[tuple[str, bytes]]:
    """Return the objects of a page of extents, by key relative to the page's prefix.

    Parameters
    ----------
    segments
        The segments that the page names.
    extents
        ``(n, 3) int64``, 1 to 16,384 of them: segment (position in ``segments``), first row, rows.

    Raises
    ------
    FormatError
        If `decode_extent_page` would refuse them.
    """
    extents = np.ascontiguousarray(extents, "<i8")
    try:
        rows = _check_extents(tuple(segments), extents)
        head = d.ExtentPageHead(rows=rows, segments=tuple(segments))
        return _encode(head, extents, *EXTENTS)
    except (BreachError, UnknownError) as error:
        raise FormatError(f"this page of extents cannot be written: {error}") from None


def decode_extent_page(metadata: bytes, chunk: bytes, *, where: str) -> tuple[tuple[d.SegmentTensor, ...], IntArray]:
    """Return a page's segment table and its extents, ``(n, 3) int64``.

    Parameters
    ----------
    metadata, chunk
        All bytes of the page's two objects, `PAGE_KEYS`.
    where
        Key or URL of the page, for messages.

    Raises
    ------
    CorruptObjectError
        If the bytes are not an intact page, or break a rule of the format.
    UnsupportedFormatError
        If the page is of a newer version or needs a feature that this package lacks.
    """
    head, extents = _decode(d.ExtentPageHead, metadata, chunk, where)
    try:
        rows = _check_extents(head.segments, extents)
        if rows != head.rows:
            raise BreachError(f"rows: it says {head.rows}, but the extents hold {rows}")
    except BreachError as error:
        raise CorruptObjectError(f"{where} breaks the format: {error}") from None
    except UnknownError as error:
        raise UnsupportedFormatError(f"{where}: {error}; upgrade zlake") from None
    return head.segments, extents


def encode_id_page(runs: IdArray) -> list[tuple[str, bytes]]:
    """Return the objects of a page of sample ids, by key relative to the page's prefix.

    Parameters
    ----------
    runs
        ``(n, 2) uint64``, sorted and not overlapping: first id, number of ids.

    Raises
    ------
    FormatError
        If `decode_id_page` would refuse them.
    """
    runs = np.ascontiguousarray(runs, "<u8")
    try:
        head = d.IdPageHead(count=_check_runs(runs))
        return _encode(head, runs, *IDS)
    except BreachError as error:
        raise FormatError(f"this page of sample ids cannot be written: {error}") from None


def decode_id_page(metadata: bytes, chunk: bytes, *, where: str) -> IdArray:
    """Return the runs of sample ids in a page, ``(n, 2) uint64``: first id, number of ids.

    Parameters
    ----------
    metadata, chunk
        All bytes of the page's two objects, `PAGE_KEYS`.
    where
        Key or URL of the page, for messages.

    Raises
    ------
    CorruptObjectError
        If the bytes are not an intact page, or break a rule of the format.
    UnsupportedFormatError
        If the page is of a newer version.
    """
    head, runs = _decode(d.IdPageHead, metadata, chunk, where)
    try:
        count = _check_runs(runs)
        if count != head.count:
            raise BreachError(f"count: it says {head.count} ids, but the runs hold {count}")
    except BreachError as error:
        raise CorruptObjectError(f"{where} breaks the format: {error}") from None
    return runs


def _check_extents(segments: tuple[d.SegmentTensor, ...], extents: IntArray) -> int:
    """Check extents against their table, and return how many rows they hold."""
    if extents.ndim != 2 or extents.shape[1] != 3 or not 1 <= len(extents) <= limits.PAGE_EXTENTS:
        raise BreachError(f"extents: shape {extents.shape} is not (1 to {limits.PAGE_EXTENTS}, 3)")
    check_segments(segments)
    segment, start, count = extents.T
    rows = np.array([entry.rows for entry in segments], np.int64)
    bad = (segment < 0) | (segment >= len(rows)) | (start < 0) | (start > d.MAX_COUNT) | (count < 1)
    if not bad.any():
        bad = count > rows[segment] - start
    if bad.any():
        i = int(np.argmax(bad))
        raise BreachError(f"extents[{i}]: {extents[i].tolist()} does not lie in one of the {len(rows)} segments")
    total = int(count.sum(dtype=np.float64))
    if total > d.MAX_COUNT:
        raise BreachError(f"extents: {total} rows are too many")
    return int(count.sum())


def _check_runs(runs: IdArray) -> int:
    """Check runs of ids, and return how many ids they hold."""
    if runs.ndim != 2 or runs.shape[1] != 2 or not 1 <= len(runs) <= limits.ID_PAGE_RUNS:
        raise BreachError(f"runs: shape {runs.shape} is not (1 to {limits.ID_PAGE_RUNS}, 2)")
    first, count = runs.T
    last = first + (count - np.uint64(1))  # wraps where a run leaves the range of ids
    bad = (count == 0) | (last < first)
    bad[1:] |= first[1:] <= last[:-1]
    if bad.any():
        i = int(np.argmax(bad))
        raise BreachError(f"runs[{i}]: {runs[i].tolist()} is empty, out of range, or not after the run before it")
    if float(count.sum(dtype=np.float64)) > d.MAX_COUNT:
        raise BreachError("runs: they hold too many ids")
    return int(count.sum())


def _encode(
    head: d.ExtentPageHead | d.IdPageHead, values: npt.NDArray[Any], dtype: str, names: tuple[str, str]
) -> list[tuple[str, bytes]]:
    body = msgspec.json.encode(head)
    rest = msgspec.json.encode(array_metadata(values.shape, dtype, names))[1:-1]
    metadata = b'%b%b","zlake":%b},%b}' % (ARRAY_PREFIX, PLACEHOLDER, body, rest)
    check_bounds(metadata, limits.DOCUMENT_BYTES)
    (_EXTENT_DECODER if isinstance(head, d.ExtentPageHead) else _ID_DECODER).decode(metadata)
    packed = blosc.compress(values, b"zstd", 5, blosc.SHUFFLE, 0)
    chunk = packed + google_crc32c.value(packed).to_bytes(_CRC_BYTES, "little")
    return [(METADATA_KEY, seal(metadata)), (CHUNK_KEY, chunk)]


def _decode(kind: type[T], metadata: bytes, chunk: bytes, where: str) -> tuple[T, npt.NDArray[Any]]:
    extents = kind is d.ExtentPageHead
    dtype, names = EXTENTS if extents else IDS
    at = f"{where}/{METADATA_KEY}"
    if len(metadata) > limits.DOCUMENT_BYTES:
        raise CorruptObjectError(f"{at} has {len(metadata)} bytes; a document has at most {limits.DOCUMENT_BYTES}")
    check_seal(metadata, at)
    try:
        check_bounds(metadata, limits.DOCUMENT_BYTES)
        check_version(metadata, ARRAY_PREFIX, str(kind.__struct_config__.tag), at)
        array: _Array[T] = (_EXTENT_DECODER if extents else _ID_DECODER).decode(metadata)  # type: ignore[assignment]
        _check_metadata(array, dtype, names)
    except FormatError:
        raise
    except (ValueError, RecursionError) as error:
        raise CorruptObjectError(f"{at} breaks the format: {error}") from error
    return array.attributes.zlake, _decode_chunk(chunk, array.shape, dtype, f"{where}/{CHUNK_KEY}")


def _decode_chunk(chunk: bytes, shape: tuple[int, int], dtype: str, where: str) -> npt.NDArray[Any]:
    """Check a chunk's checksum and that it inflates to exactly the array, before it is inflated."""
    packed, stored = chunk[:-_CRC_BYTES], chunk[-_CRC_BYTES:]
    if len(packed) < _BLOSC_HEADER or google_crc32c.value(packed) != int.from_bytes(stored, "little"):
        raise CorruptObjectError(f"{where} is damaged or cut short: its {len(chunk)} bytes fail their checksum")
    size = shape[0] * shape[1] * 8
    inflated, length = int.from_bytes(packed[4:8], "little"), int.from_bytes(packed[12:16], "little")
    if inflated != size or length != len(packed):
        raise CorruptObjectError(f"{where} breaks the format: it inflates to {inflated} bytes, not to {size}")
    try:
        data = blosc.decompress(packed)
    except (RuntimeError, ValueError) as error:
        raise CorruptObjectError(f"{where} breaks the format: it cannot be inflated ({error})") from error
    return np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).reshape(shape).astype(dtype, copy=False)


def _check_metadata(array: _Array[T], dtype: str, names: tuple[str, str]) -> None:
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
