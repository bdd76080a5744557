"""Memory for shards, used again: touching fresh memory costs more than copying into memory already there."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

ShardBuffer: TypeAlias = npt.NDArray[np.uint8]


class ShardBuffers:
    """Buffers that are handed out, given back and handed out again; for one thread."""

    def __init__(self) -> None:
        self._free: list[ShardBuffer] = []

    def take(self, nbytes: int) -> ShardBuffer:
        """Return a buffer of at least ``nbytes`` bytes with undefined contents."""
        for i, buffer in enumerate(self._free):
            if len(buffer) >= nbytes:
                return self._free.pop(i)
        return np.empty(nbytes, np.uint8)

    def give(self, buffer: ShardBuffer) -> None:
        """Take back a buffer that nobody reads any more."""
        self._free.append(buffer)
