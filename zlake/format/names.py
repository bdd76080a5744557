"""The grammar of names and ids.

Tensor names are for people and never reach a storage key, so nearly everything is allowed in them. Branch and tag
names do reach keys, and ids reach keys and URLs, so both are plain ASCII.
"""

from __future__ import annotations

import re
from typing import Any, Final

from zlake import limits
from zlake.errors import FormatError, InvalidRefNameError, InvalidTensorGroupNameError, InvalidTensorNameError

_ID: Final = re.compile(r"[a-z2-7]{26}")  # 128 random bits in base32, without padding
_REF: Final = re.compile(r"[A-Za-z0-9_+=-][A-Za-z0-9_.+=-]*(?:/[A-Za-z0-9_+=-][A-Za-z0-9_.+=-]*)*")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def check_tensor_name(name: Any) -> None:
    """Raise unless ``name`` can be the full name of a tensor.

    A name is parts of any Unicode text separated by ``/``; no part is empty, ``.`` or ``..``, none begins or ends
    with white space, and there are no control characters. It has at most 255 bytes in UTF-8.

    Raises
    ------
    InvalidTensorNameError
        If it breaks this grammar; the message says where.
    """
    problem = name_problem(name)
    if problem:
        raise InvalidTensorNameError(f"{name!r:.300} cannot be a tensor name: {problem}")


def check_group_name(name: Any) -> None:
    """Raise unless ``name`` can be the full name of a group; the grammar is that of tensor names.

    Raises
    ------
    InvalidTensorGroupNameError
        If it breaks the grammar; the message says where.
    """
    problem = name_problem(name)
    if problem:
        raise InvalidTensorGroupNameError(f"{name!r:.300} cannot be a group name: {problem}")


def name_problem(name: Any) -> str:
    """Return what is wrong with a tensor or group name, or an empty string."""
    if not isinstance(name, str):
        return f"it is of type {type(name).__name__}, not str"
    if name.isidentifier() and name.isascii() and len(name) <= limits.MAX_NAME_BYTES:
        return ""
    if _CONTROL.search(name):
        return "it holds control characters"
    if len(name.encode()) > limits.MAX_NAME_BYTES:
        return f"it is longer than {limits.MAX_NAME_BYTES} bytes"
    for part in name.split("/"):
        if not part:
            return "the parts between '/' must not be empty"
        if part in (".", ".."):
            return f"{part!r} is no part of a name"
        if part != part.strip():
            return "no part may begin or end with white space"
    return ""


def check_ref_name(name: Any) -> None:
    """Raise unless ``name`` can name a branch or a tag.

    Parts of ASCII letters, digits and ``_ + = - .`` are separated by ``/``; no part begins or ends with a dot, holds
    ``..`` or ends with ``.json`` or ``.lock``. A name that reads like a commit id is refused, for ``path@name`` would
    mean two things.

    Raises
    ------
    InvalidRefNameError
        If it breaks this grammar; the message says where.
    """
    problem = ref_problem(name)
    if problem:
        raise InvalidRefNameError(f"{name!r:.300} cannot name a branch or tag: {problem}")


def ref_problem(name: Any) -> str:
    """Return what is wrong with a branch or tag name, or an empty string."""
    if not isinstance(name, str):
        return f"it is of type {type(name).__name__}, not str"
    if not _REF.fullmatch(name):
        return "allowed are parts of A-Z a-z 0-9 _ + = - and inner dots, separated by '/'"
    if len(name) > limits.MAX_REF_BYTES:
        return f"it is longer than {limits.MAX_REF_BYTES} characters"
    for part in name.split("/"):
        if ".." in part or part.endswith((".", ".json", ".lock")):
            return "no part may end with '.', '.json' or '.lock', or hold '..'"
    if is_id(name):
        return "it reads like a commit id"
    return ""


def is_id(text: Any) -> bool:
    """Say whether ``text`` has the form of an id: 26 characters of a-z and 2-7."""
    return isinstance(text, str) and bool(_ID.fullmatch(text))


def check_id(text: Any) -> None:
    """Raise unless ``text`` has the form of an id.

    Raises
    ------
    FormatError
        If it has not.
    """
    if not (isinstance(text, str) and is_id(text)):
        raise FormatError(f"{text!r:.100} is not an id: 26 characters of a-z and 2-7 are")
