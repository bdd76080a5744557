"""Appending, updating and removing rows; what is refused changes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import zlake
from zlake.errors import (
    InvalidTensorNameError,
    ReadOnlyModeError,
    RowIndexError,
    SampleAppendError,
    SampleExtendError,
    SampleUpdateError,
    TensorAlreadyExistsError,
    TensorDoesNotExistError,
    TensorMetaInvalidHtype,
    TensorMetaMissingRequiredValue,
)


@pytest.fixture
def ds() -> zlake.Dataset:
    made = zlake.empty("mem://rows", overwrite=True)
    made.create_tensor("x", dtype="float32")
    made.create_tensor("label", htype="class_label", class_names=["cat"])
    return made


def state(ds: zlake.Dataset) -> tuple[object, ...]:
    return (len(ds.x), len(ds.label), dict(ds.label.info), [a.tolist() for a in ds.x.numpy(aslist=True)])


@pytest.mark.parametrize("inside", [False, True], ids=["durable at once", "in a with block"])
@pytest.mark.parametrize(
    "row",
    [
        {"x": np.zeros(2, np.float64), "label": "new"},
        {"label": "new", "x": np.zeros((2, 2), np.float32)},
        {"x": np.zeros(2, np.float32)},
        {"x": np.zeros(2, np.float32), "label": 0, "y": 1},
        {"x": "text", "label": "new"},
        {"label": "new", "x": object()},
        {"x": np.zeros(2, np.float32), "label": -1},
        {},
    ],
    ids=["dtype", "rank", "missing", "unknown", "text", "object", "negative label", "empty"],
)
def test_a_refused_row_changes_nothing(ds: zlake.Dataset, row: dict[str, object], inside: bool) -> None:
    ds.append({"x": np.ones(3, np.float32), "label": "cat"})
    before = state(ds)
    if inside:
        with ds, pytest.raises((SampleAppendError, TensorDoesNotExistError)):
            ds.append(row)
    else:
        with pytest.raises((SampleAppendError, TensorDoesNotExistError)):
            ds.append(row)
    assert state(ds) == before
    ds.append({"x": np.ones(1, np.float32), "label": 0})
    assert state(zlake.load(ds.path))[:2] == (2, 2)


def test_errors_name_tensor_value_and_remedy(ds: zlake.Dataset) -> None:
    ds.append({"x": np.ones(3, np.float32), "label": 0})
    with pytest.raises(SampleAppendError, match=r"'x'.*float64.*float32.*no tensor was changed") as caught:
        ds.append({"x": np.zeros(2), "label": 0})
    assert isinstance(caught.value.__cause__, zlake.errors.TensorDtypeMismatchError)
    with pytest.raises(SampleAppendError, match=r"no sample for \['label'\].*skip_ok"):
        ds.append({"x": np.zeros(2, np.float32)})


def test_extend_is_all_or_nothing(ds: zlake.Dataset) -> None:
    before = state(ds)
    bad = [np.zeros(1, np.float32), np.zeros(2, np.float64)]
    for flags in ({}, {"progressbar": True}):
        with pytest.raises(SampleExtendError, match="float64"):
            ds.extend({"label": [0, "new"], "x": bad}, **flags)
        assert state(ds) == before
    with pytest.raises(SampleExtendError, match="different lengths"):
        ds.extend({"label": [0], "x": bad})
    ds.extend({"label": [0, "dog"], "x": bad}, ignore_errors=True)
    assert len(ds) == 1
    ds.extend({"x": np.zeros((0, 3), np.float32), "label": []})
    assert len(ds) == 1


def test_extend_takes_arrays_lists_and_iterables(ds: zlake.Dataset) -> None:
    ds.extend({"x": np.ones((4, 3), np.float32), "label": range(4)})
    ds.extend({"x": [np.ones(n, np.float32) for n in range(3)], "label": iter(["cat", "dog", "cat"])})
    ds.extend({"x": (np.float32([n]) for n in range(2)), "label": np.array([[5], [6]], np.uint32)})
    assert ds.label.numpy()[:, 0].tolist() == [0, 1, 2, 3, 0, 1, 0, 5, 6]
    assert ds.x.shapes()[:, 0].tolist() == [3, 3, 3, 3, 0, 1, 2, 1, 1]


def test_extend_keeps_no_reference_to_the_callers_arrays(ds: zlake.Dataset) -> None:
    given = np.ones((2, 3), np.float32)
    one = np.ones(3, np.float32)
    with ds:
        ds.extend({"x": given, "label": [0, 0]})
        ds.append({"x": one, "label": 0})
        given[:] = 7
        one[:] = 7
        assert (ds.x.numpy() == 1).all()
    assert (ds.x.numpy() == 1).all()


def test_first_samples_decide_unspecified_tensors() -> None:
    ds = zlake.empty("mem://unspecified", overwrite=True)
    for name in ("a", "b", "c", "d"):
        ds.create_tensor(name)
    ds.append({"a": 3, "b": "text", "c": {"k": [1]}, "d": np.zeros((2, 0), np.int16)})
    assert [ds[n].htype for n in "abcd"] == ["generic", "text", "json", "generic"]
    assert (ds.a.numpy().tolist(), ds.b.text(), ds.c.dict()) == ([[3]], ["text"], [{"k": [1]}])
    assert (ds.d.dtype, ds.d.ndim, ds.d[0].numpy().shape) == (np.int16, 3, (2, 0))
    again = zlake.load(ds.path)
    assert [again[n].htype for n in "abcd"] == ["generic", "text", "json", "generic"]


def test_the_first_rows_may_add_class_names() -> None:
    ds = zlake.empty("mem://names", overwrite=True)
    ds.create_tensor("label", htype="class_label", class_names=["a"])
    ds.extend({"label": ["a", "b"]})
    assert zlake.load(ds.path).label.info.class_names == ["a", "b"]
    ds.append({"label": "c"})
    assert zlake.load(ds.path).label.data()["text"] == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize("compression", ["lz4", "zstd", "gzip", "blosc"])
def test_chunk_compression(compression: str) -> None:
    ds = zlake.empty(f"mem://chunks-{compression}", overwrite=True)
    ds.create_tensor("x", dtype="int32", chunk_compression=compression)
    x = np.arange(60_000, dtype=np.int32).reshape(600, 100)
    ds.extend({"x": x})
    again = zlake.load(ds.path)
    np.testing.assert_array_equal(again.x.numpy(), x)
    np.testing.assert_array_equal(again.x[[5, 599, 5]].numpy(), x[[5, 599, 5]])
    np.testing.assert_array_equal(again.x[17].numpy(), x[17])
    assert again.size_approx() < x.nbytes


def test_uneven_tensors(ds: zlake.Dataset) -> None:
    ds.append({"x": np.ones(1, np.float32)}, skip_ok=True)
    with pytest.raises(SampleAppendError, match="different lengths"):
        ds.append({"x": np.ones(1, np.float32), "label": 0})
    with pytest.warns(UserWarning, match="shortest, 0"):
        assert len(ds) == 0
    assert (ds.max_len, ds.min_len) == (1, 0)
    assert ds[0].x.numpy().tolist() == [1]
    with pytest.raises(IndexError):
        ds[0].label.numpy()
    ds.label.append("dog")
    ds.append({"x": np.ones(1, np.float32)}, append_empty=True)
    assert ds.label[1].numpy().shape == (0,)


def test_none_is_an_empty_sample() -> None:
    ds = zlake.empty("mem://none", overwrite=True)
    ds.create_tensor("t", htype="text")
    ds.create_tensor("j", htype="json")
    ds.create_tensor("l", htype="list")
    ds.create_tensor("x", dtype="uint8")
    ds.append({"t": "a", "j": {"b": 1}, "l": [1, "x"], "x": np.ones((2, 2), np.uint8)})
    ds.append({"t": None, "j": None, "l": None, "x": None})
    assert (ds.t[1].text(), ds.j[1].dict(), ds.l[1].list(), ds.x[1].numpy().shape) == ("", {}, [], (0, 0))


def test_update_rows_and_parts(ds: zlake.Dataset) -> None:
    ds.extend({"x": [np.arange(n + 1, dtype=np.float32) for n in range(6)], "label": [0] * 6})
    ids = ds.x.ids().tolist()
    ds.x[2] = np.float32([9, 9])
    ds.x[4, 1:3] = 5
    ds.x[-1] = np.float32([])
    ds[0].update({"x": np.float32([1, 2]), "label": "dog"})
    ds[1].x = np.float32([4])
    ds[1]["label"] = 3
    ds.x[[3, 2]] = [np.float32([3]), np.float32([2])]
    expected = [[1, 2], [4], [2], [3], [0, 5, 5, 3, 4], []]
    assert [a.tolist() for a in ds.x.numpy(aslist=True)] == expected
    assert ds.label.numpy()[:, 0].tolist() == [1, 3, 0, 0, 0, 0]
    assert ds.x.ids().tolist() == ids
    assert [a.tolist() for a in zlake.load(ds.path).x.numpy(aslist=True)] == expected


def test_writing_behind_the_end_appends_and_pads(ds: zlake.Dataset) -> None:
    ds.x[0] = np.float32([1])
    ds.x[3] = np.float32([4])
    assert [a.tolist() for a in ds.x.numpy(aslist=True)] == [[1], [], [], [4]]


@pytest.mark.parametrize(
    ("key", "value"),
    [(0, np.zeros(2)), (0, "x"), (slice(0, 2), [np.float32([1])]), ((0, 9), 1), ((0, slice(0, 2)), [1, 2, 3])],
)
def test_a_refused_update_changes_nothing(ds: zlake.Dataset, key: object, value: object) -> None:
    ds.extend({"x": [np.arange(3, dtype=np.float32)] * 2, "label": [0, 0]})
    before = state(ds)
    with pytest.raises(SampleUpdateError):
        ds.x[key] = value
    with pytest.raises(SampleUpdateError):
        ds[0].update({"label": "new", "x": np.zeros((1, 1), np.float32)})
    assert state(ds) == before


def test_pop(ds: zlake.Dataset) -> None:
    ds.extend({"x": [np.float32([n]) for n in range(6)], "label": list(range(6))})
    ds.pop()
    ds.pop([0, 3])
    ds.pop(1)
    assert ds.label.numpy()[:, 0].tolist() == [1, 4]
    for bad in (-1, 2, [0, 9]):
        with pytest.raises(RowIndexError):
            ds.pop(bad)
    with pytest.raises(ValueError, match="twice"):
        ds.pop([0, 0])
    assert len(ds) == 2
    ds.label.clear()
    assert (len(ds.label), len(ds.x)) == (0, 2)
    with pytest.raises(RowIndexError):
        ds.label.pop()


def test_sequences() -> None:
    ds = zlake.empty("mem://sequences", overwrite=True)
    ds.create_tensor("s", htype="sequence[image]", sample_compression="png")
    ds.create_tensor("g", htype="sequence", dtype="int32")
    ds.create_tensor("t", htype="sequence[text]")
    images = [np.full((4, 5, 3), n, np.uint8) for n in range(3)]
    ds.append({"s": images, "g": [np.arange(2, dtype=np.int32)] * 3, "t": ["a", "b"]})
    ds.append({"s": images[:1], "g": [], "t": ["c"]})
    for found in (ds, zlake.load(ds.path)):
        assert found.s[0].numpy().shape == (3, 4, 5, 3)
        assert found.s.shape == (2, None, 4, 5, 3)
        assert (found.s[0].numpy()[2] == 2).all()
        assert found.g[0].numpy().tolist() == [[0, 1]] * 3
        assert found.g[1].numpy().size == 0
        assert found.t[0].text() == ["a", "b"]
        assert found.s.htype == "sequence[image]"


def test_groups_append_their_own_rows() -> None:
    ds = zlake.empty("mem://groups", overwrite=True)
    ds.create_tensor("train/x", dtype="int64")
    ds.create_group("test").create_tensor("x", dtype="int64")
    ds.train.append({"x": 1})
    ds.train.extend({"x": [2, 3]})
    ds["test"].append({"x": 9})
    assert ds["train/x"].numpy()[:, 0].tolist() == [1, 2, 3]
    assert ds.test.x.numpy()[:, 0].tolist() == [9]


def test_names_and_settings_are_checked(ds: zlake.Dataset) -> None:
    for bad in ("append", "a/commit", "", "a//b", "x/y", None, 3):
        with pytest.raises((InvalidTensorNameError, TensorAlreadyExistsError)):
            ds.create_tensor(bad)
    with pytest.raises(TensorAlreadyExistsError, match="exist_ok"):
        ds.create_tensor("x")
    assert ds.create_tensor("x", dtype="float32", exist_ok=True).name == "x"
    with pytest.raises(TensorMetaInvalidHtype, match="image"):
        ds.create_tensor("y", htype="imge")
    with pytest.raises(TensorMetaMissingRequiredValue, match="sample_compression"):
        ds.create_tensor("y", htype="image")
    assert list(ds.tensors) == ["x", "label"]


def test_rename_and_delete_tensors(ds: zlake.Dataset) -> None:
    ds.append({"x": np.float32([1]), "label": 0})
    ds.rename_tensor("x", "y")
    before = ds.commit("renamed")
    ds.delete_tensor("label")
    again = zlake.load(ds.path)
    assert (list(again.tensors), again.y.numpy().tolist()) == (["y"], [[1]])
    assert list(zlake.load(f"{ds.path}@{before}").tensors) == ["y", "label"]


def test_info(ds: zlake.Dataset) -> None:
    ds.info["a"] = {"b": [1, 2]}
    ds.x.info.update(unit="m", big="x" * 10_000)
    again = zlake.load(ds.path)
    assert (again.info.a, again.x.info.unit, len(again.x.info["big"])) == ({"b": [1, 2]}, "m", 10_000)
    with pytest.raises(zlake.errors.JsonValidationError, match="JSON"):
        ds.info["a"] = object()
    assert dict(ds.info) == {"a": {"b": [1, 2]}}
    ds.info = {"only": 1}
    del ds.x.info["big"]
    assert (dict(zlake.load(ds.path).info), dict(zlake.load(ds.path).x.info)) == ({"only": 1}, {"unit": "m"})


def test_read_only_refuses_every_change(tmp_path: Path) -> None:
    ds = zlake.empty(tmp_path / "ds")
    ds.create_tensor("x")
    ds.append({"x": 1})
    first = ds.commit("one")
    for closed in (zlake.load(tmp_path / "ds", read_only=True), zlake.load(f"{tmp_path / 'ds'}@{first}", True)):
        for change in (
            lambda d: d.append({"x": 2}), lambda d: d.x.append(2), lambda d: d.pop(), lambda d: d.create_tensor("y"),
            lambda d: d.info.update(a=1), lambda d: d.commit(), lambda d: d[0].update({"x": 3}), lambda d: d.x.clear(),
            lambda d: d.delete_tensor("x"), lambda d: d.rename_tensor("x", "y"), lambda d: d.create_group("g"),
        ):  # fmt: skip
            with pytest.raises(ReadOnlyModeError):
                change(closed)
        with closed:
            assert closed.x.numpy().tolist() == [[1]]
    assert zlake.load(tmp_path / "ds").x.numpy().tolist() == [[1]]
