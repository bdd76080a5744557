from __future__ import annotations

import uuid

import pytest

from zlake.storage import Store, open_store
from zlake.testing.store_tests import StoreTests


class TestMemoryStore(StoreTests):
    @pytest.fixture
    def store(self) -> Store:
        return open_store(f"mem://{uuid.uuid4()}")
