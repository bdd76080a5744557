from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.datasets import flat, numbers, orders
from zlake.loader.block import blocks
from zlake.loader.order import batch_count, epoch_order, rank_batches

FIRST = [7, 1, 0, 6, 3, 5, 10, 8, 11, 2, 9, 4]
SECOND = [9, 3, 6, 5, 7, 0, 8, 4, 1, 11, 10, 2]
OTHER = [8, 1, 10, 11, 0, 7, 6, 9, 3, 4, 2, 5]


def test_the_shuffle_is_frozen():
    """These numbers never change: processes with other versions of zlake, NumPy or Python must agree on the order."""
    assert epoch_order(range(12), True, 0, 0).tolist() == FIRST
    assert epoch_order(range(12), True, 0, 1).tolist() == SECOND
    assert epoch_order(range(12), True, 1, 0).tolist() == OTHER
    assert epoch_order(np.arange(12) * 10, True, 0, 0).tolist() == [10 * i for i in FIRST]
    assert epoch_order(range(5, 29, 2), True, 0, 0).tolist() == [5 + 2 * i for i in FIRST]
    assert epoch_order(range(11, -1, -1), True, 0, 0).tolist() == [11 - i for i in FIRST]


def test_a_shuffle_is_uniform():
    """Each row comes first equally often: a chi-square of 9 degrees of freedom, far below its 1 - 1e-6 quantile."""
    firsts = [int(epoch_order(range(10), True, seed, 3)[0]) for seed in range(5000)]
    counts = np.bincount(firsts, minlength=10)
    assert ((counts - 500) ** 2 / 500).sum() < 45


def test_without_a_shuffle_nothing_is_copied():
    rows = np.array([3, 1])
    assert epoch_order(rows, False, 0, 9) is rows
    assert epoch_order(range(10**12), False, 0, 0) == range(10**12)


@given(
    rows=st.integers(0, 60),
    size=st.integers(1, 20),
    ranks=st.integers(1, 5),
    workers=st.integers(1, 4),
    together=st.integers(1, 7),
    drop_last=st.booleans(),
    kind=st.sampled_from(["range", "steps", "array"]),
)
def test_taking_turns_gives_the_order_of_one_process(rows, size, ranks, workers, together, drop_last, kind):
    order = {"range": range(rows), "steps": range(3 * rows, 0, -3), "array": np.arange(rows)[::-1] * 2}[kind]
    count = batch_count(rows, size, drop_last)
    listed = list(order)
    batches = [listed[i * size : (i + 1) * size] for i in range(count)]

    def of(rank, worker):
        numbers = rank_batches(count, rank, ranks, drop_last)[worker::workers]
        found = []
        for block in blocks(order, numbers, count, size, together):
            index = block.index().tolist()
            found.extend(index[a:b] for a, b in block.bounds)
        return found

    def turns(parts):
        return [part[i] for i in range(max(map(len, parts))) for part in parts if i < len(part)]

    each = [turns([of(rank, worker) for worker in range(workers)]) for rank in range(ranks)]
    assert len({len(part) for part in each}) == 1
    found = turns(each)
    if drop_last:
        assert found == batches[: count - count % ranks]
    else:
        assert found[:count] == batches
        assert found[count:] == [batches[i % count] for i in range(len(found) - count)]


@pytest.mark.parametrize(
    "options", [{}, {"num_threads": 1}, {"num_threads": 3}, {"num_threads": 16, "prefetch_factor": 5}]
)
def test_threads_do_not_change_the_order(options):
    ds = numbers("mem://loader-threads", 1000, overwrite=True)
    wanted = epoch_order(range(1000), True, 4, 0).tolist()
    found = orders(ds.pytorch(batch_size=13, shuffle=True, seed=4, **options))
    assert flat(found) == wanted


def test_epochs_differ_and_can_be_chosen():
    ds = numbers("mem://loader-epochs", overwrite=True)
    loader = ds.pytorch(batch_size=9, shuffle=True, seed=2)
    first, second = orders(loader), orders(loader)
    assert first != second
    loader.set_epoch(0)
    assert orders(loader) == first
    assert orders(loader) == second
    loader.set_epoch(7)
    assert flat(orders(loader)) == epoch_order(range(100), True, 2, 7).tolist()
    other = ds.pytorch(batch_size=9, shuffle=True, seed=3)
    assert orders(other) != first


def test_without_shuffle_epochs_are_the_same():
    loader = numbers("mem://loader-same", overwrite=True).pytorch(batch_size=30)
    assert orders(loader) == orders(loader) == [list(range(i, min(i + 30, 100))) for i in (0, 30, 60, 90)]


def test_a_process_that_starts_afresh_yields_the_same(tmp_path):
    ds = numbers(tmp_path / "ds")
    script = (
        f"import zlake; l = zlake.load({str(tmp_path / 'ds')!r})[10:90].pytorch(batch_size=7, shuffle=True, seed=5); "
        "l.set_epoch(3); print([b['index'].tolist() for b in l])"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    loader = ds[10:90].pytorch(batch_size=7, shuffle=True, seed=5)
    loader.set_epoch(3)
    assert printed.strip() == str(orders(loader))
