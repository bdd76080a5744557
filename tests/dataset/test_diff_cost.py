"""What a diff reads, by exact counts: nothing that grows with what two versions share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import pytest

import zlake
from zlake.context import Context
from zlake.dataset.dataset import Dataset
from zlake.session.opening import open_session, store_at
from zlake.testing import FaultStore, Recorder

_names = count()

Reopen = Callable[[], tuple[Dataset, Recorder]]


@pytest.fixture
def path() -> str:
    return f"mem://diff-cost-{next(_names)}"


def reopened(path: str) -> tuple[Dataset, Recorder]:
    """Open in a new session that remembers nothing; its requests from here on are recorded."""
    store = FaultStore(store_at(path, None, Context()))
    ds = Dataset(open_session(store, Context(), None, None))
    store.recorder.clear()
    return ds, store.recorder


def kinds(recorder: Recorder) -> dict[str, int]:
    """Count reads by what is read; nothing but reads is allowed."""
    assert {operation.name for operation in recorder} <= {"read"}
    found: Counter[str] = Counter()
    for operation in recorder:
        parts = operation.key.split("/")
        found[parts[0] if parts[0] != "segments" else parts[3]] += 1
    return dict(found)


def test_ten_rows_among_ten_million(path: str) -> None:
    ds = zlake.empty(path)
    ds.create_tensor("x", dtype="uint8")
    ds.x.extend(np.zeros(10_000_000, np.uint8))
    first = ds.commit("ten million")
    rows = [12, 400_000, 2_000_000, 2_000_001, 5_000_000, 9_999_900]
    with ds:
        ds.x[rows] = np.arange(6, dtype=np.uint8)
        ds.pop([3, 7_000_000])
        ds.extend({"x": np.array([7, 8], np.uint8)})
    second = ds.commit("ten of them")

    ds, recorder = reopened(path)
    found = ds.diff(first, second)
    changes = list(found.rows("x"))
    assert [row.change for row in changes] == ["removed"] * 2 + ["updated"] * 6 + ["added"] * 2
    assert [row.row_before for row in changes[:8]] == [3, 7_000_000, *rows]
    assert [row.row_after for row in changes[2:]] == [11, *(r - 1 for r in rows[1:5]), 9_999_898, 9_999_998, 9_999_999]
    assert kinds(recorder) == {"commits": 1, "ids": 1}  # the older document, and the ids of the new rows
    assert recorder.size() < 8_000
    found.as_dict()
    assert len(recorder) == 2
    assert changes[7].after == 5

    ds, recorder = reopened(path)
    assert ds.x.modified_samples(first, return_indexes=True)[1] == sorted(row.row_after for row in changes[2:])
    assert kinds(recorder) == {"commits": 1, "ids": 1}


def test_pages_that_both_versions_name_are_not_read(path: str) -> None:
    ds = zlake.empty(path)
    ds.create_tensor("x", dtype="uint8")
    ds.x.extend(np.zeros(1_000_000, np.uint8))
    ds.commit("start")
    with ds:
        ds.x[np.arange(0, 1_000_000, 100).tolist()] = np.ones(10_000, np.uint8)
    ds.commit("20,000 extents")
    ds.x[500_050] = 2
    first = ds.commit("pages of a size that is edited")
    with ds:
        ds.x[list(range(500_001, 500_010))] = np.full(9, 3, np.uint8)
        ds.x[500_055] = 4
    second = ds.commit("ten rows on one page")
    pages = ds._session.head.snapshot.tensors[0].extents.pages
    assert sum(page.extents for page in pages) > 19_000
    assert len(pages) > 4

    ds, recorder = reopened(path)
    rows = list(ds.diff(first, second).rows())
    assert [row.row_after for row in rows] == [*range(500_001, 500_010), 500_055]
    # the older document; one page of each, in two objects; the ids of the new segment
    assert kinds(recorder) == {"commits": 1, "pages": 4, "ids": 1}
    assert recorder.size() < 40_000


def test_neighbours_in_a_long_history_are_found_without_walking_it(path: str) -> None:
    ds = zlake.empty(path)
    ds.create_tensor("x", dtype="int64")
    made = []
    for i in range(200):
        ds.x.append(i)
        made.append(ds.commit(str(i)))
    ds, recorder = reopened(path)
    assert len(list(ds.diff(made[150], made[151]).rows())) == 1
    assert recorder.count("read", key="commits/") == 2
    assert recorder.count("read", key="pages/") == 0
    assert recorder.size() < 40_000


def test_samples_that_moved_are_told_by_manifests_and_not_read(path: str) -> None:
    ds = zlake.empty(path)
    ds.create_tensor("x")
    for i in range(30):
        ds.x.append(np.full(1000, i))
    first = ds.commit("thirty flushes")
    for i in range(30):
        ds.x.append(np.full(1000, i))
        ds.commit(str(i))
    ds, recorder = reopened(path)
    assert [row.change for row in ds.diff(first).rows()] == ["added"] * 30
    found = kinds(recorder)
    assert set(found) <= {"commits", "pages", "ids"}
    assert found["commits"] <= 30 + 16  # each commit between, once, and the newest again for the text


def test_what_is_equal_is_not_looked_into(path: str) -> None:
    ds: Any = zlake.empty(path)
    for i in range(20):
        ds.create_tensor(f"x{i}").extend(np.arange(10))
    first = ds.commit()
    ds.x3.info["a"] = 1
    ds.commit()
    ds, recorder = reopened(path)
    assert ds.diff(first).tensors == ["x3"]
    assert kinds(recorder) == {"commits": 1}
