"""Notice files that were cut off, at the price of a look at their end."""

from __future__ import annotations

from zlake.errors import CorruptedSampleError, SampleDecompressionError
from zlake.samples.codecs import Codec

_ENDS = {"jpeg": b"\xff\xd9", "png": b"IEND"}
_TAIL = 64


def check_whole(codec: Codec, data: bytes) -> None:
    """Raise `CorruptedSampleError` if encoded bytes end too early.

    A JPEG or PNG that closes with its end marker is believed; one that does not is decoded once to find out, since
    decoders forgive a missing marker after complete pixels. Other formats are believed.
    """
    end = _ENDS.get(codec.name)
    if end is None or data.rfind(end, max(0, len(data) - _TAIL)) >= 0:
        return
    try:
        codec.decode(data)
    except SampleDecompressionError as error:
        raise CorruptedSampleError(f"a {codec.name} cut off after {len(data)} bytes: {error}") from error
