"""Whole objects cut short, emptied, exchanged, gone, or replaced by what something else wrote."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import pairwise

import pytest

from tests.damage.dataset import CONTEXTS, DOCUMENTS, Original
from zlake.format.seal import GROUP_PREFIX, PLACEHOLDER, seal

ARRAYS = ("values-data", "values-offsets", "shape-data", "sequence-offsets", "ids")
MISSING = {"DatasetNotFoundError", "DatasetCorruptError", "RefNotFoundError", "ObjectNotFoundError"}
DAMAGED = {"CorruptObjectError", "DatasetCorruptError", "DatasetNotFoundError"}
NESTED = b"[" * 200_000
ZARR = {"zarr_format": 3, "node_type": "group", "attributes": {}}
FOREIGN = {
    "nothing": b"",
    "a letter": b"x",
    "NUL": b"\0" * 64,
    "an object": b"{}",
    "null": b"null",
    "a list": b"[1, 2, 3]",
    "text": "Some text that somebody saved here.\n".encode("utf-16"),
    "a Zarr group": json.dumps(ZARR).encode(),
    "a Zarr array": json.dumps({**ZARR, "node_type": "array", "shape": [2**40], "codecs": []}).encode(),
    "nesting": NESTED,
    "sealed nesting": seal(GROUP_PREFIX + PLACEHOLDER + b'","zlake":' + NESTED + b"}}"),
    "sealed rubbish": seal(GROUP_PREFIX + PLACEHOLDER + b'","zlake":{"document":"' + b"x" * 1000 + b'"}}}'),
    "another kind": seal(GROUP_PREFIX + PLACEHOLDER + b'","zlake":{"document":"view/1"}}}'),
    "a sealed number": seal(GROUP_PREFIX + PLACEHOLDER + b'","zlake":' + b"9" * 100_000 + b"}}"),
    "much": b" " * (3 << 20),
    "noise": random.Random(0).randbytes(5000),
}


@pytest.mark.parametrize("kind", [*DOCUMENTS, "page chunk", *ARRAYS])
def test_cut_short(original: Original, kind: str) -> None:
    for number, key in enumerate(original.keys(kind)):
        data = original.objects[key]
        for length in sorted({0, 1, 4, len(data) // 2, len(data) - 4, len(data) - 1} & set(range(len(data)))):
            outcome = original.outcome(key, data[:length], CONTEXTS[number % 2])
            assert outcome in {*DAMAGED, "same"}, (key, length)


@pytest.mark.parametrize("kind", [*DOCUMENTS, "page chunk", *ARRAYS])
def test_something_behind_the_end(original: Original, kind: str) -> None:
    for number, key in enumerate(original.keys(kind)):
        for more in (b"\0", b"}", original.objects[key]):
            outcome = original.outcome(key, original.objects[key] + more, CONTEXTS[number % 2])
            assert outcome in {*DAMAGED, "same"}, key


@pytest.mark.parametrize("kind", [*DOCUMENTS, "page chunk", *ARRAYS])
def test_gone(original: Original, kind: str) -> None:
    outcomes = Counter(
        original.outcome(key, None, CONTEXTS[number % 2]) for number, key in enumerate(original.keys(kind))
    )
    assert set(outcomes) <= {*MISSING, "same"}
    if kind in ("root", "branch", "tag", "snapshot", "values-data"):
        assert "same" not in outcomes


@pytest.mark.parametrize("kind", [*DOCUMENTS, "page chunk", *ARRAYS])
def test_replaced_by_something_foreign(original: Original, kind: str) -> None:
    keys = original.keys(kind)
    for key in keys if kind in DOCUMENTS else keys[:3]:
        for name, value in FOREIGN.items():
            outcome = original.outcome(key, value, CONTEXTS[0])
            assert outcome in {*DAMAGED, "same"}, (key, name)
            if kind in ("root", "branch", "tag", "snapshot"):
                assert outcome != "same", (key, name)


@pytest.mark.parametrize("kind", [*DOCUMENTS, "page chunk"])
def test_documents_exchanged(original: Original, kind: str) -> None:
    """Of one kind with each other, and with those of other kinds: ids and kinds tell them apart."""
    others = [key for key in original.objects if original.kind(key) in (*DOCUMENTS, "page chunk")]
    for key in original.keys(kind):
        for other in others:
            if original.objects[other] != original.objects[key]:
                outcome = original.outcome(key, original.objects[other], CONTEXTS[0])
                assert outcome in {*DAMAGED, "same"}
                if kind in ("root", "branch", "tag", "snapshot"):
                    assert outcome != "same"


@pytest.mark.parametrize("array", ARRAYS)
def test_objects_of_segments_exchanged(original: Original, array: str) -> None:
    """A chunk of another form is refused; one of the same form too, wherever it is not TensorStore that reads it."""
    rng = random.Random(array)
    keys = original.keys(array)
    for number, key in enumerate(keys):
        others = [other for other in original.objects if original.kind(other) in ARRAYS]
        for other in rng.sample(others, 6):
            value = original.objects[other]
            # what is stored raw has no form but its length
            alike = original.form(other) == original.form(key) or len(value) == len(original.objects[key])
            if alike and original.tensors(key) == ("tiled",) and array == "values-data":
                continue
            outcome = original.outcome(key, value, CONTEXTS[0 if alike else number % 2])
            assert outcome in {"CorruptObjectError", "same"}, (key, other)
            if array != "ids" and value != original.objects[key]:
                assert outcome != "same", (key, other)


def test_neighbours_exchanged(original: Original) -> None:
    """The objects of one array, each in the place of the next."""
    arrays: dict[str, list[str]] = {}
    for key in original.keys(*ARRAYS):
        arrays.setdefault(key.rpartition("/")[0], []).append(key)
    seen = Counter[str]()
    for array, keys in arrays.items():
        for key, other in pairwise(keys):
            if original.objects[key] != original.objects[other] and original.tensors(key) != ("tiled",):
                seen[original.outcome(key, original.objects[other], CONTEXTS[0])] += 1
                assert set(seen) == {"CorruptObjectError"}, array
    assert seen.total() > 5
