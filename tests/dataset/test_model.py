"""Random histories of a dataset, and of a second session beside it, against plain Python lists."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import zlake
from tests.scale import histories

_numbers = itertools.count()
NAMES = ("dense", "ragged", "text", "label", "items")
EMPTY = -1
"""Stands for an empty sample where a seed stands for a sample."""


def ragged(seed: int) -> np.ndarray:
    """Return an array ``(a, b) int16`` whose shape and values follow from a seed."""
    rng = np.random.default_rng(seed)
    return rng.integers(-99, 99, rng.integers(0, 4, 2), dtype=np.int16)


def sample(name: str, seed: int) -> Any:
    """Return the sample of a tensor that a seed stands for."""
    if seed == EMPTY:
        return None
    return {
        "dense": lambda: np.array([seed, -seed]),
        "ragged": lambda: ragged(seed),
        "text": lambda: f"row {seed} é",
        "label": lambda: [f"class {seed % 7}"] * (1 + seed % 2) if seed > 0 else [f"new class {-seed}"],
        "items": lambda: [np.full(n % 3, seed, np.int32) for n in range(seed % 4)],
    }[name]()


def shown(name: str, seed: int) -> Any:
    """Return what reading that sample shows."""
    if seed == EMPTY:
        return {"dense": [], "ragged": np.zeros((0, 0)), "text": "", "label": [], "items": []}[name]
    found = sample(name, seed)
    return [item.tolist() for item in found] if name == "items" else found


class History(RuleBasedStateMachine):
    """Five tensors, changed in every way, together and one by one, by two sessions, committed and reopened.

    ``rows`` holds, for each tensor, the seeds of the samples that the first session must show; ``ahead`` those of rows
    that the second session has appended and the first one has not seen.
    """

    flush_bytes = 1 << 20

    @initialize()
    def create(self) -> None:
        self.path = f"mem://model-{next(_numbers)}"
        self.context = replace(zlake.Context(), flush_bytes=self.flush_bytes)
        self.ds = zlake.empty(self.path, context=self.context)
        self.ds.create_tensor("dense", dtype="int64")
        self.ds.create_tensor("ragged", dtype="int16")
        self.ds.create_tensor("text", htype="text")
        self.ds.create_tensor("label", htype="class_label", class_names=[f"class {n}" for n in range(7)])
        self.ds.create_tensor("items", htype="sequence", dtype="int32")
        self.name = {name: name for name in NAMES}  # what each tensor is called now
        self.rows: dict[str, list[int]] = {name: [] for name in NAMES}
        self.commits: list[tuple[str, dict[str, str], dict[str, list[int]]]] = []
        self.fresh = 0
        self.block = 0
        self.ahead: list[int] = []  # rows that the second session has appended behind what the first one knows

    def seed(self) -> int:
        self.fresh += 1
        return self.fresh

    def seeds(self, count: int) -> list[int]:
        return [self.seed() for _ in range(count)]

    def row(self, seed: int) -> dict[str, Any]:
        return {self.name[name]: sample(name, seed) for name in NAMES}

    def columns(self, seeds: list[int]) -> dict[str, Any]:
        return {self.name[name]: [sample(name, seed) for seed in seeds] for name in NAMES}

    @property
    def even(self) -> bool:
        return len({len(seeds) for seeds in self.rows.values()}) == 1

    @property
    def shortest(self) -> int:
        return min(map(len, self.rows.values()))

    # ------------------------------------------------------------ rows

    @precondition(lambda self: self.even and not self.ahead)
    @rule(empty=st.booleans())
    def append(self, empty: bool) -> None:
        seed = EMPTY if empty and self.shortest else self.seed()
        self.ds.append(self.row(seed))
        for name in NAMES:
            self.rows[name].append(seed)

    @precondition(lambda self: self.even and not self.ahead)
    @rule(count=st.integers(1, 12))
    def extend(self, count: int) -> None:
        seeds = self.seeds(count)
        self.ds.extend(self.columns(seeds))
        for name in NAMES:
            self.rows[name].extend(seeds)

    @precondition(lambda self: self.ahead == [])
    @rule(name=st.sampled_from(NAMES), count=st.integers(0, 3))
    def extend_one(self, name: str, count: int) -> None:
        seeds = self.seeds(count)
        self.ds[self.name[name]].extend([sample(name, seed) for seed in seeds])
        self.rows[name].extend(seeds)

    @precondition(lambda self: not self.ahead)
    @rule()
    def append_new_class(self) -> None:
        seed = -self.seed() - 1
        self.ds[self.name["label"]].append(sample("label", seed))
        self.rows["label"].append(seed)

    @precondition(lambda self: self.shortest and not self.ahead)
    @rule(data=st.data())
    def update(self, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.integers(0, self.shortest - 1), min_size=1, max_size=5, unique=True))
        seeds = self.seeds(len(chosen))
        self.ds[chosen].update(self.columns(seeds))
        for name in NAMES:
            for at, seed in zip(chosen, seeds, strict=True):
                self.rows[name][at] = seed

    @precondition(lambda self: not self.ahead)
    @rule(data=st.data(), name=st.sampled_from(NAMES))
    def assign(self, data: st.DataObject, name: str) -> None:
        if self.rows[name]:
            at = data.draw(st.integers(-len(self.rows[name]), len(self.rows[name]) - 1))
            seed = self.seed()
            self.ds[self.name[name]][at] = sample(name, seed)
            self.rows[name][at] = seed

    @precondition(lambda self: not self.ahead)
    @rule(data=st.data())
    def pop(self, data: st.DataObject) -> None:
        longest = max(map(len, self.rows.values()))
        if longest:
            chosen = data.draw(st.lists(st.integers(0, longest - 1), min_size=1, max_size=5, unique=True))
            self.ds.pop(chosen)
            for name in NAMES:
                self.rows[name] = [seed for at, seed in enumerate(self.rows[name]) if at not in chosen]

    @precondition(lambda self: not self.ahead)
    @rule(name=st.sampled_from(NAMES))
    def clear(self, name: str) -> None:
        self.ds[self.name[name]].clear()
        self.rows[name] = []

    @precondition(lambda self: not self.ahead)
    @rule(name=st.sampled_from(NAMES))
    def level(self, name: str) -> None:
        """Bring all tensors to one length, so that rows can be appended again."""
        longest = max(map(len, self.rows.values()))
        for each in NAMES:
            seeds = self.seeds(longest - len(self.rows[each]))
            self.ds[self.name[each]].extend([sample(each, seed) for seed in seeds])
            self.rows[each].extend(seeds)

    @precondition(lambda self: self.even and not self.ahead)
    @rule()
    def refused(self) -> None:
        bad = {**self.row(self.seed()), self.name["label"]: "never", self.name["ragged"]: np.zeros((1, 1))}
        with pytest.raises(zlake.errors.SampleAppendError, match="float64"):
            self.ds.append(bad)

    # ------------------------------------------------------------ structure

    @precondition(lambda self: not self.ahead)
    @rule(name=st.sampled_from(NAMES))
    def rename(self, name: str) -> None:
        new = f"{name}{self.seed()}"
        self.ds.rename_tensor(self.name[name], new)
        self.name[name] = new

    @precondition(lambda self: not self.ahead)
    @rule(name=st.sampled_from(NAMES))
    def delete_and_create(self, name: str) -> None:
        old = self.ds[self.name[name]]
        made = self.ds.create_tensor_like(f"{name}{self.seed()}", old)
        self.ds.delete_tensor(self.name[name])
        self.name[name] = made.name
        self.rows[name] = []

    # ------------------------------------------------------------ durability and versions

    @precondition(lambda self: self.block < 2)
    @rule()
    def enter(self) -> None:
        if not self.ahead:
            self.ds.__enter__()
            self.block += 1

    @precondition(lambda self: self.block)
    @rule()
    def leave(self) -> None:
        self.ds.__exit__(None, None, None)
        self.block -= 1

    @precondition(lambda self: not self.ahead)
    @rule()
    def commit(self) -> None:
        commit = self.ds.commit(f"commit {len(self.commits)}", allow_empty=True)
        self.commits.append((commit, dict(self.name), {name: list(seeds) for name, seeds in self.rows.items()}))

    @precondition(lambda self: not self.block)
    @rule()
    def reopen(self) -> None:
        self.ds = zlake.load(self.path, context=self.context)
        self.take_in()

    @precondition(lambda self: self.commits)
    @rule(data=st.data())
    def look_back(self, data: st.DataObject) -> None:
        commit, names, rows = data.draw(st.sampled_from(self.commits))
        self.compare(zlake.load(f"{self.path}@{commit}"), names, rows)

    # ------------------------------------------------------------ a second session

    @precondition(lambda self: self.even and not self.block)
    @rule(count=st.integers(1, 4))
    def append_elsewhere(self, count: int) -> None:
        """Another session appends; the first one does not see it before it refreshes or writes."""
        seeds = self.seeds(count)
        zlake.load(self.path, context=self.context).extend(self.columns(seeds))
        self.ahead.extend(seeds)

    @precondition(lambda self: self.ahead)
    @rule()
    def refresh(self) -> None:
        self.ds.refresh()
        self.take_in()

    @precondition(lambda self: self.ahead)
    @rule(count=st.integers(1, 4))
    def append_behind(self, count: int) -> None:
        """The first session appends without having seen the second one's rows: they come first."""
        seeds = self.seeds(count)
        self.ds.extend(self.columns(seeds))
        self.take_in()
        for name in NAMES:
            self.rows[name].extend(seeds)

    @precondition(lambda self: self.ahead and self.shortest)
    @rule(data=st.data(), popping=st.booleans())
    def change_below(self, data: st.DataObject, popping: bool) -> None:
        """The first session changes rows that the second one left alone: both are kept."""
        at = data.draw(st.integers(0, self.shortest - 1))
        seed = self.seed()
        if popping:
            self.ds.pop(at)
        else:
            self.ds[at].update(self.row(seed))
        for name in NAMES:
            self.rows[name][at : at + 1] = [] if popping else [seed]
        self.take_in()

    @precondition(lambda self: self.ahead and self.shortest)
    @rule(data=st.data())
    def conflict(self, data: st.DataObject) -> None:
        """Both change one row: the second writer is told, keeps nothing of it, and goes on after a refresh."""
        at = data.draw(st.integers(0, self.shortest - 1))
        seed = self.seed()
        zlake.load(self.path)[at].update(self.row(seed))
        with pytest.raises(zlake.errors.ConflictError, match="refresh"), self.ds:
            self.ds[self.name["text"]][at] = "lost"
        self.ds.refresh(discard=True)
        for name in NAMES:
            self.rows[name][at] = seed
        self.take_in()

    def take_in(self) -> None:
        """Note that the first session has seen the second one's rows."""
        for name in NAMES:
            self.rows[name].extend(self.ahead)
        self.ahead = []

    # ------------------------------------------------------------ what must hold

    @invariant()
    def same(self) -> None:
        if hasattr(self, "ds"):
            self.compare(self.ds, self.name, self.rows)

    def compare(self, ds: zlake.Dataset, names: dict[str, str], rows: dict[str, list[int]]) -> None:
        assert sorted(ds.tensors) == sorted(names.values())
        for name in NAMES:
            tensor, seeds = ds[names[name]], rows[name]
            assert len(tensor) == len(seeds)
            expected = [shown(name, seed) for seed in seeds]
            if name == "text":
                assert tensor.text() == expected
            elif name == "label":
                assert tensor.data(aslist=True).get("text", []) == expected
            elif name == "items":
                assert [[a.tolist() for a in row] for row in tensor.numpy(aslist=True)] == expected
            else:
                for found, wanted in zip(tensor.numpy(aslist=True), expected, strict=True):
                    np.testing.assert_array_equal(found, wanted)
                    assert found.shape == np.shape(wanted)
            assert len(np.unique(tensor.ids())) == len(seeds)
            assert len(tensor.shapes()) == len(seeds)
        assert ds.min_len == min(map(len, rows.values()))

    def teardown(self) -> None:
        if not hasattr(self, "ds"):
            return
        while self.block:
            self.leave()
        self.take_in()
        opened = zlake.load(self.path)
        self.compare(opened, self.name, self.rows)
        report = opened.verify()
        assert report, report
        assert [entry["commit"] for entry in opened.commits] == [commit for commit, *_ in reversed(self.commits)]


class HistoryOfFullBuffers(History):
    """The same with a buffer that a few rows fill, so that blocks flush by themselves all the time."""

    flush_bytes = 300


QUICK = histories(20, 25)
LONG = settings(
    QUICK,
    max_examples=int(os.environ.get("ZLAKE_MODEL_EXAMPLES", "400")),
    stateful_step_count=50,
    phases=list(Phase),
)

TestHistory = History.TestCase
TestHistory.settings = QUICK
TestHistoryOfFullBuffers = HistoryOfFullBuffers.TestCase
TestHistoryOfFullBuffers.settings = QUICK


@pytest.mark.slow
@pytest.mark.timeout(3600)
class TestLongHistory(History.TestCase):
    settings = LONG


@pytest.mark.slow
@pytest.mark.timeout(3600)
class TestLongHistoryOfFullBuffers(HistoryOfFullBuffers.TestCase):
    settings = LONG
