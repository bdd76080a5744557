"""Image formats that Pillow reads and writes.

The plugin of the expected format is called directly: sniffing by `PIL.Image.open` would also run plugins that start
other programs (EPS), and would apply Pillow's process-wide pixel limit instead of ours.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from PIL import Image, ImageMode

from zlake.errors import CorruptedSampleError, SampleCompressionError, SampleDecompressionError
from zlake.samples.fit import check_record, deliver
from zlake.samples.sniff import Buffer, Header, check_size
from zlake.types import Array


@dataclass(frozen=True, slots=True)
class Format:
    """How Pillow calls a format, what it can hold, and how arrays are saved in it."""

    pillow: str
    modes: tuple[str, ...]
    save: tuple[tuple[str, Any], ...] = ()


FORMATS: Final[dict[str, Format]] = {
    "bmp": Format("BMP", ("1", "L", "RGB")),
    "gif": Format("GIF", ()),
    "jpeg2000": Format("JPEG2000", ("L", "LA", "RGB", "RGBA", "I;16")),
    "pcx": Format("PCX", ("1", "L", "RGB")),
    "ppm": Format("PPM", ("1", "L", "RGB")),
    "sgi": Format("SGI", ("L", "RGB", "RGBA")),
    "tga": Format("TGA", ("1", "L", "LA", "RGB", "RGBA")),
    "tiff": Format("TIFF", ("1", "L", "LA", "RGB", "RGBA", "I;16", "I", "F")),
    "webp": Format("WEBP", ("RGB",), (("quality", 90),)),
}
"""Formats that go through Pillow alone; of several frames the first is the sample. GIF is only read, as RGB."""

_PNG: Final = Format("PNG", ("1", "L", "LA", "RGB", "RGBA", "I;16"))

_MODES: Final = {
    ("bool", 1): "1",
    ("uint8", 1): "L",
    ("uint8", 2): "LA",
    ("uint8", 3): "RGB",
    ("uint8", 4): "RGBA",
    ("uint16", 1): "I;16",
    ("int32", 1): "I",
    ("float32", 1): "F",
}


class PillowCodec:
    """One image format of Pillow's."""

    version = 1
    kind: Literal["image"] = "image"
    releases_gil = True

    def __init__(self, name: str) -> None:
        self.name = name

    def encode(self, array: Array) -> bytes:
        """Encode an array of whole pixels; raises `SampleCompressionError` for what the format cannot hold."""
        return pillow_encode(array, self.name)

    def header(self, data: Buffer) -> Header:
        """Return shape and dtype of the first frame without decoding it."""
        return _header_of(_open(data, FORMATS[self.name].pillow), self.name)

    def decode(
        self,
        data: Buffer,
        *,
        shape: tuple[int, ...] | None = None,
        dtype: np.dtype[Any] | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return the pixels of the first frame, or raise `CorruptedSampleError` or `SampleDecompressionError`."""
        image = _open(data, FORMATS[self.name].pillow)
        shape = check_record(_header_of(image, self.name), shape, dtype, self.name)
        return deliver(_pixels(image, self.name), shape, dtype, out)


def pillow_image(data: Buffer, pillow: str) -> Image.Image:
    """Return a lazily opened image of one of Pillow's formats, its size checked against the limit."""
    image = _open(data, pillow)
    _header_of(image, pillow)
    return image


def pillow_pixels(data: Buffer, pillow: str) -> Array:
    """Return the decoded pixels; the caller has checked the size that the header claims."""
    return _pixels(_open(data, pillow), pillow)


def pillow_encode(array: Array, name: str) -> bytes:
    """Encode ``(h, w)`` or ``(h, w, c)`` in one of `FORMATS`, or PNG.

    Raises
    ------
    SampleCompressionError
        If the format holds no such array.
    """
    form = _PNG if name == "png" else FORMATS[name]
    pixels = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    mode = _MODES.get((str(pixels.dtype), channels)) if pixels.ndim in (2, 3) else None
    if mode not in form.modes:
        held = ", ".join(f"{dtype} x {count}" for (dtype, count), each in _MODES.items() if each in form.modes)
        held = held or "nothing: it is only read"
        raise SampleCompressionError(
            f"{name} cannot hold {array.shape} {array.dtype}; as dtype x channels it holds {held}"
        )
    file = io.BytesIO()
    try:
        _to_image(np.ascontiguousarray(pixels), mode).save(file, form.pillow, **dict(form.save))
    except Exception as error:
        raise SampleCompressionError(f"{name} refuses an array of shape {array.shape}: {error}") from error
    return file.getvalue()


def _to_image(pixels: Array, mode: str) -> Image.Image:
    if mode == "1":
        # Pillow packs eight pixels into a byte; its own conversion from 0 and 255 does that.
        return Image.fromarray(pixels.astype(np.uint8) * np.uint8(255)).convert("1")
    return Image.fromarray(pixels)


def _open(data: Buffer, pillow: str) -> Image.Image:
    if pillow not in Image.OPEN:
        Image.preinit()
        if pillow not in Image.OPEN:
            Image.init()
    try:
        image = Image.OPEN[pillow][0](io.BytesIO(data), "")
    except MemoryError:
        raise
    except Exception as error:  # plugins raise whatever their parsing runs into: SyntaxError, struct.error, KeyError
        raise CorruptedSampleError(f"not a {pillow} image, or a damaged one: {error}") from error
    return image


def _header_of(image: Image.Image, what: str) -> Header:
    mode = ImageMode.getmode("RGB" if image.format == "GIF" else image.mode)
    bands = len(mode.bands)
    dtype = np.dtype(mode.typestr).newbyteorder("=")
    return check_size(Header((image.height, image.width, *((bands,) if bands > 1 else ())), dtype), what)


def _pixels(image: Image.Image, what: str) -> Array:
    try:
        pixels = np.asarray(image.convert("RGB") if image.format == "GIF" else image)
    except MemoryError:
        raise
    except Exception as error:
        raise SampleDecompressionError(f"a {what} image that cannot be decoded: {error}") from error
    return pixels if pixels.dtype.isnative else pixels.astype(pixels.dtype.newbyteorder("="))
