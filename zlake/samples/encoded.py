"""One sample as bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Encoded:
    """An encoded sample.

    Attributes
    ----------
    data
        The bytes to store, exactly as given by the user or made by a codec.
    shape
        Shape of the decoded array; ``(n,)`` for a list or tag of n elements; None for text and json.
    """

    data: bytes
    shape: tuple[int, ...] | None
