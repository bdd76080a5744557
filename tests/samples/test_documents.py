from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zlake.errors import CorruptedSampleError, JsonValidationError, SampleDecompressionError, SampleHtypeMismatchError
from zlake.samples import Encoded, htype, prepare, prepare_many, resolve, settings


def trip(name: str, sample: Any, **kwargs: Any) -> Any:
    spec = settings(name, kwargs)
    encoded = prepare(sample, spec)
    assert isinstance(encoded, Encoded)
    assert resolve([sample], spec) is spec
    return htype(name).decode(memoryview(encoded.data), spec, shape=encoded.shape)


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
@pytest.mark.parametrize(
    ("name", "sample", "found"),
    [
        ("text", "héllo\0", "héllo\0"),
        ("text", "", ""),
        ("text", None, ""),
        ("text", 5, "5"),
        ("text", 2.5, "2.5"),
        ("text", True, "True"),
        ("text", np.int8(3), "3"),
        ("text", np.str_("a"), "a"),
        ("text", np.array(["a"]), "a"),
        ("text", ["a"], "a"),
        ("json", {"a": [1, None]}, {"a": [1, None]}),
        ("json", None, {}),
        ("json", [1, 2], [1, 2]),
        ("json", "a", "a"),
        ("json", {1: {2: b"x"}}, {1: {2: b"x"}}),
        ("list", [1, "a", {"b": None}], [1, "a", {"b": None}]),
        ("list", (1, 2), [1, 2]),
        ("list", np.array([1.5, 2.5]), [1.5, 2.5]),
        ("list", None, []),
        ("list", [], []),
        ("tag", "a", ["a"]),
        ("tag", ["a", "b"], ["a", "b"]),
        ("tag", np.array(["a", "b"]), ["a", "b"]),
        ("tag", None, []),
    ],
)
def test_round_trip(name: str, sample: Any, found: Any, compression: str | None) -> None:
    assert trip(name, sample, sample_compression=compression) == found
    assert type(trip(name, sample, sample_compression=compression)) is type(found)


@given(st.text(st.characters(codec="utf-8")))
def test_any_text(text: str) -> None:
    assert trip("text", text) == text
    assert prepare(text, settings("text", {})) == Encoded(text.encode(), None)


def test_shapes() -> None:
    assert prepare("abc", settings("text", {})).shape is None
    assert prepare({"a": 1}, settings("json", {})).shape is None
    assert prepare([1, 2], settings("list", {})).shape == (2,)
    assert prepare("a", settings("tag", {})).shape == (1,)
    prepared = prepare_many([[1], [], None, [1, "b"]], settings("list", {}))
    assert prepared.shapes is not None
    assert prepared.shapes.tolist() == [[1], [0], [0], [2]]
    assert prepare_many(["a", "b"], settings("text", {})).shapes is None
    assert len(prepare_many([], settings("text", {}))) == 0


@pytest.mark.parametrize(
    "samples", [["a", "é"], ("a", "é"), np.array(["a", "é"]), np.array(["a", "é"], object), iter(["a", "é"])]
)
def test_many_texts(samples: Any) -> None:
    assert prepare_many(samples, settings("text", {})).blobs == [b"a", "é".encode()]


def test_many_mixed_texts() -> None:
    assert prepare_many(["a", None, 3], settings("text", {})).blobs == [b"a", b"", b"3"]
    assert prepare_many([{"a": 1}, None], settings("json", {})).blobs == [b'{"a":1}', b"{}"]


def test_what_is_no_text() -> None:
    spec = settings("text", {})
    for sample in (["a", "b"], {"a": 1}, b"a", np.array(["a", "b"]), object()):
        with pytest.raises(SampleHtypeMismatchError, match="one string"):
            prepare(sample, spec)
    with pytest.raises(SampleHtypeMismatchError, match="not valid Unicode"):
        prepare("\ud800", spec)
    with pytest.raises(SampleHtypeMismatchError, match=r"sample 1 of 2: .*not valid Unicode"):
        prepare_many(["a", "\ud800"], spec)
    with pytest.raises(SampleHtypeMismatchError, match=r"sample 2 of 3: .*one string"):
        prepare_many(["a", "b", {}], spec)


def test_what_is_no_list_or_tag() -> None:
    for sample in ("ab", 5, {"a": 1}):
        with pytest.raises(SampleHtypeMismatchError, match="a list sample is a list"):
            prepare(sample, settings("list", {}))
    with pytest.raises(SampleHtypeMismatchError, match="a tag is a string; got 1"):
        prepare(["a", 1], settings("tag", {}))


def test_schemas_are_checked() -> None:
    spec = settings("json", {"dtype": "Dict[str, int]"})
    assert prepare({"a": 1}, spec) == Encoded(b'{"a":1}', None)
    assert prepare(None, spec) == Encoded(b"{}", None)
    with pytest.raises(JsonValidationError, match=r"Dict\[str, int\]"):
        prepare({"a": "b"}, spec)
    with pytest.raises(JsonValidationError, match="sample 1 of 2"):
        prepare_many([{"a": 1}, {"a": None}], spec)
    numbers = settings("list", {"schema": "List[int]"})
    assert prepare([1, 2], numbers).shape == (2,)
    with pytest.raises(JsonValidationError, match=r"List\[int\]"):
        prepare([1, "a"], numbers)


def test_damaged_bytes() -> None:
    for name, data in (("text", b"\xff"), ("json", b"{"), ("list", b"{}"), ("tag", b"5")):
        with pytest.raises(CorruptedSampleError, match="stored"):
            htype(name).decode(data, settings(name, {}))
    for compression in ("lz4", "zstd"):
        spec = settings("text", {"sample_compression": compression})
        for data in (b"", b"abc", b"\xff" * 20):
            with pytest.raises(SampleDecompressionError, match="damaged"):
                htype("text").decode(data, spec)


def test_how_documents_are_shown() -> None:
    text = htype("text").to_numpy("abc")
    assert (text.dtype, text.tolist()) == (np.dtype("<U3"), ["abc"])
    value = htype("json").to_numpy({"a": [1]})
    assert (value.dtype, value.shape, value[0]) == (np.dtype(object), (1,), {"a": [1]})
    items = htype("list").to_numpy([[1, 2], [3, 4]])
    assert (items.shape, items.tolist()) == ((2,), [[1, 2], [3, 4]])
    assert htype("tag").to_numpy([]).shape == (0,)
    assert [a.shape for a in htype("list").as_arrays([[1], [1, 2]])] == [(1,), (2,)]
    assert htype("json").data({"a": 1}, settings("json", {})) == {"value": {"a": 1}}
    assert not htype("text").releases_gil(settings("text", {}))
