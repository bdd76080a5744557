"""What people and other tools read beside the documents."""

from __future__ import annotations

import uuid

from msgspec.structs import replace

from zlake.format import conventions
from zlake.format import documents as d

from .strategies import example_snapshot, to_id


def test_every_convention_has_a_uuid_of_its_own_and_a_name_and_the_root_names_the_spec() -> None:
    entries = [conventions.RAGGED, conventions.DATASET, conventions.COMMIT]
    assert [entry["name"] for entry in entries] == ["ragged:", "dataset:", "commit:"]
    assert len({uuid.UUID(entry["uuid"]) for entry in entries}) == 3
    assert conventions.DATASET["spec_url"] == conventions.SPEC_URL


def test_times_are_iso_8601_in_utc() -> None:
    assert conventions.iso_time(0) == "1970-01-01T00:00:00Z"
    assert conventions.iso_time(1.75e9 + 0.25) == "2025-06-15T15:06:40.250000Z"


def test_a_commit_shows_its_words_and_a_staged_snapshot_nothing() -> None:
    snapshot = example_snapshot()
    attributes = conventions.commit_attributes(snapshot)
    assert {key: value for key, value in attributes.items() if key != "zarr_conventions"} == {
        "commit:id": snapshot.id,
        "commit:parents": list(snapshot.parents),
        "commit:author": "Ada",
        "commit:time": "2025-06-15T15:06:40Z",
        "commit:message": snapshot.message,
    }
    assert conventions.commit_attributes(replace(snapshot, kind="staged")) == {}


def test_a_ragged_tensor_names_its_arrays() -> None:
    segment = to_id(b"s" * 16)
    entry = d.SegmentTensor(segment=segment, layout="ragged", rows=3, elements=9, inner=(9,), shapes=2, items=5)
    attributes = conventions.ragged_attributes(entry)
    assert attributes["ragged:layout"] == "ragged"
    assert attributes["ragged:rows"] == 3
    assert attributes["ragged:offsets"] == "values-offsets"
    assert attributes["ragged:shapes"] == "shape-data"
    assert attributes["ragged:sequence_offsets"] == "sequence-offsets"
    dense = d.SegmentTensor(segment=segment, layout="dense", rows=3, elements=3, inner=(3,))
    assert set(conventions.ragged_attributes(dense)) == {
        *("zarr_conventions", "ragged:layout", "ragged:rows", "ragged:values", "ragged:ids"),
    }
    counted = conventions.ragged_attributes(replace(dense, id_start=7))
    assert counted["ragged:id_start"] == 7
    assert "ragged:ids" not in counted
