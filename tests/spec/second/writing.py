"""Writing segments and pages (5.4 to 5.6, chapter 6): one chunk for each array, uncompressed values."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

from tests.spec.second.dataset import Dataset
from tests.spec.second.documents import ARRAY, GROUP, Body, blosc_codec, crc, new_id, node, packed, sealed
from tests.spec.second.segments import TEXTS, Part

RAGGED = "5b0f3a1e-6a0e-4e59-9d7b-0c2f54b9f1c3"
INLINE = 1024
NAMES = {"values-offsets": ["offset"], "shape-data": ["sample", "axis"], "ids": ["sample"]}


def write_segment(dataset: Dataset, new: dict[str, tuple[Body, list[int], list[Any]]]) -> dict[str, Part]:
    """Write rows of tensors, by key: fields (5.2), sample ids, samples. Return where they lie (7.4 step 1)."""
    segment, parts, metadata = new_id(), {}, Body()
    for key, (fields, ids, samples) in new.items():
        arrays, entry = layout(fields, ids, samples)
        stored, checks = 0, b""
        group = f"segments/{segment}/{key}"
        metadata[key] = {"zarr_format": 3, "node_type": "group", "attributes": attributes(fields, entry)}
        for name, array in arrays.items():
            chunks = [max(1, n) for n in array.shape]
            axes = [f"axis_{i}" for i in range(array.ndim - 1)]
            names = NAMES.get(name, ["sample", *axes] if entry["layout"] == "dense" else ["element"])
            codecs = [] if name == "values-data" else [blosc_codec(3)]
            described = node(list(array.shape), chunks, array.dtype.name, codecs, names)
            metadata[f"{key}/{name}"] = {"zarr_format": 3, "node_type": "array", "attributes": {}, **described}
            if array.size:
                data = packed(array, 3) if codecs else array.tobytes() + crc(array.tobytes())
                dataset.folder.create(f"{group}/{name}/c{'.0' * array.ndim}", data)
                stored, checks = stored + len(data), checks + data[-4:]
        entry |= {"segment": segment, "bytes": stored, "checks": base64.b64encode(checks).decode()}
        parts[key] = Part(dataset.folder, key, fields, entry)
    below = {"kind": "inline", "must_understand": False, "metadata": metadata}
    dataset.folder.create(
        f"segments/{segment}/zarr.json", sealed(GROUP, {"segment": segment}, consolidated_metadata=below)
    )
    return parts


def layout(fields: Body, ids: list[int], samples: list[Any]) -> tuple[dict[str, np.ndarray], Body]:
    """Return the arrays of a tensor in a segment (6.2), and what its segment entry says of them (5.3)."""
    assert not fields.get("sequence", False)
    entry: Body = {"layout": "dense", "rows": len(ids)}
    if fields["htype"] in TEXTS:
        assert fields["htype"] in ("text", "json")
        entry["layout"] = "encoded"
        texts = samples if fields["htype"] == "text" else [json.dumps(each, ensure_ascii=False) for each in samples]
        samples = [np.frombuffer(text.encode(), np.uint8) for text in texts]
    elif len({each.shape for each in samples}) > 1:
        entry["layout"] = "ragged"
    if entry["layout"] == "dense":
        arrays = {"values-data": np.stack(samples)}
        entry["shape"] = list(samples[0].shape)
    else:
        ends = np.cumsum([0, *(each.size for each in samples)], dtype=np.int64)
        arrays = {"values-data": np.concatenate([each.ravel() for each in samples]), "values-offsets": ends}
        if entry["layout"] == "ragged" and fields["ndim"] != 1:
            arrays["shape-data"] = np.array([each.shape for each in samples], np.int64)
            entry["shapes"] = fields["ndim"]
    if ids == list(range(ids[0], ids[0] + len(ids))):
        entry["id_start"] = ids[0]
    else:
        arrays["ids"] = np.array(ids, np.uint64)
    values = arrays["values-data"]
    return arrays, {**entry, "elements": len(values), "inner": [max(1, n) for n in values.shape]}


def attributes(fields: Body, entry: Body) -> Body:
    """Return the attributes of the group of a tensor in a segment (6.1, 9.3)."""
    text = fields["htype"] in TEXTS
    numbers = {"class": "NumpyArray", "primitive": fields["dtype"] or "uint8", "inner_shape": entry.get("shape", [])}
    form: Body = {**numbers, "parameters": {"__array__": "byte"} if text else {}, "form_key": "values"}
    if entry["layout"] != "dense":
        form = {"class": "ListOffsetArray", "offsets": "i64", "content": form, "form_key": "values"}
        form["parameters"] = {"__array__": "bytestring"} if text else {}
    if entry.get("shapes"):
        shape = {"class": "NumpyArray", "primitive": "int64", "inner_shape": [entry["shapes"]], "form_key": "shape"}
        fields_of = {"fields": ["values", "shape"], "contents": [form, {**shape, "parameters": {}}]}
        form = {"class": "RecordArray", **fields_of, "parameters": {}, "form_key": "record"}
    found = {"encoding-type": "awkward-array", "encoding-version": "0.1.0", "form": json.dumps(form)}
    found |= {"length": entry["rows"], "zarr_conventions": [{"uuid": RAGGED, "name": "ragged:"}]}
    found |= {"ragged:layout": entry["layout"], "ragged:rows": entry["rows"], "ragged:values": "values-data"}
    found |= {"ragged:offsets": "values-offsets"} if entry["layout"] != "dense" else {}
    found |= {"ragged:shapes": "shape-data"} if entry.get("shapes") else {}
    return found | ({"ragged:id_start": entry["id_start"]} if "id_start" in entry else {"ragged:ids": "ids"})


def write_page(dataset: Dataset, kind: str, runs: np.ndarray, names: list[str], **members: Any) -> str:
    """Write a page of extents or of ids; return its id (5.4, 5.5)."""
    page_id, data = new_id(), packed(runs, 5)
    body = {"document": kind, "id": page_id, "chunk": f"{int.from_bytes(data[-4:], 'little'):08x}", **members}
    described = node(list(runs.shape), list(runs.shape), runs.dtype.name, [blosc_codec(5)], names)
    dataset.folder.create(f"pages/{page_id}/c.0.0", data)
    dataset.folder.create(f"pages/{page_id}/zarr.json", sealed(ARRAY, body, **described))
    return page_id


def write_body(dataset: Dataset, kind: str, **members: Any) -> str:
    """Write an info or a page of history; return its id (5.6, 5.7)."""
    page_id = new_id()
    body = {"document": kind, "id": page_id, **members}
    dataset.folder.create(f"pages/{page_id}/zarr.json", sealed(GROUP, body))
    return page_id


def extent_table(dataset: Dataset, places: list[Any]) -> Body:
    """Return the extent table of a tensor whose rows lie at these places (5.3), on pages if it is long (5.4)."""
    extents: list[tuple[Part, int, int]] = []
    for part, q in places:
        last, start, count = extents[-1] if extents else (None, 0, 0)
        if last is part and q == start + count:
            extents[-1] = (part, start, count + 1)
        else:
            extents.append((part, q, 1))
    pages = []
    while len(extents) > INLINE:
        segments, rows = _numbered(extents[:INLINE])
        members = {"rows": int(rows[:, 2].sum()), "segments": segments}
        page_id = write_page(dataset, "extent-page/1", rows, ["extent", "segment_start_count"], **members)
        pages.append({"id": page_id, "rows": members["rows"], "extents": len(rows)})
        pages[-1]["bytes"] = sum(entry["bytes"] for entry in segments)
        extents = extents[INLINE:]
    segments, rows = _numbered(extents)
    return {"segments": segments, "extents": rows.tolist(), "pages": pages}


def id_set(dataset: Dataset, ids: list[int]) -> Body:
    """Return an id set (5.5), on a page if it has many runs."""
    runs: list[list[int]] = []
    for each in sorted(ids):
        if runs and each == sum(runs[-1]):
            runs[-1][1] += 1
        else:
            runs.append([each, 1])
    if len(runs) <= INLINE:
        return {"runs": runs, "count": len(ids)} if ids else {}
    rows = np.array(runs, np.uint64)
    return {"page": write_page(dataset, "id-page/1", rows, ["run", "first_count"], count=len(ids)), "count": len(ids)}


def _numbered(extents: list[tuple[Part, int, int]]) -> tuple[list[Body], np.ndarray]:
    numbers = {part: number for number, part in enumerate(dict.fromkeys(part for part, _, _ in extents))}
    rows = [(numbers[part], start, count) for part, start, count in extents]
    return [part.entry for part in numbers], np.array(rows, np.int64).reshape(-1, 3)
