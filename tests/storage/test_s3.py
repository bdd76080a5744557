from __future__ import annotations

import pytest
from servers.fixtures import Bucket

from zlake.storage import Store, open_store
from zlake.testing.store_tests import StoreTests


class TestS3Store(StoreTests):
    @pytest.fixture
    def store(self, s3_bucket: Bucket) -> Store:
        return open_store(s3_bucket.url, creds=s3_bucket.creds)
