"""The example datasets of the specification: the whole one reads as written, the damaged ones are refused."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import zlake

SPEC = Path(__file__).parents[2] / "spec"
LISTED = json.loads((SPEC / "examples" / "examples.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_examples", SPEC / "make_examples.py")
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up while it is being executed
    sys.modules["make_examples"] = module
    spec.loader.exec_module(module)
    return module


def check_rows(ds: zlake.Dataset, rows: list[dict[str, object]]) -> None:
    assert len(ds) == len(rows)
    for found, row in zip(ds, rows, strict=True):
        for name in ("dense", "ragged", "plane", "image"):
            np.testing.assert_array_equal(found[name].numpy(), row[name])
        assert (found["text"].text(), found["json"].dict()) == (row["text"], row["json"])
        assert found["label"].data()["text"] == [row["label"]]
        assert found["clip"].numpy().tolist() == [item.tolist() for item in row["clip"]]


def test_the_whole_example_reads_as_written(make: ModuleType) -> None:
    ds = zlake.load(SPEC / "examples" / "whole", read_only=True)
    first = [make.sample(row) for row in range(6)]
    changed = {**make.sample(1), "dense": np.full((2, 3), -1, np.int16)}
    second = [first[0], changed, first[2], first[3], first[5]]
    check_rows(ds, [*second, make.sample(7)])
    newest, oldest = (commit["commit"] for commit in ds.commits)
    check_rows(zlake.load(f"{SPEC}/examples/whole@{newest}"), second)
    check_rows(zlake.load(f"{SPEC}/examples/whole@{oldest}"), first)
    assert ds.info["about"] == "an example of the zlake format"
    report = ds.verify()
    assert report, report


@pytest.mark.parametrize("example", [e for e in LISTED if e["error"]], ids=lambda example: example["name"])
def test_a_damaged_example_is_refused(example: dict[str, str]) -> None:
    def read() -> None:
        ds = zlake.load(SPEC / "examples" / example["name"], read_only=True)
        ds.x.numpy()

    with pytest.raises(zlake.errors.ZlakeError) as caught:
        read()
    assert type(caught.value).__name__ == example["error"]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_examples_are_what_the_writer_writes_now(make: ModuleType, tmp_path: Path) -> None:
    make.main(tmp_path / "examples")
    keys = {
        str(path.relative_to(tmp_path / "examples")) for path in (tmp_path / "examples").rglob("*") if path.is_file()
    }
    kept = {str(path.relative_to(SPEC / "examples")) for path in (SPEC / "examples").rglob("*") if path.is_file()}
    assert keys == kept
    for name in ("whole/zarr.json", "commit-bit/refs/branches/main.json", "examples.json", "README.md"):
        assert (tmp_path / "examples" / name).read_bytes() == (SPEC / "examples" / name).read_bytes()
