from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from zlake.errors import (
    SampleDecompressionError,
    SampleError,
    SampleHtypeMismatchError,
    TensorDtypeMismatchError,
    TensorInvalidSampleShapeError,
)
from zlake.samples import Encoded, TensorSpec, htype, infer, prepare, prepare_many, read, resolve, settings

UNSPECIFIED = settings("unspecified", {})


@pytest.mark.parametrize(
    ("sample", "found"),
    [
        ({"a": 1}, ("json", None, 1)),
        ("text", ("text", None, 1)),
        (np.str_("text"), ("text", None, 1)),
        (np.array(["text"]), ("text", None, 1)),
        (np.array(["a", "b"]), ("list", None, 1)),
        ([1, "a"], ("list", None, 1)),
        ([[1, 2], [None]], ("list", None, 1)),
        ([1, 2], ("generic", "int64", 1)),
        (3, ("generic", "int64", 1)),
        (2.5, ("generic", "float64", 1)),
        (True, ("generic", "bool", 1)),
        (np.float32(1), ("generic", "float32", 1)),
        (np.zeros((2, 3), ">u2"), ("generic", "uint16", 2)),
        ([np.zeros((2, 3), "int8")] * 4, ("generic", "int8", 3)),
        (np.array(1.0), ("generic", "float64", 1)),
    ],
)
def test_infer(sample: Any, found: tuple[str, str | None, int]) -> None:
    name, dtype, ndim = infer(sample)
    assert (name, None if dtype is None else str(dtype), ndim) == found
    spec = resolve([None, sample], UNSPECIFIED)
    assert (spec.htype, None if spec.dtype is None else str(spec.dtype), spec.ndim) == found


def test_infer_of_a_file_is_generic(pixels: Callable[..., np.ndarray], pil: Callable[..., bytes]) -> None:
    sample = read(pil(pixels(4, 6, 3), "png"))
    assert infer(sample) == ("generic", np.dtype("uint8"), 3)
    np.testing.assert_array_equal(prepare(sample, resolve([sample], UNSPECIFIED)), pixels(4, 6, 3))


def test_a_dtype_given_makes_it_generic() -> None:
    spec = resolve([[1, 2]], settings("unspecified", {"dtype": "uint8"}))
    assert (spec.htype, spec.dtype, spec.ndim) == ("generic", np.uint8, 1)


def test_the_first_sample_fixes_dtype_and_rank() -> None:
    spec = resolve(np.zeros((3, 2, 2), "int16"), settings("generic", {}))
    assert (spec.dtype, spec.ndim) == (np.int16, 2)
    assert resolve([np.zeros(5)], spec) is spec
    with pytest.raises(TensorInvalidSampleShapeError, match="1 axes"):
        prepare(np.zeros(5, "int16"), spec)
    with pytest.raises(TensorDtypeMismatchError, match="int32"):
        prepare(np.zeros((2, 2), "int32"), spec)
    assert prepare(np.zeros((0, 7), "float64"), spec).shape == (0, 7)  # type: ignore[union-attr]
    assert prepare(None, spec).shape == (0, 0)  # type: ignore[union-attr]


def test_an_open_spec_is_resolved_on_the_way() -> None:
    spec = settings("generic", {})
    assert prepare(5, spec).tolist() == [5]  # type: ignore[union-attr]
    with pytest.raises(TensorDtypeMismatchError, match="sample 1 of 2"):
        prepare_many([np.zeros(2, "int8"), np.zeros(2)], spec)
    assert len(prepare_many([], spec)) == 0


def test_none_first() -> None:
    with pytest.raises(SampleError, match="cannot be None"):
        resolve([None], settings("generic", {}))
    with pytest.raises(SampleError, match="cannot be None"):
        resolve([None, None], UNSPECIFIED)
    for name, ndim in (("class_label", 1), ("embedding", 1), ("bbox", 2)):
        spec = resolve([None], settings(name, {}))
        assert spec.ndim == ndim
        assert prepare(None, spec).shape == (0,) * ndim  # type: ignore[union-attr]


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_samples(compression: str) -> None:
    spec = resolve([np.zeros((2, 3), "float32")], settings("generic", {"sample_compression": compression}))
    kind = htype("generic")
    assert kind.is_encoded(spec)
    assert kind.releases_gil(spec)
    array = np.arange(6, dtype="float32").reshape(3, 2)
    encoded = kind.prepare(array, spec)
    assert isinstance(encoded, Encoded)
    assert encoded.shape == (3, 2)
    np.testing.assert_array_equal(kind.decode(encoded.data, spec), array)
    prepared = prepare_many([array, None, array[:1]], spec)
    assert prepared.shapes is not None
    assert prepared.shapes.tolist() == [[3, 2], [0, 0], [1, 2]]
    assert prepared.blobs is not None
    assert kind.decode(prepared.blobs[1], spec, shape=(0, 0)).shape == (0, 0)
    assert kind.decode(prepared.blobs[1], spec).shape == (0, 0)
    with pytest.raises(SampleDecompressionError, match="no bytes are stored"):
        kind.decode(b"", spec, shape=(2, 2))


def test_plain_tensors_have_nothing_to_decode() -> None:
    spec = TensorSpec("generic", np.dtype("int8"), 1)
    assert not htype("generic").releases_gil(spec)
    with pytest.raises(SampleDecompressionError, match="plain arrays"):
        htype("generic").decode(b"abc", spec)


def test_how_arrays_are_shown() -> None:
    kind = htype("generic")
    assert kind.to_numpy([1, 2]).tolist() == [1, 2]
    assert kind.data(3, UNSPECIFIED) == {"value": 3}


def test_text_in_a_tensor_of_numbers() -> None:
    with pytest.raises(SampleHtypeMismatchError, match="htype text"):
        prepare("a", TensorSpec("generic", np.dtype("int8"), 1))


def test_embedding_and_bbox() -> None:
    spec = resolve([[0.5, 1.5]], settings("embedding", {}))
    assert prepare([0.5, 1.5], spec).dtype == np.float32  # type: ignore[union-attr]
    with pytest.raises(TensorDtypeMismatchError, match="float64"):
        prepare(np.zeros(8), spec)
    boxes = resolve([[[1, 2, 3, 4]]], settings("bbox", {}))
    assert boxes.ndim == 2
    assert prepare_many([[[1, 2, 3, 4]], [], None], boxes).shapes.tolist() == [[1, 4], [0, 0], [0, 0]]  # type: ignore[union-attr]
