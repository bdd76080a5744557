"""Loops that change rows one by one: right whatever is read in between, and no row costs more than the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import zlake
from zlake.dataset.dataset import Dataset
from zlake.errors import ObjectNotFoundError, SampleUpdateError
from zlake.extents import edited
from zlake.extents.map import ExtentMap
from zlake.segments.block import Block
from zlake.session import buffer
from zlake.session.column import Column

ROWS = 400


def ragged(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(-99, 99, (seed % 3, 1 + seed % 2), dtype=np.int16)


SAMPLES: dict[str, tuple[dict[str, Any], Callable[[int], Any]]] = {
    "dense": ({"dtype": "int64"}, lambda seed: np.array([seed, -seed, 1])),
    "ragged": ({"dtype": "int16"}, ragged),
    "flat": ({"dtype": "float32"}, lambda seed: np.full(seed % 4, seed, np.float32)),
    "text": ({"htype": "text"}, lambda seed: f"row {seed} é"),
    "image": ({"htype": "image", "sample_compression": "png"}, lambda seed: np.full((2, 1 + seed % 3, 3), 7, np.uint8)),
    "items": ({"htype": "sequence", "dtype": "int32"}, lambda seed: [np.full(2, seed, np.int32)] * (seed % 3)),
    "texts": ({"htype": "sequence[text]"}, lambda seed: [f"{seed}", ""] * (seed % 3)),
}


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, str):
        return str(np.asarray(found).reshape(-1)[0]) == expected
    return np.array_equal(found, expected) and found.shape == expected.shape


def scattered(name: str) -> tuple[Dataset, list[int]]:
    """A dataset with one tensor in hundreds of extents, and the seeds of its samples."""
    options, sample = SAMPLES[name]
    ds = zlake.empty("mem://loops", overwrite=True)
    ds.create_tensor("x", **options)
    ds.x.extend([sample(seed) for seed in range(ROWS)])
    chosen = list(range(0, ROWS, 2))
    ds.x[chosen] = [sample(seed + 1000) for seed in chosen]
    return ds, [seed if seed % 2 else seed + 1000 for seed in range(ROWS)]


@pytest.mark.parametrize("name", SAMPLES)
def test_every_change_is_seen_at_once(name: str) -> None:
    ds, seeds = scattered(name)
    sample = SAMPLES[name][1]
    rng = np.random.default_rng(len(name))
    ids = ds.x.ids().tolist()
    seed = 5000

    def check(rows: Any) -> None:
        wanted = list(rows)
        assert all(map(same, ds.x[wanted].numpy(aslist=True), [sample(seeds[row]) for row in wanted]))
        assert ds.x[wanted].ids().tolist() == [ids[row] for row in wanted]

    with ds:
        for number in range(300):
            seed += 1
            what, row = number % 7 if number < 200 else rng.integers(7), int(rng.integers(len(seeds)))
            if what < 2:
                ds.x[row] = sample(seed)
                seeds[row] = seed
            elif what == 2:
                ds.x.append(sample(seed))
                seeds.append(seed)
                ids += ds.x[len(seeds) - 1].ids().tolist()
            elif what == 3:
                ds.x.pop(row)
                del seeds[row], ids[row]
            elif what == 4:
                rows = sorted({row, (row + 1) % len(seeds), (3 * row) % len(seeds)})
                ds.x[rows] = [sample(seed + at) for at in rows]
                for at in rows:
                    seeds[at] = seed + at
            elif what == 5:
                check([row, 0, len(seeds) - 1, row])
            assert len(ds.x) == len(seeds)
            row = min(row, len(seeds) - 1)
            assert same(ds.x[row].numpy(aslist=True), sample(seeds[row]))
            if number % 50 == 49:
                check(range(len(seeds)))
        assert len(ds.x._column.content().segment) > 100
    check(range(len(seeds)))
    ds.commit("many single changes")
    ds = zlake.load("mem://loops")
    check(range(len(seeds)))
    assert ds.verify(deep=True).ok


def update(ds: Dataset, row: int) -> None:
    ds.x[row] = [1, 2, 3]


def operate(ds: Dataset, row: int) -> None:
    ds.x[row] += 1
    ds.y[row] *= 2


def part(ds: Dataset, row: int) -> None:
    ds.x[row][1:3] = 7
    ds.x[row, 0] = 8
    ds.x[row, :2] -= 1


def pairs(ds: Dataset, row: int) -> None:
    ds.x[row : row + 2] += 1
    assert len(ds.x[row : row + 2].numpy())


def pop(ds: Dataset, row: int) -> None:
    ds.pop(row)


def append(ds: Dataset, row: int) -> None:
    ds.append({"x": [row, 0, 0], "y": [0], "s": [[1, 2]]})
    assert ds.x[len(ds.x) - 1].numpy()[0] == row
    ds.x[len(ds.x) - 1] += 1
    assert ds.x[len(ds.x) - 1, 0].numpy() == row + 1


def alternate(ds: Dataset, row: int) -> None:
    ds.x.append([3, 2, 1])
    ds.x[row] = [4, 5, 6]
    ds.x.pop(row // 2)
    assert ds.x[row // 2].ids() != ds.x[row + 1].ids()


def items(ds: Dataset, row: int) -> None:
    ds.s[row][0] = [row, row]
    ds.s[row, 1] += 1
    assert ds.s[row][0].numpy().tolist() == [row, row]


def rows(ds: Dataset, row: int) -> None:
    ds[row].update({"x": [1, 2, 3], "y": [row]})
    assert ds.y[row].numpy() == row


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The extents that were edited, and the rows of buffers that were laid out to be read, call by call."""
    worked: list[int] = []
    for name in ("replace", "delete", "concat"):
        function = getattr(edited.edit, name)

        def edit(extents: ExtentMap, *given: Any, function: Callable[..., ExtentMap] = function) -> ExtentMap:
            worked.append(extents.n_extents)
            return function(extents, *given)

        monkeypatch.setattr(edited.edit, name, edit)
    freeze, join = buffer.ColumnBuffer._freeze, buffer.joined

    def frozen(self: buffer.ColumnBuffer) -> Block:
        block = freeze(self)
        worked.append(block.rows)
        return block

    def joined(blocks: list[Block]) -> Block:
        block = join(blocks)
        worked.append(block.rows)
        return block

    monkeypatch.setattr(buffer.ColumnBuffer, "_freeze", frozen)
    monkeypatch.setattr(buffer, "joined", joined)
    return worked


@pytest.mark.parametrize("change", [update, operate, part, pairs, pop, append, alternate, items, rows])
def test_a_loop_costs_as_many_times_more_as_it_is_longer(
    work: list[int], change: Callable[[Dataset, int], None]
) -> None:
    ds = zlake.empty("mem://loop-costs", overwrite=True)
    for name, options in {"x": {}, "y": {}, "s": {"htype": "sequence"}}.items():
        ds.create_tensor(name, dtype="int64", **options)
    count = 4 * ROWS
    numbers = np.arange(2 * count)
    ds.extend({"x": np.tile(numbers[:, None], 3), "y": numbers, "s": [np.full((2, 2), n) for n in numbers]})
    chosen = np.random.default_rng(0).permutation(count).tolist()
    took = []
    with ds:
        for start in range(0, len(chosen), ROWS):
            work.clear()
            for row in chosen[start : start + ROWS]:
                change(ds, row)
            took.append(sum(work))
    assert len(took) == 4
    assert max(took) < 60 * ROWS


def test_updates_row_by_row_edit_the_extents_once(work: list[int]) -> None:
    ds = zlake.empty("mem://updates", overwrite=True)
    ds.create_tensor("x", dtype="int64")
    ds.x.extend(np.arange(1000))
    rng, expected = np.random.default_rng(0), np.arange(1000)
    with ds:
        for row in rng.integers(0, 1000, 500).tolist():
            ds.x[row] = expected[row] = rng.integers(0, 1 << 40)
        assert sum(work) < 12 * 500
        before = len(work)
        assert np.array_equal(ds.x.numpy().reshape(-1), expected)
        assert len(work) <= before + 4
        ds.x[3] = expected[3] = -3
        ds.x.append(-1000)
        ds.x[1000] = -1001
        ds.x[3] = expected[3] = -4
        ds.x.pop(0)
        ds.x[2] = expected[3] = -5
    expected = np.append(expected, -1001)[1:]
    assert np.array_equal(ds.x.numpy().reshape(-1), expected)
    assert len(set(ds.x.ids().tolist())) == 1000
    ds.commit("updated")
    assert np.array_equal(zlake.load("mem://updates").x.numpy().reshape(-1), expected)


def refused() -> Iterator[tuple[str, Callable[[Dataset], None]]]:
    def assign(key: Any, value: Any) -> Callable[[Dataset], None]:
        return lambda ds: ds.x.__setitem__(key, value)

    yield "dtype", assign(3, np.zeros(3))
    yield "rank", assign(3, np.zeros((2, 2), np.int64))
    yield "text", assign(3, "three")
    yield "two samples", assign([3, 4], [[1, 2, 3], "four"])
    yield "part", assign((3, slice(0, 2)), [1, 2, 3])
    yield "operator", lambda ds: ds.x[3].__iadd__("one")


@pytest.mark.parametrize("change", [case for _, case in refused()], ids=[name for name, _ in refused()])
def test_a_refused_change_leaves_the_changes_before_it(change: Callable[[Dataset], None]) -> None:
    ds, _ = scattered("dense")
    with ds:
        ds.x[3] = [9, 9, 9]
        ds.x.pop(0)
        before = ds.x.numpy()
        with pytest.raises(SampleUpdateError, match="nothing was changed"):
            change(ds)
        assert ds.x[2].numpy().tolist() == [9, 9, 9]
        assert np.array_equal(ds.x.numpy(), before)
        ds.x[2] += 1
    assert zlake.load("mem://loops").x[2].numpy().tolist() == [10, 10, 10]


def test_an_update_whose_ids_cannot_be_read_changes_no_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    ds = zlake.empty("mem://ids", overwrite=True)
    ds.create_tensor("x", dtype="int64")
    ds.create_tensor("label", htype="class_label", class_names=["cat"])
    ds.extend({"x": [1, 2, 3], "label": [0, 0, 0]})
    ids_of = Column.ids_of

    def failing(self: Column, rows: Any) -> Any:
        if self.name == "label":
            raise ObjectNotFoundError("the ids are gone")
        return ids_of(self, rows)

    with ds:
        monkeypatch.setattr(Column, "ids_of", failing)
        for rows in (1, [0, 1]):
            with pytest.raises(ObjectNotFoundError, match="the ids are gone"):
                ds[rows].update({"x": 7, "label": "dog"} if rows == 1 else {"x": [7, 7], "label": ["dog", "dog"]})
        monkeypatch.undo()
        assert ds.x.numpy().reshape(-1).tolist() == [1, 2, 3]
        assert ds.label.info["class_names"] == ["cat"]
        ds.label[2] = "bird"
    assert zlake.load("mem://ids").label.info["class_names"] == ["cat", "bird"]
