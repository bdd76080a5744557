"""Users who bring their own `torch.utils.data.Dataset` and fork its workers must see an error, not a crash."""

from __future__ import annotations

import numpy as np
import pytest
from torch.utils.data import DataLoader, Dataset

import zlake
from loader.datasets import iterating, numbers
from zlake.errors import ForkError


class Mine(Dataset):
    def __init__(self, ds, read):
        self.ds = ds
        self.read = read

    def __len__(self):
        return len(self.ds)

    def __getitem__(self, i):
        return self.read(self.ds, i)


READS = {
    "single": lambda ds, i: ds.x[i].numpy(),
    "range": lambda ds, i: ds.x[i : i + 2].numpy(),
    "row": lambda ds, i: ds[i]["x"].numpy(),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("codec", [None, "zstd"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_workers_of_a_user(tmp_path, read, codec):
    ds = zlake.empty(tmp_path / "ds")
    ds.create_tensor("x", dtype="int64", chunk_compression=codec)
    ds.extend({"x": np.arange(10)[:, None]})
    ds = zlake.load(tmp_path / "ds")
    read(ds, 3)
    loader = DataLoader(Mine(ds, read), num_workers=1, multiprocessing_context="fork", timeout=60)
    with iterating(loader) as batches, pytest.raises(ForkError, match="forkserver"):
        list(batches)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_workers_over_our_stream(tmp_path):
    stream = numbers(tmp_path / "ds").pytorch(batch_size=5).stream
    loader = DataLoader(stream, batch_size=None, num_workers=1, multiprocessing_context="fork", timeout=60)
    with iterating(loader) as batches, pytest.raises(ForkError, match="forkserver"):
        list(batches)


def length_and_first(ds, i):
    return ds.x[i].numpy()


def test_spawned_workers_of_a_user_reopen_the_dataset(tmp_path):
    ds = numbers(tmp_path / "ds", 6)
    loader = DataLoader(Mine(ds, length_and_first), batch_size=3, num_workers=1, multiprocessing_context="forkserver")
    assert [batch[:, 0].tolist() for batch in loader] == [[0, 1, 2], [3, 4, 5]]
