"""Attributes for tools that know nothing of zlake: plain words beside the documents.

They repeat what the documents say, for people who open a dataset with xarray or zarr. Readers of the format ignore
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from zlake.format.documents import Root, SegmentTensor, Snapshot

SPEC_URL: Final = "https://github.com/zlake-project/zlake/blob/main/spec/09-conventions.md"
"""Where the conventions are described, as the root of every dataset says."""


def _convention(name: str, uuid: str, **words: str) -> Mapping[str, str]:
    return MappingProxyType({"uuid": uuid, "name": name, **words})


# What a dataset has thousands of says no more than which convention it is: every commit would pay for the words.
RAGGED: Final = _convention("ragged:", "5b0f3a1e-6a0e-4e59-9d7b-0c2f54b9f1c3")
COMMIT: Final = _convention("commit:", "93c7a6d8-1f2b-4f0e-8a5d-2be4c7706d15")
DATASET: Final = _convention(
    "dataset:",
    "e2d9c1f4-3a53-4a8f-b1c6-7f0a6d0b8e21",
    spec_url=SPEC_URL,
    description="A versioned dataset of named tensors",
)


def iso_time(seconds: float) -> str:
    """Return a time in UTC as ISO 8601, to the microsecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def dataset_attributes(root: Root) -> dict[str, Any]:
    """Return the plain attributes of a dataset's root group."""
    return {
        "zarr_conventions": [dict(DATASET)],
        "dataset:id": root.dataset_id,
        "dataset:format_version": root.format_version,
        "dataset:created": iso_time(root.created),
    }


def commit_attributes(snapshot: Snapshot) -> dict[str, Any]:
    """Return the plain attributes of a commit: id, parents, author, time and message. A staged snapshot has none."""
    if snapshot.kind != "commit":
        return {}
    return {
        "zarr_conventions": [dict(COMMIT)],
        "commit:id": snapshot.id,
        "commit:parents": list(snapshot.parents),
        "commit:author": snapshot.author,
        "commit:time": iso_time(snapshot.time),
        "commit:message": snapshot.message,
    }


def ragged_attributes(entry: SegmentTensor) -> dict[str, Any]:
    """Return the plain attributes of one tensor in a segment: which arrays mean what."""
    attributes: dict[str, Any] = {
        "zarr_conventions": [dict(RAGGED)],
        "ragged:layout": entry.layout,
        "ragged:rows": entry.rows,
        "ragged:values": "values-data",
    }
    if entry.id_start >= 0:
        attributes["ragged:id_start"] = entry.id_start
    else:
        attributes["ragged:ids"] = "ids"
    if entry.layout != "dense":
        attributes["ragged:offsets"] = "values-offsets"
    if entry.shapes:
        attributes["ragged:shapes"] = "shape-data"
    if entry.items >= 0:
        attributes["ragged:sequence_offsets"] = "sequence-offsets"
    return attributes
