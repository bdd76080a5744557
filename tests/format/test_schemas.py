"""The JSON Schemas in the specification: they agree with the structs, and everything written validates against them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator

from zlake.format import documents as d
from zlake.format import encode, pages
from zlake.segments.metadata import segment_documents

from .strategies import documents, example_snapshot, to_id

SPEC = Path(__file__).parents[2] / "spec"
KIND_NAMES = {
    d.Root: "root",
    d.Ref: "branch",
    d.Tag: "tag",
    d.Snapshot: "snapshot",
    d.HistoryPage: "history",
    d.InfoObject: "info",
    d.Lease: "lease",
    d.GcMark: "gc-mark",
    d.GcSweep: "gc-sweep",
    d.Copying: "copying",
    d.IngestPlan: "ingest-plan",
    d.Receipt: "receipt",
}


def load_script() -> Any:
    found = importlib.util.spec_from_file_location("make_schemas", SPEC / "make_schemas.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


MADE = load_script()
SCHEMAS: dict[str, Any] = {path.stem: json.loads(path.read_text("utf-8")) for path in (SPEC / "schemas").glob("*.json")}
VALIDATORS = {name: Draft202012Validator(schema) for name, schema in SCHEMAS.items()}


def valid(name: str, document: Any) -> bool:
    return bool(VALIDATORS[name].is_valid(document))


def test_the_files_are_what_the_structs_say() -> None:
    made = MADE.all_schemas()
    assert set(SCHEMAS) == set(made)
    for name, schema in made.items():
        text = (SPEC / "schemas" / f"{name}.json").read_text("utf-8")
        assert text == MADE.render(schema), f"run spec/make_schemas.py: {name}.json is out of date"
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("name", MADE.FILES)
def test_every_field_of_a_struct_is_in_its_schema_and_the_other_way_round(name: str) -> None:
    definitions = SCHEMAS[name]["$defs"]
    structs = {
        kind.__name__: kind for kind in vars(d).values() if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    }
    assert MADE.FILES[name].__name__ in definitions
    for title, schema in definitions.items():
        kind = structs[title]
        if kind.__struct_config__.array_like:
            assert len(schema["prefixItems"]) == len(kind.__struct_fields__)
            continue
        tag = {"document"} if kind.__struct_config__.tag else set()
        assert set(schema["properties"]) == {*kind.__struct_encode_fields__, *tag}
        assert schema["additionalProperties"] is False
        needed = {field.name for field in msgspec.structs.fields(kind) if field.required} | tag
        assert set(schema.get("required", ())) == needed


@given(documents)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_whatever_is_written_validates(document: d.Document) -> None:
    VALIDATORS[KIND_NAMES[type(document)]].validate(json.loads(encode(document)))


def test_pages_validate() -> None:
    segments = example_snapshot().tensors[0].extents.segments
    (_, metadata), _ = pages.encode_extent_page(to_id(b"p" * 16), segments, np.array([[0, 0, 100], [2, 5, 6]]))
    VALIDATORS["extent-page"].validate(json.loads(metadata))
    (_, metadata), _ = pages.encode_id_page(to_id(b"p" * 16), np.array([[1, 2]], np.uint64))
    VALIDATORS["id-page"].validate(json.loads(metadata))


@pytest.mark.parametrize("codec", d.CODECS)
def test_segments_validate(codec: str) -> None:
    key, segment = to_id(b"k" * 16), to_id(b"s" * 16)
    common: dict[str, Any] = {"segment": segment, "rows": 3, "codec": codec}
    entries = [
        (d.SegmentTensor(layout="dense", elements=3, inner=(1, 4), shape=(8,), shard=(2, 8), **common), "float32"),
        (d.SegmentTensor(layout="ragged", elements=9, inner=(9,), shapes=2, items=5, **common), "complex64"),
        (d.SegmentTensor(layout="encoded", elements=9, inner=(9,), shapes=3, sidecar=2, **common), "uint8"),
    ]
    for entry, dtype in entries:
        found = segment_documents(segment, {key: (entry, np.dtype(dtype))}, nodes=False)
        document = json.loads(found["zarr.json"])
        VALIDATORS["segment"].validate(document)
        ids = f"consolidated_metadata.metadata.{key}/ids"
        assert not valid("segment", changed(document, f"{ids}.codecs", [{"name": "bytes"}]))
        assert not valid("segment", changed(document, f"{ids}.data_type", "int64"))


def changed(document: Any, path: str, value: Any) -> Any:
    """Return a parsed document with one member changed, or removed where the value is ``...``."""
    document = json.loads(json.dumps(document))
    *parents, last = [int(word) if word.isdigit() else word for word in path.split(".")]
    inside = document
    for word in parents:
        inside = inside[word]
    if value is ...:
        del inside[last]
    else:
        inside[last] = value
    return document


SNAPSHOT = json.loads(encode(example_snapshot()))
ZLAKE = "attributes.zlake"
TENSOR = f"{ZLAKE}.tensors.0"
SEGMENT = f"{TENSOR}.extents.segments.0"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("zarr_format", 2),
        ("node_type", "array"),
        ("more", 1),
        ("attributes.crc32c", ...),
        ("attributes.crc32c", "0000000G"),
        (f"{ZLAKE}.document", "snapshot/2"),
        (f"{ZLAKE}.document", ...),
        (f"{ZLAKE}.id", "../../../../../../../../../"),
        (f"{ZLAKE}.kind", "tentative"),
        (f"{ZLAKE}.color", "red"),
        (f"{ZLAKE}.generation", 0),
        (f"{ZLAKE}.time", -1),
        (f"{ZLAKE}.parents", [to_id(b"p" * 16)] * 2),
        (f"{ZLAKE}.groups", ["a/../b"]),
        (f"{ZLAKE}.groups", ["a//b"]),
        (f"{ZLAKE}.groups", ["/a"]),
        (f"{ZLAKE}.groups", ["a\x00"]),
        (f"{ZLAKE}.info", {"value": {"a": 1}, "object": to_id(b"o" * 16)}),
        (f"{TENSOR}.dtype", "<U5"),
        (f"{TENSOR}.length", -1),
        (f"{TENSOR}.extents.extents.0", [0, 0, 0]),
        (f"{TENSOR}.extents.extents.0", [0, 0]),
        (f"{TENSOR}.extents.extents.0", [0, 0, 1, 1]),
        (f"{SEGMENT}.codec", "fsst"),
        (f"{SEGMENT}.layout", "ragged"),
        (f"{SEGMENT}.shapes", 2),
        (f"{SEGMENT}.inner", [0, 8, 8]),
        (f"{SEGMENT}.rows", 1.5),
        (f"{SEGMENT}.id_start", 2**64),
        (f"{ZLAKE}.diff.tensors.0.appended.page", to_id(b"o" * 16)),
    ],
)
def test_what_the_format_forbids_does_not_validate(path: str, value: Any) -> None:
    assert valid("snapshot", SNAPSHOT)
    assert not valid("snapshot", changed(SNAPSHOT, path, value))


def test_attributes_of_other_tools_validate() -> None:
    assert valid("snapshot", changed(SNAPSHOT, "attributes.other:tool", {"a": 1}))
