"""`read`: the user's way to give a file as a sample."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from zlake.errors import SampleReadError
from zlake.samples.sample import Sample


def read(
    path: str | os.PathLike[str] | bytes | bytearray | memoryview,
    verify: bool = False,
    creds: Mapping[str, Any] | None = None,
    compression: str | None = None,
) -> Sample:
    """Return a file, URL or encoded bytes as a sample, to be stored byte for byte where the compressions agree.

    Nothing is read until it is needed, so a missing file is reported when the sample is used.

    Parameters
    ----------
    path
        Local path, URL of any scheme that fsspec knows, or the encoded bytes themselves.
    verify
        Decode the sample now; damage raises at once.
    creds
        Credentials for a URL: Deep Lake's names (``aws_access_key_id``, ...) or options of the fsspec filesystem. They
        are kept in memory only.
    compression
        Needed where neither the bytes nor the file's name tell what the file is.

    Returns
    -------
    Sample

    Raises
    ------
    SampleReadError
        If `verify` is given and the file cannot be read.
    CorruptedSampleError
        If `verify` is given and the file cannot be decoded.
    UnsupportedCompressionError
        If `compression` is not known.

    Examples
    --------
    >>> import io, numpy as np
    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.fromarray(np.zeros((4, 6, 3), "uint8")).save(file, "png")
    >>> read(file.getvalue()).shape
    (4, 6, 3)
    """
    if isinstance(path, (bytes, bytearray, memoryview)):
        sample = Sample(buffer=bytes(path), compression=compression)
    elif isinstance(path, (str, os.PathLike)):
        sample = Sample(os.fspath(path), compression=compression, creds=creds)
    else:
        raise SampleReadError(f"read takes a path, a URL or bytes; got {type(path).__name__}")
    return sample.verify() if verify else sample
