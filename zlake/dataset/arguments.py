"""What functions over datasets share: paths, and arguments of Deep Lake that mean nothing here."""

from __future__ import annotations

import difflib
import os
import warnings
from collections.abc import Collection, Mapping
from typing import Any

from zlake.errors import InvalidPathException

Path = str | os.PathLike[str]
Credentials = Mapping[str, Any] | str | None

_SILENT = ("verbose", "scheduler")
"""Ignored without a word: zlake prints nothing anyway, and chooses how to run by itself."""


def path_text(path: Any) -> str:
    """Return a path as text.

    Raises
    ------
    InvalidPathException
        If it is neither text nor a path.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidPathException(f"a dataset path is a string or a pathlib.Path, not {path!r:.100}")
    return os.fspath(path)


def check_ignored(options: Mapping[str, Any], ignored: Collection[str], known: Collection[str] = ()) -> None:
    """Warn of arguments that are ignored, and refuse all others.

    Parameters
    ----------
    options
        What was passed beside the arguments that the function has.
    ignored
        Arguments of Deep Lake that mean nothing to it.
    known
        Arguments that it has, to name a near match.

    Raises
    ------
    TypeError
        If it has no such argument.
    """
    for name, value in options.items():
        if name not in ignored:
            near = difflib.get_close_matches(name, known, 1)
            raise TypeError(f"unexpected keyword argument {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        if value is not None and name not in _SILENT:
            warnings.warn(f"{name}= has no meaning in zlake and is ignored", stacklevel=3)
