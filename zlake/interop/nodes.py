"""The arrays of the hierarchy that a store presents, and where the bytes of their chunks come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from zlake.segments.codecs import encode
from zlake.segments.layout import ArrayLayout
from zlake.types import JSON, Array

Index = tuple[int, ...]
Box = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes ``[start, stop)`` of an object of the dataset; ``stop`` is None where they reach to its end."""

    key: str
    start: int = 0
    stop: int | None = None


@dataclass(frozen=True)
class ArrayNode:
    """One array of the hierarchy.

    Attributes
    ----------
    layout
        Its shape, chunks, shards, codecs and dimension names. Arrays with shards are stored that way throughout.
    attributes
        Its attributes.
    locate
        Returns the stored bytes of a chunk (a shard where there are shards), or None where it must be built.
    read
        Returns the values of a box, one slice per axis, within the array.
    """

    layout: ArrayLayout
    attributes: dict[str, JSON]
    locate: Callable[[Index], Stored | None]
    read: Callable[[Box], Array]

    def build(self, index: Index) -> bytes:
        """Return a chunk made from rows, encoded as the array's metadata says."""
        layout = self.layout
        box = tuple(
            slice(i * c, min((i + 1) * c, n)) for i, c, n in zip(index, layout.chunk, layout.shape, strict=True)
        )
        values = self.read(box)
        if values.shape != layout.chunk:
            padded = np.zeros(layout.chunk, layout.dtype)
            padded[tuple(slice(n) for n in values.shape)] = values
            values = padded
        return encode(layout.codec, np.ascontiguousarray(values))


def chunk_key(index: Index) -> str:
    """Return the key of a chunk below its array, as segments store it and the hierarchy presents it."""
    return ".".join(("c", *map(str, index)))
