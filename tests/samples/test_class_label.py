from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zlake.errors import SampleHtypeMismatchError, TensorDtypeMismatchError, TensorInvalidSampleShapeError
from zlake.samples import TensorSpec, htype, prepare, prepare_many, resolve, settings

KIND = htype("class_label")


@pytest.fixture
def spec() -> TensorSpec:
    return resolve([0], settings("class_label", {"class_names": ["cat", "dog"]}))


@pytest.mark.parametrize(
    ("sample", "indices"),
    [
        (1, [1]),
        (np.int64(7), [7]),
        ("dog", [1]),
        (np.str_("dog"), [1]),
        (["dog", "cat"], [1, 0]),
        (["dog", 5], [1, 5]),
        ([3, 4], [3, 4]),
        (np.array([3, 4]), [3, 4]),
        (np.array(["cat", "dog"]), [0, 1]),
        (np.array(["cat"], object), [0]),
        ((1, 2), [1, 2]),
        (True, [1]),
        ([], []),
        (None, []),
    ],
)
def test_one_sample(sample: Any, indices: list[int], spec: TensorSpec) -> None:
    array = prepare(sample, spec)
    assert isinstance(array, np.ndarray)
    assert (array.dtype, array.tolist()) == (np.uint32, indices)
    assert spec.names is not None
    assert not spec.names.changed


@pytest.mark.parametrize(
    ("samples", "indices"),
    [
        ([1, 0, 2], [[1], [0], [2]]),
        (np.array([1, 0, 2]), [[1], [0], [2]]),
        (np.array([[1, 0], [2, 3]]), [[1, 0], [2, 3]]),
        (["dog", "cat", "dog"], [[1], [0], [1]]),
        (np.array(["dog", "cat"]), [[1], [0]]),
        (np.array(["dog", "cat"], object), [[1], [0]]),
        (["dog", 5], [[1], [5]]),
        ([["dog", "cat"], ["cat"], []], [[1, 0], [0], []]),
        ([[1, 2], [3], None], [[1, 2], [3], []]),
        ([np.array([1, 2]), np.array([3], "uint8")], [[1, 2], [3]]),
        ([np.array(["dog"]), "cat"], [[1], [0]]),
    ],
)
def test_many_samples(samples: Any, indices: list[list[int]], spec: TensorSpec) -> None:
    prepared = prepare_many(samples, spec)
    found = prepared.arrays if prepared.stacked is None else list(prepared.stacked)
    assert found is not None
    assert [array.tolist() for array in found] == indices
    assert {array.dtype for array in found} == {np.dtype("uint32")}


def test_unknown_names_are_added(spec: TensorSpec) -> None:
    assert spec.names is not None
    prepared = prepare_many(["bird", "cat", "fish", "bird"], spec)
    assert prepared.stacked is not None
    assert prepared.stacked.tolist() == [[2], [0], [3], [2]]
    assert (spec.names.values, spec.names.changed) == (["cat", "dog", "bird", "fish"], True)
    assert prepare(["bird", "ant"], spec).tolist() == [2, 4]  # type: ignore[union-attr]


@pytest.mark.parametrize("sample", [-1, 2**32, np.array([-1, 2]), np.int64(-5)])
def test_indices_out_of_range(sample: Any, spec: TensorSpec) -> None:
    with pytest.raises(TensorDtypeMismatchError, match=r"does not fit .* uint32"):
        prepare(sample, spec)
    with pytest.raises(TensorDtypeMismatchError, match=r"does not fit .* uint32"):
        prepare_many([sample, sample], spec)


def test_what_is_no_label(spec: TensorSpec) -> None:
    for sample in (1.0, np.array([0.5, 1.5])):
        with pytest.raises(TensorDtypeMismatchError, match="float64"):
            prepare(sample, spec)
    with pytest.raises(SampleHtypeMismatchError):
        prepare({"a": 1}, spec)
    with pytest.raises(SampleHtypeMismatchError, match="name; got 3"):
        prepare(np.array(["a", 3], object), spec)
    with pytest.raises(TensorInvalidSampleShapeError):
        prepare(np.zeros((2, 2), "uint32"), spec)


def test_names_first() -> None:
    spec = resolve(["a", "b"], settings("class_label", {}))
    assert (spec.dtype, spec.ndim) == (np.uint32, 1)
    assert prepare_many(["a", "b"], spec).shape == (1,)
    spec = resolve([["a", "b"]], settings("class_label", {}))
    assert spec.ndim == 1


def test_data_shows_the_names(spec: TensorSpec) -> None:
    labels = np.array([[1], [0], [9]], "uint32")
    assert KIND.data(labels, spec)["text"] == [["dog"], ["cat"], ["9"]]
    assert KIND.data([labels[0], labels[:2, 0]], spec)["text"] == [["dog"], ["dog", "cat"]]
    assert KIND.data(labels, resolve([0], settings("class_label", {}))) == {"value": labels}


def test_compressed_labels(spec: TensorSpec) -> None:
    spec = resolve([0], settings("class_label", {"class_names": ["cat"], "sample_compression": "lz4"}))
    prepared = prepare_many(["cat", ["cat", "cat"]], spec)
    assert prepared.blobs is not None
    assert [KIND.decode(blob, spec).tolist() for blob in prepared.blobs] == [[0], [0, 0]]
