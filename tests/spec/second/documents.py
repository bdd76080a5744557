"""Documents: envelopes, checksums, kinds and ids (chapters 2 and 3). What must be refused fails an assertion."""

from __future__ import annotations

import base64
import json
import re
import secrets
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from jsonschema import Draft202012Validator, ValidationError
from numcodecs import blosc, gzip, zstd

GROUP = b'{"zarr_format":3,"node_type":"group","attributes":{"crc32c":"'
ARRAY = b'{"zarr_format":3,"node_type":"array","attributes":{"crc32c":"'
BARE = b'{"crc32c":"'
NONE = b"00000000"
SCHEMAS = Path(__file__).parents[3] / "spec" / "schemas"
INFLATE = {"raw": bytes, "zstd": zstd.decompress, "gzip": gzip.GZip().decode}
INFLATE |= {"blosc": blosc.decompress, "sidecar": blosc.decompress}

BOUNDS = {"tag": 1_049_600, "info": 16 << 20}

Body = dict[str, Any]


def new_id() -> str:
    """Return a fresh id (2.3)."""
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def is_id(text: str) -> bool:
    """Say whether a text is an id (2.3)."""
    return re.fullmatch("[a-z2-7]{26}", text) is not None


def crc(data: bytes) -> bytes:
    """Return the checksum behind a chunk (6.5)."""
    return google_crc32c.value(data).to_bytes(4, "little")


@cache
def schema(kind: str) -> Draft202012Validator:
    """Return what a kind of document may hold."""
    return Draft202012Validator(json.loads((SCHEMAS / f"{kind}.json").read_text("utf-8")))


def sealed(envelope: bytes, body: Body, attributes: Body | None = None, **beside: Any) -> bytes:
    """Return a document with its checksum (3.1, 3.2), with other attributes and other members of a node behind it."""
    inner = {"crc32c": NONE.decode(), "zlake": body, **(attributes or {})}
    whole: Body = inner
    if envelope != BARE:
        node = "group" if envelope == GROUP else "array"
        whole = {"zarr_format": 3, "node_type": node, "attributes": inner, **beside}
    data = json.dumps(whole, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    at = len(envelope)
    assert data.startswith(envelope + NONE)
    return data[:at] + b"%08x" % google_crc32c.value(data) + data[at + 8 :]


def opened(data: bytes, envelope: bytes, document: str, **carried: Any) -> tuple[Body, Body]:
    """Return the body of a document and the whole of it, if its seal, kind, members and what its key says are right."""
    kind, _, _ = document.partition("/")
    at = len(envelope)
    assert len(data) <= BOUNDS.get(kind, 1 << 20)
    assert data.startswith(envelope)
    assert re.fullmatch(rb'[0-9a-f]{8}"', data[at : at + 9])
    assert google_crc32c.value(data[:at] + NONE + data[at + 8 :]) == int(data[at : at + 8], 16)
    assert nesting(data) <= 64
    whole = json.loads(data)
    body: Body = (whole if envelope == BARE else whole["attributes"])["zlake"]
    assert next(iter(body.items())) == ("document", document)
    try:
        schema(kind).validate(whole)
    except ValidationError as error:
        raise AssertionError(f"{document}: {error.message}") from error
    for member, value in carried.items():
        assert body.get(member, "main" if member == "name" else None) == value
    return body, whole


def nesting(data: bytes) -> int:
    """Return how deep arrays and objects lie in each other, without parsing them (3.4)."""
    depth = deepest = 0
    for bracket in re.findall(rb"[\[{\]}]", re.sub(rb'"(?:[^"\\]|\\.)*"', b"", data)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def chunk(codec: str, data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
    """Return one chunk (6.5)."""
    body = data[:-4]
    assert crc(body) == data[-4:]
    plain = bytes(INFLATE[codec](body))
    assert len(plain) == prod(shape) * dtype.itemsize
    return np.frombuffer(plain, dtype.newbyteorder("<")).reshape(shape)


def node(shape: list[int], chunks: list[int], dtype: str, codecs: list[Body], names: list[str]) -> Body:
    """Return what the metadata of an array says beside its attributes (5.4, 6.3)."""
    kind = np.dtype(dtype).kind
    return {
        "shape": shape,
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": {"b": False, "f": 0.0, "c": [0.0, 0.0]}.get(kind, 0),
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, *codecs, {"name": "crc32c"}],
        "dimension_names": names,
    }


def blosc_codec(level: int) -> Body:
    """Return the codec of pages and sidecars (5.4, 6.5), all of whose elements have eight bytes."""
    settings = {"cname": "zstd", "clevel": level, "shuffle": "shuffle", "typesize": 8, "blocksize": 0}
    return {"name": "blosc", "configuration": settings}


def packed(values: np.ndarray, level: int) -> bytes:
    """Return a chunk of a page or sidecar."""
    data = blosc.compress(np.ascontiguousarray(values), b"zstd", level, blosc.SHUFFLE, 0)
    return data + crc(data)
