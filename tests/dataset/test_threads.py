"""Threads that share a dataset: reads see whole rows, changes are made one at a time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import zlake
from zlake.segments.gather import gather_blobs

SMALL = replace(zlake.Context(), flush_bytes=20_000, durable=False)


@pytest.fixture(autouse=True)
def switching_often() -> Iterator[None]:
    """Let Python change threads after every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def row(i: int) -> dict[str, object]:
    return {
        "x": np.array([i, -i]),
        "r": np.full((i % 5, 2), i, np.int32),
        "text": f"row {i}",
        "label": f"class {i % 30}",
        "s": [f"{i}.{j}" for j in range(i % 3)],
    }


def make(path: Path) -> zlake.Dataset:
    ds = zlake.empty(path, context=SMALL)
    with ds:
        ds.create_tensor("x", dtype="int64")
        ds.create_tensor("r", dtype="int32")
        ds.create_tensor("text", htype="text")
        ds.create_tensor("label", htype="class_label")
        ds.create_tensor("s", htype="sequence[text]")
        for i in range(50):
            ds.append(row(i))
    return ds


def check_rows(ds: zlake.Dataset, rows: list[int]) -> None:
    """Read rows in several ways; row i of the dataset is `row(i)`."""
    assert ds.x[rows].numpy().tolist() == [[i, -i] for i in rows]
    assert [a.tolist() for a in ds.r[rows].numpy(aslist=True)] == [[[i, i]] * (i % 5) for i in rows]
    assert ds.text[rows].text() == [f"row {i}" for i in rows]
    assert ds.s[rows].text() == [[f"{i}.{j}" for j in range(i % 3)] for i in rows]
    assert ds.label[rows].data()["text"] == [[f"class {i % 30}"] for i in rows]
    one = rows[0]
    assert ds.x[one].numpy().tolist() == [one, -one]
    assert ds[one].text.text() == f"row {one}"


def run(*threads: Callable[[], None]) -> None:
    """Run functions on threads of their own and raise what any of them raised."""
    with ThreadPoolExecutor(len(threads)) as pool:
        for future in [pool.submit(thread) for thread in threads]:
            future.result()


def test_readers_beside_a_writer(tmp_path: Path) -> None:
    ds = make(tmp_path / "ds")
    done = threading.Event()

    def write() -> None:
        try:
            for block in range(10):
                with ds:
                    for i in range(50 + 40 * block, 90 + 40 * block):
                        ds.append(row(i))
                ds.append(row(90 + 40 * block))  # durable by itself, then taken back
                ds.pop()
                if block % 3 == 0:
                    ds.commit(f"block {block}")
        finally:
            done.set()

    def read(seed: int) -> Callable[[], None]:
        def reading() -> None:
            rng = np.random.default_rng(seed)
            while True:
                last = done.is_set()
                length = ds.min_len - 1  # the last row may be taken back meanwhile
                check_rows(ds, rng.integers(0, length, 6).tolist())
                assert "class_label" in repr(ds)
                if last:
                    return

        return reading

    run(write, read(1), read(2))
    for opened in (ds, zlake.load(ds.path)):
        assert len(opened) == 450
        check_rows(opened, list(range(450)))
    assert ds.verify()


def test_readers_share_a_fresh_dataset(tmp_path: Path) -> None:
    make(tmp_path / "ds")
    ds = zlake.load(tmp_path / "ds")
    barrier = threading.Barrier(4)

    def read() -> None:
        barrier.wait()
        check_rows(ds, list(range(49, -1, -1)))

    run(*[read] * 4)


def test_writers_take_turns(tmp_path: Path) -> None:
    ds = make(tmp_path / "ds")

    def append(start: int) -> Callable[[], None]:
        def appending() -> None:
            for i in range(start, start + 40):
                ds.append(row(i))
                if i % 10 == 0:
                    with ds:
                        ds[i % 50].update({"x": np.array([i % 50, -(i % 50)])})
                        ds.info[f"note {i}"] = i

        return appending

    def structure() -> None:
        for n in range(10):
            ds.create_tensor(f"t{n}", dtype="int64", hidden=True).extend([n] * n)
            if n % 2:
                ds.delete_tensor(f"t{n}")
            else:
                ds.rename_tensor(f"t{n}", f"u{n}")

    run(append(1000), append(2000), structure)
    for opened in (ds, zlake.load(ds.path)):
        found = opened.x.numpy()[:, 0].tolist()
        assert found[:50] == list(range(50))
        assert sorted(found[50:]) == [*range(1000, 1040), *range(2000, 2040)]
        assert opened.text.text() == [f"row {i}" for i in found]
        assert opened.label.data()["text"] == [[f"class {i % 30}"] for i in found]
        assert sorted(opened.info) == sorted(f"note {i}" for s in (1000, 2000) for i in range(s, s + 40, 10))
        assert [len(opened[f"u{n}"]) for n in range(0, 10, 2)] == [0, 2, 4, 6, 8]
    assert len(np.unique(ds.x.ids())) == 130


def test_a_view_outlives_changes(tmp_path: Path) -> None:
    """What a reader took before a change is read as it was, buffered rows and flushed ones."""
    ds = make(tmp_path / "ds")
    with ds:
        ds.append(row(50))
        before = ds._session.column("text").view()
        ds.text[0] = "changed"
        ds.pop([1, 2])
        ds.append(row(51))
    after = ds._session.column("text").view()
    for content, expected in (
        (before, [f"row {i}" for i in range(51)]),
        (after, ["changed", *(f"row {i}" for i in range(3, 52))]),
    ):
        plan, sources = content.plan(slice(0, content.extents.length, 1))
        assert [blob.decode() for blob in gather_blobs(plan, sources).result()] == expected
