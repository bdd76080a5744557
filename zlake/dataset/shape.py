"""Shapes of tensors whose samples differ."""

from __future__ import annotations

from dataclasses import dataclass

from zlake.session.present import interval_text


@dataclass(frozen=True, slots=True)
class ShapeInterval:
    """The smallest and the largest shape of a tensor's samples, rows first.

    Attributes
    ----------
    lower, upper
        Smallest and largest extent along each axis.

    Examples
    --------
    >>> print(ShapeInterval((6, 1), (6, 4)))
    (6, 1:4)
    """

    lower: tuple[int, ...]
    upper: tuple[int, ...]

    @property
    def is_dynamic(self) -> bool:
        """Whether any axis varies."""
        return self.lower != self.upper

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape, None where it varies."""
        return tuple(a if a == b else None for a, b in zip(self.lower, self.upper, strict=True))

    def __str__(self) -> str:
        return interval_text(self.lower, self.upper)
