"""A small dataset, and proof that a refused call left every object as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zlake
from zlake.context import Context
from zlake.errors import ZlakeError


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@contextmanager
def refused(folder: Path, error: type[ZlakeError], *parts: str) -> Iterator[None]:
    """A block that must raise this very class with all parts in its message, and change nothing below a folder."""
    before = files(folder)
    with pytest.raises(ZlakeError) as caught:
        yield
    assert type(caught.value) is error, repr(caught.value)
    message = str(caught.value)
    for part in parts:
        assert part in message, message
    assert "\0" not in message
    assert files(folder) == before


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three rows in three tensors, committed; a fourth staged."""
    ds = zlake.empty(tmp_path / "ds", context=Context(durable=False, threads=2))
    ds.create_tensor("images", dtype="uint8")
    ds.create_tensor("label", htype="class_label", class_names=["cat", "dog"])
    ds.create_tensor("notes/text", htype="text")
    for i in range(4):
        ds.append({"images": np.full((4, 4), i, np.uint8), "label": i % 2, "notes/text": str(i)})
        if i == 2:
            ds.commit("three rows")
    return tmp_path / "ds"


Call = Callable[[zlake.Dataset], Any]
