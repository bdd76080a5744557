"""Reads from several threads and event loops, and what is kept between reads."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.segments.blocks import dense, encoded, numbers, ragged
from tests.segments.reading import NO_CACHE, PATHS, put, rows_of, small_chunks, source_of, stored
from zlake.context import Context
from zlake.errors import CorruptObjectError
from zlake.format.paths import tensor_prefix
from zlake.segments import slabs
from zlake.segments.cache import Cache, Slot, caches
from zlake.segments.gather import gather_array, gather_blobs, gather_list
from zlake.segments.pending import Done, Joined, background, mapped
from zlake.segments.source import Source, open_source
from zlake.storage import open_store
from zlake.types import Pending


@pytest.mark.parametrize("path", PATHS)
def test_threads_share_sources(path: str, tmp_path: Path) -> None:
    values = numbers((400, 6), "float64")
    samples = [numbers((n % 17, 2), "int16", n) for n in range(400)]
    blobs = [bytes([n % 256]) * (n % 70) for n in range(400)]
    with small_chunks():
        blocks = dense(values, 3), ragged(samples), encoded(blobs)
        sources = [source_of(path, tmp_path / str(i), block) for i, block in enumerate(blocks)]
    start = threading.Barrier(4)

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        start.wait()
        for _ in range(30):
            rows = rng.integers(0, 400, rng.integers(1, 60))
            plan = rows_of(rows)
            np.testing.assert_array_equal(gather_array(plan, sources[:1]).result(), values[rows])
            for found, row in zip(gather_list(plan, sources[1:2]).result(), rows.tolist(), strict=True):
                np.testing.assert_array_equal(found, samples[row])
            assert gather_blobs(plan, sources[2:]).result() == [blobs[row] for row in rows.tolist()]
            row = int(rows[0])
            np.testing.assert_array_equal(sources[0].one(row), values[row])

    with ThreadPoolExecutor(4) as pool:
        for outcome in [pool.submit(work, seed) for seed in range(4)]:
            outcome.result()


@pytest.mark.parametrize("path", PATHS)
async def test_reads_can_be_awaited(path: str, tmp_path: Path) -> None:
    values = numbers((100, 6), "float64")
    samples = [numbers((n % 17, 2), "int16", n) for n in range(100)]
    with small_chunks():
        sources = [
            source_of(path, tmp_path / str(i), block) for i, block in enumerate((dense(values), ragged(samples)))
        ]
    rows = np.array([5, 99, 5, 0])
    array, listed = await asyncio.gather(
        _wait(gather_array(rows_of(rows), sources[:1])), _wait(gather_list(rows_of(rows), sources[1:]))
    )
    np.testing.assert_array_equal(array, values[rows])
    for found, row in zip(listed, rows.tolist(), strict=True):
        np.testing.assert_array_equal(found, samples[row])


async def _wait(pending: Pending[Any]) -> Any:
    return await pending


async def test_damage_is_raised_where_a_read_is_awaited(tmp_path: Path) -> None:
    store = open_store(str(tmp_path), context=NO_CACHE)
    values = numbers((100, 6), "float64")
    entry, key = put(store, dense(values), "zstd")
    (file,) = (tmp_path / tensor_prefix(entry.segment, key) / "values-data").glob("c.*")
    file.write_bytes(b"x" * 100)
    pending = gather_array(rows_of(slice(0, 9, 1)), [open_source(store, entry, key, values.dtype, NO_CACHE)])
    with pytest.raises(CorruptObjectError):
        await pending
    with pytest.raises(CorruptObjectError):
        pending.result()


def test_local_raw_reads_are_done_at_once(tmp_path: Path) -> None:
    source = stored(open_store(str(tmp_path)), ragged([numbers((n,), "int8") for n in range(9)]))
    assert isinstance(gather_list(rows_of(slice(0, 9, 1)), [source]), Done)


def test_mapped_is_made_once_and_passes_errors_on() -> None:
    made = []

    def fail() -> int:
        raise ValueError("no")

    pending: Pending[int] = Joined((), lambda: made.append(1) or 7)
    doubled = mapped(pending, lambda found: 2 * found)
    assert (doubled.result(), doubled.result(), made) == (14, 14, [1])
    assert isinstance(mapped(Done(1), str), Done)
    failing = Joined((Joined((), fail), pending), lambda: 1)
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            failing.result()
    assert background(lambda: Done(3)).result() == 3


async def test_background_reads_can_be_awaited() -> None:
    async def both() -> tuple[int, int]:
        return await background(lambda: Done(3)), await mapped(background(lambda: Done(4)), lambda x: x + 1)

    assert await both() == (3, 5)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_maps_keep_no_file_open_and_die_with_their_source(tmp_path: Path) -> None:
    values = numbers((1000, 8), "float64")
    with small_chunks():
        entry, key = put(open_store(str(tmp_path)), dense(values))
    context = Context(cache_bytes=12345)
    source = open_source(open_store(str(tmp_path)), entry, key, values.dtype, context)
    source.one(0)
    before = open_files()
    gather_array(rows_of(slice(0, 1000, 1)), [source]).result()
    assert open_files() == before
    source.one(1)  # what a read maps is weighed by the next one
    assert caches(context).maps.weight == -(-1000 // entry.shard[0])
    row = source.one(3)
    del source
    gc.collect()
    assert caches(context).maps.weight == 0
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()
    np.testing.assert_array_equal(row, values[3])


def test_maps_make_room_for_others(tmp_path: Path) -> None:
    values = numbers((1000, 8), "float64")
    context = Context(cache_bytes=54321)
    with small_chunks():
        sources = [stored(open_store(str(tmp_path)), dense(values), context=context) for _ in range(6)]
    caches(context).maps.bound = 100
    rng = np.random.default_rng(0)
    for _ in range(5):
        for source in sources:
            rows = rng.integers(0, 1000, 40)
            np.testing.assert_array_equal(gather_array(rows_of(rows), [source]).result(), values[rows])
            assert caches(context).maps.weight <= 100


def test_sidecars_stay_within_their_bound_and_are_read_again(tmp_path: Path) -> None:
    context = Context(cache_bytes=3000)
    sources: list[Source] = []
    samples = [numbers((n % 5,), "int8", n) for n in range(200)]
    for _ in range(8):
        sources.append(stored(open_store(str(tmp_path)), ragged(samples), context=context))
    for _ in range(3):
        for source in sources:
            for row in (0, 57, 199):
                np.testing.assert_array_equal(source.one(row), samples[row])
            assert caches(context).decoded.weight <= 3000


def test_a_cache_empties_what_was_not_used_first() -> None:
    cache = Cache(100)
    slots: list[Slot[str]] = [Slot() for _ in range(4)]
    for slot, name in zip(slots[:3], "abc", strict=True):
        cache.fill(slot, name, 30)
        slot.used = False
    slots[0].used = True
    cache.fill(slots[3], "d", 30)
    assert [slot.value for slot in slots] == ["a", None, "c", "d"]
    assert (cache.weight, len(cache)) == (90, 3)
    cache.fill(slots[3], "e", 20)
    assert (cache.weight, len(cache)) == (80, 3)
    del slot, slots
    gc.collect()
    assert (cache.weight, len(cache)) == (0, 0)


def test_a_value_heavier_than_the_cache_is_kept_alone() -> None:
    cache = Cache(10)
    first, second = Slot[str](), Slot[str]()
    cache.fill(first, "a", 5)
    cache.fill(second, "b", 50)
    assert (first.value, second.value, cache.weight) == (None, "b", 50)


@pytest.mark.parametrize("nbytes", [slabs.SMALL_BYTES, 700_000, 4 << 20, (9 << 20) + 5])
def test_slab_memory_is_never_given_out_twice(nbytes: int) -> None:
    held = []
    for i in range(40):
        array = slabs.empty((nbytes,), np.dtype(np.uint8))
        array[...] = i
        held.append((i, array[1:-1]))  # a view keeps the memory as well
        if i % 3 == 0:
            held.pop(len(held) // 2)
        for value, view in held:
            assert view[0] == value
            assert view[-1] == value
        if len(held) * nbytes > 100 << 20:
            held.clear()


def test_slabs_are_used_again_and_few_are_kept() -> None:
    array = slabs.empty((5 << 20,), np.dtype(np.uint8))
    address = array.ctypes.data
    del array
    array = slabs.empty((5 << 20,), np.dtype(np.uint8))
    assert array.ctypes.data == address
    many = [slabs.empty((5 << 20,), np.dtype(np.uint8)) for _ in range(40)]
    assert len({a.ctypes.data for a in many}) == 40
    assert sum(map(len, slabs._slabs._kept)) <= slabs.IDLE_BYTES
    for dtype in ("float64", "complex128", "bool"):
        assert slabs.empty((300_000,), np.dtype(dtype)).flags.aligned
