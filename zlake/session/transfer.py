"""Samples on their way to another tensor: in the form that loses nothing when it is appended there."""

from __future__ import annotations

from typing import Any

import numpy as np

from zlake.samples import Sample, codec
from zlake.session import read
from zlake.session.column import Column
from zlake.types import IntArray


def samples(column: Column, rows: slice | IntArray, target: Column | None) -> Any:
    """Return samples of one tensor as `zlake.session.append` takes them for another one.

    Text and JSON come as Python values, encoded images as their bytes, labels by name if both tensors have class
    labels, all else as arrays.
    """
    compression = column.state.sample_compression
    if compression is not None and codec(compression).kind == "image" and not column.state.sequence:
        blobs = read.blobs(column, rows).result()
        return [Sample(buffer=blob, compression=compression) if blob else None for blob in blobs]
    found = read.samples(column, rows).result()
    if column.spec.names and target is not None and target.state.htype == column.state.htype == "class_label":
        names = column.spec.names.values
        return [_named(labels, names) for labels in found]
    return found


def _named(labels: Any, names: list[str]) -> Any:
    """Return labels by name, nested as they are; those without a name stay numbers."""
    if np.ndim(labels):
        return [_named(label, names) for label in labels]
    return names[int(labels)] if int(labels) < len(names) else int(labels)
