"""JPEG through libjpeg-turbo (simplejpeg), which decodes without the interpreter lock; odd files through Pillow."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import simplejpeg

from zlake.errors import SampleCompressionError, SampleDecompressionError
from zlake.samples.fit import check_out, check_record, deliver
from zlake.samples.pillow import pillow_pixels
from zlake.samples.sniff import Buffer, Header, jpeg_header
from zlake.types import Array

QUALITY = 90
"""Quality at which arrays are encoded, chroma not subsampled. For another, encode yourself and append `read(bytes)`."""

_MAX_SIDE = 65_535


class JpegCodec:
    """Baseline and progressive JPEG, 8 bits: gray ``(h, w)``, colour ``(h, w, 3)`` RGB, CMYK ``(h, w, 4)``.

    The EXIF orientation is not applied: pixels come as they are stored.
    """

    name = "jpeg"
    version = 1
    kind: Literal["image"] = "image"
    releases_gil = True

    def encode(self, array: Array) -> bytes:
        """Encode ``(h, w)``, ``(h, w, 1)`` or ``(h, w, 3)`` uint8, with loss.

        Raises
        ------
        SampleCompressionError
            If JPEG cannot hold such an array.
        """
        shape = array.shape
        channels = shape[2] if array.ndim == 3 else 1
        if array.dtype != np.uint8 or array.ndim not in (2, 3) or channels not in (1, 3):
            raise SampleCompressionError(
                f"jpeg holds (h, w), (h, w, 1) and (h, w, 3) uint8; got {shape} {array.dtype}: use png, or None"
            )
        if max(shape[:2]) > _MAX_SIDE:
            raise SampleCompressionError(f"jpeg holds at most {_MAX_SIDE} pixels a side; got {shape}: use png, or None")
        pixels = np.ascontiguousarray(array).reshape(*shape[:2], channels)
        colour, sampling = ("GRAY", "Gray") if channels == 1 else ("RGB", "444")
        try:
            data: bytes = simplejpeg.encode_jpeg(pixels, QUALITY, colour, sampling)
        except ValueError as error:
            raise SampleCompressionError(f"jpeg refuses an array of shape {shape}: {error}") from error
        return data

    def header(self, data: Buffer) -> Header:
        """Return shape and dtype without decoding; see `jpeg_header`."""
        return jpeg_header(data)

    def decode(
        self,
        data: Buffer,
        *,
        shape: tuple[int, ...] | None = None,
        dtype: np.dtype[Any] | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return the pixels, decoded straight into `out` where that is contiguous uint8.

        Raises
        ------
        CorruptedSampleError, SampleDecompressionError
            If the bytes are no whole JPEG, or not of the recorded shape.
        """
        header = jpeg_header(data)
        shape = check_record(header, shape, dtype, "JPEG")
        if len(header.shape) == 3 and header.shape[2] == 4:
            return deliver(pillow_pixels(data, "JPEG"), shape, dtype, out)
        colour = "GRAY" if len(header.shape) == 2 else "RGB"
        direct = out is not None and out.dtype == np.uint8 and out.flags.c_contiguous
        if out is not None:
            check_out(out, shape)
        try:
            pixels: Array = simplejpeg.decode_jpeg(data, colour, buffer=out if direct else None)
        except ValueError:
            # libjpeg-turbo is strict here: what it merely dislikes (stray bytes, say) Pillow still decodes.
            return deliver(pillow_pixels(data, "JPEG"), shape, dtype, out)
        if pixels.size != header.nbytes:
            raise SampleDecompressionError(f"a JPEG whose header says {header.shape} decodes to {pixels.shape}")
        if direct:
            assert out is not None
            return out
        return deliver(pixels, shape, dtype, out)
