"""Names for the dimensions of a hierarchy: equal names mean equal lengths, so that all arrays fit one dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import count
from typing import Final

SAMPLE: Final = "sample"
"""The dimension that tensors of the most common length share."""


class DimensionNames:
    """Names that were given out so far.

    Parameters
    ----------
    lengths
        Number of rows of each tensor.
    variables
        Names of the arrays: a dimension of such a name would turn the array into a coordinate.
    """

    def __init__(self, lengths: Iterable[int], variables: Iterable[str]) -> None:
        counted = Counter(lengths)
        self._common = max(counted, key=lambda length: (counted[length], length), default=0)
        self._variables = frozenset(variables)
        self._sizes: dict[str, int] = {}
        self.sample(SAMPLE, self._common)

    def sample(self, tensor: str, length: int) -> str:
        """Return the name of the rows' dimension of a tensor of so many rows."""
        return self.other(SAMPLE if length == self._common else f"{tensor}_{SAMPLE}", length)

    def other(self, wanted: str, size: int) -> str:
        """Return the wanted name, or one like it if that is taken for another size or by a variable."""
        for attempt in count(1):
            name = wanted if attempt == 1 else f"{wanted}_{attempt}"
            if name not in self._variables and self._sizes.setdefault(name, size) == size:
                return name
        raise AssertionError("unreachable: numbers do not end")
