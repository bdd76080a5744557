from __future__ import annotations

from itertools import count

import pytest

from tests.versions.tap import Tap
from zlake.context import Context
from zlake.storage.open import open_store
from zlake.storage.store import Store

_names = count()


@pytest.fixture
def context() -> Context:
    ticks = count(1_700_000_000)
    return Context(clock=lambda: float(next(ticks)))


@pytest.fixture
def store() -> Store:
    return open_store(f"mem://versions-{next(_names)}")


@pytest.fixture
def tap(store: Store) -> Tap:
    return Tap(store)
