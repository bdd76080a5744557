from __future__ import annotations

import numpy as np
import pytest

import zlake
from loader.datasets import check, fill, flat, numbers, orders, row
from zlake.errors import ReadOnlyModeError


def test_a_loader_stays_on_its_snapshot(tmp_path):
    ds = numbers(tmp_path / "ds")
    loader = ds.pytorch(batch_size=10)
    batches = iter(loader)
    found = [next(batches)["x"][:, 0].tolist()]
    ds.x.extend(np.arange(100, 150)[:, None])
    ds.x[0:50] = np.full((50, 1), -1)
    for _ in range(20):
        ds.pop(60)
    ds.commit("changed")
    with ds:
        ds.x.append(np.array([7]))
    found.extend(batch["x"][:, 0].tolist() for batch in batches)
    assert flat(found) == list(range(100))
    assert flat([batch["x"][:, 0].tolist() for batch in loader]) == list(range(100))
    assert len(loader) == 10
    after = [batch["x"][:, 0].tolist() for batch in ds.pytorch(batch_size=10)]
    assert flat(after) == [-1] * 50 + [*range(50, 60), *range(80, 150), 7]


def test_a_deleted_tensor_is_still_there_for_a_loader(tmp_path):
    ds = fill(zlake.empty(tmp_path / "ds"), 8)
    loader = ds.pytorch(batch_size=8, tensors=["dense"])
    wanted = [row(i)["dense"] for i in range(8)]
    ds.delete_tensor("dense")
    ds.create_tensor("dense", dtype="float64")
    ds.commit("another dense")
    assert np.array_equal(next(iter(loader))["dense"].numpy(), np.stack(wanted))


def test_rows_of_an_open_block_are_seen(tmp_path):
    ds = numbers(tmp_path / "ds", 5)
    with ds:
        ds.x.append(np.array([5]))
        ds.x[1] = np.array([-1])
        loader = ds.pytorch(batch_size=10)
        ds.x.append(np.array([6]))
        assert next(iter(loader))["x"][:, 0].tolist() == [0, -1, 2, 3, 4, 5]
    assert len(ds) == 7
    assert zlake.load(tmp_path / "ds").x[:, 0].numpy().tolist() == [0, -1, 2, 3, 4, 5, 6]


def test_past_commits_and_read_only_datasets(tmp_path):
    ds = numbers(tmp_path / "ds", 5)
    first = ds.commit_id
    ds.x.append(np.array([5]))
    ds.commit("six")
    old = zlake.load(f"{tmp_path / 'ds'}@{first}", read_only=True)
    assert orders(old.pytorch(batch_size=10)) == [[0, 1, 2, 3, 4]]
    with pytest.raises(ReadOnlyModeError):
        old.x.append(np.array([9]))
    readonly = zlake.load(tmp_path / "ds", read_only=True)
    assert orders(readonly.pytorch(batch_size=10)) == [[0, 1, 2, 3, 4, 5]]


def test_what_a_loader_opened_serves_its_dataset_too(tmp_path, monkeypatch):
    """Checksums of a chunk are computed once, however many loaders there are."""
    import google_crc32c

    numbers(tmp_path / "ds", 5000)
    ds = zlake.load(tmp_path / "ds")
    checked = []
    real = google_crc32c.value
    monkeypatch.setattr(google_crc32c, "value", lambda data: checked.append(len(data)) or real(data))
    for batch in ds.pytorch(batch_size=1000):
        check(ds, batch)
    once = len(checked)
    assert once > 0
    for shuffle in (False, True):
        assert len(flat(orders(ds.pytorch(batch_size=1000, shuffle=shuffle)))) == 5000
    assert len(checked) == once
