"""What is checked of a document's bytes before they are parsed: size, nesting, kind and version."""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Struct

from zlake import limits
from zlake.errors import CorruptObjectError, UnsupportedFormatError
from zlake.format.checks import BreachError
from zlake.format.documents import FORMAT_VERSION

_QUOTED: Final = re.compile(rb'"[^"]*"')
_NOT_NESTING: Final = bytes(sorted(set(range(256)) - set(b'[]{}"')))
_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")


class _Says(Struct, frozen=True):
    """What a document of any kind and version says about itself."""

    document: str = ""
    format_version: int = 1


class _Attributes(Struct, frozen=True):
    zlake: _Says = _Says()


class _Header(Struct, frozen=True):
    """The envelope of a document, whether it is a Zarr node or not."""

    attributes: _Attributes = _Attributes()
    zlake: _Says = _Says()


_HEADER: Final[msgspec.json.Decoder[_Header]] = msgspec.json.Decoder(_Header)


def check_bounds(data: bytes, most: int) -> None:
    """Raise unless a document is at most ``most`` bytes and nests at most 64 deep.

    The parser recurses in C, where only the interpreter's recursion limit, which users raise, guards the stack.

    Raises
    ------
    BreachError
        Else.
    """
    if len(data) > most:
        raise BreachError(f"{len(data)} bytes are more than the {most} that a document may have")
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    nesting = data.translate(_BRACKETS, _NOT_NESTING).replace(b'""', b"")  # most strings hold no brackets
    if b'"' in nesting:
        nesting = _QUOTED.sub(b"", nesting)
    for _ in range(limits.MAX_DEPTH):
        if not nesting:
            return
        nesting = nesting.replace(b"[]", b"")
    if nesting:
        raise BreachError(f"its brackets do not match, or nest deeper than {limits.MAX_DEPTH}")


def check_version(data: bytes, prefix: bytes, tag: str, where: str) -> None:
    """Raise unless a sealed document says that it is of the kind and version in ``tag``.

    Raises
    ------
    UnsupportedFormatError
        If it is of this kind in a newer version, or a dataset of a newer version.
    CorruptObjectError
        If it is of another kind.
    """
    expected, _, known = tag.partition("/")
    beginning = b'","zlake":{"document":"%b"' % tag.encode()
    if expected != "root" and data.startswith(prefix) and data.startswith(beginning, len(prefix) + 8):
        return
    header = _HEADER.decode(data)
    says = header.zlake if header.zlake.document else header.attributes.zlake
    if expected == "root" and says.format_version > FORMAT_VERSION:
        raise UnsupportedFormatError(
            f"{where} is of format version {says.format_version}; "
            f"this zlake reads up to version {FORMAT_VERSION}: upgrade zlake"
        )
    name, _, version = says.document.partition("/")
    if name == expected and version.isdigit() and version != known:
        raise UnsupportedFormatError(
            f"{where} is a {name} document of version {version}; this zlake reads version {known}: upgrade zlake"
        )
    if says.document != tag:
        raise CorruptObjectError(f"{where} holds a document {says.document!r:.80}, not {tag!r}")
    if not data.startswith(prefix):
        raise CorruptObjectError(f"{where} holds {tag!r}, but does not begin with {prefix.decode()}")
