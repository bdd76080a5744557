"""Class names that two sides added: united by name, with the numbers that the one side's samples get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from zlake.types import IntArray

CLASS_NAMES: Final = "class_names"
"""The key of a tensor's info under which the names of its classes are, by number."""


def are_names(value: Any) -> bool:
    """Say whether a value of an info is a list of class names, none twice."""
    return isinstance(value, list) and all(isinstance(name, str) for name in value) and len(set(value)) == len(value)


def merge_names(base: Sequence[str], onto: Sequence[str], carried: Sequence[str]) -> tuple[list[str], IntArray]:
    """Return the names of both sides, and the number that each class of the carried side has among them.

    The names of ``onto`` keep their numbers, so that none of its samples changes. A class that the carried side
    renamed is renamed, if ``onto`` still has it under its old name; names that are new come last.

    Parameters
    ----------
    base
        The names that the carried side started from.
    onto
        The names of the side that takes the changes.
    carried
        The names of the side where they come from.

    Returns
    -------
    tuple
        All names, and for each of ``carried`` its number among them, ``(n,) int64``.
    """
    merged = list(onto)
    number = {name: i for i, name in enumerate(merged)}
    known, kept = set(base), set(carried)
    mapping = np.empty(len(carried), np.int64)
    for i, name in enumerate(carried):
        was = base[i] if i < len(base) else None
        here = onto[i] if i < len(onto) else None
        if name in number:
            mapping[i] = number[name]
        elif was == name and here is not None and here not in known | kept and was not in number:
            mapping[i] = i  # renamed on the other side
        elif was is not None and was == here and name not in known and was not in kept:
            merged[i] = name  # renamed on this side
            del number[was]
            number[name] = mapping[i] = i
        else:
            mapping[i] = number[name] = len(merged)
            merged.append(name)
    return merged, mapping
