"""The registry of sample compressions, by name and version."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Literal, Protocol

import numpy as np

from zlake.errors import UnsupportedCompressionError
from zlake.samples.bytecodec import ByteCodec
from zlake.samples.jpeg import JpegCodec
from zlake.samples.pillow import FORMATS, PillowCodec
from zlake.samples.png import PngCodec
from zlake.samples.sniff import Buffer, Header
from zlake.types import Array


class Codec(Protocol):
    """How one sample becomes bytes and is read back.

    Attributes
    ----------
    name, version
        Together the key in the registry; version 1 is written as the name alone, version 2 as ``name@2``.
    kind
        ``image``: a file format of images. ``bytes``: a compressor for arrays of any shape.
    releases_gil
        Whether decoding on several threads at once pays.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> int: ...  # noqa: D102
    @property
    def kind(self) -> Literal["image", "bytes"]: ...  # noqa: D102
    @property
    def releases_gil(self) -> bool: ...  # noqa: D102

    def encode(self, array: Array) -> bytes:
        """Return the encoded sample, or raise `SampleCompressionError` if the format cannot hold the array."""
        ...

    def header(self, data: Buffer) -> Header:
        """Return what the bytes say about the decoded array, without decoding."""
        ...

    def decode(
        self,
        data: Buffer,
        *,
        shape: tuple[int, ...] | None = None,
        dtype: np.dtype[Any] | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return the decoded array, in `out` where given.

        ``shape`` and ``dtype``, where given, are those on record: a sample that decodes to anything else, up to axes of
        length 1, raises `SampleDecompressionError`.
        """
        ...


ALIASES = {"jpg": "jpeg", "tif": "tiff", "jp2": "jpeg2000", "jpe": "jpeg"}
"""Other names under which a compression may be asked for."""

CHUNK_COMPRESSIONS = ("lz4", "zstd", "gzip", "blosc")
"""Compressions of whole chunks, which any htype allows."""

_codecs: dict[tuple[str, int], Codec] = {}


def register_codec(codec: Codec) -> None:
    """Make a sample compression known under its name and version.

    Raises
    ------
    ValueError
        If another codec has this name and version already.
    """
    key = (codec.name, codec.version)
    if _codecs.setdefault(key, codec) is not codec:
        raise ValueError(f"a codec {codec.name!r} of version {codec.version} is registered already")


def codec(name: Any) -> Codec:
    """Return the codec of a compression name, alias or ``name@version``.

    Raises
    ------
    UnsupportedCompressionError
        If there is none; near matches are listed.
    """
    known = _codecs.get((name, 1)) if isinstance(name, str) else None
    if known is not None:
        return known
    base, version = split_version(canonical(name))
    known = _codecs.get((base, version))
    if known is None:
        raise unknown_compression(name, compressions())
    return known


def canonical(name: Any) -> Any:
    """Return the registered name of an alias; anything else as it is. The string ``"none"`` is no compression."""
    return ALIASES.get(name.lower(), name.lower()) if isinstance(name, str) else name


def compressions() -> list[str]:
    """Return the names of all registered sample compressions, sorted."""
    return sorted(name if version == 1 else f"{name}@{version}" for name, version in _codecs)


def unknown_compression(name: Any, allowed: Iterable[str], why: str = "") -> UnsupportedCompressionError:
    """Return the error for a compression that is not among the allowed ones, with the nearest of these first."""
    allowed = sorted(allowed)
    near = difflib.get_close_matches(str(name), allowed, n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return UnsupportedCompressionError(
        f"compression {name!r} is not known{why}; {hint}supported: {', '.join(allowed)}, or None"
    )


def split_version(text: Any) -> tuple[str, int]:
    """Split ``name@version``; without a version it is 1, and a malformed one matches nothing (0)."""
    base, at, number = str(text).partition("@")
    if not at:
        return base, 1
    return base, int(number) if number.isascii() and number.isdigit() and len(number) < 6 else 0


register_codec(JpegCodec())
register_codec(PngCodec())
for _name in FORMATS:
    register_codec(PillowCodec(_name))
register_codec(ByteCodec("lz4"))
register_codec(ByteCodec("zstd"))
