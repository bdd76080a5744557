"""Random histories of a dataset against plain Python lists."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import zlake

_numbers = itertools.count()


def ragged(seed: int) -> np.ndarray:
    """Return an array ``(a, b) int16`` whose shape and values follow from a seed."""
    rng = np.random.default_rng(seed)
    return rng.integers(-99, 99, rng.integers(0, 4, 2), dtype=np.int16)


class History(RuleBasedStateMachine):
    """Three tensors (dense, ragged, text), changed in every way, committed and reopened."""

    @initialize()
    def create(self) -> None:
        self.path = f"mem://model-{next(_numbers)}"
        self.ds = zlake.empty(self.path)
        self.ds.create_tensor("dense", dtype="int64")
        self.ds.create_tensor("ragged", dtype="int16")
        self.ds.create_tensor("text", htype="text")
        self.rows: list[int] = []
        self.commits: list[tuple[str, list[int]]] = []
        self.dirty = True
        self.fresh = 0
        self.block = False

    def seed(self) -> int:
        self.fresh += 1
        return self.fresh

    @staticmethod
    def row(seed: int) -> dict[str, object]:
        return {"dense": np.array([seed, -seed]), "ragged": ragged(seed), "text": f"row {seed} é"}

    @rule()
    def append(self) -> None:
        seed = self.seed()
        self.ds.append(self.row(seed))
        self.rows.append(seed)
        self.dirty = True

    @rule(count=st.integers(1, 12))
    def extend(self, count: int) -> None:
        seeds = [self.seed() for _ in range(count)]
        rows = [self.row(seed) for seed in seeds]
        self.ds.extend({name: [row[name] for row in rows] for name in rows[0]})
        self.rows.extend(seeds)
        self.dirty = True

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def update(self, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.integers(0, len(self.rows) - 1), min_size=1, max_size=5, unique=True))
        seeds = [self.seed() for _ in chosen]
        rows = [self.row(seed) for seed in seeds]
        self.ds[chosen].update({name: [row[name] for row in rows] for name in rows[0]})
        for at, seed in zip(chosen, seeds, strict=True):
            self.rows[at] = seed
        self.dirty = True

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def pop(self, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.integers(0, len(self.rows) - 1), min_size=1, max_size=5, unique=True))
        self.ds.pop(chosen)
        self.rows = [seed for at, seed in enumerate(self.rows) if at not in chosen]
        self.dirty = True

    @rule()
    def refused(self) -> None:
        try:
            self.ds.append({"dense": np.array([1, 2]), "ragged": np.zeros((1, 1), np.float64), "text": "no"})
        except zlake.errors.SampleAppendError:
            return
        raise AssertionError("a float64 sample was taken by an int16 tensor")

    @precondition(lambda self: not self.block)
    @rule()
    def enter(self) -> None:
        self.ds.__enter__()
        self.block = True

    @precondition(lambda self: self.block)
    @rule()
    def leave(self) -> None:
        self.ds.__exit__(None, None, None)
        self.block = False

    @precondition(lambda self: self.dirty and not self.block)
    @rule()
    def commit(self) -> None:
        self.commits.append((self.ds.commit(f"commit {len(self.commits)}"), list(self.rows)))
        self.dirty = False

    @precondition(lambda self: not self.block)
    @rule()
    def reopen(self) -> None:
        self.ds = zlake.load(self.path)

    @rule(data=st.data())
    def look_back(self, data: st.DataObject) -> None:
        if self.commits:
            commit, rows = data.draw(st.sampled_from(self.commits))
            self.compare(zlake.load(f"{self.path}@{commit}"), rows)

    @invariant()
    def same(self) -> None:
        if hasattr(self, "ds"):
            self.compare(self.ds, self.rows)

    def compare(self, ds: zlake.Dataset, rows: list[int]) -> None:
        assert len(ds) == len(rows)
        if rows:
            assert ds.dense.numpy().tolist() == [[seed, -seed] for seed in rows]
        found = ds.ragged.numpy(aslist=True)
        for value, seed in zip(found, rows, strict=True):
            np.testing.assert_array_equal(value, ragged(seed))
            assert value.shape == ragged(seed).shape
        assert ds.text.text() == [f"row {seed} é" for seed in rows]
        ids = ds.dense.ids()
        assert len(set(ids.tolist())) == len(rows)

    def teardown(self) -> None:
        if hasattr(self, "ds"):
            if self.block:
                self.leave()
            self.compare(zlake.load(self.path), self.rows)
            report = self.ds.verify()
            assert report, report
            assert [entry["commit"] for entry in self.ds.commits] == [c for c, _ in reversed(self.commits)]


TestHistory = History.TestCase
TestHistory.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
