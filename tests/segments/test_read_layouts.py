"""What was written is what is read, whatever the layout, the path and the plan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.segments.blocks import DTYPES, blocks, dense, encoded, flat, numbers, ragged
from tests.segments.reading import PATHS, check_owned, put, rows_of, small_chunks, source_of, stored
from zlake.context import Context, random_id
from zlake.errors import DynamicTensorNumpyError, InvalidOperationError
from zlake.extents.plan import Plan, Run
from zlake.segments.block import Block
from zlake.segments.dense import DenseSource
from zlake.segments.flat import FlatSource
from zlake.segments.gather import (
    expand_sequences,
    gather_array,
    gather_blobs,
    gather_ids,
    gather_list,
    gather_shapes,
)
from zlake.segments.source import BlockSource, open_source
from zlake.storage import open_store

PICKS = (
    slice(0, 100, 1),
    slice(3, 97, 1),
    slice(2, 99, 7),
    slice(50, 51, 1),
    np.array([99, 0, 0, 50, 7, 8, 9, 99]),
    np.arange(99, -1, -1),
    np.array([42]),
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_dense_rows_of_every_dtype(path: str, dtype: str, tmp_path: Path) -> None:
    values = numbers((100, 5), dtype)
    with small_chunks():
        source = source_of(path, tmp_path, dense(values, 3))
    for rows in PICKS:
        found = gather_array(rows_of(rows), [source]).result()
        assert found.dtype == values.dtype
        np.testing.assert_array_equal(found, values[rows])
        check_owned(found)
    for row in (0, 41, 99):
        found = source.one(row)
        np.testing.assert_array_equal(found, values[row])
        assert found.dtype == values.dtype
        check_owned(found)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("shape", [(), (1,), (3, 0, 2), (4, 3, 2), (200,)])
def test_dense_rows_of_every_shape(path: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    values = numbers((100, *shape), "float64")
    with small_chunks():
        source = source_of(path, tmp_path, dense(values))
    for rows in PICKS:
        np.testing.assert_array_equal(gather_array(rows_of(rows), [source]).result(), values[rows])
        found = gather_list(rows_of(rows), [source]).result()
        assert [sample.shape for sample in found] == [shape] * len(values[rows])
        np.testing.assert_array_equal(np.stack(found), values[rows])
    one = source.one(17)
    assert isinstance(one, np.ndarray)
    assert one.shape == shape
    np.testing.assert_array_equal(one, values[17])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("dtype", "ndim"), [("float32", 1), ("float64", 1), ("complex128", 1), ("bool", 2), ("int16", 3)]
)
def test_ragged_rows(path: str, dtype: str, ndim: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    samples = [numbers(tuple(rng.integers(0, 40 // ndim**2, ndim)), dtype, i) for i in range(100)]
    with small_chunks():
        source = source_of(path, tmp_path, ragged(samples))
    shapes = np.array([sample.shape for sample in samples])
    for rows in PICKS:
        found = gather_list(rows_of(rows), [source]).result()
        for row, sample in zip(np.arange(100)[rows].tolist(), found, strict=True):
            assert sample.dtype == samples[row].dtype
            np.testing.assert_array_equal(sample, samples[row])
            check_owned(sample)
        np.testing.assert_array_equal(gather_shapes(rows_of(rows), [source]), shapes[rows])
    for row in range(100):
        one = source.one(row)
        np.testing.assert_array_equal(one, samples[row])
        check_owned(one)


@pytest.mark.parametrize("path", PATHS)
def test_encoded_rows(path: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    samples = [rng.bytes(int(n)) for n in rng.integers(0, 400, 100)]
    shapes = rng.integers(0, 1000, (100, 3))
    with small_chunks():
        source = source_of(path, tmp_path, encoded(samples, shapes))
    for rows in PICKS:
        assert gather_blobs(rows_of(rows), [source]).result() == [samples[i] for i in np.arange(100)[rows].tolist()]
        np.testing.assert_array_equal(gather_shapes(rows_of(rows), [source]), shapes[rows])
    assert [source.one_blob(row) for row in range(100)] == samples


@pytest.mark.parametrize("path", PATHS)
def test_encoded_rows_without_shapes_count_as_one_value(path: str, tmp_path: Path) -> None:
    source = source_of(path, tmp_path, encoded([b"a", b"", b"xyz"]))
    assert gather_shapes(rows_of(slice(0, 3, 1)), [source]).tolist() == [[1], [1], [1]]
    assert gather_blobs(rows_of(slice(1, 2, 1)), [source]).result() == [b""]


@pytest.mark.parametrize("path", PATHS)
def test_ids_that_count_and_ids_that_do_not(path: str, tmp_path: Path) -> None:
    values = numbers((100, 2), "int8")
    rng = np.random.default_rng(3)
    for ids in (np.arange(7, 107, dtype=np.uint64), rng.integers(0, 2**64, 100, dtype=np.uint64)):
        with small_chunks():
            source = source_of(path, tmp_path, dense(values, ids=ids))
        for rows in PICKS:
            np.testing.assert_array_equal(gather_ids(rows_of(rows), [source]), ids[rows])


@pytest.mark.parametrize("path", PATHS)
def test_sequences_expand_to_items(path: str, tmp_path: Path) -> None:
    values = numbers((60, 3), "int32")
    offsets = np.array([0, 0, 5, 6, 30, 30, 59, 60])
    with small_chunks():
        block = dense(values, ids=np.arange(7, dtype=np.uint64), sequence_offsets=offsets)
        source = source_of(path, tmp_path, block)
    for rows in (slice(0, 7, 1), slice(1, 6, 2), np.array([6, 2, 2, 0, 3]), np.array([4, 0])):
        items, counts = expand_sequences(rows_of(rows), [source])
        picked = np.arange(7)[rows]
        assert counts.tolist() == np.diff(offsets)[picked].tolist()
        expected = np.concatenate([values[offsets[row] : offsets[row + 1]] for row in picked.tolist()])
        assert items.length == len(expected)
        if items.length:
            np.testing.assert_array_equal(gather_array(items, [source]).result(), expected)
    assert gather_ids(rows_of(slice(0, 7, 1)), [source]).tolist() == list(range(7))


def test_each_path_is_what_it_says(tmp_path: Path) -> None:
    values = numbers((100, 5), "uint8")
    ways = {}
    for path in PATHS[:-1]:
        source = source_of(path, tmp_path, dense(values))
        assert isinstance(source, DenseSource)
        source.one(0)
        made = source._memory
        ways[path] = "none" if made is None else type(made._slot.value).__name__
    assert ways == {
        "mapped": "Maps",
        "resident-file-zstd": "Resident",
        "resident-mem-raw": "Resident",
        "tensorstore-file-gzip": "none",
        "tensorstore-mem-raw": "none",
    }


def test_runs_of_several_sources_with_scattered_positions(tmp_path: Path) -> None:
    values = [numbers((40, 3), "float32", i) for i in range(6)]
    with small_chunks():
        sources = [source_of(path, tmp_path / path, dense(v)) for path, v in zip(PATHS, values, strict=True)]
    order = np.random.default_rng(4).permutation(180)
    runs, expected, done = [], np.empty((180, 3), np.float32), 0
    for i in range(6):
        rows = slice(4, 34, 1) if i % 2 else np.random.default_rng(i).integers(0, 40, 30)
        at = order[done : done + 30]
        expected[at] = values[i][rows]
        runs.append(Run(i, rows, at))
        done += 30
    plan = Plan(tuple(runs), 180)
    np.testing.assert_array_equal(gather_array(plan, sources).result(), expected)
    np.testing.assert_array_equal(np.stack(gather_list(plan, sources).result()), expected)
    out = np.zeros((180, 3), np.float32)
    assert gather_array(plan, sources, out=out).result() is out
    np.testing.assert_array_equal(out, expected)
    assert gather_shapes(plan, sources).tolist() == [[3]] * 180


def test_segments_of_different_shapes_make_a_list_or_one_array_where_they_agree(tmp_path: Path) -> None:
    small, large = numbers((4, 2, 3), "int16"), numbers((4, 5, 3), "int16")
    mixed = [numbers((5, 3), "int16"), numbers((1, 3), "int16")]
    store = open_store(str(tmp_path))
    sources = [stored(store, dense(small)), stored(store, dense(large)), stored(store, ragged(mixed))]
    plan = Plan(
        (
            Run(0, slice(0, 2, 1), slice(0, 2, 1)),
            Run(1, slice(1, 3, 1), np.array([3, 2])),
            Run(2, slice(0, 2, 1), np.array([5, 4])),
        ),
        6,
    )
    expected = [small[0], small[1], large[2], large[1], mixed[1], mixed[0]]
    for found, sample in zip(gather_list(plan, sources).result(), expected, strict=True):
        np.testing.assert_array_equal(found, sample)
    assert gather_shapes(plan, sources).tolist() == [list(sample.shape) for sample in expected]
    with pytest.raises(DynamicTensorNumpyError, match=r"\(2, 3\) and \(5, 3\)"):
        gather_array(plan, sources).result()
    agreeing = Plan((Run(1, slice(0, 1, 1), slice(0, 1, 1)), Run(2, slice(0, 1, 1), slice(1, 2, 1))), 2)
    np.testing.assert_array_equal(gather_array(agreeing, sources).result(), np.stack([large[0], mixed[0]]))
    out = np.zeros((2, 5, 3), np.int64)
    gather_array(agreeing, sources, out=out).result()
    np.testing.assert_array_equal(out, np.stack([large[0], mixed[0]]))


@pytest.mark.parametrize("path", PATHS)
def test_out_of_another_dtype_or_stride_is_filled_too(path: str, tmp_path: Path) -> None:
    values = numbers((100, 5), "int16")
    with small_chunks():
        source = source_of(path, tmp_path, dense(values))
    plan = rows_of(slice(10, 90, 1))
    for out in (np.zeros((80, 5), np.float64), np.zeros((5, 80), np.int16).T, np.zeros((160, 5), np.int16)[::2]):
        assert gather_array(plan, [source], out=out).result() is out
        np.testing.assert_array_equal(out, values[10:90])
    unaligned = np.zeros(801, np.uint8)[1:].view(np.int16).reshape(80, 5)
    gather_array(plan, [source], out=unaligned).result()
    np.testing.assert_array_equal(unaligned, values[10:90])


def test_out_that_does_not_fit_is_refused() -> None:
    source = BlockSource(dense(numbers((10, 2), "float32")))
    with pytest.raises(InvalidOperationError, match=r"\(10, 3\)"):
        gather_array(rows_of(slice(0, 10, 1)), [source], out=np.zeros((10, 3), np.float32))
    with pytest.raises(InvalidOperationError, match="int32"):
        gather_array(rows_of(slice(0, 10, 1)), [source], out=np.zeros((10, 2), np.int32))
    fixed = np.zeros((10, 2), np.float32)
    fixed.flags.writeable = False
    with pytest.raises(InvalidOperationError, match="read-only"):
        gather_array(rows_of(slice(0, 10, 1)), [source], out=fixed)


def test_no_rows() -> None:
    source = BlockSource(dense(numbers((10, 2), "float32")))
    nothing = Plan((), 0)
    assert gather_array(nothing, [source]).result().shape == (0, 2)
    assert gather_array(nothing, [source], (0,)).result().shape == (0,)
    assert gather_list(nothing, [source]).result() == []
    assert gather_blobs(nothing, [source]).result() == []
    assert gather_ids(nothing, [source]).shape == (0,)
    assert gather_shapes(nothing, [source]).shape == (0, 1)


def test_arrays_of_a_list_do_not_share_bytes(tmp_path: Path) -> None:
    samples = [numbers((n,), "int32", n) for n in (3, 5, 2)]
    source = stored(open_store(str(tmp_path)), ragged(samples))
    first = gather_list(rows_of(slice(0, 3, 1)), [source]).result()
    for sample in first:
        sample[...] = 0
    second = gather_list(rows_of(slice(0, 3, 1)), [source]).result()
    for found, sample in zip(second, samples, strict=True):
        np.testing.assert_array_equal(found, sample)


def test_the_wrong_kind_of_read_is_refused(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    blobs, rows = stored(store, encoded([b"abc"])), stored(store, dense(numbers((1, 2), "uint8")))
    for refused in (lambda: blobs.one(0), lambda: rows.one_blob(0)):
        with pytest.raises(InvalidOperationError):
            refused()
    with pytest.raises(InvalidOperationError):
        gather_list(rows_of(slice(0, 1, 1)), [blobs])
    with pytest.raises(InvalidOperationError):
        gather_blobs(rows_of(slice(0, 1, 1)), [rows])


def test_opening_a_source_reads_nothing(tmp_path: Path) -> None:
    with small_chunks():
        entry, key = put(open_store(str(tmp_path)), ragged([numbers((9,), "int8")] * 50))
    source = open_source(open_store(str(tmp_path / "elsewhere")), entry, key, np.dtype(np.int8), Context())
    assert isinstance(source, FlatSource)
    assert (source.rows, source.items, source.ndim) == (50, 50, 1)


def expected_list(block: Block) -> list[np.ndarray]:
    values = flat(block)
    if block.layout == "dense":
        return list(values)
    assert block.offsets is not None
    parts = [values[a:b] for a, b in zip(block.offsets[:-1], block.offsets[1:], strict=True)]
    return parts if block.shapes is None else [p.reshape(s) for p, s in zip(parts, block.shapes, strict=True)]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    block=blocks(),
    path=st.sampled_from(PATHS),
    sizes=st.tuples(st.integers(8, 64), st.integers(64, 256)),
    data=st.data(),
)
def test_any_block_and_any_rows(
    block: Block, path: str, sizes: tuple[int, int], data: st.DataObject, tmp_path: Path
) -> None:
    with small_chunks(*sizes, sidecar=16):
        source = source_of(path, tmp_path / random_id(), block)
    assert (source.rows, source.items) == (block.rows, block.items)
    if not block.items:
        return
    rows = np.array(data.draw(st.lists(st.integers(0, block.items - 1), min_size=1, max_size=20)))
    at = np.array(data.draw(st.permutations(range(len(rows)))))
    plan = rows_of(rows, at)
    if block.layout == "encoded":
        values = flat(block).tobytes()
        assert block.offsets is not None
        blobs = [values[a:b] for a, b in zip(block.offsets[:-1], block.offsets[1:], strict=True)]
        found = gather_blobs(plan, [source]).result()
        assert [found[i] for i in at.tolist()] == [blobs[i] for i in rows.tolist()]
        return
    expected = expected_list(block)
    arrays = gather_list(plan, [source]).result()
    for position, row in zip(at.tolist(), rows.tolist(), strict=True):
        np.testing.assert_array_equal(arrays[position], expected[row])
        np.testing.assert_array_equal(source.one(row), expected[row])
        assert arrays[position].shape == expected[row].shape
