"""General compressors applied to single samples.

An array is stored as a header and its bytes (C order, little endian), compressed:

=================  ==============================================================
1 byte             dtype kind as in NumPy: ``b i u f c``
1 byte             bytes per element
1 byte             rank
8 bytes per axis   shape, uint64 little endian
the rest           ``lz4``: uint32 length and an LZ4 block; ``zstd``: one frame
=================  ==============================================================
"""

from __future__ import annotations

import struct
from types import ModuleType
from typing import Any, Literal

import numpy as np

from zlake import limits
from zlake.errors import CorruptedSampleError, SampleDecompressionError
from zlake.samples.dtypes import CORE
from zlake.samples.fit import check_record, deliver
from zlake.samples.sniff import Buffer, Header, check_size
from zlake.types import Array
from zlake.zstd_frame import HEADER_BYTES, content_size

_LEVEL = 1
_LZ4_RATIO = 255  # no LZ4 block expands further
_DTYPES = {(dtype.kind.encode(), dtype.itemsize): dtype for dtype in CORE}


class ByteCodec:
    """``lz4`` or ``zstd`` as numcodecs writes them; never allocates more than the header may ask for."""

    version = 1
    kind: Literal["bytes"] = "bytes"
    releases_gil = True

    def __init__(self, name: Literal["lz4", "zstd"]) -> None:
        self.name: str = name

    def encode(self, array: Array) -> bytes:
        """Compress any array of a core dtype."""
        ordered = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        head = struct.pack(
            f"<cBB{array.ndim}Q", array.dtype.kind.encode(), array.dtype.itemsize, array.ndim, *array.shape
        )
        return head + self.compress(ordered.reshape(-1).view(np.uint8).data)

    def header(self, data: Buffer) -> Header:
        """Return shape and dtype.

        Raises
        ------
        CorruptedSampleError
            If the header is cut off or names no dtype that can be stored.
        SampleDecompressionError
            If it claims a size over the limit.
        """
        head = bytes(data[: 3 + 8 * limits.MAX_NDIM])
        if len(head) < 3 or len(head) < 3 + 8 * head[2]:
            raise CorruptedSampleError(f"a {self.name} sample cut off after {len(data)} bytes, inside its header")
        dtype = _DTYPES.get((head[:1], head[1]))
        if dtype is None or head[2] > limits.MAX_NDIM:
            raise CorruptedSampleError(f"a {self.name} sample with header {head[:3]!r}, which names no dtype and rank")
        return check_size(Header(struct.unpack_from(f"<{head[2]}Q", head, 3), dtype), self.name)

    def decode(
        self,
        data: Buffer,
        *,
        shape: tuple[int, ...] | None = None,
        dtype: np.dtype[Any] | None = None,
        out: Array | None = None,
    ) -> Array:
        """Decompress an array.

        Raises
        ------
        CorruptedSampleError, SampleDecompressionError
            If the bytes are damaged, or not of the recorded shape and dtype.
        """
        header = self.header(data)
        shape = check_record(header, shape, dtype, self.name)
        raw = self.decompress(data[3 + 8 * len(header.shape) :], header.nbytes)
        array = np.frombuffer(raw, header.dtype.newbyteorder("<")).astype(header.dtype, copy=False)
        return deliver(array, shape, dtype, out)

    def compress(self, data: Buffer) -> bytes:
        """Compress bytes."""
        module = _module(self.name)
        return bytes(module.compress(data, _LEVEL))

    def decompress(self, data: Buffer, nbytes: int) -> bytearray:
        """Decompress to exactly ``nbytes`` bytes, or raise `SampleDecompressionError`."""
        if not nbytes:
            return bytearray()
        self._check_length(data, nbytes)
        out = bytearray(nbytes)
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
        size = int.from_bytes(data[:4], "little") if self.name == "lz4" else content_size(bytes(data[:HEADER_BYTES]))
        most = limits.MAX_DECODED_SAMPLE_BYTES if self.name == "zstd" else _LZ4_RATIO * len(data)
        if len(data) < 5 or not 0 <= size <= min(most, limits.MAX_DECODED_SAMPLE_BYTES):
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
