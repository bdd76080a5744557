"""What a tensor demands of its samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zlake.samples.names import ClassNames

__all__ = ["UNSPECIFIED", "ClassNames", "TensorSpec"]

UNSPECIFIED = "unspecified"
"""The htype of a tensor whose first sample decides."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """The settings of a tensor that decide which samples fit and how they are stored.

    Attributes
    ----------
    htype
        Base htype, without ``sequence[...]``.
    dtype
        Dtype of the decoded samples; None until the first sample decides, and always for text, json, list and tag.
    ndim
        Rank of a decoded sample (of an item, where the tensor is a sequence); None until the first sample decides.
    sample_compression
        Codec of each sample, or None for plain arrays.
    chunk_compression
        Codec of the chunks, or None.
    sequence
        Whether a row is a list of such samples.
    options
        Further settings, JSON values only: ``hidden``, ``tiling_threshold``, ``schema``, ...
    names
        Class names, where the htype has them. Shared and mutable: preparing a sample may add names.
    info
        What the tensor's info holds when it is created.
    """

    htype: str
    dtype: np.dtype[Any] | None = None
    ndim: int | None = None
    sample_compression: str | None = None
    chunk_compression: str | None = None
    sequence: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    names: ClassNames | None = None
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The htype as users write it: ``image``, ``sequence[image]``."""
        return f"sequence[{self.htype}]" if self.sequence else self.htype
