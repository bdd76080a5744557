"""JSON values as bytes and back, exactly.

What plain JSON cannot say is stored as an object with the key ``__zlake__``:

========================================================  =====================================================
value                                                     stored as
========================================================  =====================================================
array                                                     ``{"__zlake__": "ndarray", "dtype", "shape", "data"}``
bytes                                                     ``{"__zlake__": "bytes", "data"}``
NaN, Infinity, -Infinity                                  ``{"__zlake__": "float", "value": "nan" | "inf" | "-inf"}``
integer beyond 64 bits                                    ``{"__zlake__": "int", "value": "<digits>"}``
dictionary with keys other than strings, or with the key  ``{"__zlake__": "dict", "items": [[key, value], ...]}``
``__zlake__``
========================================================  =====================================================

``data`` is base64; arrays are little endian in C order. Tuples come back as lists, NumPy scalars as Python numbers.
"""

from __future__ import annotations

import base64
import binascii
import math
from math import prod
from typing import Any

import msgspec
import numpy as np

from zlake import limits
from zlake.errors import CorruptedSampleError, JsonValidationError
from zlake.samples.dtypes import native, parse_dtype
from zlake.samples.sniff import Buffer

_TAG = "__zlake__"
_TAG_BYTES = b'"__zlake__"'
_INT64 = -(2**63), 2**64 - 1

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def encode_json(value: Any) -> bytes:
    """Return a value as compact UTF-8 JSON.

    Raises
    ------
    JsonValidationError
        If some part of it is neither JSON nor one of the values in the table above.
    """
    try:
        data = _encode(value)
        # The fast encoder turns NaN into null, dates into strings and keys into text: accept only what comes back.
        if _TAG_BYTES not in data and _decode(data) == value:
            return data
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        pass
    try:
        return _encode(_to_plain(value))
    except JsonValidationError:
        raise
    except RecursionError:
        raise JsonValidationError("a JSON value is nested too deeply, or contains itself") from None
    except (ValueError, msgspec.MsgspecError) as error:
        raise JsonValidationError(f"not a JSON value: {error}") from error


def decode_json(data: Buffer) -> Any:
    """Return the value that `encode_json` made into these bytes.

    Raises
    ------
    CorruptedSampleError
        If the bytes are not JSON.
    """
    try:
        value = _decode(data)
        return _from_plain(value) if _TAG_BYTES in bytes(data) else value
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise CorruptedSampleError(f"stored bytes are not JSON: {error}") from error


def _to_plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, (int, np.integer)):
        number = int(value)
        return number if _INT64[0] <= number <= _INT64[1] else {_TAG: "int", "value": str(number)}
    if isinstance(value, (float, np.floating)):
        real = float(value)
        return real if math.isfinite(real) else {_TAG: "float", "value": str(real)}
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value) and _TAG not in value:
            return {str(key): _to_plain(item) for key, item in value.items()}
        return {_TAG: "dict", "items": [[_key(key), _to_plain(item)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_to_plain(item) for item in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {_TAG: "bytes", "data": base64.b64encode(value).decode("ascii")}
    if hasattr(value, "__array__"):
        return _array_to_plain(np.asarray(value))
    raise JsonValidationError(
        f"{value!r:.80} ({type(value).__name__}) is not a JSON value; "
        "allowed are dict, list, str, numbers, bool, None, bytes and numeric arrays"
    )


def _key(key: Any) -> Any:
    if key is None or isinstance(key, (bool, int, float, str, np.integer, np.floating)):
        return _to_plain(key)
    raise JsonValidationError(f"the key {key!r:.80} ({type(key).__name__}) cannot be stored; use strings or numbers")


def _array_to_plain(array: np.ndarray[Any, Any]) -> Any:
    if array.dtype.kind in "OU":
        return _to_plain(array.tolist())
    dtype = native(array.dtype)
    ordered = np.ascontiguousarray(array, dtype.newbyteorder("<"))
    return {
        _TAG: "ndarray",
        "dtype": str(dtype),
        "shape": list(array.shape),
        "data": base64.b64encode(ordered.tobytes()).decode("ascii"),
    }


def _from_plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _TAG not in value:
        return {key: _from_plain(item) for key, item in value.items()}
    try:
        return _untag(value)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise CorruptedSampleError(f"a stored {_TAG} object is malformed: {value!r:.120}") from error


def _untag(value: dict[str, Any]) -> Any:
    kind = value[_TAG]
    if kind == "dict":
        return {_from_plain(key): _from_plain(item) for key, item in value["items"]}
    if kind == "float":
        return float(value["value"])
    if kind == "int":
        return int(value["value"])
    if kind == "bytes":
        return base64.b64decode(value["data"], validate=True)
    if kind != "ndarray":
        raise ValueError(f"unknown kind {kind!r}")
    dtype, shape = parse_dtype(value["dtype"]), tuple(value["shape"])
    raw = base64.b64decode(value["data"], validate=True)
    if len(shape) > limits.MAX_NDIM or prod(shape) * dtype.itemsize != len(raw):
        raise ValueError("shape and data disagree")
    return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
