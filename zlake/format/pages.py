"""Pages: extents and sample ids too many for a commit document, as small immutable Zarr arrays.

A page is two objects below ``pages/<id>/``: ``zarr.json``, a sealed document with the segment table in its attributes,
and one chunk of 64-bit integers behind ``blosc`` and ``crc32c``. Any Zarr reader opens it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
import numpy as np

from zlake import limits
from zlake.errors import CorruptObjectError, FormatError, UnsupportedFormatError
from zlake.format import documents as d
from zlake.format.checks import BreachError, UnknownError, check_segments
from zlake.format.page_array import (
    CHUNK_KEY,
    EXTENTS,
    IDS,
    METADATA_KEY,
    PAGE_KEYS,
    decode_array,
    decode_head,
    encode_chunk,
    encode_head,
)
from zlake.types import IdArray, IntArray

__all__ = [
    "PAGE_KEYS",
    "decode_extent_page",
    "decode_extent_segments",
    "decode_id_page",
    "encode_extent_page",
    "encode_id_page",
    "split_extents",
]


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


def encode_extent_page(page_id: str, segments: Sequence[d.SegmentTensor], extents: IntArray) -> list[tuple[str, bytes]]:
    """Return the objects of a page of extents, by key relative to the page's prefix.

    Parameters
    ----------
    page_id
        The page's id.
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
        chunk, crc = encode_chunk(extents)
        head = d.ExtentPageHead(id=page_id, chunk=crc, rows=rows, segments=tuple(segments))
        return [(METADATA_KEY, encode_head(head, extents.shape, *EXTENTS)), (CHUNK_KEY, chunk)]
    except ValueError as error:
        raise FormatError(f"this page of extents cannot be written: {error}") from error


def decode_extent_page(
    page_id: str, metadata: bytes, chunk: bytes, *, where: str
) -> tuple[tuple[d.SegmentTensor, ...], IntArray]:
    """Return a page's segment table and its extents, ``(n, 3) int64``.

    Parameters
    ----------
    page_id
        The page's id.
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
    head, extents = decode_array(d.ExtentPageHead, page_id, metadata, chunk, where)
    with _refusing(where):
        rows = _check_extents(head.segments, extents)
        if rows != head.rows:
            raise BreachError(f"rows: it says {head.rows}, but the extents hold {rows}")
    return head.segments, extents


def decode_extent_segments(page_id: str, metadata: bytes, *, where: str) -> tuple[d.SegmentTensor, ...]:
    """Return the segment table of a page of extents from its document alone; parameters and errors as of the page."""
    segments = decode_head(d.ExtentPageHead, page_id, metadata, where).attributes.zlake.segments
    with _refusing(where):
        check_segments(segments)
    return segments


def encode_id_page(page_id: str, runs: IdArray) -> list[tuple[str, bytes]]:
    """Return the objects of a page of sample ids, by key relative to the page's prefix.

    Parameters
    ----------
    page_id
        The page's id.
    runs
        ``(n, 2) uint64``, sorted and not overlapping: first id, number of ids.

    Raises
    ------
    FormatError
        If `decode_id_page` would refuse them.
    """
    runs = np.ascontiguousarray(runs, "<u8")
    try:
        count = _check_runs(runs)
        chunk, crc = encode_chunk(runs)
        head = d.IdPageHead(id=page_id, chunk=crc, count=count)
        return [(METADATA_KEY, encode_head(head, runs.shape, *IDS)), (CHUNK_KEY, chunk)]
    except ValueError as error:
        raise FormatError(f"this page of sample ids cannot be written: {error}") from error


def decode_id_page(page_id: str, metadata: bytes, chunk: bytes, *, where: str) -> IdArray:
    """Return the runs of sample ids in a page, ``(n, 2) uint64``: first id, number of ids.

    Parameters
    ----------
    page_id
        The page's id.
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
    head, runs = decode_array(d.IdPageHead, page_id, metadata, chunk, where)
    with _refusing(where):
        count = _check_runs(runs)
        if count != head.count:
            raise BreachError(f"count: it says {head.count} ids, but the runs hold {count}")
    return runs


@contextmanager
def _refusing(where: str) -> Iterator[None]:
    """Refuse a page that breaks a rule, or needs what is not known."""
    try:
        yield
    except BreachError as error:
        raise CorruptObjectError(f"{where} breaks the format: {error}") from None
    except UnknownError as error:
        raise UnsupportedFormatError(f"{where}: {error}; upgrade zlake") from None


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
