"""Any byte of any object changed: an error of the tree, or the same data; never other data, never another error."""

from __future__ import annotations

import random
from collections import Counter

import pytest

import zlake
from tests.damage.dataset import CONTEXTS, DOCUMENTS, Original, load_document
from zlake.errors import FormatError, ZlakeError
from zlake.storage import open_store
from zlake.versions.verify_segment import verify_group

POSITIONS = 14
"""Bytes changed of each object of a segment."""


def flipped(data: bytes, position: int, mask: int) -> bytes:
    return data[:position] + bytes([data[position] ^ mask]) + data[position + 1 :]


def test_the_dataset_has_every_kind_of_object(original: Original) -> None:
    kinds = Counter(map(original.kind, original.objects))
    assert set(kinds) == {
        *DOCUMENTS,
        "page chunk",
        "values-data",
        "values-offsets",
        "shape-data",
        "sequence-offsets",
        "ids",
    }
    assert kinds["page"] >= 4
    documents = {
        original.objects[key].partition(b'"document":"')[2].partition(b'"')[0] for key in original.keys("page")
    }
    assert documents == {b"extent-page/1", b"id-page/1", b"history/1", b"info/1"}


@pytest.mark.parametrize("kind", ["root", "branch", "tag", "snapshot", "page", "page chunk"])
def test_every_byte_of_every_document(original: Original, kind: str) -> None:
    """A checksum covers each of them; every now and then everything is read, which may not need the document."""
    newest = zlake.load(original.folder)._session.head.snapshot.id
    for key in original.keys(kind):
        data = original.objects[key]
        for position in range(len(data)):
            damaged = flipped(data, position, 1 << position % 8)
            if kind in ("root", "branch") or newest in key:
                assert original.outcome(key, damaged, CONTEXTS[0]) != "same"
                continue
            with original.changed(key, damaged) as folder, pytest.raises(FormatError):
                load_document(folder, key)
            if position % 40 == 0:
                original.outcome(key, damaged, CONTEXTS[0])


def test_every_byte_of_the_metadata_of_segments(original: Original) -> None:
    """Readers of samples do not need it, so it does no harm; a verification finds it."""
    for key in original.keys("segment"):
        data = original.objects[key]
        assert original.outcome(key, flipped(data, len(data) // 2, 1), CONTEXTS[0]) == "same"
        segment = key.split("/")[1]
        store = open_store("mem://damaged-segment-metadata")
        generation = store.read_versioned(key).generation
        for position in range(len(data)):
            store.swap(key, flipped(data, position, 1 << position % 8), generation)
            assert [found for found, _ in verify_group(store, segment)] == [key]
            generation = store.read_versioned(key).generation
        store.delete_prefix()


@pytest.mark.parametrize("array", ["values-data", "values-offsets", "shape-data", "sequence-offsets", "ids"])
def test_bytes_of_every_object_of_every_segment(original: Original, array: str) -> None:
    rng = random.Random(array)
    keys = original.keys(array)
    outcomes: Counter[str] = Counter()
    for number, key in enumerate(keys):
        data = original.objects[key]
        ends = {0, len(data) // 2, len(data) - 1}
        for position in ends | {rng.randrange(len(data)) for _ in range(POSITIONS)}:
            context = CONTEXTS[(number + position) % 2]
            outcomes[original.outcome(key, flipped(data, position, rng.randrange(1, 256)), context)] += 1
    assert outcomes["CorruptObjectError"] > 0
    # ids that count up are known from the table and not read; rows that were replaced are read by no one
    assert set(outcomes) <= {"CorruptObjectError", "same"}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_byte_of_every_segment(original: Original) -> None:
    for key in original.keys("values-data", "values-offsets", "shape-data", "sequence-offsets", "ids"):
        data = original.objects[key]
        for position in range(len(data)):
            assert original.outcome(key, flipped(data, position, 1 << position % 8), CONTEXTS[position % 2]) in (
                "CorruptObjectError",
                "same",
            )


def test_a_deep_verification_finds_what_readers_need_not_meet(original: Original) -> None:
    rng = random.Random(1)
    for key, data in original.objects.items():
        damaged = flipped(data, rng.randrange(len(data)), 1 << rng.randrange(8))
        with original.copy(key, damaged, whole=True) as folder:
            try:
                report = zlake.load(folder).verify(deep=True)
            except ZlakeError:
                continue
        found = {tuple(damage.key.split("/")[:2]) for damage in report.damages}
        assert found == {tuple(key.split("/")[:2])}, report
