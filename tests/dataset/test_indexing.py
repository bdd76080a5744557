"""Selections of a dataset and of its tensors are NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zlake
from zlake.errors import (
    DynamicTensorNumpyError,
    InvalidKeyTypeError,
    InvalidOperationError,
    RowIndexError,
    TensorDoesNotExistError,
)

DENSE = np.arange(10 * 4 * 3, dtype=np.int32).reshape(10, 4, 3)
RAGGED = [np.arange(n + 1, dtype=np.float32) + n for n in range(10)]


@pytest.fixture(scope="module")
def ds() -> zlake.Dataset:
    made = zlake.empty("mem://indexing", overwrite=True)
    made.create_tensor("x")
    made.create_tensor("r")
    made.create_tensor("g/label", htype="class_label", class_names=["a", "b"])
    made.create_tensor("g/text", htype="text")
    half = {"g/label": ["a", "b", "a", "a", "b"], "g/text": list("vwxyz")}
    made.extend({"x": DENSE[:5], "r": RAGGED[:5], **half})
    made.commit("one segment")
    made.extend({"x": DENSE[5:], "r": RAGGED[5:], **half})
    return made


KEYS = st.one_of(
    st.integers(-10, 9),
    st.slices(10),
    st.lists(st.integers(-10, 9), max_size=6),
    st.lists(st.booleans(), min_size=10, max_size=10).map(np.array),
    st.lists(st.integers(0, 9), max_size=6).map(lambda rows: np.array(rows, np.int64)),
)


@given(key=KEYS)
@settings(deadline=None, max_examples=150)
def test_rows_are_numpys(ds: zlake.Dataset, key: object) -> None:
    np.testing.assert_array_equal(ds.x[key].numpy(), DENSE[key])
    np.testing.assert_array_equal(ds[key].x.numpy(), DENSE[key])
    assert ds.x[key].numpy().dtype == np.int32
    expected = np.arange(10)[key]
    if np.ndim(expected) == 0:
        np.testing.assert_array_equal(ds.r[key].numpy(), RAGGED[int(expected)])
    else:
        found = ds.r[key].numpy(aslist=True)
        assert [a.tolist() for a in found] == [RAGGED[i].tolist() for i in expected]


@given(outer=st.slices(10), inner=st.slices(4))
@settings(deadline=None, max_examples=80)
def test_selections_compose_lazily(ds: zlake.Dataset, outer: slice, inner: slice) -> None:
    np.testing.assert_array_equal(ds.x[outer][inner].numpy(), DENSE[outer][inner])
    np.testing.assert_array_equal(ds[outer][inner].x.numpy(), DENSE[outer][inner])
    if len(DENSE[outer]):
        np.testing.assert_array_equal(ds[outer].x[-1].numpy(), DENSE[outer][-1])


@pytest.mark.parametrize(
    "key",
    [
        (0, 1), (0, slice(1, 3)), (slice(2, 5), slice(None), 1), (slice(None), 0), (..., 0), (3, ..., 1),
        (slice(None), [0, 2]), ([1, 3], slice(0, 2), [0, 2]), (0, -1, -1),
    ],
)  # fmt: skip
def test_axes_inside_samples(ds: zlake.Dataset, key: tuple[object, ...]) -> None:
    expected = DENSE
    axis = 0
    full = list(key)
    if Ellipsis in full:
        at = full.index(Ellipsis)
        full[at : at + 1] = [slice(None)] * (3 - len(full) + 1)
    for part in full:
        expected = expected[(slice(None),) * axis + (part,)]
        axis += not isinstance(part, int)
    np.testing.assert_array_equal(ds.x[key].numpy(), expected)


def test_one_row_then_its_axes(ds: zlake.Dataset) -> None:
    np.testing.assert_array_equal(ds.x[2][1:3].numpy(), DENSE[2][1:3])
    np.testing.assert_array_equal(ds.x[2][1][0].numpy(), DENSE[2][1][0])
    np.testing.assert_array_equal(ds[2].x[1].numpy(), DENSE[2][1])


def test_part_of_ragged_rows_becomes_dense(ds: zlake.Dataset) -> None:
    np.testing.assert_array_equal(ds.r[3:, 1:3].numpy(), np.stack([a[1:3] for a in RAGGED[3:]]))
    with pytest.raises(DynamicTensorNumpyError, match="aslist=True"):
        ds.r.numpy()


def test_empty_selections_keep_dtype_and_shape(ds: zlake.Dataset) -> None:
    for key in ([], slice(20, 30), np.zeros(10, bool)):
        found = ds.x[key].numpy()
        assert (found.shape, found.dtype) == ((0, 4, 3), np.dtype(np.int32))
    assert ds.r[[]].numpy(aslist=True) == []


def test_columns_and_groups(ds: zlake.Dataset) -> None:
    assert list(ds.tensors) == ["x", "r", "g/label", "g/text"]
    assert list(ds.groups) == ["g"]
    assert list(ds.g.tensors) == ["label", "text"]
    assert list(ds[["x", "g/text"]].tensors) == ["x", "g/text"]
    assert ds["g/text"][1].text() == ds.g.text[1].text() == ds[1]["g"].text.text() == "w"
    assert ds["x", 3].numpy().tolist() == ds[3, "x"].numpy().tolist() == DENSE[3].tolist()
    assert ds.g["/x"][0].shape == (4, 3)
    assert "g/label" in ds
    assert "nothing" not in ds
    assert ds[...] is ds


def test_labels_and_texts(ds: zlake.Dataset) -> None:
    assert ds["g/label"][1].data()["text"] == ["b"]
    assert ds.g.label[:2].data()["text"] == [["a"], ["b"]]
    assert ds.g.text[:2].numpy().tolist() == [["v"], ["w"]]
    assert ds.g.text.text()[-1] == "z"


def test_lengths_shapes_and_indices(ds: zlake.Dataset) -> None:
    assert (len(ds), len(ds[2:5]), len(ds[3]), len(ds.x[3]), len(ds.x[::2])) == (10, 3, 1, 1, 5)
    assert ds.x.shape == (10, 4, 3)
    assert ds.r.shape == (10, None)
    assert str(ds.r.shape_interval) == "(10, 1:10)"
    assert ds.r[2].shape == (3,)
    assert ds.r.shapes().tolist() == [[n + 1] for n in range(10)]
    assert list(ds[2:8:3].sample_indices) == [2, 5]
    assert ds.x[4:6, 0].shape == (2, 3)


@pytest.mark.parametrize("key", [None, 1.5, "x", {1}, [1.5], [None]])
def test_keys_of_wrong_types_are_refused(ds: zlake.Dataset, key: object) -> None:
    with pytest.raises(InvalidKeyTypeError):
        ds.x[key]


@pytest.mark.parametrize("key", [10, -11, [0, 10], np.ones(9, bool)])
def test_keys_out_of_range_are_refused(ds: zlake.Dataset, key: object) -> None:
    with pytest.raises(RowIndexError, match=r"10|9"):
        ds.x[key]
    with pytest.raises(IndexError):
        ds[key]


def test_unknown_names_suggest_near_ones(ds: zlake.Dataset) -> None:
    with pytest.raises(TensorDoesNotExistError, match="g/label"):
        _ = ds["g/lable"]
    with pytest.raises(AttributeError):
        _ = ds.nothing
    with pytest.raises(KeyError):
        _ = ds["nothing"]


def test_views_refuse_what_changes_the_whole(ds: zlake.Dataset) -> None:
    for method in ("append", "extend", "pop", "commit", "create_tensor"):
        with pytest.raises(InvalidOperationError, match=method):
            getattr(ds[:2], method)({})
    with pytest.raises(InvalidOperationError, match="Tensor view"):
        ds.x[:2].append(1)


def test_iteration_yields_rows(ds: zlake.Dataset) -> None:
    assert [row["g/text"].text() for row in ds[3:6]] == ["y", "z", "v"]
    assert [sample.numpy().sum() for sample in ds.x] == DENSE.sum(axis=(1, 2)).tolist()


async def _read(ds: zlake.Dataset) -> list[np.ndarray]:
    return [await ds.x[2:4].read(), await ds.r[3].read()]


def test_read_is_a_future(ds: zlake.Dataset) -> None:
    import asyncio

    np.testing.assert_array_equal(ds.x[[5, 1]].read().result(), DENSE[[5, 1]])
    rows, one = asyncio.run(_read(ds))
    np.testing.assert_array_equal(rows, DENSE[2:4])
    np.testing.assert_array_equal(one, RAGGED[3])


def test_arrays_are_the_callers_own(ds: zlake.Dataset) -> None:
    first = ds.x[0].numpy()
    first[:] = -1
    assert (ds.x[0].numpy() == DENSE[0]).all()
    some = ds.x[:3].numpy()
    some[:] = -1
    assert (ds.x[:3].numpy() == DENSE[:3]).all()


def test_tensorstore_presents_the_whole_dense_tensor(ds: zlake.Dataset) -> None:
    whole = ds.x.tensorstore()
    assert whole.shape == (10, 4, 3)
    np.testing.assert_array_equal(whole[4:7, 1].read().result(), DENSE[4:7, 1])
    with pytest.raises(InvalidOperationError, match="aslist"):
        ds.r.tensorstore()
