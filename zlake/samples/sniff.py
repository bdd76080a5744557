"""What encoded bytes are, and how large the decoded array would be, from the first bytes alone.

References
----------
JPEG: ITU-T T.81, annex B. PNG: ISO/IEC 15948, chapters 5 and 11.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np

from zlake import limits
from zlake.errors import CorruptedSampleError, SampleDecompressionError

HEAD_BYTES: Final = 64 * limits.KIB
"""Bytes from the start of a file that nearly always hold the whole header."""

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of an encoded sample promises: shape and dtype of the decoded array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Bytes of the decoded array."""
        return prod(self.shape) * self.dtype.itemsize


_MAGIC: Final = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
    (b"BM", "bmp"),
    (b"\x01\xda", "sgi"),
)

_UINT8: Final = np.dtype(np.uint8)
_UINT16: Final = np.dtype(np.uint16)
_BOOL: Final = np.dtype(np.bool_)


def sniff(data: Buffer) -> str | None:
    """Return the compression that the first bytes show, or None if they show none that zlake knows."""
    head = bytes(data[:16])
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if len(head) > 2 and head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return "ppm"
    return None


def check_size(header: Header, what: str) -> Header:
    """Return the header, or refuse it because of the memory it asks for.

    Raises
    ------
    SampleDecompressionError
        If the decoded array would exceed `limits.MAX_DECODED_SAMPLE_BYTES`.
    """
    if header.nbytes > limits.MAX_DECODED_SAMPLE_BYTES:
        raise SampleDecompressionError(
            f"the {what} header claims shape {header.shape} {header.dtype}, {header.nbytes:,} bytes when decoded; "
            f"at most {limits.MAX_DECODED_SAMPLE_BYTES:,} are allowed"
        )
    return header


_STANDALONE: Final = frozenset((0x01, *range(0xD0, 0xD9)))
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_CHANNELS: Final[dict[int, tuple[int, ...]]] = {1: (), 3: (3,), 4: (4,)}


def jpeg_header(data: Buffer) -> Header:
    """Return shape ``(h, w)``, ``(h, w, 3)`` or ``(h, w, 4)`` and uint8 from a JPEG's frame header.

    Raises
    ------
    CorruptedSampleError
        If the bytes are no JPEG, or end before the frame header.
    SampleDecompressionError
        If it claims a size over the limit, or is of a kind that no decoder here knows.
    """
    if bytes(data[:2]) != b"\xff\xd8":
        raise CorruptedSampleError(f"not a JPEG: it begins with {bytes(data[:4])!r}, not with ff d8")
    at = 2
    try:
        while True:
            at = _marker(data, at)
            marker = data[at]
            if marker in _FRAMES:
                return check_size(_jpeg_frame(data, at + 1), "JPEG")
            if marker in (0xD9, 0xDA):
                raise CorruptedSampleError("a JPEG without a frame header before its first scan")
            at += 1
            if marker not in _STANDALONE:
                length = data[at] << 8 | data[at + 1]
                if length < 2:
                    raise CorruptedSampleError(f"a JPEG segment of length {length} at byte {at}")
                at += length
    except IndexError:
        raise CorruptedSampleError(f"a JPEG cut off after {len(data)} bytes, before its frame header") from None


def _marker(data: Buffer, at: int) -> int:
    # Decoders skip stray bytes before a marker, and any number of fill bytes ff.
    limit = at + HEAD_BYTES
    while data[at] != 0xFF:
        at += 1
        if at > limit:
            raise CorruptedSampleError(f"no JPEG marker where one must be, near byte {at}")
    while data[at] == 0xFF:
        at += 1
    return at


def _jpeg_frame(data: Buffer, at: int) -> Header:
    precision, components = data[at + 2], data[at + 7]
    height, width = data[at + 3] << 8 | data[at + 4], data[at + 5] << 8 | data[at + 6]
    if not height or not width:
        raise CorruptedSampleError(f"a JPEG frame of {height} by {width} pixels")
    if precision != 8:
        raise SampleDecompressionError(f"a JPEG with {precision} bits per channel; only 8 can be decoded")
    channels = _JPEG_CHANNELS.get(components)
    if channels is None:
        raise SampleDecompressionError(f"a JPEG with {components} channels; only 1, 3 and 4 can be decoded")
    return Header((height, width, *channels), _UINT8)


_PNG_CHANNELS: Final[dict[int, tuple[int, ...]]] = {0: (), 2: (3,), 3: (), 4: (2,), 6: (4,)}
_PNG_DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


def png_header(data: Buffer) -> Header:
    """Return shape and dtype of the array that a PNG decodes to, from its first 33 bytes.

    Gray: ``(h, w)`` of bool (1 bit), uint8 or uint16; palette: ``(h, w) uint8`` indices; otherwise ``(h, w, c) uint8``
    with c as in the file (gray with alpha of 16 bits: RGBA).

    Raises
    ------
    CorruptedSampleError
        If the bytes are no PNG, are cut off, or their IHDR chunk is damaged.
    SampleDecompressionError
        If it claims a size over the limit.
    """
    head = bytes(data[:33])
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        raise CorruptedSampleError(f"not a PNG: it begins with {head[:8]!r}")
    if len(head) < 33:
        raise CorruptedSampleError(f"a PNG cut off after {len(head)} bytes, inside its header")
    if head[8:16] != b"\x00\x00\x00\rIHDR" or zlib.crc32(head[12:29]) != struct.unpack(">I", head[29:33])[0]:
        raise CorruptedSampleError("a PNG whose header chunk (IHDR) is damaged")
    width, height, depth, colour = struct.unpack(">IIBB", head[16:26])
    if depth not in _PNG_DEPTHS.get(colour, ()) or not 0 < width < 2**31 or not 0 < height < 2**31:
        raise CorruptedSampleError(
            f"a PNG header with width {width}, height {height}, bit depth {depth}, colour type {colour}"
        )
    dtype = {1: _BOOL, 16: _UINT16}.get(depth, _UINT8) if colour == 0 else _UINT8
    channels = (
        (4,) if (colour, depth) == (4, 16) else _PNG_CHANNELS[colour]
    )  # Pillow makes RGBA of 16-bit gray and alpha
    return check_size(Header((height, width, *channels), dtype), "PNG")
