from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch

import zlake
from loader.datasets import flat, jpeg, numbers, orders
from zlake.loader import block, epoch
from zlake.segments import slabs


def loader_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("zlake-loader")]


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of one batch."""
    monkeypatch.setattr(block, "BLOCK_BYTES", 1)


@pytest.mark.parametrize("options", [{}, {"shuffle": True}, {"transform": dict}, {"collate_fn": list}])
def test_an_early_break_leaves_no_threads_and_a_second_pass_works(small_blocks, options):
    ds = numbers("mem://loader-break", 1000, overwrite=True)
    loader = ds.pytorch(batch_size=10, **options)
    for _ in range(3):
        for _batch in loader:
            assert loader_threads()
            break
        assert loader_threads() == []
    before = threading.active_count()
    for _ in range(5):
        assert len(list(loader)) == 100
        next(iter(loader))
    assert threading.active_count() <= before


def test_an_error_of_the_consumer_leaves_no_threads(small_blocks):
    loader = numbers("mem://loader-consumer", overwrite=True).pytorch(batch_size=10)

    def train():
        for _batch in loader:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        train()
    assert loader_threads() == []
    assert len(flat(orders(loader))) == 100


def test_two_iterations_at_once(small_blocks):
    loader = numbers("mem://loader-two", overwrite=True).pytorch(batch_size=10, shuffle=True)
    first, second = iter(loader), iter(loader)
    a = [(next(first)["index"].tolist(), next(second)["index"].tolist()) for _ in range(10)]
    loader.set_epoch(0)
    assert [x for x, _ in a] == orders(loader)
    assert [y for _, y in a] == orders(loader)


def test_a_loader_in_several_threads():
    ds = numbers("mem://loader-shared", 2000, overwrite=True)
    found = {}

    def run(seed):
        found[seed] = flat(orders(ds.pytorch(batch_size=64, shuffle=True, seed=seed)))

    running = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert all(sorted(rows) == list(range(2000)) for rows in found.values())
    assert len({tuple(rows) for rows in found.values()}) == 4


def test_memory_is_bounded_by_the_blocks_in_flight(monkeypatch):
    """However slow the consumer, no more blocks are read than are ahead of it."""
    ds = numbers("mem://loader-bounded", 4096, overwrite=True)
    read = []
    real = epoch.Reader._read

    def counting(self, reads):
        read.append(reads[0])
        return real(self, reads)

    monkeypatch.setattr(epoch.Reader, "_read", counting)
    monkeypatch.setattr(block, "MAX_BATCHES", 4)
    for ahead in (1, 3):
        read.clear()
        batches = iter(ds.pytorch(batch_size=16, prefetch_factor=ahead))
        for i in range(12):
            next(batches)
            time.sleep(0.01)
            assert len(read) <= i // 4 + 1 + ahead
        batches.close()
        assert max(block.index().size for block in read) == 64


def test_blocks_have_bounded_bytes():
    ds = zlake.empty("mem://loader-large", overwrite=True)
    ds.create_tensor("x", dtype="uint8")
    ds.extend({"x": np.zeros((64, 1 << 20), np.uint8)})
    loader = ds.pytorch(batch_size=2)
    reader = epoch.Reader(loader.stream._session, loader.stream._view, loader.stream.options, None)
    assert reader._together == block.BLOCK_BYTES // (2 << 20)
    huge = ds.pytorch(batch_size=64)
    assert epoch.Reader(huge.stream._session, huge.stream._view, huge.stream.options, None)._together == 1


def test_images_of_one_batch_are_decoded_by_several_threads(monkeypatch):
    """The first batch is not left to one thread, so that it comes soon."""
    from zlake.samples.jpeg import JpegCodec

    ds = zlake.empty("mem://loader-decode", overwrite=True)
    ds.create_tensor("image", htype="image", sample_compression="jpeg")
    ds.extend({"image": [zlake.read(jpeg(i)) for i in range(30)]})
    wanted = torch.from_numpy(ds.image[7].numpy())
    real, seen = JpegCodec.decode, set()
    together = threading.Barrier(3, timeout=30)

    def decode(self, *args, **kwargs):
        if threading.current_thread().name not in seen:
            seen.add(threading.current_thread().name)
            together.wait()
        return real(self, *args, **kwargs)

    monkeypatch.setattr(JpegCodec, "decode", decode)
    batch = next(iter(ds.pytorch(batch_size=30, num_threads=3)))
    assert len(seen) == 3
    assert torch.equal(batch["image"][7], wanted)


def test_memory_kept_for_reuse_is_given_back():
    ds = zlake.empty("mem://loader-slabs", overwrite=True)
    ds.create_tensor("x", dtype="uint8")
    ds.extend({"x": np.zeros((96, 1 << 20), np.uint8)})
    loader = ds.pytorch(batch_size=32)
    places = [batch["x"].data_ptr() for _ in range(2) for batch in loader]
    assert len(set(places)) < len(places)
    for _batch in loader:
        assert slabs._slabs._bound > slabs.IDLE_BYTES
        break
    assert slabs._slabs._bound == slabs.IDLE_BYTES
    assert sum(map(len, slabs._slabs._kept)) <= slabs.IDLE_BYTES
