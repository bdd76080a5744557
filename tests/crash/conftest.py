"""What tests of single sessions begin with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.scenarios import create, few_rows
from zlake.storage import open_store
from zlake.storage.store import Store


@pytest.fixture
def store() -> Iterator[Store]:
    store = open_store("mem://few-rows")
    store.delete_prefix()
    few_rows(create(store))
    yield store
    store.delete_prefix()
