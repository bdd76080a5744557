"""What a worker hands back: which rows it has written, as a few hundred bytes."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec

from zlake.errors import ReceiptError
from zlake.format import decode, encode
from zlake.format import documents as d


@dataclass(frozen=True, slots=True)
class Receipt:
    """Rows that a `Writer` has made durable, and that no version of the dataset names yet.

    It holds no samples, and no credentials. It is good for the ingest that it was written for alone.
    """

    document: d.Receipt = field(repr=False)

    @property
    def rows(self) -> dict[str, int]:
        """How many rows of each tensor there are."""
        return {each.name: sum(entry.rows for entry in each.segments) for each in self.document.tensors}

    def to_bytes(self) -> bytes:
        """Return the receipt as it travels: JSON with a checksum."""
        return encode(self.document)

    @classmethod
    def from_bytes(cls, data: bytes) -> Receipt:
        """Return a receipt that has travelled.

        Raises
        ------
        CorruptObjectError
            If the bytes are damaged, or no receipt.
        UnsupportedFormatError
            If a newer zlake made it.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise ReceiptError(f"a receipt travels as bytes, not as {type(data).__name__}; use receipt.to_bytes()")
        return cls(decode(d.Receipt, bytes(data), where="the receipt"))

    def __repr__(self) -> str:
        return f"<Receipt {self.rows}>"


def signed(document: d.Receipt, token: str) -> d.Receipt:
    """Return a receipt's document with the code that shows who made it."""
    return msgspec.structs.replace(document, mac=_mac(document, token))


def is_signed(document: d.Receipt, token: str) -> bool:
    """Whether a receipt's document was made, as it is, by somebody who had the plan with this token."""
    return hmac.compare_digest(document.mac, _mac(document, token))


def _mac(document: d.Receipt, token: str) -> str:
    body = {"document": d.Receipt.__struct_config__.tag, **_plain(msgspec.structs.replace(document, mac=""))}
    return hmac.new(token.encode(), msgspec.json.encode(body, order="sorted"), hashlib.sha256).hexdigest()


def _plain(value: Any) -> Any:
    """Return a document's values without those that are the default, so that equal documents give equal bytes."""
    if isinstance(value, msgspec.Struct):
        found = ((name, getattr(value, name), default) for name, default in _defaults(type(value)))
        return {name: _plain(member) for name, member, default in found if member != default}
    return list(map(_plain, value)) if isinstance(value, tuple) else value


@cache
def _defaults(kind: type[msgspec.Struct]) -> tuple[tuple[str, Any], ...]:
    return tuple((field.name, field.default) for field in msgspec.structs.fields(kind))
