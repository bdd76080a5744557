"""The dataset to damage."""

from __future__ import annotations

import pytest

from tests.damage.dataset import Original


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return Original(tmp_path_factory.mktemp("damage"))
