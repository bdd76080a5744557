"""The dtypes that a tensor can have: those of core Zarr v3."""

from __future__ import annotations

from typing import Any

import numpy as np

from zlake.errors import SampleHtypeMismatchError, TensorMetaInvalidHtypeOverwriteValue

CORE = {
    np.dtype(name)
    for name in (
        "bool",
        *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
        "float16",
        "float32",
        "float64",
        "complex64",
        "complex128",
    )
}
"""Dtypes (native byte order) that zlake stores."""

_REMEDY = {
    "O": "an object array has no fixed layout: give numbers of one dtype, or use htype json or list",
    "U": "use htype text (or class_label, tag) for strings",
    "S": "use htype text for strings, or np.frombuffer(x, 'uint8') for raw bytes",
    "T": "use htype text for strings",
    "M": "store times as integers: x.astype('int64')",
    "m": "store times as integers: x.astype('int64')",
    "V": "split a structured array into one tensor per field",
    "f": "convert it to float64 first: x.astype('float64')",
    "c": "convert it to complex128 first: x.astype('complex128')",
}


def native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype in native byte order, or raise if zlake cannot store it.

    Raises
    ------
    SampleHtypeMismatchError
        If the dtype is no core Zarr dtype (object, strings, times, structured, extended precision).
    """
    if dtype in CORE:
        return dtype if dtype.isnative else dtype.newbyteorder("=")
    swapped = dtype.newbyteorder("=") if dtype.kind in "iufc" else dtype
    if swapped in CORE:
        return swapped
    remedy = _REMEDY.get(dtype.kind, "convert it to a bool, integer, float or complex dtype first")
    raise SampleHtypeMismatchError(f"arrays of dtype {dtype} cannot be stored; {remedy}")


def parse_dtype(value: Any) -> np.dtype[Any]:
    """Return the dtype that a user or a document names.

    Raises
    ------
    TensorMetaInvalidHtypeOverwriteValue
        If it names no dtype, or one that zlake does not store.
    """
    try:
        return native(np.dtype(value))
    except (TypeError, ValueError) as error:
        names = ", ".join(sorted(str(dtype) for dtype in CORE))
        raise TensorMetaInvalidHtypeOverwriteValue(
            f"dtype={value!r} is not a dtype that zlake stores: {names}"
        ) from error
