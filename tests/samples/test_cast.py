from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zlake.errors import SampleHtypeMismatchError, TensorDtypeMismatchError, TensorInvalidSampleShapeError
from zlake.samples.cast import cast, to_array
from zlake.samples.dtypes import CORE, native, parse_dtype

DTYPES = sorted(CORE, key=str)


@pytest.mark.parametrize("source", DTYPES, ids=str)
@pytest.mark.parametrize("target", DTYPES, ids=str)
def test_arrays_cast_exactly_where_numpy_calls_it_safe(source: np.dtype, target: np.dtype) -> None:
    array = np.ones(3, source)
    if np.can_cast(source, target):
        result = cast(array, target, by_value=False)
        assert result.dtype == target
        assert result.tolist() == [1, 1, 1]
    else:
        with pytest.raises(TensorDtypeMismatchError, match=f"{source}.*{target}"):
            cast(array, target, by_value=False)


@pytest.mark.parametrize("target", DTYPES, ids=str)
def test_arrays_without_elements_cast_freely(target: np.dtype) -> None:
    assert cast(np.empty((0, 4), "complex128"), target, by_value=False).dtype == target


@pytest.mark.parametrize(
    ("value", "dtype", "fits"),
    [
        (1, "uint32", True),
        (-1, "uint32", False),
        (255, "uint8", True),
        (256, "uint8", False),
        (-128, "int8", True),
        (-129, "int8", False),
        (2.5, "int64", False),
        (2.0, "int64", False),
        (0.1, "float32", True),
        (1e300, "float32", False),
        (float("inf"), "float32", True),
        (float("nan"), "float16", True),
        (65504, "float16", True),
        (2049, "float16", False),
        (2**24, "float32", True),
        (2**24 + 1, "float32", False),
        (2**40, "float32", True),
        (2**53 + 1, "float64", True),
        (10**6, "float16", False),
        (True, "uint8", True),
        (True, "float32", True),
        (1, "bool", False),
        (1j, "complex64", True),
        (1.5, "complex64", True),
        (1j, "float64", False),
        (2**63, "uint64", True),
        (2**63, "int64", False),
        (3, "complex64", True),
    ],
)
@pytest.mark.parametrize("form", ["scalar", "list", "array", "numpy scalar"])
def test_single_values_are_judged_by_value(value: complex, dtype: str, fits: bool, form: str) -> None:
    sample = {"scalar": value, "list": [value], "array": np.array([value]), "numpy scalar": np.array(value)[()]}[form]
    array, by_value = to_array(sample)
    assert by_value
    if not fits:
        with pytest.raises(TensorDtypeMismatchError, match=dtype):
            cast(array, np.dtype(dtype), by_value=by_value)
        return
    result = cast(array, np.dtype(dtype), by_value=by_value)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, np.array([value]).astype(dtype))


def test_lists_of_numbers_are_judged_by_value_and_arrays_by_dtype() -> None:
    array, by_value = to_array([[1, 2], [3, 255]])
    assert cast(array, np.dtype("uint8"), by_value=by_value).tolist() == [[1, 2], [3, 255]]
    array, by_value = to_array([np.array([1, 2]), np.array([3, 4])])
    assert not by_value
    with pytest.raises(TensorDtypeMismatchError, match=r"int64 does not cast safely to .* uint8"):
        cast(array, np.dtype("uint8"), by_value=by_value)


def test_the_error_names_the_value_and_the_range() -> None:
    with pytest.raises(TensorDtypeMismatchError, match=r"the value 300 does not fit .* uint8 \(0 to 255\)"):
        cast(*_pair([1, 300]), by_value=True)


def _pair(values: list[int]) -> tuple[np.ndarray, np.dtype]:
    return np.array(values), np.dtype("uint8")


def test_an_array_that_fits_is_not_copied() -> None:
    array = np.arange(6, dtype="float32").reshape(2, 3)
    found, _ = to_array(array)
    assert cast(found, np.dtype("float32"), by_value=False) is array
    swapped = cast(array.T, np.dtype("float32"), by_value=False)
    assert swapped.flags.c_contiguous
    np.testing.assert_array_equal(swapped, array.T)


@pytest.mark.parametrize("dtype", [">f4", ">i8", ">u2", ">c16"])
def test_big_endian_becomes_native(dtype: str) -> None:
    array, _ = to_array(np.array([1, 2], dtype))
    assert array.dtype.isnative
    assert array.tolist() == [1, 2]


def test_scalars_have_one_axis() -> None:
    assert to_array(np.array(7.0))[0].shape == (1,)
    assert to_array(True)[0].dtype == bool


def test_anything_with_array_is_taken() -> None:
    class Tensor:
        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            return np.arange(3, dtype="int16")

    class Broken:
        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            raise RuntimeError("requires grad")

    array, by_value = to_array(Tensor())
    assert (array.dtype, array.tolist(), by_value) == (np.int16, [0, 1, 2], False)
    with pytest.raises(SampleHtypeMismatchError, match="Broken does not turn into an array: requires grad"):
        to_array(Broken())


@pytest.mark.parametrize(
    ("sample", "remedy"),
    [
        ("cat", "zlake.read"),
        (b"abc", "zlake.read"),
        ({"a": 1}, "json"),
        (None, "empty"),
        ({1, 2}, "set"),
        (object(), "object"),
        (np.array(["a", "b"]), "htype text"),
        (np.array([b"a", b"b"]), "np.frombuffer"),
        (np.array([{}, {}]), "json or list"),
        (np.array(["2020-01-01"], "datetime64[D]"), "int64"),
        (np.zeros(2, [("a", "i4")]), "one tensor per field"),
        (np.ma.masked_array([1, 2], [True, False]), "mask"),
        (["a", "b"], "htype text"),
        (lambda: 0, "function"),
    ],
)
def test_what_is_no_array_is_refused_with_a_remedy(sample: object, remedy: str) -> None:
    with pytest.raises(SampleHtypeMismatchError, match=remedy):
        to_array(sample)


def test_extended_precision_is_refused() -> None:
    if np.dtype(np.longdouble).itemsize > 8:
        with pytest.raises(SampleHtypeMismatchError, match="float64"):
            native(np.dtype(np.longdouble))


def test_shapes_that_are_no_sample() -> None:
    with pytest.raises(TensorInvalidSampleShapeError, match="equal lengths"):
        to_array([[1, 2], [3]])
    with pytest.raises(TensorInvalidSampleShapeError, match="40 axes"):
        to_array(np.zeros((1,) * 40))
    with pytest.raises(TensorDtypeMismatchError, match="64 bits"):
        to_array([2**70])


def test_parse_dtype() -> None:
    assert parse_dtype("float32") == np.float32
    assert parse_dtype(">i4") == np.dtype("int32")
    assert parse_dtype(float) == np.float64
    for bad in ("nonsense", "object", "U5", "datetime64[s]", str, 7):
        with pytest.raises(ValueError, match="not a dtype that zlake stores"):
            parse_dtype(bad)


@given(
    array=hnp.arrays(st.sampled_from(DTYPES), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)),
    target=st.sampled_from(DTYPES),
)
def test_a_cast_keeps_every_value_or_raises(array: np.ndarray, target: np.dtype) -> None:
    found, by_value = to_array(array)
    try:
        result = cast(found, target, by_value=by_value)
    except TensorDtypeMismatchError:
        assert not np.can_cast(array.dtype, target)
        return
    assert result.dtype == target
    assert result.flags.c_contiguous
    assert result.shape == (array.shape or (1,))
    if array.dtype.kind in "biu" and array.size and np.can_cast(array.dtype, target):
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(result, array.reshape(result.shape).astype(target))
    elif array.dtype.kind in "biu":
        assert [int(v) for v in result.real.reshape(-1).tolist()] == [int(v) for v in array.reshape(-1).tolist()]
    elif array.size:
        finite = np.isfinite(array.reshape(result.shape))
        assert bool(np.all(np.isfinite(result) == finite))


@given(values=st.lists(st.integers(-(2**70), 2**70), min_size=1, max_size=5), target=st.sampled_from(DTYPES))
def test_python_integers_are_kept_exactly_or_refused(values: list[int], target: np.dtype) -> None:
    try:
        array, by_value = to_array(values)
    except TensorDtypeMismatchError:
        assert max(map(abs, values)) >= 2**63
        return
    if array.dtype.kind == "f" or np.can_cast(array.dtype, target):  # NumPy's own rounding, which it calls safe
        return
    try:
        result = cast(array, target, by_value=by_value)
    except TensorDtypeMismatchError:
        return
    assert [int(v) for v in result.real.tolist()] == values
