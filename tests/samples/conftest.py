"""Images and specs that the tests of this package share."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from zlake.samples import TensorSpec, htype
from zlake.samples.registry import parse_htype

Encode = Callable[..., bytes]


@pytest.fixture(scope="session")
def pixels() -> Callable[..., np.ndarray]:
    """Smooth pixels ``(h, w, *channels)`` that survive JPEG nearly unchanged."""

    def make(height: int, width: int, *channels: int, dtype: str = "uint8") -> np.ndarray:
        top = 1 if dtype == "bool" else np.iinfo(dtype).max
        y, x = np.mgrid[:height, :width]
        gray = (y + x) / max(1, height + width - 2)
        shape = (height, width, *channels)
        planes = [gray if k % 2 == 0 else 1 - gray for k in range(int(np.prod(channels, dtype=int)))]
        return np.round(np.stack(planes, -1) * top).astype(dtype).reshape(shape)

    return make


@pytest.fixture(scope="session")
def pil() -> Encode:
    """Encode an array, or a Pillow image, by Pillow."""

    def encode(image: Any, form: str, **options: Any) -> bytes:
        file = io.BytesIO()
        (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(file, form, **options)
        return file.getvalue()

    return encode


@pytest.fixture(scope="session")
def spec() -> Callable[..., TensorSpec]:
    """Return the spec of a tensor created with these settings."""

    def make(text: str, ndim: int | None = None, **kwargs: Any) -> TensorSpec:
        from dataclasses import replace

        name, sequence = parse_htype(text)
        found = htype(name).settings("x", kwargs, sequence=sequence)
        return found if ndim is None else replace(found, ndim=ndim)

    return make
