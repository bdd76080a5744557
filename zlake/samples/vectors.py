"""htypes ``embedding`` and ``bbox``: float32 arrays with a meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zlake.errors import TensorMetaInvalidHtypeOverwriteKey, TensorMetaInvalidHtypeOverwriteValue
from zlake.samples.htypes import HType
from zlake.samples.settings import Extra

_COORDS = {"type": ("pixel", "fractional"), "mode": ("LTRB", "LTWH", "CCWH")}


class Embedding(HType):
    """Vectors ``(d,) float32``."""

    name = "embedding"
    dtype = np.dtype(np.float32)
    empty_ndim = 1
    compressions = frozenset(("lz4", "zstd"))


class BoundingBox(HType):
    """Boxes ``(n, 4) float32``; only the rank is enforced.

    ``info.coords`` says what the numbers mean: ``type`` pixel or fractional; ``mode`` LTRB (left, top, right, bottom),
    LTWH (left, top, width, height) or CCWH (centre x, centre y, width, height).
    """

    name = "bbox"
    dtype = np.dtype(np.float32)
    empty_ndim = 2
    compressions = frozenset(("lz4", "zstd"))
    keys = frozenset(("coords",))

    def extra(self, name: str, settings: Mapping[str, Any]) -> Extra:
        """Check ``coords`` and keep it in the info."""
        coords = settings.get("coords")
        if coords is None:
            return Extra(info={"coords": {}})
        if not isinstance(coords, dict):
            raise TensorMetaInvalidHtypeOverwriteValue(
                f"tensor {name!r}: coords is a dictionary such as {{'type': 'pixel', 'mode': 'LTRB'}}; got {coords!r}"
            )
        for key, value in coords.items():
            if key not in _COORDS:
                raise TensorMetaInvalidHtypeOverwriteKey(
                    f"tensor {name!r}: coords has the keys type and mode, not {key!r}"
                )
            if value is not None and value not in _COORDS[key]:
                raise TensorMetaInvalidHtypeOverwriteValue(
                    f"tensor {name!r}: coords[{key!r}] is {', '.join(_COORDS[key])} or None; got {value!r}"
                )
        return Extra(info={"coords": dict(coords)})
