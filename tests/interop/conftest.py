from __future__ import annotations

from pathlib import Path

import pytest

import zlake
from tests.interop.datasets import every_kind


@pytest.fixture(scope="session")
def kinds_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset on disk with every kind of tensor, in two commits; not to be changed."""
    path = tmp_path_factory.mktemp("interop") / "kinds"
    every_kind(path)
    return path


@pytest.fixture
def kinds(kinds_path: Path) -> zlake.Dataset:
    return zlake.load(kinds_path, read_only=True)
