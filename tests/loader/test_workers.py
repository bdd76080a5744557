from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
import textwrap

import pytest
import torch
from torch.utils.data import get_worker_info

import zlake
from loader.datasets import check, flat, iterating, numbers, orders
from zlake.errors import CorruptObjectError, MemoryDatasetCanNotBePickledError, TransformFailedError
from zlake.loader.order import epoch_order


def process(row):
    """Say in which process this row was made, and how that was started."""
    info = get_worker_info()
    return {"x": row["x"], "pid": os.getpid(), "worker": -1 if info is None else info.id}


def fail(row):
    if row["x"][0] == 42:
        raise ValueError("forty-two")
    return row


def test_values_of_every_kind_come_through_workers(ds):
    for shuffle in (False, True):
        loader = ds.pytorch(batch_size=5, num_workers=2, shuffle=shuffle)
        rows = [check(ds, batch) for batch in loader]
        assert flat(rows) == list(epoch_order(range(37), shuffle, 0, 0))
        assert len(loader) == 8


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes")
def test_workers_do_not_change_the_order(tmp_path, workers):
    ds = numbers(tmp_path / "ds", 500)
    view = ds[20:480:3]
    for drop_last in (False, True):
        options = {"batch_size": 7, "shuffle": True, "seed": 6, "drop_last": drop_last}
        alone, several = view.pytorch(**options), view.pytorch(**options, num_workers=workers)
        assert orders(several) == orders(alone)
        assert orders(several) == orders(alone)
        for loader in (alone, several):
            loader.set_epoch(9)
        assert orders(several) == orders(alone)


def test_persistent_workers_go_on_to_the_next_epoch(tmp_path):
    ds = numbers(tmp_path / "ds", 90)
    options = {"batch_size": 10, "shuffle": True, "transform": process, "return_index": True}
    alone = ds.pytorch(**options)
    loader = ds.pytorch(**options, num_workers=2, persistent_workers=True)
    pids = set()
    for epoch in (None, None, 0, None, 7, None):
        if epoch is not None:
            alone.set_epoch(epoch)
            loader.set_epoch(epoch)
        wanted = orders(alone)
        found = list(loader)
        assert [batch["index"].tolist() for batch in found] == wanted
        assert [batch["worker"].unique().tolist() for batch in found] == [[i % 2] for i in range(9)]
        pids |= {int(pid) for batch in found for pid in batch["pid"]}
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_workers_are_started_by_forkserver(tmp_path):
    loader = numbers(tmp_path / "ds").pytorch(batch_size=50, num_workers=1, transform=process)
    assert loader.multiprocessing_context.get_start_method() == "forkserver"
    batch = next(iter(loader))
    assert os.getpid() not in batch["pid"].tolist()
    assert multiprocessing.get_start_method(allow_none=True) != "forkserver"


def test_an_early_break_with_workers(tmp_path):
    loader = numbers(tmp_path / "ds").pytorch(batch_size=5, num_workers=2)
    for _batch in loader:
        break
    assert flat(orders(loader)) == list(range(100))


def test_unflushed_rows_reach_workers(tmp_path):
    ds = numbers(tmp_path / "ds", 3)
    with ds:
        ds.x.append([3])
        loader = ds.pytorch(batch_size=4, num_workers=1)
        ds.x.append([4])
        assert next(iter(loader))["x"][:, 0].tolist() == [0, 1, 2, 3]


def test_workers_stay_on_the_snapshot(tmp_path):
    ds = numbers(tmp_path / "ds", 20)
    loader = ds.pytorch(batch_size=10, num_workers=2)
    ds.x[:] = [[-1]] * 20
    ds.commit("changed")
    assert flat([batch["x"][:, 0].tolist() for batch in loader]) == list(range(20))


def test_errors_come_out_of_workers_as_what_they_are(tmp_path):
    ds = numbers(tmp_path / "ds")
    loader = ds.pytorch(batch_size=10, num_workers=2, transform=fail)
    message = r"row 42: ValueError\('forty-two'\)"
    with iterating(loader) as batches, pytest.raises(TransformFailedError, match=message):
        list(batches)
    target = next((tmp_path / "ds").glob("segments/*/*/values-data/c*"))
    data = bytearray(target.read_bytes())
    data[100] ^= 1
    target.write_bytes(data)
    with iterating(ds.pytorch(num_workers=1)) as batches, pytest.raises(CorruptObjectError, match="values-data"):
        list(batches)


def test_a_dataset_in_memory_has_no_workers():
    ds = numbers("mem://loader-workers", overwrite=True)
    with pytest.raises(MemoryDatasetCanNotBePickledError, match="mem://loader-workers"):
        ds.pytorch(num_workers=1)


def test_a_stream_pickles_as_path_and_rows(tmp_path):
    ds = numbers(tmp_path / "ds", 1000)
    loader = ds[100:900].pytorch(batch_size=100, shuffle=True)
    wanted = orders(loader)
    loader.set_epoch(0)
    pickled = pickle.dumps(loader.stream)
    assert len(pickled) < 4000
    stream = pickle.loads(pickled)
    assert [batch["index"].tolist() for batch in stream] == wanted
    again = pickle.loads(pickle.dumps(stream))
    assert sorted(flat([batch["index"].tolist() for batch in again])) == list(range(100, 900))


def test_a_script_that_opens_datasets_at_its_top_level_can_have_workers(tmp_path):
    """The fork server must not run the script: its children could not use TensorStore after that."""
    ds = zlake.empty(tmp_path / "ds")
    ds.create_tensor("x", dtype="int64", chunk_compression="zstd")
    ds.extend({"x": [[i] for i in range(50)]})
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent(f"""
        import zlake
        ds = zlake.load({str(tmp_path / "ds")!r})
        assert ds.x[:].numpy().sum() == 1225
        if __name__ == "__main__":
            print(sum(int(batch["x"].sum()) for batch in ds.pytorch(batch_size=8, num_workers=2)))
        """)
    )
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)
    assert (ran.stdout.strip(), ran.returncode) == ("1225", 0), ran.stderr


@pytest.mark.filterwarnings("ignore:This DataLoader will create .* worker processes")
def test_threads_are_divided_among_workers(tmp_path):
    from zlake.context import Context

    ds = numbers(tmp_path / "ds", context=Context(threads=8))
    assert ds.pytorch().stream.options.threads == 8
    assert ds.pytorch(num_workers=3).stream.options.threads == 2
    assert ds.pytorch(num_workers=100).stream.options.threads == 1
    assert ds.pytorch(num_workers=3, num_threads=5).stream.options.threads == 5


def test_batches_of_workers_are_tensors_in_shared_memory(tmp_path):
    batch = next(iter(numbers(tmp_path / "ds").pytorch(batch_size=4, num_workers=1)))
    assert isinstance(batch["x"], torch.Tensor)
    assert batch["x"].is_shared()
    x, index = batch
    assert x[:, 0].tolist() == index.tolist() == [0, 1, 2, 3]
