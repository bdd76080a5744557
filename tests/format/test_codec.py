"""Documents survive the way to bytes and back; what breaks the format is refused on both ways."""

from __future__ import annotations

import math
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from zlake import limits
from zlake.errors import CorruptObjectError, FormatError, UnsupportedFormatError
from zlake.format import decode, encode, seal
from zlake.format import documents as d

from .strategies import documents, example_snapshot, to_id

KEY = to_id(b"x" * 16)
SNAPSHOT = example_snapshot()
ROOT = d.Root(format_version=1, dataset_id=KEY, created=1.75e9)
REF = d.Ref(commit=KEY, staged=None, sequence=3, write_id=KEY)


def resealed(data: bytes, *replacements: tuple[bytes, bytes]) -> bytes:
    """Return a document after a change, with a checksum that is right again."""
    for old, new in replacements:
        assert old in data, f"{old!r} is not in {data!r}"
        data = data.replace(old, new, 1)
    at = data.index(b'"crc32c":"') + 10
    return seal(data[:at] + b"00000000" + data[at + 8 :])


@given(documents)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_every_document_survives_the_round_trip(document: d.Document) -> None:
    data = encode(document)
    assert decode(type(document), data, where="it") == document
    assert encode(decode(type(document), data, where="it")) == data


def test_a_document_is_a_zarr_group_with_plain_attributes() -> None:
    parsed = msgspec.json.decode(encode(SNAPSHOT))
    assert parsed["zarr_format"] == 3
    assert parsed["node_type"] == "group"
    attributes = parsed["attributes"]
    assert attributes["commit:id"] == SNAPSHOT.id
    assert attributes["commit:time"] == "2025-06-15T15:06:40Z"
    assert attributes["commit:message"] == SNAPSHOT.message
    assert attributes["zarr_conventions"][0]["name"] == "commit:"


def test_a_ref_is_small_and_flat() -> None:
    data = encode(REF)
    assert data.startswith(b'{"crc32c":"')
    assert msgspec.json.decode(data)["zlake"] == {
        "document": "branch/1",
        "commit": KEY,
        "staged": None,
        "sequence": 3,
        "write_id": KEY,
    }


def test_defaults_are_left_out() -> None:
    assert b"sidecar" not in encode(SNAPSHOT)


@pytest.mark.parametrize("kind", d.Document.__args__)
@pytest.mark.parametrize("data", [b"", b"{}", b"\x00" * 100, b"PK\x03\x04", b'{"zarr_format":3,"node_type":"group"}'])
def test_bad_magic(kind: type[msgspec.Struct], data: bytes) -> None:
    with pytest.raises(CorruptObjectError, match=r"there/zarr\.json"):
        decode(kind, data, where="there/zarr.json")


@pytest.mark.parametrize("document", [SNAPSHOT, ROOT, REF], ids=lambda document: type(document).__name__)
def test_every_truncation_is_noticed(document: d.Document) -> None:
    data = encode(document)
    for length in range(len(data)):
        with pytest.raises(CorruptObjectError):
            decode(type(document), data[:length], where="it")
    for more in (b" ", b"\n", b"}", b"\x00"):
        with pytest.raises(CorruptObjectError):
            decode(type(document), data + more, where="it")


def test_a_newer_dataset_is_named_with_its_version() -> None:
    data = resealed(encode(ROOT), (b'"format_version":1', b'"format_version":2,"compass":{"north":[1]}'))
    with pytest.raises(UnsupportedFormatError, match=r"root is of format version 2.*up to version 1: upgrade zlake"):
        decode(d.Root, data, where="root")


def test_an_unknown_feature_is_named() -> None:
    data = resealed(encode(ROOT), (b'"features":[]', b'"features":["rectilinear"]'))
    with pytest.raises(UnsupportedFormatError, match=r"feature 'rectilinear'.*upgrade zlake"):
        decode(d.Root, data, where="root")


def test_a_newer_document_is_named_with_its_version() -> None:
    data = resealed(encode(SNAPSHOT), (b'"snapshot/1"', b'"snapshot/2"'))
    with pytest.raises(UnsupportedFormatError, match=r"snapshot document of version 2.*upgrade zlake"):
        decode(d.Snapshot, data, where="it")


def test_an_unknown_codec_needs_a_newer_version() -> None:
    data = resealed(encode(SNAPSHOT), (b'"inner":', b'"codec":"fsst","inner":'))
    with pytest.raises(UnsupportedFormatError, match=r"codec 'fsst'.*upgrade zlake"):
        decode(d.Snapshot, data, where="it")


def test_a_document_of_another_kind_is_refused() -> None:
    with pytest.raises(CorruptObjectError, match="'root/1', not 'snapshot/1'"):
        decode(d.Snapshot, encode(ROOT), where="it")
    with pytest.raises(CorruptObjectError, match="'branch/1', not 'tag/1'"):
        decode(d.Tag, encode(REF), where="it")
    with pytest.raises(CorruptObjectError):
        decode(d.Root, encode(REF), where="it")


def test_a_document_under_the_key_of_another_is_refused() -> None:
    data = encode(SNAPSHOT)
    assert decode(d.Snapshot, data, where="it", expected_id=SNAPSHOT.id) == SNAPSHOT
    with pytest.raises(CorruptObjectError, match=SNAPSHOT.id):
        decode(d.Snapshot, data, where="it", expected_id=KEY)


def test_unknown_fields_are_never_dropped() -> None:
    data = resealed(encode(SNAPSHOT), (b'"kind":"commit"', b'"kind":"commit","color":"red"'))
    with pytest.raises(CorruptObjectError, match="color"):
        decode(d.Snapshot, data, where="it")
    data = resealed(encode(SNAPSHOT), (b'"layout":"dense"', b'"layout":"dense","zone":1'))
    with pytest.raises(CorruptObjectError, match="zone"):
        decode(d.Snapshot, data, where="it")


def test_attributes_of_other_tools_are_ignored() -> None:
    data = resealed(encode(SNAPSHOT), (b'"commit:id"', b'"other:tool":[{"a":[1]}],"commit:id"'))
    assert decode(d.Snapshot, data, where="it") == SNAPSHOT


def test_a_damaged_document_says_which_and_how() -> None:
    data = encode(SNAPSHOT).replace(b"Ada", b"Eve", 1)
    with pytest.raises(CorruptObjectError, match=r"commits/abc is damaged or cut short: its \d+ bytes have checksum"):
        decode(d.Snapshot, data, where="commits/abc")


def test_oversize_is_refused_before_parsing() -> None:
    data = b'{"crc32c":"00000000","zlake":"' + b"a" * limits.DOCUMENT_BYTES + b'"}'
    with pytest.raises(CorruptObjectError, match="at most 1048576"):
        decode(d.Ref, data, where="it")
    with pytest.raises(FormatError, match="more than the 1048576"):
        encode(replace(SNAPSHOT, info=d.Info(value={"text": "a" * limits.DOCUMENT_BYTES})))


def test_a_tag_carries_every_commit_that_can_be_written() -> None:
    room = limits.DOCUMENT_BYTES - len(encode(replace(SNAPSHOT, info=d.Info(value={"text": ""}))))
    largest = replace(SNAPSHOT, info=d.Info(value={"text": "a" * room}))
    assert len(encode(largest)) == limits.DOCUMENT_BYTES
    tag = d.Tag("v" * 240, largest.id, KEY, snapshot=largest)
    assert decode(d.Tag, encode(tag), where="it") == tag
    data = b'{"crc32c":"00000000","zlake":"' + b"a" * limits.TAG_BYTES + b'"}'
    with pytest.raises(CorruptObjectError, match="at most 1049600"):
        decode(d.Tag, data, where="it")


def test_an_info_object_may_be_larger() -> None:
    names = {"class_names": [f"class number {i}" for i in range(100_000)]}
    assert decode(d.InfoObject, encode(d.InfoObject(KEY, names)), where="it").value == names
    with pytest.raises(FormatError, match="16777216"):
        encode(d.InfoObject(KEY, {"text": "a" * limits.INFO_BYTES}))


@pytest.mark.parametrize("recursion_limit", [1000, 10**6])
@pytest.mark.parametrize("bomb", [b"[", b'{"a":', b'["]",[', b'["\\"",', b'["\\\\",'])
def test_deep_nesting_is_refused_before_parsing(bomb: bytes, recursion_limit: int) -> None:
    data = resealed(encode(SNAPSHOT), (b'"source":"camera"', b'"source":' + bomb * (limits.DOCUMENT_BYTES // 20)))
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(recursion_limit)
    try:
        with pytest.raises(CorruptObjectError):
            decode(d.Snapshot, data, where="it")
    finally:
        sys.setrecursionlimit(before)


def nested(depth: int) -> Any:
    value: Any = "]]]{{{"
    for _ in range(depth):
        value = [value]
    return value


def test_nesting_is_bounded_on_both_ways_alike() -> None:
    fits = d.InfoObject(KEY, {"a": nested(limits.MAX_DEPTH - 4)})
    assert decode(d.InfoObject, encode(fits), where="it") == fits
    for depth in (limits.MAX_DEPTH - 3, 900, 10_000):
        with pytest.raises(FormatError):
            encode(d.InfoObject(KEY, {"a": nested(depth)}))


@pytest.mark.parametrize(
    "number", [b"1e999", b"-1", b"18446744073709551616", b"9" * 5000, b"1.5", b"1.0", b"true", b"NaN", b"null", b'"1"']
)
def test_hostile_numbers(number: bytes) -> None:
    data = resealed(encode(REF), (b'"sequence":3', b'"sequence":' + number))
    with pytest.raises(CorruptObjectError):
        decode(d.Ref, data, where="it")
    data = resealed(encode(SNAPSHOT), (b"[2,50,50]", b"[2,50," + number + b"]"))
    with pytest.raises(CorruptObjectError):
        decode(d.Snapshot, data, where="it")


@pytest.mark.parametrize("seconds", [b"-1.0", b"NaN", b"1e300", b"253402300800.0"])
def test_hostile_times(seconds: bytes) -> None:
    data = resealed(encode(SNAPSHOT), (b'"time":1750000000.0', b'"time":' + seconds))
    with pytest.raises(CorruptObjectError):
        decode(d.Snapshot, data, where="it")


@pytest.mark.parametrize("number", [b"9" * 5000, b"1e999"])
def test_hostile_numbers_in_info(number: bytes) -> None:
    data = resealed(encode(SNAPSHOT), (b'"camera"', number))
    with pytest.raises(CorruptObjectError):
        decode(d.Snapshot, data, where="it")


@pytest.mark.parametrize("name", [b"../up", b"a/../b", b"/a", b"a/", b"a//b", b"", b"a\\u0000b", b"a\\nb", b"x" * 256])
def test_hostile_tensor_names(name: bytes) -> None:
    data = resealed(encode(SNAPSHOT), (b'"images/raw"', b'"' + name + b'"'))
    with pytest.raises(CorruptObjectError):
        decode(d.Snapshot, data, where="it")


@pytest.mark.parametrize(
    "text", ["../../../../../../../../ab", "a" * 25, "a" * 27, "A" * 26, "a" * 25 + "\\u0000", "a" * 26 + "\\n"]
)
def test_hostile_ids(text: str) -> None:
    for data, kind in ((encode(SNAPSHOT), d.Snapshot), (encode(REF), d.Ref)):
        own = SNAPSHOT.tensors[0].key if kind is d.Snapshot else KEY
        with pytest.raises(CorruptObjectError):
            decode(kind, resealed(data, (f'"{own}"'.encode(), f'"{text}"'.encode())), where="it")


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, (1, 2), {1: "a"}, b"bytes", {"set"}, object(), "\ud800", 10**5000, nested(2000)],
    ids=["nan", "inf", "tuple", "int key", "bytes", "set", "object", "surrogate", "huge int", "nested"],
)
def test_values_that_json_does_not_keep_are_not_written(value: Any) -> None:
    with pytest.raises(FormatError, match="cannot be written"):
        encode(d.InfoObject(KEY, {"value": value}))


def test_what_is_no_document_is_not_written() -> None:
    with pytest.raises(TypeError, match="Extent"):
        encode(d.Extent(0, 0, 1))  # type: ignore[arg-type]
