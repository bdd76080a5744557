"""The dictionaries that users keep beside tensors and datasets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from zlake.errors import JsonValidationError
from zlake.session.column import Column
from zlake.session.session import Session, alone


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
    bad = [key for key in value if not isinstance(key, str)]
    if bad:
        raise JsonValidationError(f"info keys are strings; got {bad[0]!r}")
    try:
        plain = msgspec.json.decode(msgspec.json.encode(dict(value), enc_hook=_plain))
    except (TypeError, ValueError, RecursionError) as error:
        raise JsonValidationError(f"info must be JSON: {error}") from error
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


def _plain(value: Any) -> Any:
    """Turn NumPy arrays and scalars into JSON values."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{value!r} ({type(value).__name__}) is not JSON")
