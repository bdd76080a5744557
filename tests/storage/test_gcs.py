from __future__ import annotations

import pytest
from servers.fixtures import Bucket

from zlake.storage import Store, open_store
from zlake.testing.store_tests import StoreTests


class TestGcsStore(StoreTests):
    @pytest.fixture
    def store(self, gcs_bucket: Bucket) -> Store:
        return open_store(gcs_bucket.url)
