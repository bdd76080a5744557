"""PNG through Pillow, its header by hand."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from zlake.samples.fit import check_record, deliver
from zlake.samples.pillow import pillow_encode, pillow_pixels
from zlake.samples.sniff import Buffer, Header, png_header
from zlake.types import Array


class PngCodec:
    """PNG: bool, uint8 or uint16 gray ``(h, w)``; uint8 with 2 (gray, alpha), 3 or 4 channels.

    A palette image decodes to its indices. Colour of 16 bits a channel decodes to 8 (the stored bytes keep all 16).
    """

    name = "png"
    version = 1
    kind: Literal["image"] = "image"
    releases_gil = True

    def encode(self, array: Array) -> bytes:
        """Encode without loss; raises `SampleCompressionError` for what PNG cannot hold."""
        return pillow_encode(array, "png")

    def header(self, data: Buffer) -> Header:
        """Return shape and dtype without decoding; see `png_header`."""
        return png_header(data)

    def decode(
        self,
        data: Buffer,
        *,
        shape: tuple[int, ...] | None = None,
        dtype: np.dtype[Any] | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return the pixels, or raise `CorruptedSampleError` or `SampleDecompressionError`."""
        shape = check_record(png_header(data), shape, dtype, "PNG")
        return deliver(pillow_pixels(data, "PNG"), shape, dtype, out)
