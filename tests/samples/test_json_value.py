from __future__ import annotations

import datetime
import decimal
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zlake.errors import CorruptedSampleError, JsonValidationError, SampleError
from zlake.samples.dtypes import CORE
from zlake.samples.json_value import decode_json, encode_json

KEYS = st.one_of(st.text(), st.just("__zlake__"), st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.just("__zlake__")),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return (a == b and math.copysign(1, a) == math.copysign(1, b)) or (math.isnan(a) and math.isnan(b))
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return list(map(repr, a)) == list(map(repr, b)) and all(map(same, a.values(), b.values()))
    return bool(a == b)


@given(VALUES)
def test_every_value_comes_back_exactly(value: Any) -> None:
    data = encode_json(value)
    data.decode()
    assert same(decode_json(data), value)
    assert same(decode_json(memoryview(data)), value)


@given(hnp.arrays(st.sampled_from(sorted(CORE, key=str)), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)))
def test_arrays_inside_come_back(array: np.ndarray) -> None:
    found = decode_json(encode_json({"a": [array]}))["a"][0]
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert found.flags.writeable


def test_plain_json_is_stored_as_plain_json() -> None:
    assert encode_json({"b": [1, 2.5, None, True], "a": "é"}) == '{"b":[1,2.5,null,true],"a":"é"}'.encode()
    assert encode_json(float("nan")) == b'{"__zlake__":"float","value":"nan"}'
    assert encode_json({1: "a"}) == b'{"__zlake__":"dict","items":[[1,"a"]]}'


def test_what_changes() -> None:
    assert decode_json(encode_json((1, (2, 3)))) == [1, [2, 3]]
    found = decode_json(
        encode_json({"a": np.float32(0.5), "b": np.int8(3), "c": np.bool_(True), "d": np.array(["x", "y"])})
    )
    assert found == {"a": 0.5, "b": 3, "c": True, "d": ["x", "y"]}
    assert [type(v) for v in found.values()] == [float, int, bool, list]


@dataclass
class Point:
    x: int = 1


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        object(),
        datetime.datetime(2020, 1, 1),
        datetime.date(2020, 1, 1),
        decimal.Decimal("1.5"),
        Point(),
        1j,
        {"a": [{"b": Point()}]},
        {(1, 2): 3},
        {Point: 1},
        {b"a": 1},
    ],
    ids=repr,
)
def test_what_is_not_json_is_refused(value: Any) -> None:
    with pytest.raises(JsonValidationError, match=r"cannot be stored|is not a JSON value"):
        encode_json(value)


def test_deep_circular_and_broken_text() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    circular: list[Any] = []
    circular.append(circular)
    for value in (deep, circular):
        with pytest.raises(JsonValidationError, match="nested too deeply"):
            encode_json(value)
    with pytest.raises(JsonValidationError, match=r"surrogate|not a JSON value"):
        encode_json({"a": "\ud800"})
    with pytest.raises(JsonValidationError, match="digits"):
        encode_json(10**5000)
    with pytest.raises(SampleError, match="dtype"):
        encode_json({"a": np.array(["2020-01-01"], "datetime64[D]")})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b"[1] 2",
        b"[" * 100_000,
        b'{"__zlake__":"nonsense"}',
        b'{"__zlake__":"float"}',
        b'{"__zlake__":"float","value":"x"}',
        b'{"__zlake__":"int","value":[]}',
        b'{"__zlake__":"bytes","data":"***"}',
        b'{"__zlake__":"dict","items":[1]}',
        b'{"__zlake__":"dict","items":[[[],1]]}',
        b'{"__zlake__":"ndarray","dtype":"object","shape":[1],"data":""}',
        b'{"__zlake__":"ndarray","dtype":"int8","shape":[2],"data":"AA=="}',
        b'{"__zlake__":"ndarray","dtype":"int8","shape":[-1],"data":"AA=="}',
        b'{"__zlake__":"ndarray","dtype":"int8","shape":["1"],"data":"AA=="}',
        b'{"__zlake__":["ndarray"]}',
    ],
)
def test_damaged_bytes(data: bytes) -> None:
    with pytest.raises(CorruptedSampleError):
        decode_json(data)
