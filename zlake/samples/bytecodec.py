"""General compressors applied to single samples: the bytes of the array (C order, little endian), compressed."""

from __future__ import annotations

import sys
from math import prod
from types import ModuleType
from typing import Any, Literal

import numpy as np

from zlake import limits
from zlake.errors import SampleDecompressionError
from zlake.samples.fit import check_out
from zlake.samples.sniff import Buffer
from zlake.types import Array

_LEVEL = 1


class ByteCodec:
    """``lz4`` (uint32 length, then an LZ4 block) or ``zstd`` (one frame), as numcodecs writes them.

    The bytes say neither shape nor dtype: decoding needs the recorded ones, and never allocates more than they ask for.
    """

    version = 1
    kind: Literal["bytes"] = "bytes"
    releases_gil = True

    def __init__(self, name: Literal["lz4", "zstd"]) -> None:
        self.name: str = name

    def encode(self, array: Array) -> bytes:
        """Compress any array."""
        ordered = np.ascontiguousarray(array)
        if sys.byteorder == "big":
            ordered = ordered.astype(array.dtype.newbyteorder("<"))
        return self.compress(ordered.reshape(-1).view(np.uint8).data)

    def header(self, data: Buffer) -> None:
        """Return None: the bytes say nothing about the array."""

    def decode(
        self,
        data: Buffer,
        *,
        shape: tuple[int, ...] | None = None,
        dtype: np.dtype[Any] | None = None,
        out: Array | None = None,
    ) -> Array:
        """Decompress into an array of the recorded shape and dtype.

        Raises
        ------
        SampleDecompressionError
            If the bytes hold another number of bytes, or are damaged.
        """
        if shape is None or dtype is None:
            raise SampleDecompressionError(f"{self.name} bytes need the recorded shape and dtype to be decoded")
        nbytes = prod(shape) * dtype.itemsize
        if nbytes > limits.MAX_DECODED_SAMPLE_BYTES:
            raise SampleDecompressionError(
                f"a sample of {nbytes:,} bytes; at most {limits.MAX_DECODED_SAMPLE_BYTES:,} allowed"
            )
        raw = self.decompress(data, nbytes)
        array = np.frombuffer(raw, dtype.newbyteorder("<")).reshape(shape)
        if out is None:
            return array.astype(dtype, copy=False)
        check_out(out, shape)
        np.copyto(out, array)
        return out

    def compress(self, data: Buffer) -> bytes:
        """Compress bytes."""
        module = _module(self.name)
        return bytes(module.compress(data, _LEVEL))

    def decompress(self, data: Buffer, nbytes: int) -> bytearray:
        """Decompress to exactly ``nbytes`` bytes, or raise `SampleDecompressionError`."""
        out = bytearray(nbytes)
        if not nbytes:
            return out
        self._check_length(data, nbytes)
        try:
            _module(self.name).decompress(bytes(data), out)
        except (RuntimeError, ValueError) as error:
            raise SampleDecompressionError(f"damaged {self.name} bytes: {error}") from error
        return out

    def decompressed_size(self, data: Buffer) -> int:
        """Return how many bytes the data claims to hold.

        Raises
        ------
        SampleDecompressionError
            If it does not say, or claims more than `limits.MAX_DECODED_SAMPLE_BYTES`.
        """
        size = int.from_bytes(data[:4], "little") if self.name == "lz4" else _zstd_size(bytes(data[:18]))
        if len(data) < 5 or not 0 <= size <= limits.MAX_DECODED_SAMPLE_BYTES:
            raise SampleDecompressionError(f"damaged {self.name} bytes: they claim to hold {size:,} bytes")
        return size

    def _check_length(self, data: Buffer, nbytes: int) -> None:
        size = self.decompressed_size(data)
        if size != nbytes:
            raise SampleDecompressionError(f"{self.name} bytes hold {size:,} bytes where {nbytes:,} are on record")


def _module(name: str) -> ModuleType:
    # Imported when first used: numcodecs is slow to import and few tensors compress single samples.
    from numcodecs import lz4, zstd

    module: ModuleType = lz4 if name == "lz4" else zstd
    return module


def _zstd_size(head: bytes) -> int:
    """Return the content size in a zstd frame header (RFC 8878, 3.1.1), or -1 if it is not given."""
    if head[:4] != b"\x28\xb5\x2f\xfd" or len(head) < 6:
        return -1
    descriptor = head[4]
    single = bool(descriptor & 0x20)
    at = 5 + (not single) + (0, 1, 2, 4)[descriptor & 3]
    width = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    if not width or len(head) < at + width:
        return -1
    size = int.from_bytes(head[at : at + width], "little")
    return size + 256 if width == 2 else size
