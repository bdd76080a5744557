from __future__ import annotations

import numpy as np
import pytest

from zlake.errors import SampleHtypeMismatchError, TensorDtypeMismatchError, TensorInvalidSampleShapeError
from zlake.samples.arrays import prepare_array, prepare_arrays

F4, U1, I8 = np.dtype("float32"), np.dtype("uint8"), np.dtype("int64")


def test_an_array_that_fits_passes_through() -> None:
    one = np.zeros((2, 3), F4)
    assert prepare_array(one, F4, 2) is one
    many = np.zeros((5, 2, 3), F4)
    prepared = prepare_arrays(many, F4, 2)
    assert prepared.stacked is many
    assert len(prepared) == 5
    assert prepared.shape == (2, 3)


def test_ragged_arrays_keep_their_identity_and_show_their_shapes() -> None:
    arrays = [np.zeros((n, 2), F4) for n in (3, 0, 1)]
    prepared = prepare_arrays(arrays, F4, 2)
    assert prepared.arrays is not None
    assert [a is b for a, b in zip(prepared.arrays, arrays, strict=True)] == [True] * 3
    assert prepared.shapes is not None
    assert prepared.shapes.tolist() == [[3, 2], [0, 2], [1, 2]]
    assert prepared.shapes.dtype == np.int64
    assert prepared.shape is None
    flat = prepare_arrays([np.zeros(4, F4), np.zeros(4, F4)], F4, 1)
    assert flat.shape == (4,)


def test_irregular_arrays_are_brought_into_form() -> None:
    base = np.arange(12, dtype=">f4").reshape(3, 4)
    arrays = [base.T, np.arange(3, dtype="int16").reshape(1, 3), None, [], [[1.5, 2.5]]]
    prepared = prepare_arrays(arrays, F4, 2)
    assert prepared.arrays is not None
    for array in prepared.arrays:
        assert array.flags.c_contiguous
        assert array.dtype == F4
        assert array.ndim == 2
    assert [a.shape for a in prepared.arrays] == [(4, 3), (1, 3), (0, 0), (0, 0), (1, 2)]
    np.testing.assert_array_equal(prepared.arrays[0], base.T)


def test_strided_one_dimensional_arrays_are_copied() -> None:
    prepared = prepare_arrays([np.arange(10, dtype=F4)[::2]] * 2, F4, 1)
    assert prepared.arrays is not None
    assert prepared.arrays[1].tolist() == [0, 2, 4, 6, 8]
    assert prepared.arrays[1].flags.c_contiguous


@pytest.mark.parametrize("samples", [[1, 2, 3], (1, 2, 3), np.array([1, 2, 3]), range(1, 4), [np.uint8(1), 2, 3]])
def test_numbers_become_samples_of_shape_one(samples: object) -> None:
    prepared = prepare_arrays(samples, U1, 1)
    assert prepared.stacked is not None
    assert prepared.stacked.tolist() == [[1], [2], [3]]
    assert prepared.stacked.dtype == U1


def test_numbers_are_judged_by_value_one_by_one() -> None:
    assert prepare_arrays(np.array([0.5, 1.5]), F4, 1).stacked is not None
    with pytest.raises(TensorDtypeMismatchError, match="300"):
        prepare_arrays([1, 300], U1, 1)
    with pytest.raises(TensorDtypeMismatchError, match="-1"):
        prepare_arrays(np.array([[1], [-1]]), U1, 1)
    with pytest.raises(TensorDtypeMismatchError, match="float64"):
        prepare_arrays([1, 2.5], I8, 1)
    with pytest.raises(TensorDtypeMismatchError, match="float64 does not cast safely"):
        prepare_arrays(np.ones((3, 2)), F4, 1)


def test_lists_of_lists() -> None:
    prepared = prepare_arrays([[1, 2], [3, 4]], U1, 1)
    assert prepared.stacked is not None
    assert prepared.stacked.tolist() == [[1, 2], [3, 4]]
    ragged = prepare_arrays([[1], [2, 3]], U1, 1)
    assert ragged.shapes is not None
    assert ragged.shapes.tolist() == [[1], [2]]
    with pytest.raises(TensorDtypeMismatchError, match="one of the samples: the value 999"):
        prepare_arrays([[1, 2], [3, 999]], U1, 1)


def test_object_arrays_and_iterables_are_lists_of_samples() -> None:
    ragged = np.empty(2, object)
    ragged[:] = [np.zeros(2, F4), np.zeros(3, F4)]
    for samples in (ragged, iter(list(ragged))):
        prepared = prepare_arrays(samples, F4, 1)
        assert prepared.shapes is not None
        assert prepared.shapes.tolist() == [[2], [3]]


def test_errors_name_the_sample() -> None:
    good, bad = np.zeros((2, 2), F4), np.zeros(3, F4)
    with pytest.raises(
        TensorInvalidSampleShapeError, match=r"sample 1 of 2: a sample of shape \(3,\) has 1 axes.* have 2"
    ):
        prepare_arrays([good, bad], F4, 2)
    with pytest.raises(TensorDtypeMismatchError, match=r"sample 2 of 3: .*float64.*float32"):
        prepare_arrays([good, good, np.zeros((2, 2))], F4, 2)
    with pytest.raises(SampleHtypeMismatchError, match="sample 0 of 2: text"):
        prepare_arrays(["a", good], F4, 2)
    with pytest.raises(TensorInvalidSampleShapeError, match="the samples: "):
        prepare_arrays(np.zeros((3, 2, 2), F4), F4, 1)
    with pytest.raises(TensorInvalidSampleShapeError, match="use append"):
        prepare_arrays(np.array(3.0), F4, 1)


def test_channels() -> None:
    gray = np.zeros((4, 5), U1)
    assert prepare_array(gray, U1, 3, channels=True).shape == (4, 5, 1)
    assert prepare_array(gray[..., None], U1, 2, channels=True).shape == (4, 5)
    stacked = prepare_arrays(np.zeros((7, 4, 5), U1), U1, 3, channels=True).stacked
    assert stacked is not None
    assert stacked.shape == (7, 4, 5, 1)
    with pytest.raises(TensorInvalidSampleShapeError, match="4 axes"):
        prepare_array(np.zeros((1, 4, 5, 3), U1), U1, 3, channels=True)


def test_no_samples() -> None:
    prepared = prepare_arrays([], F4, 2)
    assert len(prepared) == 0
    assert prepared.shape is None
    empty = prepare_arrays(np.zeros((0, 3), "float64"), F4, 1)
    assert len(empty) == 0


def test_torch_tensors() -> None:
    torch = pytest.importorskip("torch")
    stacked = prepare_arrays(torch.ones(3, 2), F4, 1).stacked
    assert stacked is not None
    assert stacked.tolist() == [[1, 1]] * 3
    arrays = prepare_arrays([torch.ones(2), torch.ones(1)], F4, 1).shapes
    assert arrays is not None
    assert arrays.tolist() == [[2], [1]]
    with pytest.raises(SampleHtypeMismatchError, match="Tensor"):
        prepare_arrays([torch.ones(2, requires_grad=True)], F4, 1)
