"""Everything that a dataset writes validates against the schemas of the specification, and is where the text says."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import zlake
from zlake.format import check_seal

SCHEMAS = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in (Path(__file__).parents[2] / "spec" / "schemas").glob("*.json")
}
ID = "[a-z2-7]{26}"
ARRAYS = "values-data|values-offsets|shape-data|sequence-offsets|ids"
CHUNK = re.compile(rf"pages/{ID}/c\.0\.0|segments/{ID}/{ID}/({ARRAYS})/c(\.\d+)+")


def part(name: str) -> Any:
    return {"$defs": SCHEMAS["segment"]["$defs"], "$ref": f"#/$defs/{name}"}


PLACES = {
    r"zarr\.json": SCHEMAS["root"],
    r"refs/branches/.*\.json": SCHEMAS["branch"],
    rf"commits/{ID}/zarr\.json": SCHEMAS["snapshot"],
    rf"segments/{ID}/zarr\.json": SCHEMAS["segment"],
    rf"segments/{ID}/{ID}/zarr\.json": part("TensorGroup"),
    rf"segments/{ID}/{ID}/({ARRAYS})/zarr\.json": part("Array"),
}

BESIDE = {
    r"refs/tags/.*\.json": SCHEMAS["tag"],
    rf"leases/{ID}/\d+\.json": SCHEMAS["lease"],
    rf"gc/marks/{ID}\.json": SCHEMAS["gc-mark"],
}
"""Of datasets that have any."""
ALL = {**PLACES, **BESIDE}


def validate(folder: Path) -> Counter[str]:
    """Check every object below a dataset, and return how many there are of each kind."""
    found: Counter[str] = Counter()
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        key = path.relative_to(folder).as_posix()
        if CHUNK.fullmatch(key):
            found["chunk"] += 1
            continue
        data = path.read_bytes()
        check_seal(data, key)
        document = json.loads(data)
        if re.fullmatch(rf"pages/{ID}/zarr\.json", key):
            kind = document["attributes"]["zlake"]["document"].partition("/")[0]
            schema = SCHEMAS[kind]
        else:
            kind, schema = next((place, schema) for place, schema in ALL.items() if re.fullmatch(place, key))
        Draft202012Validator(schema).validate(document)
        found[kind] += 1
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("emitted") / "dataset"
    ds = zlake.empty(str(path))
    ds.create_tensor("dense", dtype="uint8")
    ds.create_tensor("group/ragged", dtype="float32", chunk_compression="zstd")
    ds.create_tensor("big", dtype="float64")
    ds.create_tensor("text", htype="text")
    ds.create_tensor("label", htype="class_label", class_names=[f"class number {i}" for i in range(500)])
    with ds:
        ds.dense.extend(np.zeros((4000, 2), np.uint8))
        ds["group/ragged"].extend([np.ones((i % 3, 4), np.float32) for i in range(20)])
        ds.big.extend(np.zeros((8, 64, 1024)))
        ds.text.extend(["one", "zwei", ""])
        ds.label.extend([0, 1, "class number 2"])
    ds.commit("first")
    with ds:
        for row in range(0, 4000, 2):
            ds.dense[row] = np.array([1, 2], np.uint8)
    ds.commit("every second row")
    for number in range(20):
        ds.commit(f"empty {number}", allow_empty=True)
    ds.info["names"] = ["x" * 5000]
    ds.commit("large info")
    return path


def test_everything_validates(folder: Path) -> None:
    found = validate(folder)
    assert found[r"zarr\.json"] == 1
    assert found[r"refs/branches/.*\.json"] == 1
    for kind in PLACES:
        assert found[kind] >= 1
    for kind in ("chunk", "extent-page", "id-page", "history", "info"):
        assert found[kind] >= 1


def test_it_reads_back(folder: Path) -> None:
    ds = zlake.load(str(folder), read_only=True)
    np.testing.assert_array_equal(ds.dense[:4].numpy(), [[1, 2], [0, 0], [1, 2], [0, 0]])
    assert ds.info["names"] == ["x" * 5000]
    assert len(list(ds.commits)) == 23
