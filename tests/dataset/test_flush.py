"""When rows become durable, and what a flush leaves on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import zlake
from zlake.context import Context

SMALL = replace(Context(), flush_bytes=3_000_000)


def extents(ds: zlake.Dataset, name: str) -> list[tuple[int, int, int]]:
    """Return the extents of a tensor: segment, first row, rows."""
    return list(ds._session.column(name).base()[1].runs())


def test_full_buffers_are_flushed_at_chunk_boundaries(tmp_path: Path) -> None:
    ds = zlake.empty(tmp_path / "ds", context=SMALL)
    ds.create_tensor("x", dtype="uint8")
    ds.create_tensor("r", dtype="int32")
    ds.create_tensor("t", htype="text")
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (2500, 40, 50), dtype=np.uint8)
    with ds:
        for i in range(2500):
            ds.append({"x": x[i], "r": np.arange(i % 9, dtype=np.int32), "t": "" if i % 3 else str(i)})
            assert ds._session.buffered <= 3_100_000
    runs = extents(ds, "x")
    inner = ds._session.column("x").base()[0][0].inner[0]
    assert len(runs) > 1
    assert all(count % inner == 0 for _, _, count in runs[:-1])
    for opened in (ds, zlake.load(tmp_path / "ds")):
        np.testing.assert_array_equal(opened.x.numpy(), x)
        assert [len(a) for a in opened.r.numpy(aslist=True)] == [i % 9 for i in range(2500)]
        assert opened.t.text() == ["" if i % 3 else str(i) for i in range(2500)]
        assert len(np.unique(opened.x.ids())) == 2500


def test_a_block_is_one_flush(tmp_path: Path) -> None:
    ds = zlake.empty(tmp_path / "ds")
    ds.create_tensor("x")
    before = ds._session.head.ref.sequence
    with ds:
        for i in range(10):
            ds.append({"x": i})
        assert len(zlake.load(tmp_path / "ds")) == 0
        assert ds.x.numpy()[:, 0].tolist() == list(range(10))
    assert ds._session.head.ref.sequence == before + 1
    assert len(zlake.load(tmp_path / "ds")) == 10


def test_a_block_left_by_an_error_keeps_its_rows(tmp_path: Path) -> None:
    ds = zlake.empty(tmp_path / "ds")
    ds.create_tensor("x")

    def append_two() -> None:
        with ds:
            ds.append({"x": 1})
            ds.append({"x": "text"})

    with pytest.raises(zlake.errors.SampleAppendError):
        append_two()
    assert zlake.load(tmp_path / "ds").x.numpy().tolist() == [[1]]


def test_single_row_appends_coalesce() -> None:
    ds = zlake.empty("mem://coalesce", overwrite=True)
    ds.create_tensor("x", dtype="uint8")
    sample = np.zeros((32, 32, 3), np.uint8)
    for i in range(600):
        sample[:] = i % 251
        ds.append({"x": sample})
    assert len(extents(ds, "x")) <= 20
    assert sum(info.size for info in ds._session.store.list_info("segments/")) < 12 * 600 * sample.nbytes
    assert ds.x.numpy()[:, 0, 0, 0].tolist() == [i % 251 for i in range(600)]
    assert len(np.unique(ds.x.ids())) == 600


def test_ragged_appends_coalesce_too() -> None:
    ds = zlake.empty("mem://coalesce-ragged", overwrite=True)
    ds.create_tensor("x", dtype="int32")
    ds.create_tensor("s", htype="sequence[text]")
    for i in range(100):
        ds.append({"x": np.full((i % 5, 2), i, np.int32), "s": [str(i)] * (i % 3)})
    assert len(extents(ds, "x")) <= 12
    assert [a.shape for a in ds.x.numpy(aslist=True)] == [(i % 5, 2) for i in range(100)]
    assert [s.tolist() if hasattr(s, "tolist") else s for s in ds.s.text()] == [[str(i)] * (i % 3) for i in range(100)]


def test_sessions_see_what_they_opened_until_they_refresh(tmp_path: Path) -> None:
    a = zlake.empty(tmp_path / "ds")
    a.create_tensor("x")
    b = zlake.load(tmp_path / "ds")
    a.append({"x": 1})
    assert len(b) == 0
    b.refresh()
    assert b.x.numpy().tolist() == [[1]]
    a.append({"x": 2})
    b.append({"x": 3})  # rebased behind the row that b had not seen
    assert b.x.numpy()[:, 0].tolist() == [1, 2, 3]
    assert len(zlake.load(tmp_path / "ds")) == 3


def test_committed_and_pinned_versions(tmp_path: Path) -> None:
    ds = zlake.empty(tmp_path / "ds")
    ds.create_tensor("x")
    ds.append({"x": 1})
    first = ds.commit("one", author="A <a@example.org>")
    ds.append({"x": 2})
    assert len(zlake.load(tmp_path / "ds")) == 2
    assert len(zlake.load(tmp_path / "ds", committed=True)) == 1
    assert ds.has_head_changes
    second = ds.commit("two")
    assert not ds.has_head_changes
    with pytest.raises(zlake.errors.EmptyCommitError):
        ds.commit("nothing")
    third = ds.commit("nothing, on purpose", allow_empty=True)
    assert [c["commit"] for c in ds.commits] == [third, second, first]
    assert ds.commits[-1]["author"] == "A <a@example.org>"
    for commit, rows in ((first, 1), (second, 2), (third, 2)):
        assert len(zlake.load(f"{tmp_path / 'ds'}@{commit}")) == rows
    assert zlake.load(tmp_path / "ds").commit_id == third


def test_a_group_is_renamed_while_others_write_to_it() -> None:
    """The tensors leave it with the same call, so that nothing of it is in the way."""
    ds = zlake.empty("mem://renamed-group", overwrite=True)
    ds.create_tensor("g/x", dtype="int64")
    ds.create_tensor("y", dtype="int64")
    other = zlake.load("mem://renamed-group")
    other["g/x"].append(1)
    other.y.append(2)
    ds.rename_group("g", "h")
    assert list(ds.tensors) == ["h/x", "y"]
    assert zlake.load("mem://renamed-group")["h/x"].numpy().reshape(-1).tolist() == [1]
    other.create_tensor("h/z", dtype="int64")
    assert sorted(zlake.load("mem://renamed-group").tensors) == ["h/x", "h/z", "y"]
