from __future__ import annotations

import pytest
import torch.distributed as dist

from loader.datasets import flat, numbers, orders


def interleaved(parts: list[list]) -> list:
    assert len({len(part) for part in parts}) == 1
    return [batch for step in zip(*parts, strict=True) for batch in step]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("ranks", [1, 2, 3, 7, 12])
def test_ranks_share_an_epoch(ranks, shuffle):
    ds = numbers("mem://loader-ranks", overwrite=True)
    options = {"batch_size": 10, "shuffle": shuffle, "seed": 3}
    wanted = orders(ds.pytorch(**options))
    loaders = [ds.pytorch(**options, rank=rank, world_size=ranks) for rank in range(ranks)]
    each = [orders(loader) for loader in loaders]
    assert [len(loader) for loader in loaders] == [len(part) for part in each] == [-(-10 // ranks)] * ranks
    found = interleaved(each)
    assert found[:10] == wanted
    assert found[10:] == wanted[: len(found) - 10]


@pytest.mark.parametrize("ranks", [2, 3, 4, 20])
def test_with_drop_last_no_batch_is_repeated(ranks):
    ds = numbers("mem://loader-ranks", 103, overwrite=True)
    options = {"batch_size": 10, "shuffle": True, "drop_last": True}
    wanted = orders(ds.pytorch(**options))
    found = interleaved([orders(ds.pytorch(**options, rank=rank, world_size=ranks)) for rank in range(ranks)])
    assert found == wanted[: 10 - 10 % ranks]
    assert all(len(batch) == 10 for batch in found)


def test_ranks_with_workers_and_epochs(tmp_path):
    ds = numbers(tmp_path / "ds", 95)
    options = {"batch_size": 5, "shuffle": True}
    alone = ds.pytorch(**options)
    loaders = [ds.pytorch(**options, rank=rank, world_size=2, num_workers=rank) for rank in range(2)]
    for _ in range(2):
        wanted = orders(alone)
        found = interleaved([orders(loader) for loader in loaders])
        assert found == [*wanted, wanted[0]]


def test_rank_and_world_size_of_torch_distributed(tmp_path):
    ds = numbers("mem://loader-distributed", overwrite=True)
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    try:
        loader = ds.pytorch(batch_size=10, distributed=True)
        assert (loader.stream.options.rank, loader.stream.options.ranks) == (0, 1)
        assert flat(orders(loader)) == list(range(100))
    finally:
        dist.destroy_process_group()


def test_rank_comes_from_the_group(monkeypatch):
    ds = numbers("mem://loader-distributed", overwrite=True)
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_rank", lambda: 2)
    monkeypatch.setattr(dist, "get_world_size", lambda: 4)
    assert orders(ds.pytorch(batch_size=25, distributed=True)) == [list(range(50, 75))]
