"""What a merge reads and writes, counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import zlake
from zlake.context import Context
from zlake.dataset.dataset import Dataset
from zlake.session.opening import open_session, store_at
from zlake.testing import FaultStore, Recorder

_SAMPLES = "/values-"


def reopened(path: str) -> tuple[Dataset, Recorder]:
    store = FaultStore(store_at(path, None, Context()))
    ds = Dataset(open_session(store, Context(), None, None))
    store.recorder.clear()
    return ds, store.recorder


def samples_moved(recorder: Recorder) -> int:
    return recorder.count(key=lambda key: _SAMPLES in key)


@pytest.mark.slow
def test_two_branches_of_a_million_rows_with_a_thousand_changed_each(tmp_path: Path) -> None:
    path = str(tmp_path / "ds")
    ds = zlake.empty(path)
    ds.create_tensor("x", dtype="int64")
    ds.x.extend(np.arange(1_000_000))
    ds.commit("base")
    rng = np.random.default_rng(0)
    rows = rng.permutation(1_000_000)[:2000]
    for branch, mine in (("other", rows[:1000]), ("main", rows[1000:])):
        ds.checkout(branch, create=branch == "other")
        with ds:
            for row in mine.tolist():
                ds.x[row] = -row - 1
        ds.commit(branch)
    ds, recorder = reopened(path)
    ds.merge("other")
    assert samples_moved(recorder) == 0
    assert recorder.size("read", "read_versioned") < 100_000
    assert recorder.size("create", "swap") < 100_000
    assert recorder.count("list", "list_info") == 0
    expected = np.arange(1_000_000)
    expected[rows] = -rows - 1
    assert np.array_equal(ds.x.numpy().reshape(-1), expected)


@pytest.mark.slow
def test_a_million_new_rows_on_a_branch(tmp_path: Path) -> None:
    path = str(tmp_path / "ds")
    ds = zlake.empty(path)
    ds.create_tensor("x", dtype="int64")
    ds.x.extend(np.arange(10))
    ds.commit("base")
    ds.checkout("other", create=True)
    ds.x.extend(np.arange(1_000_000))
    ds.commit("many")
    ds.checkout("main")
    ds.x.extend(np.arange(5))
    ds.commit("few")
    ds, recorder = reopened(path)
    ds.merge("other")
    assert samples_moved(recorder) == 0
    assert recorder.size("read", "read_versioned") < 10_000
    assert recorder.size("create", "swap") < 10_000
    assert len(ds.x) == 1_000_015
