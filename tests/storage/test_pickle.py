"""Stores travel to worker processes as pickles."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from zlake.storage import open_store


@pytest.mark.parametrize("url", ["{}/set", "file://{}/set", "local://{}/set"])
def test_a_pickled_store_reads_the_same_data(tmp_path: Path, url: str) -> None:
    store = open_store(url.format(tmp_path))
    store.create("p/q", b"kept")
    again = pickle.loads(pickle.dumps(store))
    assert again.url == store.url
    assert again.read("p/q") == b"kept"
