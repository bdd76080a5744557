from __future__ import annotations

from typing import Any, Dict, List, Optional  # noqa: UP035

import numpy as np
import pytest

from zlake.errors import (
    TensorMetaInvalidHtype,
    TensorMetaInvalidHtypeOverwriteKey,
    TensorMetaInvalidHtypeOverwriteValue,
    TensorMetaMissingRequiredValue,
    TensorMetaMutuallyExclusiveKeysError,
    UnsupportedCompressionError,
)
from zlake.samples import htype, htypes, parse_htype, register_htype, settings
from zlake.samples.generic import Generic


def test_defaults_of_every_htype() -> None:
    found = {}
    for name in htypes:
        given = {"sample_compression": None} if htype(name).needs_compression else {}
        spec = settings(name, given)
        found[name] = (str(spec.dtype), spec.ndim, htype(name).is_encoded(spec))
    assert found == {
        "unspecified": ("None", None, False),
        "generic": ("None", None, False),
        "image": ("None", None, False),
        "image.rgb": ("uint8", 3, False),
        "image.gray": ("uint8", 3, False),
        "class_label": ("uint32", None, False),
        "bbox": ("float32", None, False),
        "embedding": ("float32", None, False),
        "text": ("None", 1, True),
        "json": ("None", 1, True),
        "list": ("None", 1, True),
        "tag": ("None", 1, True),
    }


def test_common_settings() -> None:
    spec = settings(
        "generic",
        {
            "dtype": float,
            "hidden": True,
            "tiling_threshold": -1,
            "max_chunk_size": 4096,
            "verify": True,
            "exist_ok": True,
            "verbose": False,
            "create_shape_tensor": False,
            "downsampling": None,
            "sample_compression": "unspecified",
        },
        sequence=True,
    )
    assert (spec.dtype, spec.sequence, spec.text) == (np.float64, True, "sequence[generic]")
    assert spec.options == {"hidden": True, "tiling_threshold": -1, "max_chunk_size": 4096}
    assert spec.sample_compression is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden", 1),
        ("verify", "yes"),
        ("tiling_threshold", 0),
        ("tiling_threshold", -2),
        ("tiling_threshold", 1.5),
        ("max_chunk_size", -1),
        ("max_chunk_size", True),
        ("dtype", "object"),
        ("dtype", "nonsense"),
    ],
)
def test_bad_values(key: str, value: Any) -> None:
    with pytest.raises(TensorMetaInvalidHtypeOverwriteValue, match=key):
        settings("generic", {key: value}, tensor="x")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("generic", "class_names"),
        ("image", "coords"),
        ("text", "schema"),
        ("bbox", "dtypes"),
        ("generic", "downsampling"),
    ],
)
def test_unknown_settings(name: str, key: str) -> None:
    with pytest.raises(TensorMetaInvalidHtypeOverwriteKey, match=f"'x': htype {name} has no setting '{key}'"):
        settings(name, {key: (2, 3), "sample_compression": None}, tensor="x")
    with pytest.raises(TensorMetaInvalidHtypeOverwriteKey, match="did you mean class_names"):
        settings("class_label", {"class_name": []})


def test_compressions() -> None:
    assert settings("image", {"sample_compression": "JPG"}).sample_compression == "jpeg"
    assert settings("image", {"sample_compression": None}).sample_compression is None
    assert settings("image", {"chunk_compression": "lz4"}).chunk_compression == "lz4"
    assert settings("generic", {"sample_compression": "zstd"}).sample_compression == "zstd"
    assert settings("text", {"sample_compression": "none"}).sample_compression is None
    for name in ("image", "image.rgb", "image.gray"):
        with pytest.raises(TensorMetaMissingRequiredValue, match="sample_compression"):
            settings(name, {})
        with pytest.raises(TensorMetaMissingRequiredValue, match="sample_compression"):
            settings(name, {"sample_compression": "unspecified", "chunk_compression": "unspecified"})
    with pytest.raises(TensorMetaMutuallyExclusiveKeysError, match="not both"):
        settings("image", {"sample_compression": "jpeg", "chunk_compression": "lz4"})
    with pytest.raises(UnsupportedCompressionError, match="did you mean 'jpeg'"):
        settings("image", {"sample_compression": "jpgg"})
    with pytest.raises(UnsupportedCompressionError, match=r"of htype class_label .*supported: lz4, zstd"):
        settings("class_label", {"sample_compression": "jpeg"})
    with pytest.raises(UnsupportedCompressionError, match="give it as sample_compression"):
        settings("image", {"chunk_compression": "jpeg"})
    with pytest.raises(UnsupportedCompressionError, match="3"):
        settings("image", {"sample_compression": 3})


def test_class_names() -> None:
    spec = settings("class_label", {"class_names": ["a", "b"]})
    assert spec.names is not None
    assert spec.names.values == ["a", "b"]
    assert spec.info == {"class_names": ["a", "b"]}
    assert settings("class_label", {}).info == {"class_names": []}
    with pytest.raises(TensorMetaInvalidHtypeOverwriteValue, match="twice"):
        settings("class_label", {"class_names": ["a", "a"]})


def test_coords() -> None:
    coords = {"type": "pixel", "mode": "LTWH"}
    assert settings("bbox", {"coords": coords}).info == {"coords": coords}
    assert settings("bbox", {}).info == {"coords": {}}
    with pytest.raises(TensorMetaInvalidHtypeOverwriteKey, match="'kind'"):
        settings("bbox", {"coords": {"kind": "pixel"}})
    with pytest.raises(TensorMetaInvalidHtypeOverwriteValue, match="LTRB, LTWH, CCWH"):
        settings("bbox", {"coords": {"mode": "XYZ"}})
    with pytest.raises(TensorMetaInvalidHtypeOverwriteValue, match="dictionary"):
        settings("bbox", {"coords": "LTRB"})


def test_intrinsics_must_be_json() -> None:
    assert settings("image", {"sample_compression": None, "intrinsics": [[1, 0]]}).info == {"intrinsics": [[1, 0]]}
    with pytest.raises(TensorMetaInvalidHtypeOverwriteValue, match="JSON"):
        settings("image", {"sample_compression": None, "intrinsics": object()})


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({}, {}),
        ({"dtype": "Any"}, {}),
        ({"dtype": "Dict[str, int]"}, {"schema": "Dict[str, int]"}),
        ({"dtype": Dict[str, int]}, {"schema": "typing.Dict[str, int]"}),  # noqa: UP006
        ({"schema": dict[str, int]}, {"schema": "dict[str, int]"}),
        ({"schema": Optional[List[int]]}, {"schema": "typing.Optional[typing.List[int]]"}),  # noqa: UP006, UP045
        ({"schema": dict}, {"schema": "dict"}),
    ],
)
def test_json_schemas(given: dict[str, Any], options: dict[str, Any]) -> None:
    spec = settings("json", given)
    assert spec.options == options
    assert spec.dtype is None


def test_bad_schemas() -> None:
    with pytest.raises(TensorMetaInvalidHtypeOverwriteValue, match="not a schema"):
        settings("json", {"dtype": "Nonsense[int]"})
    with pytest.raises(TensorMetaInvalidHtypeOverwriteValue, match="not both"):
        settings("json", {"dtype": "Any", "schema": "Any"})
    with pytest.raises(TensorMetaInvalidHtypeOverwriteValue, match=r"List\[...\]"):
        settings("list", {"schema": "Dict[str, int]"})
    assert settings("list", {"schema": "List[int]"}).options == {"schema": "List[int]"}
    assert settings("text", {"dtype": str}).dtype is None
    with pytest.raises(TensorMetaInvalidHtypeOverwriteValue, match="dtype str"):
        settings("text", {"dtype": "int8"})


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("image", ("image", False)),
        (" image ", ("image", False)),
        (None, ("unspecified", False)),
        ("sequence", ("generic", True)),
        ("sequence[image.rgb]", ("image.rgb", True)),
        ("sequence[ text ]", ("text", True)),
        ("generic@1", ("generic", False)),
    ],
)
def test_parse_htype(text: str | None, parsed: tuple[str, bool]) -> None:
    assert parse_htype(text) == parsed


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("imge", "did you mean 'image'"),
        ("link[image]", "linked samples are not supported; append zlake.read"),
        ("link", "not supported"),
        ("sequence[link[image]]", "malformed"),
        ("sequence[sequence[image]]", "malformed"),
        ("sequence[]", "malformed"),
        ("sequence[image", "malformed"),
        ("image[rgb]", "malformed"),
        ("sequence[tag]", "list already"),
        ("sequence[nonsense]", "not known"),
        ("", "not known"),
        ("image@2", "not known"),
        (7, "is a string"),
    ],
)
def test_bad_htypes(text: Any, why: str) -> None:
    with pytest.raises(TensorMetaInvalidHtype, match=why):
        parse_htype(text)


def test_the_registry_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    from zlake.samples import registry

    monkeypatch.setattr(registry, "_htypes", dict(registry._htypes))
    monkeypatch.setattr(registry, "htypes", list(registry.htypes))

    class Angle(Generic):
        name = "angle"
        dtype = np.dtype("float64")

    class Angle2(Angle):
        version = 2

    register_htype(Angle())
    register_htype(Angle2())
    assert parse_htype("sequence[angle]") == ("angle", True)
    assert htype("angle").version == 1
    assert htype("angle@2").version == 2
    assert repr(htype("angle")) == "<htype angle>"
    with pytest.raises(ValueError, match="registered already"):
        register_htype(Angle())
