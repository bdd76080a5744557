"""The dictionaries that users keep beside tensors and datasets."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from zlake import limits
from zlake.errors import JsonValidationError
from zlake.session.column import Column
from zlake.session.session import Session, alone

_MOST_BYTES: Final = limits.INFO_BYTES - limits.KIB
_MOST_DEEP: Final = limits.MAX_DEPTH - 8
"""The document around an info takes some of what documents may have."""


def get(session: Session, column: Column | None) -> dict[str, Any]:
    """Return the info of a tensor, or of the dataset. Do not change it: call `put`."""
    return session.info if column is None else column.info


@alone
def put(session: Session, column: Column | None, value: Mapping[Any, Any]) -> None:
    """Replace the info.

    Raises
    ------
    JsonValidationError
        If a key is no string or a value is not JSON; nothing was changed.
    TensorMetaInvalidHtypeOverwriteValue
        If ``class_names`` of a label tensor is no list of different strings; nothing was changed.
    """
    session.begin(*(() if column is None else (column,)))
    if not isinstance(value, Mapping):
        raise JsonValidationError(f"info is a dictionary, not {type(value).__name__}")
    plain = _plain(value, "info", 0)
    size = len(msgspec.json.encode(plain))
    if size > _MOST_BYTES:
        raise JsonValidationError(
            f"info has {size:,} bytes as JSON, and at most {_MOST_BYTES:,} fit; keep large data in a tensor"
        )
    if column is None:
        session.replace_info(plain)
    else:
        column.replace_info(plain)
    session.written()


@alone
def edit(session: Session, column: Column | None, change: Callable[[dict[str, Any]], Any]) -> None:
    """Replace the info by what ``change`` makes of a copy of it, in place; raises as `put`."""
    made = dict(get(session, column))
    change(made)
    put(session, column, made)


def _plain(value: Any, where: str, depth: int) -> Any:
    """Return a value as JSON keeps it, with NumPy arrays and scalars as lists and numbers."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if depth > _MOST_DEEP:
        raise JsonValidationError(f"info is nested too deeply at {where[:200]}")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise JsonValidationError(f"info keys are strings; {where} has {key!r:.100} ({type(key).__name__})")
        return {key: _plain(item, f"{where}[{key!r}]", depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise JsonValidationError(f"JSON has no {value}, which {where} is; use None or a string")
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise JsonValidationError(
            f"{where} is an integer of more than 64 bits, which few readers of JSON keep; use a string"
        )
    if value is None or isinstance(value, (str, int, float)):
        return _check_unicode(value, where)
    raise JsonValidationError(f"info must be JSON: {where} is {value!r:.100} ({type(value).__name__})")


def _check_unicode(value: Any, where: str) -> Any:
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise JsonValidationError(f"{where} holds half a character: {value!r:.100} is no valid Unicode") from None
    return value
