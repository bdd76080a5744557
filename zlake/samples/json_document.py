"""htypes ``json``, ``list`` and ``tag``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zlake.errors import CorruptedSampleError, SampleHtypeMismatchError, TensorMetaInvalidHtypeOverwriteValue
from zlake.samples.document import Document
from zlake.samples.encoded import Encoded
from zlake.samples.json_value import decode_json, encode_json
from zlake.samples.present import object_array
from zlake.samples.schema import check_schema, parse_schema
from zlake.samples.settings import Extra
from zlake.samples.sniff import Buffer
from zlake.samples.spec import TensorSpec
from zlake.types import Array


class Json(Document):
    """Any JSON value; arrays and bytes inside it too. None is the empty dictionary.

    With ``schema`` (or ``dtype``) as in `zlake.samples.schema.parse_schema`, samples are checked against it.
    """

    name = "json"
    keys = frozenset(("dtype", "schema"))

    def extra(self, name: str, settings: Mapping[str, Any]) -> Extra:
        """Check the schema, given as ``schema`` or ``dtype``; kept as text in the options."""
        given = [value for value in (settings.get("schema"), settings.get("dtype")) if value is not None]
        if not given:
            return Extra()
        if len(given) > 1:
            raise TensorMetaInvalidHtypeOverwriteValue(f"tensor {name!r}: give schema or dtype, not both")
        text = schema_text(given[0])
        self.check(name, text)
        return Extra(options={} if text == "Any" else {"schema": text})

    def check(self, name: str, schema: str) -> None:
        """Raise unless this htype can have the schema."""
        parse_schema(schema)

    def dump(self, sample: Any, spec: TensorSpec) -> Encoded:
        """Return one value as compact JSON.

        Raises
        ------
        JsonValidationError
            If the value is not JSON, or does not fit the schema.
        """
        value = {} if sample is None else sample
        schema = spec.options.get("schema")
        if schema is not None and sample is not None:
            check_schema(value, schema)
        return Encoded(encode_json(value), None)

    def load(self, data: Buffer, spec: TensorSpec) -> Any:
        """Return the value."""
        return decode_json(data)

    def to_numpy(self, value: Any) -> Array:
        """Return the value as ``(1,) object``."""
        return object_array([value])


class List(Json):
    """A list of JSON values of any kinds, ``(n,)``; None is the empty list."""

    name = "list"

    def check(self, name: str, schema: str) -> None:
        """Raise unless the schema is that of a list."""
        if parse_schema(schema).name not in ("List", "Any"):
            raise TensorMetaInvalidHtypeOverwriteValue(f"tensor {name!r}: a list has a schema List[...], not {schema}")

    def dump(self, sample: Any, spec: TensorSpec) -> Encoded:
        """Return one list as compact JSON, with its length as shape."""
        items = [] if sample is None else list_of(sample)
        return Encoded(super().dump(items, spec).data, (len(items),))

    def load(self, data: Buffer, spec: TensorSpec) -> list[Any]:
        """Return the list."""
        value = decode_json(data)
        if not isinstance(value, list):
            raise CorruptedSampleError(f"a stored {self.name} sample is a {type(value).__name__}")
        return value

    def to_numpy(self, value: Any) -> Array:
        """Return the elements as ``(n,) object``."""
        return object_array(value)


class Tag(List):
    """A list of strings, ``(n,)``; one string stands for a list of one."""

    name = "tag"
    keys = frozenset()

    def dump(self, sample: Any, spec: TensorSpec) -> Encoded:
        """Return one list of strings as compact JSON, with its length as shape."""
        items = [sample] if isinstance(sample, str) else [] if sample is None else list_of(sample)
        for item in items:
            if not isinstance(item, str):
                raise SampleHtypeMismatchError(f"a tag is a string; got {item!r:.60} ({type(item).__name__})")
        return super().dump([str(item) for item in items], spec)


def list_of(sample: Any) -> list[Any]:
    """Return a list, tuple or array as a list.

    Raises
    ------
    SampleHtypeMismatchError
        If it is anything else.
    """
    if isinstance(sample, (list, tuple)):
        return list(sample)
    if isinstance(sample, np.ndarray) and sample.ndim:
        return list(sample.tolist())
    raise SampleHtypeMismatchError(f"a list sample is a list; got {type(sample).__name__} ({sample!r:.60})")


def schema_text(schema: Any) -> str:
    """Return a schema given as text, as a type (``list``) or as a type expression (``Dict[str, int]``) as text."""
    if isinstance(schema, str):
        return schema
    return schema.__name__ if isinstance(schema, type) and not getattr(schema, "__args__", ()) else str(schema)
