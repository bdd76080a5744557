"""Write the JSON Schemas in ``spec/schemas`` from the structs of `zlake.format.documents`.

The structs say what each field may be; this script adds the envelope of each object and the rules between fields that
JSON Schema can express. Run it after changing a struct; a test compares its result with the files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from zlake import limits
from zlake.format import conventions, page_array
from zlake.format import documents as d

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
CRC = {"type": "string", "pattern": "^[0-9a-f]{8}$"}
ID = {"type": "string", "pattern": "^[a-z2-7]{26}$", "minLength": 26, "maxLength": 26}

_PART = r"(?!\.{1,2}(/|$))[^/\u0000-\u001f\u007f-\u009f\u2028\u2029]+"
NAME = {"type": "string", "minLength": 1, "maxLength": limits.MAX_NAME_BYTES, "pattern": f"^{_PART}(/{_PART})*$"}

FILES: dict[str, type[msgspec.Struct]] = {
    "root": d.Root,
    "branch": d.Ref,
    "tag": d.Tag,
    "snapshot": d.Snapshot,
    "history": d.HistoryPage,
    "info": d.InfoObject,
    "lease": d.Lease,
    "gc-mark": d.GcMark,
    "gc-sweep": d.GcSweep,
    "copying": d.Copying,
    "ingest-plan": d.IngestPlan,
    "receipt": d.Receipt,
    "extent-page": d.ExtentPageHead,
    "id-page": d.IdPageHead,
}


def main() -> None:
    """Write every schema."""
    folder = Path(__file__).parent / "schemas"
    folder.mkdir(exist_ok=True)
    for name, schema in all_schemas().items():
        (folder / f"{name}.json").write_text(render(schema), encoding="utf-8")


def render(schema: Schema) -> str:
    """Return the text of a schema file."""
    text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return text.replace("\\n    ", "\\n")  # before Python 3.13 docstrings keep their indentation


def all_schemas() -> dict[str, Schema]:
    """Return every schema by name."""
    found = {name: document_schema(name, kind) for name, kind in FILES.items()}
    return found | {"segment": segment_schema()}


def document_schema(name: str, kind: type[msgspec.Struct]) -> Schema:
    """Return the schema of a whole object that holds one document."""
    (reference,), definitions = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    tighten(definitions)
    sealed: Schema = {"crc32c": CRC, "zlake": reference}
    top = heading(name, kind.__doc__ or "")
    if name in ("branch", "tag", "lease", "gc-mark", "gc-sweep", "copying", "ingest-plan", "receipt"):
        top |= {"properties": sealed, "required": list(sealed), "additionalProperties": False}
    else:
        paged = name in ("extent-page", "id-page")
        members: Schema = {
            "zarr_format": {"const": 3},
            "node_type": {"const": "array" if paged else "group"},
            "attributes": {
                "type": "object",
                "properties": sealed | others(name),
                "required": list(sealed) + (list(others("root")) if name == "root" else []),
            },
        }
        if paged:
            members |= array_members(name)
        top |= {"properties": members, "required": list(members), "additionalProperties": False}
    return top | {"$defs": definitions}


def heading(name: str, description: str) -> Schema:
    """Return how every schema begins."""
    return {
        "$schema": DIALECT,
        "$id": f"{conventions.SPEC_URL.rpartition('/')[0]}/schemas/{name}.json",
        "title": name,
        "description": description.partition("\n")[0],
        "type": "object",
    }


def tighten(definitions: dict[str, Schema]) -> None:
    """Add to generated definitions what the types of single fields do not say."""
    for field in ("tensors", "groups"):
        if "Snapshot" in definitions:
            definitions["Snapshot"]["properties"][field].pop("default", None)
    rules: dict[str, Any] = {
        "Root": _root,
        "SegmentTensor": _segment,
        "Info": _info,
        "IdRuns": _id_runs,
        "TensorState": _tensor,
        "Diff": _diff,
        "CommitBrief": _brief,
        "GcMark": _mark,
        "ReceiptTensor": _receipt_tensor,
        "Snapshot": _snapshot,
        "Tag": _tag,
    }
    for title, definition in definitions.items():
        if title in rules:
            rules[title](definition, definition["properties"])


def _root(_: Schema, fields: Schema) -> None:
    fields["features"]["uniqueItems"] = True


def _segment(definition: Schema, fields: Schema) -> None:
    fields["codec"] = {"enum": list(d.CODECS), "default": "raw"}
    fields["id_start"]["maximum"] = d.MAX_SAMPLE_ID
    flat = {"shape": {"maxItems": 0}, "inner": {"maxItems": 1}, "shard": {"maxItems": 1}}
    definition["if"] = {"properties": {"layout": {"const": "dense"}}}
    definition["then"] = {"properties": {"shapes": {"const": 0}}}
    definition["else"] = {"properties": flat}


def _info(definition: Schema, fields: Schema) -> None:
    definition["if"] = {"properties": {"object": {"minLength": 1}}, "required": ["object"]}
    definition["then"] = {"properties": {"value": {"maxProperties": 0}}}


def _id_runs(definition: Schema, fields: Schema) -> None:
    fields["runs"]["items"]["prefixItems"][0]["maximum"] = d.MAX_SAMPLE_ID
    definition["if"] = {"properties": {"page": {"minLength": 1}}, "required": ["page"]}
    definition["then"] = {"properties": {"runs": {"maxItems": 0}, "count": {"minimum": 1}}, "required": ["count"]}


def _tensor(_: Schema, fields: Schema) -> None:
    fields["name"] = NAME
    fields["dtype"] = {"enum": [*d.DTYPES, None]}


def _diff(_: Schema, fields: Schema) -> None:
    for field in ("groups_created", "groups_deleted"):
        fields[field] |= {"items": NAME, "uniqueItems": True}


def _brief(_: Schema, fields: Schema) -> None:
    fields["parents"]["uniqueItems"] = True


def _mark(_: Schema, fields: Schema) -> None:
    for field in ("commits", "pages", "segments"):
        fields[field] |= {"uniqueItems": True, "maxItems": limits.GC_MARK_IDS}


def _receipt_tensor(_: Schema, fields: Schema) -> None:
    fields["dtype"] = {"enum": [*d.DTYPES, None]}


def _snapshot(definition: Schema, fields: Schema) -> None:
    fields["groups"] |= {"items": NAME, "uniqueItems": True}
    fields["parents"]["uniqueItems"] = True
    definition["if"] = {"properties": {"kind": {"const": "commit"}}}
    definition["then"] = {"properties": {"generation": {"minimum": 1}}, "required": ["generation"]}
    definition["else"] = {"properties": {"parents": {"maxItems": 1}}}


def _tag(definition: Schema, fields: Schema) -> None:
    definition["if"] = {"properties": {"deleted": {"const": True}}, "required": ["deleted"]}
    definition["then"] = {"properties": {"snapshot": {"type": "null"}}}
    carried = {"type": "object", "properties": {"kind": {"const": "commit"}}}
    definition["else"] = {"properties": {"snapshot": carried}, "required": ["snapshot"]}


def others(name: str) -> Schema:
    """Return the plain attributes that stand beside a document for other tools."""
    text, time = {"type": "string"}, {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z$"}
    if name == "root":
        return {
            "zarr_conventions": convention("dataset:"),
            "dataset:id": ID,
            "dataset:format_version": {"const": d.FORMAT_VERSION},
            "dataset:created": time,
        }
    if name == "snapshot":
        return {
            "zarr_conventions": convention("commit:"),
            "commit:id": ID,
            "commit:parents": {"type": "array", "items": ID},
            "commit:author": text,
            "commit:time": time,
            "commit:message": text,
        }
    return {}


def convention(name: str) -> Schema:
    """Return the schema of ``zarr_conventions`` that holds the entry of this name."""
    entries = {c["name"]: dict(c) for c in (conventions.RAGGED, conventions.DATASET, conventions.COMMIT)}
    return {"type": "array", "contains": {"const": entries[name]}}


def array_members(name: str) -> Schema:
    """Return the array metadata of a page."""
    extents = name == "extent-page"
    most, width = (limits.PAGE_EXTENTS, 3) if extents else (limits.ID_PAGE_RUNS, 2)
    shape = {
        "type": "array",
        "prefixItems": [{"type": "integer", "minimum": 1, "maximum": most}, {"const": width}],
        "minItems": 2,
        "items": False,
    }
    fixed = page_array.array_metadata((1, width), *(page_array.EXTENTS if extents else page_array.IDS))
    members: Schema = {field: {"const": value} for field, value in fixed.items()}
    grid = {"type": "object", "properties": {"chunk_shape": shape}, "required": ["chunk_shape"]}
    members["shape"] = shape
    members["chunk_grid"] = {
        "type": "object",
        "properties": {"name": {"const": "regular"}, "configuration": grid | {"additionalProperties": False}},
        "required": ["name", "configuration"],
        "additionalProperties": False,
    }
    return members


def segment_schema() -> Schema:
    """Return the schema of a segment's group document, with the metadata of every node below it."""
    names = {"values-data": None, "values-offsets": "int64", "shape-data": "int64", "sequence-offsets": "int64"}
    ids = ID["pattern"].removeprefix("^").removesuffix("$")
    nodes = {f"^{ids}$": {"$ref": "#/$defs/TensorGroup"}}
    for array, dtype in (names | {"ids": "uint64"}).items():
        fixed = {"properties": {"data_type": {"const": dtype}}} if dtype else {}
        nodes[f"^{ids}/{array}$"] = {"$ref": "#/$defs/Array", **fixed}
    consolidated = {
        "type": "object",
        "properties": {
            "kind": {"const": "inline"},
            "must_understand": {"const": False},
            "metadata": {"type": "object", "patternProperties": nodes, "additionalProperties": False},
        },
        "required": ["kind", "must_understand", "metadata"],
        "additionalProperties": False,
    }
    ours = {"type": "object", "properties": {"segment": ID}, "required": ["segment"], "additionalProperties": False}
    attributes = {
        "type": "object",
        "properties": {"crc32c": CRC, "zlake": ours},
        "required": ["crc32c", "zlake"],
    }
    members = group(attributes) | {"consolidated_metadata": consolidated}
    return heading("segment", "The group document of a segment, ``segments/<id>/zarr.json``.") | {
        "properties": members,
        "required": list(members),
        "additionalProperties": False,
        "$defs": {"TensorGroup": tensor_group(), "Array": array_node(), "Codecs": codec_chain()},
    }


def group(attributes: Schema) -> Schema:
    """Return the members of a Zarr group."""
    return {"zarr_format": {"const": 3}, "node_type": {"const": "group"}, "attributes": attributes}


def tensor_group() -> Schema:
    """Return the schema of the group of one tensor in a segment."""
    positive = {"type": "integer", "minimum": 1, "maximum": d.MAX_COUNT}
    attributes = {
        "encoding-type": {"const": "awkward-array"},
        "encoding-version": {"const": "0.1.0"},
        "form": {"type": "string"},
        "length": positive,
        "zarr_conventions": convention("ragged:"),
        "ragged:layout": {"enum": ["dense", "ragged", "encoded"]},
        "ragged:rows": positive,
        "ragged:values": {"const": "values-data"},
    }
    optional = {
        "crc32c": CRC,
        "ragged:id_start": {"type": "integer", "minimum": 0, "maximum": d.MAX_SAMPLE_ID},
        "ragged:ids": {"const": "ids"},
        "ragged:offsets": {"const": "values-offsets"},
        "ragged:shapes": {"const": "shape-data"},
        "ragged:sequence_offsets": {"const": "sequence-offsets"},
    }
    words = {"type": "object", "properties": attributes | optional, "required": list(attributes)}
    members = group(words | {"additionalProperties": False})
    own = {"consolidated_metadata": {"type": "object"}}  # in a document of its own alone
    return {"type": "object", "properties": members | own, "required": list(members), "additionalProperties": False}


def array_node() -> Schema:
    """Return the schema of an array below a segment: core Zarr, and every codec chain ends in crc32c."""
    sizes = {
        "type": "array",
        "items": {"type": "integer", "minimum": 0},
        "minItems": 1,
        "maxItems": limits.MAX_NDIM + 1,
    }
    chunks = sizes | {"items": {"type": "integer", "minimum": 1}}
    sharding = {
        "chunk_shape": chunks,
        "codecs": {"$ref": "#/$defs/Codecs"},
        "index_codecs": {"$ref": "#/$defs/Codecs"},
        "index_location": {"const": "end"},
    }
    sharded = {
        "type": "array",
        "prefixItems": [
            named("sharding_indexed", {"type": "object", "properties": sharding, "required": list(sharding)})
        ],
        "minItems": 1,
        "items": False,
    }
    members: Schema = {
        "zarr_format": {"const": 3},
        "node_type": {"const": "array"},
        "attributes": {"type": "object", "properties": {"crc32c": CRC}, "additionalProperties": False},
        "shape": sizes,
        "data_type": {"enum": list(d.DTYPES)},
        "chunk_grid": named("regular", {"type": "object", "properties": {"chunk_shape": chunks}}),
        "chunk_key_encoding": named("default", {"const": {"separator": "."}}),
        "fill_value": {},
        "codecs": {"oneOf": [{"$ref": "#/$defs/Codecs"}, sharded]},
        "dimension_names": {"type": "array", "items": {"type": "string"}},
    }
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


def named(name: str, configuration: Schema) -> Schema:
    """Return the schema of an extension point of Zarr metadata with a configuration."""
    properties = {"name": {"const": name}, "configuration": configuration}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def codec_chain() -> Schema:
    """Return the schema of the codecs of a chunk: bytes, at most one compression, crc32c."""
    first = {"const": {"name": "bytes", "configuration": {"endian": "little"}}}
    middle = {"type": "object", "properties": {"name": {"enum": ["zstd", "blosc", "gzip"]}}, "required": ["name"]}
    last = {"const": {"name": "crc32c"}}
    short: Schema = {"type": "array", "prefixItems": [first, last], "minItems": 2, "items": False}
    long = short | {"prefixItems": [first, middle, last], "minItems": 3}
    return {"oneOf": [short, long]}


if __name__ == "__main__":
    main()
