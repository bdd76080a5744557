"""Check the keyword arguments of `create_tensor`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from zlake.errors import (
    TensorMetaInvalidHtypeOverwriteKey,
    TensorMetaInvalidHtypeOverwriteValue,
    TensorMetaMissingRequiredValue,
    TensorMetaMutuallyExclusiveKeysError,
)
from zlake.samples.codecs import CHUNK_COMPRESSIONS, canonical, codec, compressions, unknown_compression
from zlake.samples.dtypes import parse_dtype
from zlake.samples.names import ClassNames
from zlake.samples.spec import UNSPECIFIED, TensorSpec

if TYPE_CHECKING:
    from zlake.samples.htypes import HType

COMMON = frozenset(
    ("dtype", "sample_compression", "chunk_compression", "hidden", "verify", "tiling_threshold", "max_chunk_size")
)
"""Settings of every htype."""

IGNORED = frozenset(
    ("exist_ok", "verbose", "create_sample_info_tensor", "create_shape_tensor", "create_id_tensor", "links")
)
"""Arguments of `create_tensor` that say nothing about samples, or that zlake does not need."""


@dataclass(frozen=True, slots=True)
class Extra:
    """Where an htype's own settings are kept: see the fields of the same names of `TensorSpec`."""

    options: dict[str, Any] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    names: ClassNames | None = None


def check_settings(htype: HType, tensor: str, kwargs: Mapping[str, Any], sequence: bool) -> TensorSpec:
    """Return the spec that `create_tensor` asks for; see `HType.settings`."""
    given = {key: value for key, value in kwargs.items() if not (isinstance(value, str) and value == UNSPECIFIED)}
    if given.get("downsampling", 0) is None:
        del given["downsampling"]
    known = COMMON | IGNORED | htype.keys
    for key in given:
        if key not in known:
            raise _unknown_key(htype, tensor, key)
    own = {key: value for key, value in given.items() if key in htype.keys}
    dtype = None
    if htype.document:
        if given.get("dtype") is not None:
            own["dtype"] = given["dtype"]
    else:
        dtype = htype.dtype if given.get("dtype") is None else parse_dtype(given["dtype"])
    extra = htype.extra(tensor, own)
    sample, chunk = _compressions(htype, tensor, given)
    options = {**_options(tensor, given), **extra.options}
    info = _json_only(tensor, extra.info)
    return TensorSpec(htype.name, dtype, htype.ndim, sample, chunk, sequence, options, extra.names, info)


def _compressions(htype: HType, tensor: str, given: Mapping[str, Any]) -> tuple[str | None, str | None]:
    sample, chunk = (canonical(given.get(key)) for key in ("sample_compression", "chunk_compression"))
    sample, chunk = (None if value == "none" else value for value in (sample, chunk))
    if htype.needs_compression and not {"sample_compression", "chunk_compression"} & given.keys():
        raise TensorMetaMissingRequiredValue(
            f"tensor {tensor!r}: htype {htype.name} needs sample_compression (say 'jpeg' or 'png', or None for "
            "plain arrays) or chunk_compression"
        )
    if sample is not None and chunk is not None:
        raise TensorMetaMutuallyExclusiveKeysError(
            f"tensor {tensor!r}: give sample_compression={sample!r} or chunk_compression={chunk!r}, not both"
        )
    if sample is not None:
        allowed = compressions() if htype.compressions is None else sorted(htype.compressions)
        if sample not in allowed:
            raise unknown_compression(
                sample, allowed, f" as sample_compression of htype {htype.name} (tensor {tensor!r})"
            )
    if chunk is not None and chunk not in CHUNK_COMPRESSIONS:
        why = f" as chunk_compression (tensor {tensor!r})"
        if chunk in compressions() and codec(chunk).kind == "image":
            why += "; image formats encode single samples, so give it as sample_compression"
        raise unknown_compression(chunk, CHUNK_COMPRESSIONS, why)
    return sample, chunk


def _options(tensor: str, given: Mapping[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for key in ("hidden", "verify"):
        if key in given:
            if not isinstance(given[key], bool):
                raise TensorMetaInvalidHtypeOverwriteValue(
                    f"tensor {tensor!r}: {key} is True or False, not {given[key]!r}"
                )
            options[key] = given[key]
    for key, least in (("tiling_threshold", -1), ("max_chunk_size", 1)):
        value = given.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least or value == 0:
            raise TensorMetaInvalidHtypeOverwriteValue(
                f"tensor {tensor!r}: {key} is a positive number of bytes{', or -1 for never' if least < 0 else ''}; "
                f"got {value!r}"
            )
        options[key] = value
    # What is left at its default is not worth storing.
    return {key: value for key, value in options.items() if (key, value) not in (("hidden", False), ("verify", True))}


def _json_only(tensor: str, info: dict[str, Any]) -> dict[str, Any]:
    try:
        msgspec.json.encode(info)
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise TensorMetaInvalidHtypeOverwriteValue(
            f"tensor {tensor!r}: settings must be JSON values: {error}"
        ) from error
    return info


def _unknown_key(htype: HType, tensor: str, key: str) -> TensorMetaInvalidHtypeOverwriteKey:
    known = sorted(COMMON | htype.keys)
    near = difflib.get_close_matches(key, known, n=2)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return TensorMetaInvalidHtypeOverwriteKey(
        f"tensor {tensor!r}: htype {htype.name} has no setting {key!r}; {hint}it has {', '.join(known)}"
    )
