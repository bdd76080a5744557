from __future__ import annotations

import pytest

from zlake.storage import Store, open_store
from zlake.testing.store_tests import StoreTests


class TestLocalStore(StoreTests):
    @pytest.fixture
    def store(self, tmp_path) -> Store:
        return open_store(tmp_path / "set")
