"""What the first sample of a tensor says about it."""

from __future__ import annotations

from typing import Any

import numpy as np

from zlake.samples.cast import SCALARS, to_array
from zlake.samples.sample import Sample


def infer_htype(sample: Any) -> str:
    """Return ``json`` for a dictionary, ``text`` for a string, ``list`` for a list of non-numbers, else ``generic``."""
    if isinstance(sample, dict):
        return "json"
    if isinstance(sample, str):
        return "text"
    if isinstance(sample, np.ndarray) and sample.dtype.kind in "UT":
        return "text" if sample.size == 1 else "list"
    if isinstance(sample, (list, tuple)) and _has_other_leaf(sample):
        return "list"
    return "generic"


def infer(sample: Any) -> tuple[str, np.dtype[Any] | None, int | None]:
    """Return htype, dtype and rank that a first sample gives to an unspecified tensor.

    Returns
    -------
    htype
        As `infer_htype`.
    dtype, ndim
        Of a generic sample; None and 1 for text, json and list.

    Raises
    ------
    SampleHtypeMismatchError
        If the sample cannot be stored.
    """
    name = infer_htype(sample)
    if name != "generic":
        return name, None, 1
    if isinstance(sample, Sample):
        return name, sample.dtype, max(1, len(sample.shape))
    array, _ = to_array(sample)
    return name, array.dtype, array.ndim


def _has_other_leaf(sample: Any) -> bool:
    for item in sample:
        if isinstance(item, (list, tuple)):
            if _has_other_leaf(item):
                return True
        elif not isinstance(item, SCALARS) and not hasattr(item, "__array__"):
            return True
    return False
