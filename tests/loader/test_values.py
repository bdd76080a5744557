from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

import zlake
from loader.datasets import ROWS, check, flat, jpeg, numbers, orders
from zlake.errors import EmptyTensorError, LoaderError

PLAIN = ["dense", "scalar", "ragged", "photo", "photos", "text", "json", "list", "label", "frames", "group/inner"]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("batch_size", [1, 2, 7, 36, 37, 38, 1000])
def test_values_equal_those_of_the_dataset(ds, shuffle, batch_size):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader = ds.pytorch(batch_size=batch_size, shuffle=shuffle)
        rows = [check(ds, batch) for batch in loader]
    assert [len(part) for part in rows] == [batch_size] * (ROWS // batch_size) + [ROWS % batch_size] * (
        ROWS % batch_size > 0
    )
    assert sorted(flat(rows)) == list(range(ROWS))
    assert (flat(rows) == list(range(ROWS))) is not shuffle


@pytest.mark.parametrize("name", PLAIN)
def test_each_kind_alone_comes_as_its_type(ds, name):
    batch = next(iter(ds.pytorch(batch_size=6, tensors=[name])))
    check(ds, batch)
    kinds = {"text": str, "json": dict, "list": list}
    value = batch[name]
    if name in kinds:
        assert isinstance(value, list)
        assert all(isinstance(each, kinds[name]) for each in value)
    elif name in ("ragged", "photos", "frames"):
        assert isinstance(value, list)
        assert all(isinstance(each, torch.Tensor) for each in value)
    else:
        assert isinstance(value, torch.Tensor)
        assert value.shape[0] == 6


def test_batches_are_dictionaries_that_unpack_into_values(ds):
    loader = ds.pytorch(batch_size=5, tensors=["dense", "label"], return_index=False)
    assert isinstance(loader, DataLoader)
    assert len(loader) == 8
    seen = 0
    for images, labels in loader:
        assert images.shape[1:] == (4, 5, 3)
        assert labels.dtype == torch.int64
        seen += len(labels)
    assert seen == ROWS
    batch = next(iter(loader))
    assert set(batch.keys()) == {"dense", "label"}
    assert dict(batch).keys() == batch.keys()
    assert "label" in batch


def test_index_is_there_unless_it_is_not_wanted(ds):
    with_index = next(iter(ds.pytorch(batch_size=3)))
    assert with_index["index"].tolist() == [0, 1, 2]
    assert with_index["index"].dtype == torch.int64
    assert "index" not in next(iter(ds.pytorch(batch_size=3, return_index=False)))


def test_a_tensor_called_index_needs_a_decision():
    ds = zlake.empty("mem://loader-index", overwrite=True)
    ds.create_tensor("index", dtype="int64")
    ds.extend({"index": [7, 8]})
    with pytest.raises(LoaderError, match="return_index=False"):
        ds.pytorch()
    assert next(iter(ds.pytorch(batch_size=2, return_index=False)))["index"].tolist() == [[7], [8]]


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [
        ("bool", torch.bool),
        ("uint8", torch.uint8),
        ("int8", torch.int8),
        ("int16", torch.int16),
        ("uint16", torch.int32),
        ("int32", torch.int32),
        ("uint32", torch.int64),
        ("int64", torch.int64),
        ("uint64", torch.int64),
        ("float16", torch.float16),
        ("float32", torch.float32),
        ("float64", torch.float64),
        ("complex64", torch.complex64),
        ("complex128", torch.complex128),
    ],
)
@pytest.mark.parametrize("ragged", [False, True])
def test_dtypes(dtype, wanted, ragged):
    ds = zlake.empty("mem://loader-dtypes", overwrite=True)
    ds.create_tensor("x", dtype=dtype)
    if dtype == "bool":
        values = [np.array([True, False, True]), np.array([False, False, True])]
    else:
        top = np.iinfo(dtype).max if np.dtype(dtype).kind in "iu" else 3
        top = min(top, 2**63 - 1)
        values = [np.array([0, 1, top], dtype), np.array([top, 2, 0], dtype)]
    if ragged:
        values[1] = values[1][:2]
    ds.extend({"x": values})
    found = next(iter(ds.pytorch(batch_size=2)))["x"]
    assert all(each.dtype == wanted for each in found)
    for a, b in zip(found, values, strict=True):
        assert a.tolist() == b.tolist()


def test_a_uint64_that_int64_cannot_hold_is_refused_not_wrapped():
    ds = zlake.empty("mem://loader-wide", overwrite=True)
    ds.create_tensor("x", dtype="uint64")
    ds.extend({"x": np.array([[1], [2**63]], np.uint64)})
    with pytest.raises(LoaderError, match="9223372036854775808"):
        list(ds.pytorch(batch_size=2))
    found = list(ds.pytorch(batch_size=2, transform={"x": lambda x: x.view(np.int64)}))
    assert found[0]["x"].tolist() == [[1], [-(2**63)]]


def test_drop_last(ds):
    assert orders(ds.pytorch(batch_size=10, drop_last=True)) == [list(range(i, i + 10)) for i in (0, 10, 20)]
    assert len(ds.pytorch(batch_size=10, drop_last=True)) == 3
    assert len(ds.pytorch(batch_size=10)) == 4
    assert orders(ds.pytorch(batch_size=100, drop_last=True)) == []


def test_decode_methods(ds):
    loader = ds.pytorch(
        batch_size=4, tensors=["photo", "photos", "text"], decode_method={"photo": "tobytes", "photos": "pil"}
    )
    for batch in loader:
        for i, row in enumerate(batch["index"].tolist()):
            assert batch["photo"][i] == jpeg(row)
            image = batch["photos"][i]
            assert isinstance(image, Image.Image)
            assert np.array_equal(np.asarray(image), ds.photos[row].numpy())
            assert batch["text"][i] == f"row {row} ☃"
    raw = next(iter(ds.pytorch(batch_size=2, tensors=["text"], decode_method={"text": "tobytes"})))
    assert raw["text"] == ["row 0 ☃".encode(), "row 1 ☃".encode()]
    assert isinstance(next(iter(ds.pytorch(decode_method={"photo": "numpy"})))["photo"], torch.Tensor)


def test_gray_images_as_pil():
    ds = zlake.empty("mem://loader-gray", overwrite=True)
    ds.create_tensor("image", htype="image", sample_compression="png")
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    ds.extend({"image": [pixels, pixels + 1]})
    images = next(iter(ds.pytorch(batch_size=2, decode_method={"image": "pil"})))["image"]
    assert [image.mode for image in images] == ["L", "L"]
    assert np.array_equal(np.asarray(images[1]), pixels + 1)


def test_an_empty_tensor_is_refused_and_can_be_left_out():
    ds = zlake.empty("mem://loader-empty", overwrite=True)
    ds.create_tensor("full", dtype="int32")
    ds.create_tensor("none", dtype="int32")
    ds.full.extend([1, 2])
    with pytest.raises(EmptyTensorError, match="'none'"):
        ds.pytorch()
    assert orders(ds.pytorch(tensors=["full"])) == [[0], [1]]


def test_tensors_of_unequal_length_give_the_rows_that_all_have():
    ds = zlake.empty("mem://loader-unequal", overwrite=True)
    ds.create_tensor("long", dtype="int32")
    ds.create_tensor("short", dtype="int32")
    ds.long.extend(range(5))
    ds.short.extend(range(3))
    assert orders(ds.pytorch(batch_size=10)) == [[0, 1, 2]]
    assert orders(ds.pytorch(batch_size=10, tensors=["long"])) == [[0, 1, 2, 3, 4]]


def test_batches_do_not_share_memory_with_each_other_or_the_dataset(ds):
    for shuffle in (False, True):
        for batch in ds.pytorch(batch_size=4, shuffle=shuffle, tensors=["dense", "photo", "label"]):
            check(ds, batch)
            for value in batch.values():
                value.fill_(0)
        assert all(check(ds, batch) for batch in ds.pytorch(batch_size=4, shuffle=shuffle))


def test_views_do_not_lose_their_rows_to_a_changed_index():
    ds = numbers("mem://loader-index-own", overwrite=True)
    loader = ds[[5, 3, 8]].pytorch(batch_size=2)
    for batch in loader:
        batch["index"].fill_(0)
    assert orders(loader) == [[5, 3], [8]]


def test_a_saved_batch_does_not_carry_its_block(tmp_path):
    ds = numbers(tmp_path / "ds", 10_000)
    batch = next(iter(ds.pytorch(batch_size=4)))
    torch.save(batch["x"], tmp_path / "batch.pt")
    assert (tmp_path / "batch.pt").stat().st_size < 5_000
