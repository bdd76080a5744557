"""Schemas of json and list tensors, written as Python type expressions: ``Dict[str, int]``, ``Optional[List[float]]``.

They are parsed by the few rules below and never evaluated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from zlake.errors import JsonValidationError, TensorMetaInvalidHtypeOverwriteValue

_TOKEN = re.compile(r"\s*(?:(?P<name>[A-Za-z_][A-Za-z_0-9.]*)|(?P<mark>[\[\],|]))")
_PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str, np.str_),
    "int": (int, np.integer),
    "float": (float, int, np.floating, np.integer),
    "bool": (bool, np.bool_),
    "None": (type(None),),
    "NoneType": (type(None),),
    "bytes": (bytes, bytearray, memoryview),
    "ndarray": (np.ndarray,),
}
_MAX_DEPTH = 32
_MAX_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class Schema:
    """One node of a parsed schema: a name, and the schemas in its brackets."""

    name: str
    items: tuple[Schema, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(map(str, self.items))}]" if self.items else self.name

    def fits(self, value: Any) -> bool:
        """Return whether a value has this form."""
        if self.name == "Any":
            return True
        if self.name == "Union":
            return any(item.fits(value) for item in self.items)
        if self.name == "List":
            return (
                isinstance(value, (list, tuple)) and all(self.items[0].fits(v) for v in value)
                if self.items
                else (isinstance(value, (list, tuple)))
            )
        if self.name == "Dict":
            if not isinstance(value, dict):
                return False
            keys, values = self.items or (Schema("Any"), Schema("Any"))
            return all(keys.fits(k) and values.fits(v) for k, v in value.items())
        if isinstance(value, (bool, np.bool_)) and self.name in ("int", "float"):
            return False
        return isinstance(value, _PLAIN[self.name])


@lru_cache(maxsize=256)
def parse_schema(text: str) -> Schema:
    """Parse a schema.

    Parameters
    ----------
    text
        ``Any``, ``str``, ``int``, ``float``, ``bool``, ``None``, ``bytes``, ``ndarray``, ``List[T]``, ``Dict[K, V]``,
        ``Optional[T]``, ``Union[A, B]`` or ``A | B``; ``list`` and ``dict`` are the same as ``List`` and ``Dict``.

    Raises
    ------
    TensorMetaInvalidHtypeOverwriteValue
        If the text is none of these.
    """
    tokens: list[str] = []
    at = 0
    source = text.strip()
    if len(source) > _MAX_LENGTH:
        raise _bad(f"{source[:40]}...", f"it has {len(source)} characters, more than {_MAX_LENGTH}")
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            raise _bad(text, f"unexpected {source[at]!r}")
        tokens.append(match.group("name") or match.group("mark"))
        at = match.end()
    schema, rest = _union(text, tokens, 0)
    if rest:
        raise _bad(text, f"unexpected {rest[0]!r}")
    return schema


def check_schema(value: Any, text: str) -> None:
    """Raise `JsonValidationError` unless the value fits the schema."""
    schema = parse_schema(text)
    if not schema.fits(value):
        raise JsonValidationError(f"{value!r:.200} does not fit the tensor's schema {text}")


def _union(text: str, tokens: list[str], depth: int) -> tuple[Schema, list[str]]:
    if depth > _MAX_DEPTH:
        raise _bad(text, f"more than {_MAX_DEPTH} levels")
    first, tokens = _term(text, tokens, depth)
    choices = [first]
    while tokens and tokens[0] == "|":
        choice, tokens = _term(text, tokens[1:], depth)
        choices.append(choice)
    return (first if len(choices) == 1 else Schema("Union", tuple(choices))), tokens


def _term(text: str, tokens: list[str], depth: int) -> tuple[Schema, list[str]]:
    if not tokens or tokens[0] in "[],|":
        raise _bad(text, f"a type is missing before {tokens[0]!r}" if tokens else "a type is missing at the end")
    name = tokens[0].rpartition(".")[2]
    name = {"list": "List", "dict": "Dict", "any": "Any"}.get(name, name)
    tokens = tokens[1:]
    items: list[Schema] = []
    if tokens and tokens[0] == "[":
        while tokens and tokens[0] in "[,":
            item, tokens = _union(text, tokens[1:], depth + 1)
            items.append(item)
        if not tokens or tokens[0] != "]":
            raise _bad(text, "a ] is missing")
        tokens = tokens[1:]
    return _node(text, name, tuple(items)), tokens


def _node(text: str, name: str, items: tuple[Schema, ...]) -> Schema:
    counts = {"List": (0, 1), "Dict": (0, 2), "Optional": (1,)}
    if name == "Union" and items:
        return Schema("Union", items)
    if name == "Any" or name in _PLAIN:
        allowed: tuple[int, ...] = (0,)
    elif name in counts:
        allowed = counts[name]
    else:
        raise _bad(text, f"{name!r} is not a known type")
    if len(items) not in allowed:
        raise _bad(text, f"{name} takes {' or '.join(map(str, allowed))} types in brackets, not {len(items)}")
    return Schema("Union", (items[0], Schema("None"))) if name == "Optional" else Schema(name, items)


def _bad(text: str, why: str) -> TensorMetaInvalidHtypeOverwriteValue:
    return TensorMetaInvalidHtypeOverwriteValue(
        f"{text!r} is not a schema: {why}; write for instance Dict[str, int], List[float], Optional[str], Any"
    )
