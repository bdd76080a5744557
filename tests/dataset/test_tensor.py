"""Tensors as users of Deep Lake use them: operators, parts, items, samples of other tensors, and what they say."""

from __future__ import annotations

import io
import operator
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import zlake
from zlake.errors import (
    DynamicTensorNumpyError,
    InvalidKeyTypeError,
    InvalidOperationError,
    RowIndexError,
    SampleAppendError,
    SampleExtendError,
    SampleUpdateError,
    TensorDoesNotExistError,
)


def jpeg(value: int, size: tuple[int, int] = (8, 6)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (value, 0, 0)).save(file, "jpeg")
    return file.getvalue()


@pytest.fixture
def ds() -> zlake.Dataset:
    made = zlake.empty("mem://tensor", overwrite=True)
    made.create_tensor("x", dtype="int32")
    made.create_tensor("r", dtype="float32")
    made.create_tensor("label", htype="class_label", class_names=["cat", "dog"])
    made.create_tensor("text", htype="text")
    made.create_tensor("json", htype="json")
    made.create_tensor("list", htype="list")
    made.extend(
        {
            "x": np.arange(12, dtype=np.int32).reshape(4, 3),
            "r": [np.arange(n, dtype=np.float32) for n in range(4)],
            "label": ["cat", "dog", "cat", ["cat", "dog"]],
            "text": ["a", "b", "c", "é"],
            "json": [{"n": n} for n in range(4)],
            "list": [[n] * n for n in range(4)],
        }
    )
    return made


# ------------------------------------------------------------ operators


@pytest.mark.parametrize(
    "name",
    ["iadd", "isub", "imul", "ifloordiv", "imod", "ipow", "ilshift", "irshift", "iand", "ixor", "ior"],
)
def test_operators_are_numpys_in_place_ones(ds: zlake.Dataset, name: str) -> None:
    change = getattr(operator, name)
    x = ds.x.numpy()
    ids = ds.x.ids()
    ds.x = change(ds.x, 2)
    x = change(x, 2)
    np.testing.assert_array_equal(ds.x.numpy(), x)
    ds.x[1] = change(ds.x[1], np.array([1, 2, 3], np.int32))
    x[1] = change(x[1], np.array([1, 2, 3], np.int32))
    ds[2:].x = change(ds[2:].x, 1)
    x[2:] = change(x[2:], 1)
    ds.x[0, 1:] = change(ds.x[0, 1:], 3)
    x[0, 1:] = change(x[0, 1:], 3)
    np.testing.assert_array_equal(zlake.load(ds.path).x.numpy(), x)
    np.testing.assert_array_equal(ds.x.ids(), ids)


def test_an_operator_writes_once(ds: zlake.Dataset) -> None:
    before = ds._session.head.ref.sequence
    ds.x[0] += 1
    ds[1].x += 1
    ds.x += np.array([[1], [2], [3], [4]], np.int32)
    ds[2:4].x[0, 1] += 5
    ds.x[3][2] -= 1
    assert ds._session.head.ref.sequence == before + 5
    assert ds.x.numpy().tolist() == [[2, 3, 4], [6, 7, 8], [9, 15, 11], [13, 14, 14]]


def test_operators_on_ragged_rows_and_floats(ds: zlake.Dataset) -> None:
    ds.r += 1
    ds.r /= 2
    assert [a.tolist() for a in ds.r.numpy(aslist=True)] == [[], [0.5], [0.5, 1.0], [0.5, 1.0, 1.5]]
    assert ds.r.dtype == np.float32
    ds.label += 1
    assert ds.label[0].data()["text"] == ["dog"]


@pytest.mark.parametrize(
    ("name", "value"), [("x", 1.5), ("x", np.zeros(2, np.int32)), ("r", np.zeros(5, np.float32)), ("x", "text")]
)
def test_refused_operators_change_nothing(ds: zlake.Dataset, name: str, value: Any) -> None:
    before = [a.tolist() for a in ds[name].numpy(aslist=True)]
    with pytest.raises(SampleUpdateError, match="nothing was changed"):
        ds[name] += value
    with pytest.raises(InvalidOperationError, match="no arithmetic"):
        ds.text += "x"
    assert [a.tolist() for a in ds[name].numpy(aslist=True)] == before


# ------------------------------------------------------------ assignment


def test_rows_are_assigned_from_arrays_lists_and_none(ds: zlake.Dataset) -> None:
    ds.x[:2] = np.full((2, 3), 7, np.int32)
    ds.x[[3, 3]] = [[1, 1, 1], [2, 2, 2]]  # of a row named twice the last counts
    ds.text[1:3] = ["B", "C"]
    ds.text[0] = None
    ds.json[0] = {"new": [1]}
    ds.list[0:2] = [["p"], [1, 2]]
    ds.label[:2] = ["dog", "bird"]
    ds.label[3, 0] = "bird"
    ds.x[2] = None
    assert [a.tolist() for a in ds.x.numpy(aslist=True)] == [[7, 7, 7], [7, 7, 7], [], [2, 2, 2]]
    assert ds.text.text() == ["", "B", "C", "é"]
    assert ds.json.dict() == [{"new": [1]}, {"n": 1}, {"n": 2}, {"n": 3}]
    assert ds.list.list() == [["p"], [1, 2], [2, 2], [3, 3, 3]]
    assert ds.label.data(aslist=True)["text"] == [["dog"], ["bird"], ["cat"], ["bird", "dog"]]
    assert zlake.load(ds.path).label.info.class_names == ["cat", "dog", "bird"]


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("x", slice(0, 2), 5),
        ("x", slice(0, 2), np.zeros((3, 3), np.int32)),
        ("text", slice(0, 2), "ab"),
        ("json", slice(0, 1), {"a": 1}),
        ("x", 6, np.zeros(3)),
        ("x", 4, np.zeros(3)),
        ("list", (0, 0), 5),
        ("text", (0, 0), "x"),
        ("label", 0, -1),
        ("x", (0, 7), 1),
        ("x", (0, slice(None)), 2.5),
    ],
)
def test_what_does_not_fit_is_refused(ds: zlake.Dataset, name: str, key: Any, value: Any) -> None:
    before = zlake.load(ds.path)[name].data(aslist=True)
    with pytest.raises(SampleUpdateError) as caught:
        ds[name][key] = value
    assert isinstance(caught.value, ValueError)
    assert str(ds[name].data(aslist=True)) == str(before)
    with pytest.raises(SampleUpdateError, match="'text'"):
        ds[:2].update({"text": "ab"})


def test_lists_of_axes_are_outer_products_to_read_and_to_write(ds: zlake.Dataset) -> None:
    ds.create_tensor("m", dtype="int64")
    ds.m.append(np.arange(20).reshape(4, 5))
    expected = np.arange(20).reshape(4, 5)
    ds.m[0, [0, 3], [1, 2]] = -1
    expected[np.ix_([0, 3], [1, 2])] = -1
    ds.m[0, ..., -1] = 50
    expected[..., -1] = 50
    ds.m[0, [True, False, False, True], 0] += 7
    expected[[0, 3], 0] += 7
    np.testing.assert_array_equal(ds.m[0].numpy(), expected)
    np.testing.assert_array_equal(ds.m[0, [0, 3], [1, 2]].numpy(), expected[np.ix_([0, 3], [1, 2])])


def test_samples_of_other_tensors(ds: zlake.Dataset) -> None:
    other = zlake.empty("mem://tensor-other", overwrite=True)
    for name in ("x", "r", "text", "json", "list"):
        other.create_tensor_like(name, ds[name])
    other.create_tensor("label", htype="class_label", class_names=["dog", "cat"])
    other.append(ds[1])
    other.extend(ds[2:])
    other.append({**ds[0].tensors, "text": "own"})
    assert other.x.numpy().tolist() == ds.x.numpy()[[1, 2, 3, 0]].tolist()
    assert [len(a) for a in other.r.numpy(aslist=True)] == [1, 2, 3, 0]
    assert other.text.text() == ["b", "c", "é", "own"]
    assert other.json.dict() == [{"n": n} for n in (1, 2, 3, 0)]
    assert other.label.data(aslist=True)["text"] == [["dog"], ["cat"], ["cat", "dog"], ["cat"]]
    other.x[0] = ds.x[3]
    other.text[:2] = ds.text[2:]
    other.x.extend(ds.x)
    assert (other.x[0].numpy().tolist(), other.text[1].text(), len(other.x)) == ([9, 10, 11], "é", 8)


def test_encoded_images_travel_as_their_bytes() -> None:
    ds = zlake.empty("mem://travel", overwrite=True)
    for name in ("a", "b"):
        ds.create_tensor(name, htype="image", sample_compression="jpeg")
    ds.create_tensor("png", htype="image", sample_compression="png")
    ds.a.extend([jpeg(200), jpeg(3, (4, 4)), None])
    ds.b.extend(ds.a)
    ds.png.extend(ds.a[:2])
    assert [ds.b[i].tobytes() for i in range(3)] == [jpeg(200), jpeg(3, (4, 4)), b""]
    np.testing.assert_array_equal(ds.png[0].numpy(), ds.a[0].numpy())


def test_rows_that_are_no_dictionaries(ds: zlake.Dataset) -> None:
    with pytest.raises(SampleAppendError, match=r"dictionary.*got list"):
        ds.append([1, 2])
    with pytest.raises(SampleExtendError, match=r"dictionary.*got list"):
        ds.extend([{"x": 1}])
    with pytest.raises(SampleUpdateError, match=r"dictionary.*got int"):
        ds[0].update(3)


# ------------------------------------------------------------ sequences


@pytest.fixture
def sequences() -> zlake.Dataset:
    made = zlake.empty("mem://tensor-sequences", overwrite=True)
    made.create_tensor("n", htype="sequence", dtype="int32")
    made.create_tensor("text", htype="sequence[text]")
    made.create_tensor("image", htype="sequence[image]", sample_compression="png")
    made.create_tensor("label", htype="sequence[class_label]", class_names=["a", "b"])
    made.create_tensor("box", htype="sequence[bbox]")
    for rows in (1, 2, 3):
        made.append(
            {
                "n": [np.array([rows, i], np.int32) for i in range(rows)],
                "text": [f"{rows}.{i}" for i in range(rows)],
                "image": [np.full((4, 5, 3), i, np.uint8) for i in range(rows)],
                "label": ["a"] * rows,
                "box": [np.full((i, 4), i, np.float32) for i in range(rows)],
            }
        )
    return made


def test_items_are_read(sequences: zlake.Dataset) -> None:
    ds = sequences
    assert ds.n[2, 1].numpy().tolist() == ds.n[2][1].numpy().tolist() == [3, 1]
    assert ds.n[1:, 0].numpy().tolist() == [[2, 0], [3, 0]]
    assert ds.n[2, [0, 2], 1].numpy().tolist() == [0, 2]
    assert ds.n[2, -1, 0].numpy() == 3
    assert (ds.text[2, 1].text(), ds.text[1].text(), ds.text[1:, 1].text()) == ("3.1", ["2.0", "2.1"], ["2.1", "3.1"])
    assert ds.text[2, 1].numpy().tolist() == ["3.1"]
    assert ds.text[2, :2].text() == ["3.0", "3.1"]
    assert ds.image[:, 0].numpy().shape == (3, 4, 5, 3)
    assert ds.image[2, 1, 0, 0].numpy().tolist() == [1, 1, 1]
    assert zlake.read(ds.image[2, 1].tobytes()).array[0, 0].tolist() == [1, 1, 1]
    assert ds.n[2, 1].tobytes() == np.array([3, 1], np.int32).tobytes()
    assert ds.label[1].data()["text"] == [["a"], ["a"]]
    assert [a.shape for a in ds.box[2].numpy()] == [(0, 4), (1, 4), (2, 4)]
    with pytest.raises(RowIndexError, match="no item 5"):
        ds.n[0, 5].numpy()
    with pytest.raises(RowIndexError, match="no item 1"):
        ds.text[:, 1].text()
    with pytest.raises(InvalidOperationError, match="one item"):
        ds.image[2].tobytes()
    with pytest.raises(InvalidOperationError, match="no axes"):
        ds.text[0, 0, 0].text()
    with pytest.raises(DynamicTensorNumpyError, match="aslist"):
        ds.n.numpy()


def test_shapes_of_sequences(sequences: zlake.Dataset) -> None:
    ds = sequences
    assert [str(t.shape_interval) for t in (ds.n, ds.text, ds.image, ds.box)] == [
        "(3, 1:3, 2)", "(3, 1:3, 1)", "(3, 1:3, 4, 5, 3)", "(3, 1:3, 0:2, 4)",
    ]  # fmt: skip
    assert (ds.n[2].shape, ds.n.ndim, ds.box[2].shape, ds.n.is_sequence) == ((3, 2), 3, (3, None, 4), True)
    assert ds.n.shapes().tolist() == [[1, 2], [2, 2], [3, 2]]


def test_items_are_assigned(sequences: zlake.Dataset) -> None:
    ds = sequences
    ds.n[0] = [[7, 8]]
    ds.n[1, 0] = [5, 6]
    ds.n[2, 1:] = [[1, 1], [2, 2]]
    ds.n[2, 0, 1] = 99
    ds.n[1] += 1
    ds.text[0, 0] = "new"
    ds.text[1] = ["longer", "than", "before"]
    ds.image[1, 0] = np.full((4, 5, 3), 9, np.uint8)
    ds.image[1, 1, :2] = 5
    ds.label[0] = ["c"]
    found = zlake.load(ds.path)
    assert [row.tolist() for row in found.n.numpy(aslist=True)] == [
        [[7, 8]],
        [[6, 7], [3, 2]],
        [[3, 99], [1, 1], [2, 2]],
    ]
    assert found.text.text() == [["new"], ["longer", "than", "before"], ["3.0", "3.1", "3.2"]]
    assert found.image[1].numpy()[:, :, 0, 0].tolist() == [[9, 9, 9, 9], [5, 5, 1, 1]]
    assert found.label[0].data()["text"] == [["c"]]
    for key, value in (((2, slice(0, 2)), [[1, 1]]), ((0, 4), [1, 1]), (9, [[1, 1]]), (0, 5), (0, [[1.5, 2]])):
        with pytest.raises(SampleUpdateError):
            ds.n[key] = value
    with pytest.raises(SampleAppendError, match="list of samples, not one str"):
        ds.text.append("abc")


# ------------------------------------------------------------ what tensors say of themselves


def test_data_by_htype(ds: zlake.Dataset) -> None:
    ds.create_tensor("image", htype="image", sample_compression="jpeg")
    ds.create_tensor("plain", htype="image", sample_compression=None)
    ds.image.append(jpeg(1))
    ds.plain.append(np.zeros((2, 2, 3), np.uint8))
    assert ds.text.data() == {"value": ["a", "b", "c", "é"]}
    assert ds.text[1].data() == {"value": "b"}
    assert ds.json[2].data() == {"value": {"n": 2}}
    assert ds.list[2].data() == {"value": [2, 2]}
    assert {k: np.asarray(v).tolist() for k, v in ds.label[1].data().items()} == {"value": [1], "text": ["dog"]}
    assert list(ds.x[0].data()) == ["value"]
    assert ds.image[0].data()["sample_info"] == {"shape": [6, 8, 3], "dtype": "uint8", "format": "jpeg"}
    assert ds.image.sample_info == [ds.image[0].sample_info]
    assert ds.plain[0].data()["sample_info"] == {}


def test_shapes_and_dtypes(ds: zlake.Dataset) -> None:
    assert (ds.x.shape, ds.r.shape, ds.text.shape, ds.json.shape, ds.list.shape) == (
        (4, 3), (4, None), (4, 1), (4, 1), (4, None),
    )  # fmt: skip
    assert (ds.x[0].shape, ds.r[3].shape, ds.text[0].shape, ds.list[2].shape) == ((3,), (3,), (1,), (2,))
    assert (ds.x.ndim, ds.text.ndim, ds.x.is_dynamic, ds.r.is_dynamic) == (2, 2, False, True)
    kinds = {name: None if t.dtype is None else t.dtype.kind for name, t in ds.tensors.items()}
    assert kinds == {"x": "i", "r": "f", "label": "u", "text": "U", "json": "O", "list": "O"}
    assert ds.create_tensor("open").dtype is None
    for name in ("text", "json", "x"):
        assert ds[name][[]].numpy().dtype.kind == ds[name].numpy().dtype.kind == kinds[name]


def test_keys_inside_samples(ds: zlake.Dataset) -> None:
    with pytest.raises(InvalidKeyTypeError):
        ds.x[0, "a"]
    with pytest.raises(RowIndexError):
        ds.x[0, 5].numpy()
    with pytest.raises(InvalidOperationError, match="no axes"):
        ds.text[0, 0].text()


def test_a_deleted_tensor_takes_nothing(ds: zlake.Dataset) -> None:
    kept, renamed = ds.r, ds.x
    ds.rename_tensor("x", "y")
    ds.delete_tensor("r")
    renamed.append([1, 2, 3])
    assert (renamed.name, len(ds.y)) == ("y", 5)
    for change in (lambda: kept.append(1), lambda: kept.clear(), lambda: kept.info.update(a=1), lambda: kept.pop()):
        with pytest.raises(TensorDoesNotExistError, match="deleted"):
            change()
    with pytest.raises(TensorDoesNotExistError):
        kept += 1


def test_tensors_pickle_with_their_selection(tmp_path: Path) -> None:
    ds = zlake.empty(tmp_path / "ds")
    ds.create_tensor("x")
    ds.extend({"x": np.arange(20).reshape(10, 2)})
    chosen = pickle.loads(pickle.dumps(ds.x[2:8:2, 1]))
    ds.x.clear()
    assert chosen.numpy().tolist() == [5, 9, 13]
    assert pickle.loads(pickle.dumps(ds.x)).numpy().size == 0
