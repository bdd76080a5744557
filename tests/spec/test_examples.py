"""The example datasets of the specification: the whole one reads as written, the damaged ones are refused."""

from __future__ import annotations

import importlib.util
import json
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import zlake
from tests.format.test_emitted import BESIDE, validate

SPEC = Path(__file__).parents[2] / "spec"
LISTED = json.loads((SPEC / "examples" / "examples.json").read_text(encoding="utf-8"))
DAMAGED = [example for example in LISTED["examples"] if example["name"] not in ("whole", "versions")]


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
        for name in ("dense", "ragged", "plane", "image", "sharded", "group/blosc", "group/gzip"):
            np.testing.assert_array_equal(found[name].numpy(), row[name])
        assert (found["text"].text(), found["json"].dict()) == (row["text"], row["json"])
        assert found["label"].data()["text"] == [row["label"]]
        assert found["clip"].numpy().tolist() == [item.tolist() for item in row["clip"]]


def test_the_whole_example_reads_as_written(make: ModuleType) -> None:
    ds = zlake.load(SPEC / "examples" / "whole", read_only=True)
    first = [make.sample(row) for row in range(6)]
    changed = [{**row, "dense": np.full((2, 3), -1, np.int16)} if i % 2 else row for i, row in enumerate(first)]
    second = [row for i, row in enumerate(changed) if i != 4]
    check_rows(ds, [*second, make.sample(7)])
    newest, middle, oldest = (commit["commit"] for commit in ds.commits)
    for commit in (newest, middle):
        check_rows(zlake.load(f"{SPEC}/examples/whole@{commit}"), second)
    check_rows(zlake.load(f"{SPEC}/examples/whole@{oldest}"), first)
    assert ds.info["about"].startswith("an example of the zlake format")
    np.testing.assert_array_equal(ds.tiled.numpy(), [make.tile()])
    report = ds.verify(deep=True)
    assert report, report


def test_the_example_of_versions_reads_as_written() -> None:
    path = SPEC / "examples" / "versions"
    ds = zlake.load(path, read_only=True)
    rows = [[-1, -1, -1], [6, 7, 8], [9, 10, 11], [100] * 3, [101] * 3]
    assert ds.x.numpy().tolist() == rows
    assert [commit["message"] for commit in ds.commits] == ["Merge side into main", "first row changed", "four rows"]
    assert (list(ds.branches), ds.tags) == (["main"], {"v1": ds.commits[-1]["commit"]})
    assert zlake.load(f"{path}@v1").x.numpy().tolist() == np.arange(12).reshape(4, 3).tolist()
    with pytest.raises(zlake.errors.BranchDeletedError):
        zlake.load(f"{path}@side")
    report = ds.verify(deep=True)
    assert report, report
    assert (report.restorable, report.leases) == (("side",), 1)


def test_the_example_of_versions_validates() -> None:
    found = validate(SPEC / "examples" / "versions")
    assert set(BESIDE) < set(found)
    assert found[r"refs/tags/.*\.json"] == found[r"refs/branches/.*\.json"] == 2


def test_the_whole_example_validates() -> None:
    found = validate(SPEC / "examples" / "whole")
    assert {"extent-page", "id-page", "history", "info", "chunk"} <= set(found)


def read_everything(path: Path) -> None:
    ds = zlake.load(path, read_only=True)
    versions = [ds, *(zlake.load(f"{path}@{commit['commit']}") for commit in ds.commits)]
    for opened in versions:
        assert dict(opened.info) is not None
        for tensor in opened.tensors.values():
            assert len(tensor.numpy(aslist=True)) == len(tensor.ids()) == len(tensor)


@pytest.mark.parametrize("example", DAMAGED, ids=lambda example: example["name"])
def test_a_damaged_example_is_refused(example: dict[str, str]) -> None:
    path = SPEC / "examples" / example["name"]
    if example["error"] is None:
        read_everything(path)
    else:
        with pytest.raises(zlake.errors.ZlakeError) as caught:
            read_everything(path)
        assert type(caught.value).__name__ == example["error"]
        if example["error"] == "UnsupportedFormatError":
            assert "upgrade" in str(caught.value)


@pytest.mark.parametrize("example", DAMAGED, ids=lambda example: example["name"])
def test_a_verification_finds_the_damage(example: dict[str, str]) -> None:
    try:
        report = zlake.load(SPEC / "examples" / example["name"], read_only=True).verify(deep=True)
    except zlake.errors.ZlakeError as error:
        assert type(error).__name__ == example["error"]  # noqa: PT017  # nothing could be opened at all
        return
    found = {tuple(damage.key.split("/")[:2]) for damage in report.damages}
    assert tuple(example["object"].split("/")[:2]) in found, report


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_examples_are_what_the_writer_writes_now(make: ModuleType, tmp_path: Path) -> None:
    make.main(tmp_path / "examples")
    made, kept = files(tmp_path / "examples"), files(SPEC / "examples")
    assert made.keys() == kept.keys()
    if {name: version(name) for name in LISTED["made_with"]} == LISTED["made_with"]:
        assert [name for name in made if made[name] != kept[name]] == []
    else:  # other versions of the packages that compress may write other chunks, and so other sizes
        for name in ("whole/zarr.json", "commit-bit/refs/branches/main.json", "README.md"):
            assert made[name] == kept[name]
