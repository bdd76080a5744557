"""A file, URL, bytes or array given as a sample, looked at only when needed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from zlake.errors import CorruptedSampleError, SampleDecompressionError
from zlake.samples.codecs import canonical, codec, compressions
from zlake.samples.files import read_file, redacted
from zlake.samples.pillow import FORMATS, pillow_image
from zlake.samples.sniff import HEAD_BYTES, Buffer, Header, sniff
from zlake.types import Array

_EXTENSIONS = {"jfif": "jpeg", "jpe": "jpeg", "pgm": "ppm", "pbm": "ppm", "pnm": "ppm", "j2k": "jpeg2000", "rgb": "sgi"}
_PILLOW = {"jpeg": "JPEG", "png": "PNG", **{name: form.pillow for name, form in FORMATS.items()}}


class Sample:
    """An encoded file or an array, as given by the user.

    Made from a path it holds no bytes: every use reads the file again. Properties read no more than they need.

    Attributes
    ----------
    path
        Path or URL, or None.
    """

    __slots__ = ("_array", "_buffer", "_compression", "_creds", "_header", "path")

    def __init__(
        self,
        path: str | None = None,
        *,
        buffer: bytes | None = None,
        array: Array | None = None,
        compression: str | None = None,
        creds: Mapping[str, Any] | None = None,
    ) -> None:
        if (path is None) + (buffer is None) + (array is None) != 2:
            raise ValueError("a Sample is made from exactly one of path, buffer and array")
        self.path = path
        self._buffer = buffer
        self._array = array
        self._compression: str | None = None if compression is None else codec(canonical(compression)).name
        self._header: Header | None = None
        self._creds = creds

    @property
    def is_lazy(self) -> bool:
        """Whether the bytes are still where they came from."""
        return self.path is not None

    @property
    def is_empty(self) -> bool:
        """Whether the sample has no elements."""
        return 0 in self.shape

    @property
    def compression(self) -> str | None:
        """Name of the compression, from the first bytes, or the file's extension; None for an array."""
        if self._compression is None and self._array is None:
            self._compression = self.compression_of(self._head())
        return self._compression

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the decoded array, read from the header."""
        return self._array.shape if self._array is not None else self._probe().shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the decoded array, read from the header."""
        return self._array.dtype if self._array is not None else self._probe().dtype

    @property
    def buffer(self) -> bytes:
        """The encoded bytes; of a Sample made from an array, the array's own.

        Raises
        ------
        SampleReadError
            If the file cannot be read.
        """
        if self._buffer is not None:
            return self._buffer
        return self._array.tobytes() if self._array is not None else self._read(None)

    @property
    def array(self) -> Array:
        """The decoded array, decoded anew each time.

        Raises
        ------
        SampleReadError, CorruptedSampleError, SampleDecompressionError
            If the file cannot be read or decoded.
        """
        if self._array is not None:
            return self._array
        data = self.buffer
        decoded: Array = self._named(lambda: codec(self.compression_of(data)).decode(data))
        return decoded

    @property
    def pil(self) -> Any:
        """The image as a `PIL.Image.Image`, not yet decoded."""
        from PIL import Image

        if self._array is not None:
            return Image.fromarray(self._array)
        data = self.buffer
        name = self.compression_of(data)
        if name not in _PILLOW:
            raise SampleDecompressionError(f"{name} bytes are no image")
        return self._named(lambda: pillow_image(data, _PILLOW[name]))

    @property
    def meta(self) -> dict[str, Any]:
        """What the file says about itself: ``shape``, ``dtype``, ``format``, ``filename``, and ``exif`` of an image."""
        meta: dict[str, Any] = {"shape": list(self.shape), "dtype": str(self.dtype)}
        if self.compression is not None:
            meta["format"] = self.compression
        if self.path is not None:
            meta["filename"] = redacted(self.path)
        if self._array is None and self.compression in _PILLOW:
            exif = self.pil.getexif()
            if exif:
                meta["exif"] = _named_exif(exif)
        return meta

    def compression_of(self, data: Buffer) -> str:
        """Return the compression of this sample's bytes.

        Raises
        ------
        CorruptedSampleError
            If neither the bytes nor the file's name tell.
        """
        if self._compression is not None:
            return self._compression
        found = sniff(data)
        if found is None and self.path is not None:
            extension = os.path.splitext(urlsplit(self.path).path)[1][1:].lower()
            found = canonical(_EXTENSIONS.get(extension, extension))
            found = found if found in compressions() else None
        if found is None:
            raise CorruptedSampleError(
                f"{self._shown()} is no file of a kind that zlake knows (it begins with {bytes(data[:8])!r}); "
                f"known are {', '.join(compressions())}; give compression= where the bytes cannot tell"
            )
        return found

    def compressed_bytes(self, compression: str | None) -> bytes:
        """Return the sample encoded: the bytes as given where the compression is the same, else encoded anew."""
        if compression is None:
            return self.uncompressed_bytes()
        wanted = codec(canonical(compression))
        if self._array is None and self.compression == wanted.name:
            return self.buffer
        return wanted.encode(self.array)

    def uncompressed_bytes(self) -> bytes:
        """Return the elements of the decoded array in C order."""
        return self.array.tobytes()

    def copy(self) -> Sample:
        """Return a Sample of the same source."""
        twin = Sample.__new__(Sample)
        for name in Sample.__slots__:
            setattr(twin, name, getattr(self, name))
        return twin

    def verify(self) -> Sample:
        """Decode the sample once and return it.

        Raises
        ------
        CorruptedSampleError
            If it cannot be decoded.
        """
        try:
            array = self.array
        except SampleDecompressionError as error:
            raise CorruptedSampleError(str(error)) from error
        self._header = Header(array.shape, array.dtype)
        return self

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.array, dtype=dtype, copy=copy)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Sample):
            return NotImplemented
        if self._array is None and other._array is None and self.buffer == other.buffer:
            return True
        mine, theirs = self.array, other.array
        return mine.dtype == theirs.dtype and bool(np.array_equal(mine, theirs))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        if self._array is not None:
            return f"Sample(array of shape {self._array.shape} {self._array.dtype})"
        compression = f", compression={self._compression!r}" if self._compression else ""
        return f"Sample({self._shown()}{compression})"

    def _shown(self) -> str:
        return repr(redacted(self.path)) if self.path is not None else f"{len(self._buffer or b'')} bytes"

    def _head(self) -> bytes:
        return self._buffer if self._buffer is not None else self._read(HEAD_BYTES)

    def _probe(self) -> Header:
        if self._header is None:
            head = self._head()
            self._compression = self.compression_of(head)
            wanted = codec(self._compression)
            try:
                self._header = wanted.header(head)
            except CorruptedSampleError:
                if len(head) < HEAD_BYTES or self._buffer is not None:
                    raise
                self._header = wanted.header(self._read(None))
        return self._header

    def _named(self, function: Any) -> Any:
        try:
            return function()
        except (CorruptedSampleError, SampleDecompressionError) as error:
            raise type(error)(f"{self._shown()}: {error}") from error

    def _read(self, count: int | None) -> bytes:
        assert self.path is not None
        return read_file(self.path, count, self._creds)


def _named_exif(exif: Any) -> dict[str, Any]:
    from PIL.ExifTags import TAGS

    return {
        str(TAGS.get(tag, tag)): value if isinstance(value, (int, str)) else str(value) for tag, value in exif.items()
    }
