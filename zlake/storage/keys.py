"""The key grammar: one check for every storage, whatever the driver itself would let through."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from zlake import limits
from zlake.errors import InvalidKeyError

LOCK_SUFFIX: Final = ".__lock"
"""Files that drivers keep beside an object while they write it; no key may look like one."""

_PUNCTUATION: Final = "._-+=@~,() "
# Drivers write "<name>.__lock" first, which a file system must take too.
_SEGMENT_BYTES: Final = limits.MAX_NAME_BYTES - len(LOCK_SUFFIX)
# Almost every key is plain ASCII: one match decides. Runs of dots are left to the slow path.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_\-][A-Za-z0-9_\-]*(?:[./][A-Za-z0-9_\-]+)*")


@lru_cache(maxsize=1 << 16)
def check_key(key: str) -> None:
    """Check that ``key`` names one object below a prefix.

    A key is made of ``/``-separated segments. A segment has 1 to 248 bytes of UTF-8: letters, marks and digits of any
    script in normal form C and ``._-+=@~,()`` or inner spaces; it is neither ``.`` nor ``..`` and ends in neither a
    space nor ``.__lock``. The whole key has at most 1,024 bytes.

    Raises
    ------
    InvalidKeyError
        If the key breaks the grammar.
    """
    reason = _fault(key)
    if reason is not None:
        raise InvalidKeyError(f"invalid key {key[:200]!r}: {reason}")


def check_prefix(prefix: str) -> None:
    """Check a key prefix: empty, a key, a key and a ``/``, or the beginning of a key.

    Raises
    ------
    InvalidKeyError
        If no key could begin like this.
    """
    if prefix:
        check_key(prefix.removesuffix("/"))


def is_key(name: str) -> bool:
    """Whether zlake could have written an object of this name; whatever else is found in a listing is left alone."""
    return _fault(name) is None


def _fault(key: str) -> str | None:
    if not key:
        return "it is empty"
    if len(key) > limits.MAX_KEY_BYTES:
        return f"it is longer than {limits.MAX_KEY_BYTES} bytes"
    plain = key.isascii() and _PLAIN.fullmatch(key) is not None
    if not plain and (reason := _character_fault(key)) is not None:
        return reason
    if plain and len(key) <= _SEGMENT_BYTES and LOCK_SUFFIX not in key:
        return None
    for segment in key.split("/"):
        if len(segment) > _SEGMENT_BYTES or len(segment.encode()) > _SEGMENT_BYTES:
            return f"a segment is longer than {_SEGMENT_BYTES} bytes"
        if segment.endswith(LOCK_SUFFIX):
            return f"{LOCK_SUFFIX!r} is the ending of lock files"
    return None


def _character_fault(key: str) -> str | None:
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    if size > limits.MAX_KEY_BYTES:
        return f"it is longer than {limits.MAX_KEY_BYTES} bytes"
    if not unicodedata.is_normalized("NFC", key):
        return "it is not in Unicode normal form C"
    for segment in key.split("/"):
        if not segment:
            return "it has an empty segment ('/' at an end, or '//')"
        if segment in (".", ".."):
            return f"the segment {segment!r} would leave its folder"
        if segment[0] == " " or segment[-1] == " ":
            return "a segment begins or ends with a space"
    for character in key:
        if character != "/" and character not in _PUNCTUATION and unicodedata.category(character)[0] not in "LMN":
            return f"the character {character!r} is not allowed"
    return None
