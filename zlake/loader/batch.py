"""What a loader yields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class Batch(dict[str, Any]):
    """A batch (or a row) by tensor name that unpacks into its values: ``images, labels = batch``."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())
