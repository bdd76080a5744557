from __future__ import annotations

import pytest
from servers.fixtures import Bucket

from zlake.errors import StorageError
from zlake.storage import Lost, Store, open_store, probe
from zlake.testing.store_tests import StoreTests


class TestGcsStore(StoreTests):
    @pytest.fixture
    def store(self, gcs_bucket: Bucket) -> Store:
        return open_store(gcs_bucket.url)


@pytest.fixture
def store(gcs_bucket: Bucket) -> Store:
    return open_store(gcs_bucket.url)


def test_both_schemes_are_the_same_place(store, gcs_bucket):
    store.create("a", b"x")
    assert open_store(f"gcs://{gcs_bucket.name}/data").read("a") == b"x"
    assert open_store(f"gs://{gcs_bucket.name}").read("data/a") == b"x"


def test_the_probe_passes_and_leaves_nothing(store):
    probe(store)
    assert list(store.list()) == []


def test_a_vanished_bucket_is_named_by_creates(store, gcs_server, gcs_bucket):
    store.create("a", b"x")
    generation = store.read_versioned("a").generation
    gcs_server.delete_bucket(gcs_bucket.name)
    for operation in (lambda: store.create("b", b"x"), lambda: probe(store)):
        with pytest.raises(StorageError, match="bucket does not exist") as caught:
            operation()
        assert gcs_bucket.url in str(caught.value)
    # TensorStore shows a missing bucket as an empty one here.
    assert store.swap("a", b"y", generation) == Lost()
    assert store.read("a") is None
    assert list(store.list()) == []
