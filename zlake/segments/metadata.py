"""The ``zarr.json`` documents of a segment: its group, and the groups and arrays below it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from zlake.format.conventions import ragged_attributes
from zlake.format.documents import SegmentTensor
from zlake.format.seal import PLACEHOLDER, seal
from zlake.segments.codecs import chain_metadata, dtype_name
from zlake.segments.layout import ArrayLayout, arrays

_SEAL = PLACEHOLDER.decode()


def segment_documents(
    segment: str, tensors: Mapping[str, tuple[SegmentTensor, np.dtype[Any]]], nodes: bool
) -> dict[str, bytes]:
    """Return the sealed metadata documents of a segment.

    Parameters
    ----------
    segment
        Segment id.
    tensors
        From tensor key to its entry in the segment, and the dtype of its values.
    nodes
        Whether to return a document for each group and array below the segment as well. The segment's own holds
        them all (consolidated metadata), so tools that start there need no others.

    Returns
    -------
    dict
        From key, relative to the segment, to bytes; the segment's own document, ``zarr.json``, comes last.
    """
    documents: dict[str, bytes] = {}
    below: dict[str, Any] = {}
    for key, (entry, dtype) in tensors.items():
        attributes = tensor_attributes(entry, dtype)
        members = {array.name: array_metadata(array) for array in arrays(entry, dtype).values()}
        below[key] = _group(attributes)
        below.update((f"{key}/{name}", metadata) for name, metadata in members.items())
        if nodes:
            documents[f"{key}/zarr.json"] = _sealed(_group(attributes) | _consolidated(members))
            for name, metadata in members.items():
                documents[f"{key}/{name}/zarr.json"] = _sealed(metadata)
    documents["zarr.json"] = _sealed(_group({"zlake": {"segment": segment}}) | _consolidated(below))
    return documents


def array_metadata(layout: ArrayLayout) -> dict[str, Any]:
    """Return the Zarr v3 metadata of an array, without a checksum among its attributes.

    Parameters
    ----------
    layout
        The array.
    """
    return {
        "zarr_format": 3,
        "node_type": "array",
        "attributes": {},
        "shape": layout.shape,
        "data_type": dtype_name(layout.dtype),
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": layout.shard or layout.chunk}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": _fill_value(layout.dtype.kind),
        "codecs": _codecs(layout),
        "dimension_names": layout.dimensions,
    }


def tensor_attributes(entry: SegmentTensor, dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return the attributes of a tensor's group: how Awkward Array and other tools are to see its arrays.

    Parameters
    ----------
    entry
        The tensor in the segment.
    dtype
        Dtype of its values.
    """
    return {
        "encoding-type": "awkward-array",
        "encoding-version": "0.1.0",
        "form": _form(entry.layout, dtype_name(dtype), entry.shape, entry.shapes, entry.items >= 0),
        "length": entry.rows,
        **ragged_attributes(entry),
    }


def _group(attributes: dict[str, Any]) -> dict[str, Any]:
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def _consolidated(members: dict[str, Any]) -> dict[str, Any]:
    return {"consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": members}}


def _sealed(node: dict[str, Any]) -> bytes:
    attributes = {"crc32c": _SEAL, **node["attributes"]}
    return seal(msgspec.json.encode(node | {"attributes": attributes}))


def _codecs(layout: ArrayLayout) -> list[dict[str, Any]]:
    chain = chain_metadata(layout.codec, layout.dtype)
    if not layout.shard:
        return chain
    settings = {
        "chunk_shape": layout.chunk,
        "codecs": chain,
        "index_codecs": chain_metadata("raw", np.dtype(np.uint64)),
        "index_location": "end",
    }
    return [{"name": "sharding_indexed", "configuration": settings}]


def _fill_value(kind: str) -> Any:
    return {"b": False, "f": 0.0, "c": [0.0, 0.0]}.get(kind, 0)


@lru_cache(maxsize=256)
def _form(layout: str, dtype: str, shape: tuple[int, ...], shapes: int, sequence: bool) -> str:
    """Return the Awkward form of a tensor as JSON; form keys are chosen so that buffer names are our array names."""
    if layout == "dense":
        form = _numbers("values", dtype, shape)
    elif layout == "ragged":
        form = _lists("values", _numbers("values", dtype))
    else:
        form = _lists("values", _numbers("values", dtype, __array__="byte"), __array__="bytestring")
    if shapes:
        form = {
            "class": "RecordArray",
            "fields": ["values", "shape"],
            "contents": [form, _numbers("shape", "int64", (shapes,))],
            "parameters": {},
            "form_key": "record",
        }
    if sequence:
        form = _lists("sequence", form)
    return msgspec.json.encode(form).decode()


def _numbers(key: str, dtype: str, inner_shape: tuple[int, ...] = (), **parameters: str) -> dict[str, Any]:
    return {
        "class": "NumpyArray",
        "primitive": dtype,
        "inner_shape": inner_shape,
        "parameters": parameters,
        "form_key": key,
    }


def _lists(key: str, content: dict[str, Any], **parameters: str) -> dict[str, Any]:
    return {"class": "ListOffsetArray", "offsets": "i64", "content": content, "parameters": parameters, "form_key": key}
