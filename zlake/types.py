"""Small types that every package shares."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

JSON: TypeAlias = None | bool | int | float | str | list[Any] | dict[str, Any]
Array: TypeAlias = npt.NDArray[Any]
IntArray: TypeAlias = npt.NDArray[np.int64]
IdArray: TypeAlias = npt.NDArray[np.uint64]
Layout: TypeAlias = Literal["dense", "ragged", "encoded"]

T_co = TypeVar("T_co", covariant=True)


class Pending(Protocol[T_co]):
    """A result on its way: wait with `result`, or await it."""

    def result(self) -> T_co:
        """Wait for the value, or raise what went wrong."""
        ...

    def __await__(self) -> Generator[Any, None, T_co]:
        """Let an event loop wait for the value."""
        ...
