from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from zlake import limits
from zlake.errors import CorruptedSampleError, SampleDecompressionError
from zlake.samples.sniff import jpeg_header, png_header, sniff

PNGS: dict[str, Any] = {
    "gray1": Image.new("1", (7, 5), 1),
    "gray8": Image.new("L", (7, 5), 9),
    "gray16": Image.fromarray(np.full((5, 7), 40_000, "uint16")),
    "gray alpha": Image.new("LA", (7, 5)),
    "rgb": Image.new("RGB", (7, 5), (1, 2, 3)),
    "rgba": Image.new("RGBA", (7, 5)),
    "palette": Image.new("RGB", (7, 5), (1, 2, 3)).convert("P"),
    "palette1": Image.new("1", (7, 5)).convert("P", colors=2),
}


def encoded(image: Any, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def as_pillow_sees_it(data: bytes) -> tuple[tuple[int, ...], np.dtype]:
    array = np.asarray(Image.open(io.BytesIO(data)))
    return array.shape, array.dtype.newbyteorder("=")


@pytest.mark.parametrize("name", PNGS)
def test_png_header_says_what_pillow_decodes(name: str) -> None:
    data = encoded(PNGS[name], "PNG")
    header = png_header(data)
    assert (header.shape, header.dtype) == as_pillow_sees_it(data)
    assert sniff(data) == "png"
    assert png_header(memoryview(data)) == header


def raw_png(width: int, height: int, depth: int, colour: int, body: bytes | None = None) -> bytes:
    """A PNG by hand, for the kinds that Pillow does not write."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row = b"\0" + b"\x55" * ((width * channels * depth + 7) // 8)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))]
    if colour == 3:
        chunks.append((b"PLTE", bytes(3 * 2**depth)))
    chunks += [(b"IDAT", zlib.compress(row * height) if body is None else body), (b"IEND", b"")]
    parts = [struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("depth", "colour"),
    [
        (d, c)
        for c, ds in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items()
        for d in ds
    ],
)
def test_every_kind_of_png(depth: int, colour: int) -> None:
    data = raw_png(6, 4, depth, colour)
    header = png_header(data)
    assert (header.shape, header.dtype) == as_pillow_sees_it(data)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(7, 5), (300, 200), (1, 1)])
def test_jpeg_header_says_what_pillow_decodes(mode: str, progressive: bool, size: tuple[int, int]) -> None:
    data = encoded(Image.new(mode, size, 3), "JPEG", progressive=progressive, comment=b"x" * 1000, dpi=(72, 72))
    header = jpeg_header(data)
    assert (header.shape, header.dtype) == as_pillow_sees_it(data)
    assert sniff(data) == "jpeg"
    assert jpeg_header(memoryview(data)) == header


def test_jpeg_with_fill_bytes_exif_and_stray_bytes() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.new("RGB", (7, 5)), "JPEG", exif=exif)
    assert jpeg_header(data).shape == (5, 7, 3)
    filled = data[:2] + b"\xff\xff\xff" + data[2:]
    assert jpeg_header(filled).shape == (5, 7, 3)
    stray = data[:2] + b"\0\0\0" + data[2:]
    assert jpeg_header(stray).shape == (5, 7, 3)


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("GIF", "gif"),
        ("BMP", "bmp"),
        ("TIFF", "tiff"),
        ("WEBP", "webp"),
        ("JPEG2000", "jpeg2000"),
        ("PPM", "ppm"),
        ("SGI", "sgi"),
    ],
)
def test_magic(form: str, name: str) -> None:
    assert sniff(encoded(Image.new("RGB", (8, 8)), form)) == name


@pytest.mark.parametrize("data", [b"", b"a", b"hello world, this is text", b"\x00" * 100, b"P7 x", b"RIFF1234WAVE"])
def test_no_magic(data: bytes) -> None:
    assert sniff(data) is None


@pytest.mark.parametrize("read", [jpeg_header, png_header])
def test_every_cut_of_a_header_is_an_error(read: Any) -> None:
    image = Image.new("RGB", (7, 5))
    data = encoded(image, "JPEG" if read is jpeg_header else "PNG")
    whole = read(data)
    least = next(n for n in range(len(data)) if _reads(read, data[:n]))
    assert least >= 33
    for length in range(least):
        with pytest.raises(CorruptedSampleError, match=r"cut off|not a"):
            read(data[:length])
    assert all(read(data[:length]) == whole for length in range(least, len(data)))


def _reads(read: Any, data: bytes) -> bool:
    try:
        read(data)
    except CorruptedSampleError:
        return False
    return True


def sof(height: int, width: int, channels: int = 3, precision: int = 8) -> bytes:
    frame = struct.pack(">BHHB", precision, height, width, channels) + b"\x01\x11\x00" * channels
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame


def test_odd_jpeg_frames() -> None:
    assert jpeg_header(sof(3, 4)).shape == (3, 4, 3)
    with pytest.raises(SampleDecompressionError, match="12 bits"):
        jpeg_header(sof(3, 4, precision=12))
    with pytest.raises(SampleDecompressionError, match="2 channels"):
        jpeg_header(sof(3, 4, channels=2))
    with pytest.raises(CorruptedSampleError, match="0 by 4"):
        jpeg_header(sof(0, 4))
    with pytest.raises(CorruptedSampleError, match="without a frame"):
        jpeg_header(b"\xff\xd8\xff\xda\0\x02\0\0\0\0")
    with pytest.raises(CorruptedSampleError, match="length 1"):
        jpeg_header(b"\xff\xd8\xff\xe0\0\x01\0\0\0\0")
    with pytest.raises(CorruptedSampleError, match="no JPEG marker"):
        jpeg_header(b"\xff\xd8" + bytes(200_000))
    with pytest.raises(CorruptedSampleError, match="not a JPEG"):
        jpeg_header(b"GIF89a")


def test_bombs_are_refused_from_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SampleDecompressionError, match="12,884,508,675 bytes"):
        jpeg_header(sof(65535, 65535))
    with pytest.raises(SampleDecompressionError, match="PNG header claims"):
        png_header(raw_png(100_000, 100_000, 8, 2, b""))
    monkeypatch.setattr(limits, "MAX_DECODED_SAMPLE_BYTES", 35)
    assert jpeg_header(sof(5, 7, 1)).nbytes == 35
    with pytest.raises(SampleDecompressionError, match="at most 35"):
        jpeg_header(sof(5, 8, 1))


def test_png_damage() -> None:
    data = raw_png(6, 4, 8, 2)
    for at in range(33):
        for bit in range(8):
            broken = bytearray(data)
            broken[at] ^= 1 << bit
            with pytest.raises(CorruptedSampleError):
                png_header(bytes(broken))


@pytest.mark.parametrize(
    ("width", "height", "depth", "colour"), [(6, 4, 4, 2), (0, 4, 8, 2), (6, 0, 8, 0), (6, 4, 3, 0)]
)
def test_png_headers_that_make_no_sense(width: int, height: int, depth: int, colour: int) -> None:
    with pytest.raises(CorruptedSampleError, match=f"bit depth {depth}"):
        png_header(raw_png(width, height, depth, colour, b""))
