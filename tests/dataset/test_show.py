"""What a dataset looks like in a terminal and in a notebook, and that showing it reads next to nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import zlake
from zlake.dataset.dataset import Dataset
from zlake.session import present
from zlake.session.session import Session
from zlake.storage import open_store
from zlake.testing import FaultStore
from zlake.versions.repository import Repository

ROWS = 50


class Cells(HTMLParser):
    """Collects the texts of a table's cells, and every tag."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.cells.append(data)


@pytest.fixture(scope="module")
def ds() -> zlake.Dataset:
    made = zlake.empty("mem://show", overwrite=True)
    made.create_tensor("dense", dtype="uint8")
    made.create_tensor("g/ragged", dtype="float32", chunk_compression="zstd")
    made.create_tensor("label", htype="class_label", class_names=["<b>&"])
    made.create_tensor("text", htype="text")
    made.create_tensor("items", htype="sequence[bbox]")
    made.create_tensor("open")
    made.create_tensor("secret", hidden=True)
    made.extend(
        {
            "dense": np.zeros((ROWS, 4, 3), np.uint8),
            "g/ragged": [np.zeros((n % 5, 2), np.float32) for n in range(ROWS)],
            "label": [0] * ROWS,
            "text": ["<script>alert(1)</script>"] * ROWS,
            "items": [[np.zeros((2, 4), np.float32)] * (n % 3) for n in range(ROWS)],
        },
        skip_ok=True,
    )
    return made


def test_text(ds: zlake.Dataset) -> None:
    assert repr(ds).splitlines() == [
        "Dataset mem://show: 0 rows, branch main, uncommitted changes",
        "  tensor    htype           shape            dtype    compression",
        "  --------  --------------  ---------------  -------  -----------",
        "  dense     generic         (50, 4, 3)       uint8    –",
        "  g/ragged  generic         (50, 0:4, 2)     float32  zstd",
        "  label     class_label     (50, 1)          uint32   –",
        "  text      text            (50, 1)          str      –",
        "  items     sequence[bbox]  (50, 0:2, 2, 4)  float32  –",
        "  open      unspecified     (0,)             –        –",
        "  groups: g",
    ]
    assert str(ds) == repr(ds)
    assert repr(ds["g/ragged"]) == "Tensor(name='g/ragged', htype='generic', dtype=float32, shape=(50, 0:4, 2))"
    assert repr(ds.dense[3]) == "Tensor(name='dense', htype='generic', dtype=uint8, shape=(4, 3))"
    assert repr(ds.dense[3:5, 0]) == "Tensor(name='dense', htype='generic', dtype=uint8, shape=(2, 3))"


def test_views_groups_and_empty_datasets(ds: zlake.Dataset) -> None:
    assert repr(ds[3:5]).splitlines()[0].startswith("Dataset mem://show (view): 2 rows")
    assert "(2, 3:4, 2)" in repr(ds[3:5])
    row = repr(ds[1])
    assert row.splitlines()[0].startswith("Dataset mem://show (view): 1 row, ")
    assert re.search(r"open +unspecified +no such row", row)
    assert repr(ds.g).splitlines()[0].startswith("Dataset mem://show/g: 50 rows")
    assert repr(ds[["text"]]).count("\n") == 4
    fresh = zlake.empty("mem://show-empty", overwrite=True)
    assert repr(fresh) == (
        "Dataset mem://show-empty: 0 rows, branch main\n  no tensors yet: ds.create_tensor(name) makes one"
    )
    assert "no tensors yet" in fresh._repr_html_()
    fresh.create_tensor("x")
    first = fresh.commit("first")
    assert repr(zlake.load(fresh.path, ref=first)).startswith(f"Dataset mem://show-empty: 0 rows, commit {first}\n")


def test_rows_that_are_not_flushed_are_shown() -> None:
    ds = zlake.empty("mem://show-buffer", overwrite=True)
    ds.create_tensor("x")
    with ds:
        ds.append({"x": np.zeros((2, 3), np.int16)})
        assert "1 row, branch main, uncommitted changes, some of them not flushed" in repr(ds)
        assert "(1, 2, 3)" in repr(ds)
        ds.append({"x": np.zeros((5, 3), np.int16)})
        assert "(2, 2:5, 3)" in ds._repr_html_()
    assert "not flushed" not in repr(ds)


def test_html_says_the_same_and_escapes_everything(ds: zlake.Dataset, tmp_path: Path) -> None:
    parser = Cells()
    parser.feed(ds._repr_html_())
    parser.close()
    words = [cell for line in repr(ds).splitlines()[3:-1] for cell in re.split(r"  +", line.strip())]
    assert [cell for cell in parser.cells if cell][6:] == words
    assert parser.tags == {"div", "p", "table", "thead", "tbody", "tr", "th", "td"}
    hostile = zlake.empty(tmp_path / "<img src=x onerror=alert(1)>")
    hostile.create_tensor("a&b")
    parser = Cells()
    parser.feed(hostile._repr_html_())
    assert "img" not in parser.tags
    assert "a&b" in parser.cells
    assert "&amp;b" in hostile._repr_html_()


def test_showing_a_large_dataset_reads_no_shapes(ds: zlake.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FaultStore(open_store("mem://show"))
    repository = Repository.open(store, zlake.Context())
    opened = Dataset(Session(repository, repository.head("main")))
    monkeypatch.setattr(present, "_READ_FOR_REPR", ROWS - 1)
    store.recorder.clear()
    assert [line.split()[2:-2] for line in repr(opened).splitlines()[3:8]] == [
        ["(50,", "4,", "3)"],
        ["(50,", "?,", "?)"],
        ["(50,", "1)"],
        ["(50,", "1)"],
        ["(50,", "?,", "?,", "?)"],
    ]
    opened._repr_html_()
    opened.summary()
    assert repr(opened["g/ragged"]).endswith("shape=(50, ?, ?))")
    assert repr(opened["g/ragged"][0]).endswith("shape=(0, 2))")  # of a single row it is cheap
    assert opened["g/ragged"][[]].numpy().shape == (0, 0, 0)
    assert store.recorder.count(key="segments/") <= 2
    monkeypatch.undo()
    store.recorder.clear()
    assert "(50, 0:4, 2)" in repr(opened)
    assert store.recorder.count(key=lambda key: "values-data" in key) == 0


def test_summary_reads_all_shapes_when_told_to(
    ds: zlake.Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(present, "_READ_FOR_REPR", 0)
    ds.summary()
    assert "(50, ?, ?)" in capsys.readouterr().out
    ds.summary(force=True)
    assert "(50, 0:4, 2)" in capsys.readouterr().out


def test_log(capsys: pytest.CaptureFixture[str]) -> None:
    ds = zlake.empty("mem://show-log", overwrite=True)
    ds.log()
    assert capsys.readouterr().out == "no commits yet\n"
    ds.create_tensor("x")
    first = ds.commit("the first\nof \x1b[2Jtwo lines", author="A <a@example.org>")
    second = ds.commit("again", allow_empty=True, author="B")
    ds.log()
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith(("commit", "Author", "    "))] == [
        f"commit {second}", "Author: B", "    again",
        f"commit {first}", "Author: A <a@example.org>", "    the first", "    of \\x1b[2Jtwo lines",
    ]  # fmt: skip
