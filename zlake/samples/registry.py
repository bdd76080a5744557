"""The registry of htypes, by name and version."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from zlake.errors import TensorMetaInvalidHtype
from zlake.samples.codecs import split_version
from zlake.samples.htypes import HType
from zlake.samples.spec import TensorSpec

_htypes: dict[tuple[str, int], HType] = {}

htypes: list[str] = []
"""Names of the registered htypes, in the order of registration."""


def register_htype(htype: HType) -> None:
    """Make an htype known under its name and version.

    Raises
    ------
    ValueError
        If another htype has this name and version already.
    """
    key = (htype.name, htype.version)
    if key in _htypes and _htypes[key] is not htype:
        raise ValueError(f"an htype {htype.name!r} of version {htype.version} is registered already")
    _htypes[key] = htype
    if htype.name not in htypes:
        htypes.append(htype.name)


def htype(name: str) -> HType:
    """Return the htype of a base name, or ``name@version``.

    Raises
    ------
    TensorMetaInvalidHtype
        If there is none; near matches are listed.
    """
    found = _htypes.get((name, 1)) or _htypes.get(split_version(name))
    if found is None:
        near = difflib.get_close_matches(str(name), htypes, n=3)
        hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise TensorMetaInvalidHtype(f"htype {name!r} is not known; {hint}known are {', '.join(htypes)}")
    return found


def parse_htype(text: str | None) -> tuple[str, bool]:
    """Split an htype as users write it into base name and whether it is a sequence.

    Parameters
    ----------
    text
        ``image``, ``sequence[image]``, ``sequence`` (of generic samples), or None where the first sample decides.

    Returns
    -------
    name, sequence

    Raises
    ------
    TensorMetaInvalidHtype
        If it is malformed, nests sequences, or is a link, which zlake does not store.
    """
    if text is None:
        return "unspecified", False
    if not isinstance(text, str):
        raise TensorMetaInvalidHtype(f"an htype is a string such as 'image' or 'sequence[image]'; got {text!r}")
    text = text.strip()
    base, bracket, inner = text.partition("[")
    if base == "link":
        raise TensorMetaInvalidHtype(
            f"htype {text!r}: linked samples are not supported; append zlake.read(url) to store the file's bytes in a "
            f"tensor of htype {inner.rstrip(']') or 'image'!r}, or keep URLs in a text tensor. Supported are "
            f"{', '.join(htypes)} and sequence[...] of these"
        )
    if base != "sequence":
        return htype(text).name if bracket == "" else _malformed(text), False
    if bracket and (not inner.endswith("]") or not inner[:-1].strip() or "[" in inner):
        return _malformed(text), True
    name = inner[:-1].strip() if bracket else "generic"
    if name == "tag":
        raise TensorMetaInvalidHtype("sequence[tag] is not allowed: a tag sample is a list already")
    htype(name)
    return name, True


def settings(name: str, kwargs: Mapping[str, Any], *, sequence: bool = False, tensor: str = "") -> TensorSpec:
    """Return the checked spec of a tensor to be created, of base htype ``name``; see `HType.settings`."""
    return htype(name).settings(tensor, kwargs, sequence=sequence)


def _malformed(text: str) -> str:
    raise TensorMetaInvalidHtype(f"htype {text!r} is malformed; write 'image' or 'sequence[image]', without nesting")
