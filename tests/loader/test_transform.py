from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from loader.datasets import ROWS, flat, numbers, orders
from zlake.errors import LoaderError, TransformFailedError
from zlake.loader.batch import Batch


def test_a_function_of_a_row(ds):
    def half(row):
        assert isinstance(row, dict)
        return {"small": row["dense"][::2], "label": row["label"]}

    for batch in ds.pytorch(batch_size=5, transform=half, shuffle=True):
        assert list(batch.keys()) == ["small", "label", "index"]
        for i, row in enumerate(batch["index"].tolist()):
            assert np.array_equal(batch["small"][i].numpy(), ds.dense[row].numpy()[::2])
            assert batch["label"][i].tolist() == ds.label[row].numpy().tolist()


def test_a_function_for_each_tensor_selects_them(ds):
    loader = ds.pytorch(batch_size=4, transform={"label": None, "photo": lambda image: image.mean()})
    batch = next(iter(loader))
    assert list(batch.keys()) == ["label", "photo", "index"]
    assert batch["photo"].tolist() == pytest.approx([ds.photo[i].numpy().mean() for i in range(4)])
    assert batch["label"].tolist() == [[0], [1], [2], [0]]


def test_arguments_of_a_transform(ds):
    loader = ds.pytorch(
        batch_size=2,
        tensors=["scalar"],
        transform=lambda row, times, plus=0: {"x": row["scalar"] * times + plus},
        transform_kwargs={"times": 10, "plus": 1},
    )
    assert next(iter(loader))["x"].tolist() == [[1.0], [6.0]]


def test_what_a_transform_may_return(ds):
    def rows(transform):
        return next(iter(ds.pytorch(batch_size=2, tensors=["scalar", "ragged", "text"], transform=transform)))

    single = rows(lambda row: row["scalar"])
    assert torch.equal(single, torch.tensor([[0.0], [0.5]]))
    pair = rows(lambda row: (row["scalar"], row["text"]))
    assert isinstance(pair, tuple)
    assert pair[1] == ["row 0 ☃", "row 1 ☃"]
    ragged = rows(lambda row: {"r": torch.from_numpy(row["ragged"])})
    assert [tuple(each.shape) for each in ragged["r"]] == [(0, 3), (1, 3)]
    stacked = rows(lambda row: {"t": torch.ones(3, dtype=torch.float16)})
    assert stacked["t"].shape == (2, 3)
    assert stacked["t"].dtype == torch.float16
    mixed = rows(lambda row: {"m": None, "i": 3, "f": 0.5, "b": True, "s": {"deep": 1}})
    assert mixed["m"] == [None, None]
    assert mixed["i"].dtype == torch.int64
    assert mixed["f"].dtype == torch.float64
    assert mixed["b"].dtype == torch.bool
    assert mixed["s"] == [{"deep": 1}, {"deep": 1}]


def test_collate_fn_gets_rows_in_order(ds):
    def collate(rows):
        assert all(isinstance(row, Batch) for row in rows)
        return [(row["index"], row["text"]) for row in rows]

    batches = list(ds.pytorch(batch_size=10, tensors=["text"], collate_fn=collate))
    assert flat(batches) == [(i, f"row {i} ☃") for i in range(ROWS)]
    both = ds.pytorch(batch_size=2, transform=lambda row: row["text"].upper(), collate_fn=" ".join)
    assert next(iter(both)) == "ROW 0 ☃ ROW 1 ☃"


def test_collate_fn_without_an_index(ds):
    found = next(iter(ds.pytorch(batch_size=1, tensors=["text"], return_index=False, collate_fn=lambda rows: rows)))
    assert found == [{"text": "row 0 ☃"}]


def test_a_transform_that_raises_names_its_row_and_chains_the_cause(ds):
    def fail(row):
        if row["scalar"] == 10:
            raise KeyError("seventeen")
        return row

    loader = ds[::-1].pytorch(batch_size=4, tensors=["scalar"], transform=fail)
    seen = []
    with pytest.raises(TransformFailedError, match=r"row 20: KeyError\('seventeen'\)") as caught:
        seen.extend(batch["index"].tolist() for batch in loader)
    assert isinstance(caught.value.__cause__, KeyError)
    assert isinstance(caught.value, LoaderError)
    assert flat(seen) == list(range(36, 20, -1))


def test_the_first_failing_row_is_named_whatever_the_threads(ds):
    def fail(row):
        raise ValueError("always")

    for threads in (1, 2, 5):
        with pytest.raises(TransformFailedError, match="row 0:"):
            next(iter(ds.pytorch(batch_size=ROWS, tensors=["scalar"], transform=fail, num_threads=threads)))


def test_a_collate_fn_that_raises_is_not_disguised(ds):
    def fail(rows):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        next(iter(ds.pytorch(collate_fn=fail)))


def test_one_thread_calls_the_transform_in_order():
    ds = numbers("mem://loader-serial", overwrite=True)
    calls = []

    def note(row):
        calls.append((int(row["x"][0]), threading.current_thread().name))
        return row

    orders(ds.pytorch(batch_size=100, transform=note, num_threads=1))
    assert [row for row, _ in calls] == list(range(100))
    assert len({name for _, name in calls}) == 1


def test_several_threads_share_the_rows_of_a_batch():
    ds = numbers("mem://loader-parallel", overwrite=True)
    together = threading.Barrier(3, timeout=30)

    def meet(row):
        if row["x"][0] % 34 == 0:  # the first row of each thread's share: none gets on alone
            together.wait()
        return row

    assert orders(ds.pytorch(batch_size=100, transform=meet, num_threads=3)) == [list(range(100))]


def test_a_transform_may_read_the_dataset(ds):
    def pair(row):
        others = ds.photo[[0, 1, 2, 3, 4]].numpy()
        return {"number": len(row), "sum": int(others.sum())}

    total = int(ds.photo[[0, 1, 2, 3, 4]].numpy().sum())
    for batch in ds.pytorch(batch_size=8, transform=pair, tensors=["photo"], num_threads=2):
        assert set(batch["sum"].tolist()) == {total}
