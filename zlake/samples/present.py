"""How decoded samples are shown as NumPy arrays and names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zlake.samples.names import ClassNames
from zlake.types import Array


def object_array(values: Sequence[Any]) -> Array:
    """Return values as a one-dimensional object array; lists among them stay lists."""
    array = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):  # np.array would make axes of inner lists
        array[index] = value
    return array


def label_text(labels: Any, names: ClassNames) -> Any:
    """Return class names, nested as the labels are; an index without a name becomes its digits."""
    if isinstance(labels, (list, tuple)) or (isinstance(labels, np.ndarray) and labels.ndim):
        return [label_text(each, names) for each in labels]
    index = int(labels)
    return names.values[index] if index < len(names) else str(index)
