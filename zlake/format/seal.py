"""The checksum that every JSON document of the format carries about itself.

A sealed document begins with fixed bytes, then eight lower-case hexadecimal digits: the crc32c of all its bytes with
these digits read as ``00000000``. A flipped bit is either in the fixed bytes, in the digits or under the checksum, so
none goes unnoticed.
"""

from __future__ import annotations

import re
from typing import Final

import google_crc32c

from zlake.errors import CorruptObjectError

GROUP_PREFIX: Final = b'{"zarr_format":3,"node_type":"group","attributes":{"crc32c":"'
ARRAY_PREFIX: Final = b'{"zarr_format":3,"node_type":"array","attributes":{"crc32c":"'
BARE_PREFIX: Final = b'{"crc32c":"'
PLACEHOLDER: Final = b"00000000"

_PREFIXES: Final = (GROUP_PREFIX, ARRAY_PREFIX, BARE_PREFIX)
_DIGITS: Final = re.compile(rb"[0-9a-f]{8}")


def seal(data: bytes) -> bytes:
    """Return the document with its placeholder checksum replaced by the real one.

    Parameters
    ----------
    data
        A JSON document that begins with one of the fixed prefixes followed by ``00000000"``.

    Raises
    ------
    ValueError
        If the document does not begin so.
    """
    at = _digits_at(data)
    if at < 0 or data[at : at + 9] != PLACEHOLDER + b'"':
        raise ValueError(f"a document to seal must begin with {GROUP_PREFIX!r} and {PLACEHOLDER!r}, not {data[:80]!r}")
    return b"%b%08x%b" % (data[:at], google_crc32c.value(data), data[at + 8 :])


def check_seal(data: bytes, where: str) -> None:
    """Raise unless the document's bytes agree with the checksum in it.

    Raises
    ------
    CorruptObjectError
        If it does not begin with the fixed bytes, has no checksum, or a wrong one; the message names ``where``.
    """
    if not data:
        raise CorruptObjectError(f"{where} is empty; a zlake document was expected")
    at = _digits_at(data)
    if at < 0:
        raise CorruptObjectError(f"{where} is not a zlake document: it begins with {data[:48]!r}")
    digits = data[at : at + 8]
    if not _DIGITS.fullmatch(digits):
        raise CorruptObjectError(f"{where} carries no checksum: {digits!r} is not eight lower-case hexadecimal digits")
    actual = google_crc32c.extend(google_crc32c.value(data[:at] + PLACEHOLDER), data[at + 8 :])
    if actual != int(digits, 16):
        raise CorruptObjectError(
            f"{where} is damaged or cut short: its {len(data)} bytes have checksum {actual:08x}, "
            f"but it was sealed with {digits.decode()}"
        )


def _digits_at(data: bytes) -> int:
    """Return where the checksum's digits begin, or -1 if the fixed bytes are not there."""
    for prefix in _PREFIXES:
        if data.startswith(prefix):
            return len(prefix)
    return -1
