"""Diffs between versions that were merged, picked and reverted, against what their samples say."""

from __future__ import annotations

from itertools import count
from random import Random
from typing import Any

import numpy as np
import pytest

import zlake
from tests.scale import times


@pytest.mark.parametrize("seed", range(times(12)))
def test_any_two_versions_differ_in_what_their_samples_say(seed: int) -> None:
    random = Random(seed)
    ds: Any = zlake.empty(f"mem://diff-merged-{seed}", overwrite=True)
    ds.create_tensor("x", dtype="int64")
    ds.x.extend(np.arange(5))
    value, states = count(100), {}

    def note() -> None:
        if ds.has_head_changes:
            ds.commit()
        states[ds.commit_id] = dict(zip(ds.x.ids().tolist(), enumerate(ds.x.numpy().ravel().tolist()), strict=True))

    note()
    for branch in ("a", "b"):
        ds.checkout("main")
        ds.checkout(branch, create=True)
    for _ in range(50):
        if not ds.has_head_changes:
            ds.checkout(random.choice(("main", "a", "b")))
        kind = random.choice(("append", "append", "update", "pop", "commit", "merge", "revert", "cherry_pick"))
        rows = len(ds.x)
        if kind == "append":
            ds.x.append(next(value))
        elif kind == "update" and rows:
            ds.x[random.randrange(rows)] = next(value)
        elif kind == "pop" and rows:
            ds.x.pop(random.randrange(rows))
        elif kind in ("merge", "commit"):
            note()
            if kind == "merge":
                ds.merge(random.choice(("main", "a", "b")), conflict_resolution=random.choice(("ours", "theirs")))
                note()
        elif kind in ("revert", "cherry_pick"):
            note()
            commit = random.choice(list(states))
            if ds.get_commit_details(commit)["parents"]:
                getattr(ds, kind)(commit, conflict_resolution="theirs")
                note()
    note()
    for _ in range(40):
        a, b = random.choice(list(states)), random.choice(list(states))
        was, now = states[a], states[b]
        expected = {
            *((i, "removed", row, None) for i, (row, _) in was.items() if i not in now),
            *((i, "added", None, row) for i, (row, _) in now.items() if i not in was),
            *((i, "updated", row, now[i][0]) for i, (row, v) in was.items() if i in now and now[i][1] != v),
        }
        found = [tuple(row) for row in ds.diff(a, b).rows("x")]
        assert len(found) == len(set(found))
        assert set(found) == expected
