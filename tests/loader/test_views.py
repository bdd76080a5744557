from __future__ import annotations

import numpy as np
import pytest

import zlake
from loader.datasets import ROWS, check, flat, numbers, orders
from zlake.errors import LoaderError

CHOICES = {
    "slice": slice(5, 20),
    "steps": slice(1, 36, 4),
    "backwards": slice(None, None, -1),
    "backwards by steps": slice(30, 2, -3),
    "list": [3, 30, 4, 4, 0],
    "run": [6, 7, 8, 9],
    "mask": np.arange(ROWS) % 3 == 0,
    "one": 11,
    "none": slice(0, 0),
}


@pytest.mark.parametrize("key", CHOICES.values(), ids=CHOICES)
@pytest.mark.parametrize("batch_size", [1, 4, 50])
def test_rows_of_a_view(ds, key, batch_size):
    wanted = np.atleast_1d(np.arange(ROWS)[key]).tolist()
    plain = [check(ds, batch) for batch in ds[key].pytorch(batch_size=batch_size)]
    assert plain == [wanted[i : i + batch_size] for i in range(0, len(wanted), batch_size)]
    shuffled = [check(ds, batch) for batch in ds[key].pytorch(batch_size=batch_size, shuffle=True)]
    assert sorted(flat(shuffled)) == sorted(wanted)


def test_views_of_views(ds):
    assert orders(ds[5:30][::2][[1, 0, 5]].pytorch(batch_size=5)) == [[7, 5, 15]]


def test_a_group_names_its_tensors_as_it_does(ds):
    loader = ds["group"][:6].pytorch(batch_size=3)
    batches = list(loader)
    assert [list(batch.keys()) for batch in batches] == [["inner", "index"]] * 2
    for batch in batches:
        check(ds, batch, {"inner": "group/inner"})
    assert [batch["inner"].shape for batch in ds["group"].pytorch(batch_size=50, tensors=["inner"])] == [(ROWS, 1)]


def test_a_tensor_subset(ds):
    narrow = ds[["label", "dense"]]
    assert list(next(iter(narrow.pytorch())).keys()) == ["label", "dense", "index"]
    assert list(next(iter(narrow.pytorch(tensors=["dense"]))).keys()) == ["dense", "index"]
    with pytest.raises(LoaderError, match=r"'text' is not in this view.*'label', 'dense'"):
        narrow.pytorch(tensors=["text"])


def test_order_of_tensors_is_the_one_asked_for(ds):
    assert list(next(iter(ds.pytorch(tensors=["text", "dense", "label"]))).keys()) == [
        "text",
        "dense",
        "label",
        "index",
    ]


def test_hidden_tensors_are_loaded_only_when_named():
    ds = zlake.empty("mem://loader-hidden", overwrite=True)
    ds.create_tensor("seen", dtype="int32")
    ds.create_tensor("unseen", dtype="int32", hidden=True)
    ds.extend({"seen": [1, 2], "unseen": [3, 4]})
    assert list(next(iter(ds.pytorch())).keys()) == ["seen", "index"]
    assert next(iter(ds.pytorch(tensors=["unseen"])))["unseen"].tolist() == [[3]]


def test_a_row_that_a_tensor_lacks_is_refused_before_the_epoch():
    ds = zlake.empty("mem://loader-lacks", overwrite=True)
    ds.create_tensor("long", dtype="int32")
    ds.create_tensor("short", dtype="int32")
    ds.long.extend(range(5))
    ds.short.extend(range(3))
    with pytest.raises(LoaderError, match="'short' has 3 samples, but row 4"):
        ds[2:5].pytorch()
    assert orders(ds[2:5].pytorch(tensors=["long"])) == [[2], [3], [4]]


def test_many_updates_and_deletes_move_rows_as_the_dataset_does():
    ds = numbers("mem://loader-edits", 200, overwrite=True)
    with ds:
        for row in range(0, 200, 7):
            ds.x[row] = np.array([-row])
        for row in (150, 40, 3):
            ds.pop(row)
    ds.commit("edits")
    for shuffle in (False, True):
        rows = [check(ds, batch) for batch in ds.pytorch(batch_size=16, shuffle=shuffle)]
        assert sorted(flat(rows)) == list(range(197))
