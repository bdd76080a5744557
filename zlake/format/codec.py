"""Documents to bytes and back: strict, bounded, and sealed with a checksum."""

from __future__ import annotations

from typing import Any, Final, Generic, Literal, TypeVar

import msgspec
from msgspec import Struct

from zlake import limits
from zlake.errors import CorruptObjectError, FormatError, UnsupportedFormatError
from zlake.format import conventions
from zlake.format import documents as d
from zlake.format.bounds import check_bounds, check_version
from zlake.format.checks import BreachError, UnknownError, check_document
from zlake.format.seal import BARE_PREFIX, GROUP_PREFIX, PLACEHOLDER, check_seal, seal

T = TypeVar("T", bound=Struct)


class _Attributes(Struct, Generic[T], frozen=True):
    """Attributes of a document's group: ours, and those for other tools, which are ignored."""

    crc32c: str
    zlake: T


class _Group(Struct, Generic[T], frozen=True, forbid_unknown_fields=True):
    """A document that is a Zarr group."""

    zarr_format: Literal[3]
    node_type: Literal["group"]
    attributes: _Attributes[T]


class _Bare(Struct, Generic[T], frozen=True, forbid_unknown_fields=True):
    """A document that is no Zarr node: a ref."""

    crc32c: str
    zlake: T


_BARE: Final = (d.Ref, d.Tag, d.Lease, d.GcMark, d.GcSweep, d.Copying, d.IngestPlan, d.Receipt)
_GROUPS: Final = (d.Root, d.Snapshot, d.HistoryPage, d.InfoObject)
_DECODERS: Final[dict[type, msgspec.json.Decoder[Any]]] = {
    **{kind: msgspec.json.Decoder(_Bare[kind]) for kind in _BARE},  # type: ignore[valid-type]
    **{kind: msgspec.json.Decoder(_Group[kind]) for kind in _GROUPS},  # type: ignore[valid-type]
}
_MOST_BYTES: Final[dict[type, int]] = {
    d.Tag: limits.TAG_BYTES,
    d.InfoObject: limits.INFO_BYTES,
    d.IngestPlan: limits.RECEIPT_BYTES,
    d.Receipt: limits.RECEIPT_BYTES,
}
_ENCODER: Final = msgspec.json.Encoder()


def encode(document: d.Document) -> bytes:
    """Return the bytes of a document's object, sealed.

    Raises
    ------
    FormatError
        If the document breaks a rule of the format, so that `decode` would refuse it; the message says which.
    """
    kind = type(document)
    if kind not in _DECODERS:
        raise TypeError(f"{kind.__name__} is not a document of its own")
    try:
        body = _ENCODER.encode(document)
        if kind in _BARE:
            data = b'%b%b","zlake":%b}' % (BARE_PREFIX, PLACEHOLDER, body)
        else:
            others = _ENCODER.encode(_other_attributes(document))[1:-1]
            data = b'%b%b","zlake":%b%b%b}}' % (GROUP_PREFIX, PLACEHOLDER, body, b"," if others else b"", others)
        check_bounds(data, _most_bytes(kind))
        back = _parse(kind, data)
    except BreachError as error:
        raise FormatError(f"this {kind.__name__.lower()} cannot be written: {error}") from None
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise FormatError(f"this {kind.__name__.lower()} cannot be written: {error}") from error
    if back != document:
        raise FormatError(
            f"this {kind.__name__.lower()} cannot be written: it holds values that JSON does not keep (NaN, tuples or "
            "keys other than text, in info or options)"
        )
    return seal(data)


def decode(kind: type[T], data: bytes, *, where: str, expected_id: str | None = None) -> T:
    """Return the document in an object's bytes.

    Parameters
    ----------
    kind
        The struct that the object must hold.
    data
        All bytes of the object.
    where
        Key or URL of the object, for messages.
    expected_id
        The id that the document must carry: that of its key.

    Raises
    ------
    CorruptObjectError
        If the bytes are no intact document of this kind, or break a rule of the format.
    UnsupportedFormatError
        If the document is of a newer format version or needs a feature that this package lacks.
    """
    if len(data) > _most_bytes(kind):
        raise CorruptObjectError(f"{where} has {len(data)} bytes; a document has at most {_most_bytes(kind)}")
    check_seal(data, where)
    try:
        check_bounds(data, _most_bytes(kind))
        check_version(data, _prefix(kind), str(kind.__struct_config__.tag), where)
        document = _parse(kind, data)
    except UnknownError as error:
        raise UnsupportedFormatError(f"{where}: {error}; upgrade zlake") from None
    except (UnsupportedFormatError, CorruptObjectError):
        raise
    except (ValueError, RecursionError) as error:
        raise CorruptObjectError(f"{where} breaks the format: {error}") from error
    if expected_id is not None and getattr(document, "id", expected_id) != expected_id:
        raise CorruptObjectError(f"{where} holds the document {document.id!r}")  # type: ignore[attr-defined]
    return document


def _parse(kind: type[T], data: bytes) -> T:
    envelope = _DECODERS[kind].decode(data)
    document: T = envelope.zlake if kind in _BARE else envelope.attributes.zlake
    check_document(document)
    return document


def _prefix(kind: type[Struct]) -> bytes:
    return BARE_PREFIX if kind in _BARE else GROUP_PREFIX


def _most_bytes(kind: type[Struct]) -> int:
    return _MOST_BYTES.get(kind, limits.DOCUMENT_BYTES)


def _other_attributes(document: d.Document) -> dict[str, Any]:
    """Return the plain attributes that repeat the document for other tools."""
    if isinstance(document, d.Root):
        return conventions.dataset_attributes(document)
    if isinstance(document, d.Snapshot):
        return conventions.commit_attributes(document)
    return {}
