from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zlake.errors import JsonValidationError, TensorMetaInvalidHtypeOverwriteValue
from zlake.samples.schema import check_schema, parse_schema


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ("Any", [1, "a", None, {}, []], []),
        ("str", ["a"], [1, None, b"a"]),
        ("int", [1, np.int8(1)], [1.5, True, "1"]),
        ("float", [1.5, 1, np.float32(2)], [True, "1"]),
        ("bool", [True, np.bool_(False)], [1]),
        ("None", [None], [0]),
        ("bytes", [b"a"], ["a"]),
        ("ndarray", [np.zeros(2)], [[1]]),
        ("list", [[], [1, "a"], (1,)], [{}, "ab"]),
        ("dict", [{}, {1: 2}], [[]]),
        ("Dict[str, int]", [{"a": 1}, {}], [{"a": "b"}, {1: 1}, []]),
        ("typing.Dict[str, typing.List[float]]", [{"a": [1.0]}], [{"a": ["x"]}]),
        ("Optional[int]", [None, 3], ["a"]),
        ("Union[int, str]", [1, "a"], [1.5]),
        ("int | str | None", [1, "a", None], [1.5]),
        ("List[Dict[str, Optional[Union[int, str]]]]", [[{"a": None, "b": 1}]], [[{"a": 1.5}]]),
        (" List [ Any ] ", [[1, "a"]], [1]),
    ],
)
def test_what_fits(schema: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        check_schema(value, schema)
    for value in bad:
        with pytest.raises(JsonValidationError, match="does not fit the tensor's schema"):
            check_schema(value, schema)


@pytest.mark.parametrize(
    "schema",
    [
        "",
        "Dict[str]",
        "Dict[str,int",
        "List[int]]",
        "Foo",
        "List[]",
        "int[str]",
        "Optional",
        "Union",
        "a.b()",
        "__import__('os')",
        "List[int,]",
        "| int",
        "Optional[int, str]",
        "List[" * 40 + "int" + "]" * 40,
        "1",
        "Dict[,]",
        "int|" * 2000 + "int",
    ],
)
def test_what_is_no_schema(schema: str) -> None:
    with pytest.raises(TensorMetaInvalidHtypeOverwriteValue, match="is not a schema"):
        parse_schema(schema)


def test_text_of_a_schema() -> None:
    assert str(parse_schema("dict[str, Optional[int]]")) == "Dict[str, Union[int, None]]"
