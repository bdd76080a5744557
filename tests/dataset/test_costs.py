"""What versions cost, counted: requests and bytes, whatever the size of the dataset and the length of its history."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import zlake
from zlake import limits
from zlake.context import Context
from zlake.dataset.dataset import Dataset
from zlake.session.opening import open_session, store_at
from zlake.testing import FaultStore, Recorder

SAMPLES = "/values-"
CONTEXT = Context(durable=False)
IMAGES = np.random.default_rng(0).integers(0, 256, (100, 32, 32, 3), np.uint8)


def reopened(path: str, address: str | None = None) -> tuple[Dataset, Recorder]:
    store = FaultStore(store_at(path, None, CONTEXT))
    ds = Dataset(open_session(store, CONTEXT, address, None))
    store.recorder.clear()
    return ds, store.recorder


def requests(recorder: Recorder, *names: str) -> int:
    return recorder.count(*names) if names else recorder.count()


def written(recorder: Recorder, *, samples: bool) -> int:
    return recorder.size("create", "swap", key=lambda key: (SAMPLES in key) == samples)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "ds")


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The descriptors that were made durable, in order."""
    calls: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (calls.append(descriptor), fsync(descriptor))[1])
    return calls


class TestDurable:
    def write(self, ds: Dataset) -> None:
        with ds:
            ds.x.extend(np.arange(100))
            ds.commit("a hundred")

    @pytest.mark.parametrize("opened", [zlake.load, zlake.dataset])
    def test_writes_wait_for_the_device_unless_told_otherwise(
        self, path: str, synced: list[int], opened: Callable[..., Dataset]
    ) -> None:
        zlake.empty(path, durable=False).create_tensor("x", dtype="int64")
        self.write(opened(path, durable=False))
        assert not synced
        self.write(opened(path))
        waited = len(synced)
        assert waited >= 4  # the chunk, the segment, the commit and the branch
        self.write(opened(path, context=CONTEXT))
        assert len(synced) == waited
        self.write(opened(path, context=CONTEXT, durable=True))
        assert len(synced) > waited
        assert len(zlake.load(path)) == 400
        assert zlake.load(path).verify(deep=True).ok

    def test_a_dataset_is_made_without_waiting(self, path: str, synced: list[int]) -> None:
        zlake.dataset(path, durable=False).create_tensor("x")
        assert not synced
        zlake.empty(path, overwrite=True).create_tensor("x")
        assert synced

    @pytest.mark.parametrize("bad", ["no", 0, 1.0, []])
    def test_it_is_true_or_false(self, path: str, bad: object) -> None:
        with pytest.raises(TypeError, match="durable is True, False or None"):
            zlake.empty(path, durable=bad)  # type: ignore[arg-type]
        assert not zlake.exists(path)


def committer(path: str, tensors: tuple[str, ...]) -> Callable[[], None]:
    ds = zlake.empty(path, durable=False)
    with ds:
        for name in tensors:
            ds.create_tensor(name, dtype="uint8")
        ds.commit("nothing yet", author="Ada <ada@example.org>")

    def commit() -> None:
        with ds:
            ds.extend({name: IMAGES for name in tensors})
            ds.commit("a hundred more", author="Ada <ada@example.org>")

    return commit


def usage(path: str) -> int:
    return sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())


def test_a_commit_of_a_hundred_images_takes_under_eight_kilobytes_beside_them(path: str) -> None:
    commit, count = committer(path, ("images",)), 3 * limits.HISTORY_PAGE_COMMITS
    before = usage(path)
    for _ in range(count):
        commit()
    assert (usage(path) - before) / count - IMAGES.nbytes < 8000


@pytest.mark.parametrize("tensors", [("a",), ("a", "b", "c")])
def test_a_commit_is_three_requests_and_one_for_each_object_of_samples(path: str, tensors: tuple[str, ...]) -> None:
    commit = committer(path, tensors)
    for _ in range(40):
        commit()
    ds, recorder = reopened(path)
    pages = 0
    for number in range(8):
        recorder.clear()
        with ds:
            ds.extend({name: IMAGES for name in tensors})
            ds.commit(f"number {number}")
        made = recorder.count("create", key=lambda key: key.startswith("pages/"))
        assert requests(recorder) - made == 3 + len(tensors)
        pages += bool(made)
    assert pages <= 3


def test_branches_tags_and_checkouts(path: str) -> None:
    ds = zlake.empty(path, durable=False)
    ds.create_tensor("x", dtype="int64")
    ds.x.extend(np.arange(10))
    first = ds.commit("one")
    ds.checkout("other", create=True)
    ds.x.extend(np.arange(10))
    ds.commit("two")

    ds, recorder = reopened(path)
    ds.tag("v1", first)
    assert requests(recorder, "create", "swap") == 1
    ds, recorder = reopened(path)
    ds.checkout("third", create=True)
    assert requests(recorder, "create", "swap") == 1
    assert requests(recorder) == 4  # is there a branch, is there a tag; the branch; is there a tag now
    ds, recorder = reopened(path)
    ds.tag("v2", "other")
    assert requests(recorder, "create", "swap") == 1
    ds, recorder = reopened(path, "other")
    ds.tag("v3", first)
    assert requests(recorder, "create", "swap") == 1
    assert not requests(recorder, "list", "list_info")
    ds.delete_tag("v2")
    ds, recorder = reopened(path)
    ds.checkout("other")
    assert requests(recorder) == 2
    ds, recorder = reopened(path, "other")
    ds.checkout(first)
    assert requests(recorder) == 1
    ds, recorder = reopened(path, "other")
    ds.checkout("v1")
    assert requests(recorder) == 2  # no branch of this name; the tag carries its commit
    assert len(ds) == 10


def test_ten_thousand_updates_share_the_pages_that_they_do_not_touch(path: str) -> None:
    rows = 1_000_000
    ds = zlake.empty(path, durable=False)
    ds.create_tensor("x", dtype="int64")
    ds.x.extend(np.arange(rows))
    ds.commit("base")
    rng, expected = np.random.default_rng(0), np.arange(rows)
    for _ in range(3):
        ds, recorder = reopened(path)
        chosen = rng.choice(rows, 10_000, replace=False)
        values = rng.integers(0, 1 << 40, len(chosen))
        with ds:
            ds.x[chosen.tolist()] = values
            ds.commit("ten thousand updates")
        expected[chosen] = values
        assert written(recorder, samples=True) <= 8 * len(chosen) + 100
        assert written(recorder, samples=False) < 4_000_000
    ds, recorder = reopened(path)
    before = {page.id for page in ds._session.head.snapshot.tensors[0].extents.pages}
    assert len(before) > 3
    with ds:
        ds.x[rows // 2] = -1
        ds.commit("one more")
    expected[rows // 2] = -1
    after = {page.id for page in ds._session.head.snapshot.tensors[0].extents.pages}
    assert len(before - after) == 1
    assert written(recorder, samples=False) < 100_000
    assert np.array_equal(zlake.load(path).x.numpy().reshape(-1), expected)


def test_ten_thousand_rows_popped_at_once(path: str) -> None:
    ds = zlake.empty(path, durable=False)
    ds.create_tensor("x", dtype="int64")
    ds.create_tensor("y", dtype="uint8")
    ds.extend({"x": np.arange(100_000), "y": np.zeros((100_000, 4), np.uint8)})
    ds.commit("base")
    chosen = np.random.default_rng(0).choice(100_000, 10_000, replace=False)
    ds, recorder = reopened(path)
    ds.pop(chosen.tolist())
    assert recorder.count(key=lambda key: SAMPLES in key) == 0
    assert recorder.size("create", "swap") < 1_000_000
    assert recorder.count() < 40
    expected = np.delete(np.arange(100_000), chosen)
    assert np.array_equal(zlake.load(path).x.numpy().reshape(-1), expected)


def test_the_log_of_ten_thousand_commits(tmp_path: Path) -> None:
    path = "mem://log-of-ten-thousand"
    ds = zlake.empty(path, overwrite=True)
    for number in range(10_000):
        ds.commit(f"number {number}", allow_empty=True, author="a")
    ds, recorder = reopened(path)
    messages = [commit["message"] for commit in ds.commits]
    assert messages == [f"number {number}" for number in reversed(range(10_000))]
    assert requests(recorder) <= 167  # with the three of opening the dataset 170
    zlake.delete(path, large_ok=True)
