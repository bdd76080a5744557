"""Who loses a swap, or meets a collector, waits by the context's clock; whoever brings another one never waits."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from tests.versions.support import Writer, two_writers
from tests.versions.tap import Tap
from zlake.context import Context
from zlake.errors import CollectedError
from zlake.storage.store import Store
from zlake.versions.guard import PATIENCE, check_swept
from zlake.versions.marks import Sweep
from zlake.versions.objects import Objects
from zlake.versions.repository import Repository


def test_lost_swaps_are_waited_for_by_the_clock_of_the_context(store: Store, context: Context) -> None:
    waited: list[float] = []
    attempts = count()
    # each attempt takes a second and a half of this clock, or so it seems
    patient = replace(context, monotonic=lambda: next(attempts) * 1.5, sleep=waited.append)
    theirs, _, key = two_writers(store, context, "ab")
    tap = Tap(store)
    ours = Writer(Repository.open(tap, patient), theirs.world)

    def lose() -> None:
        theirs.append(key, "t")
        theirs.flush()
        if len(waited) < 7:
            tap.before_swap = lose

    tap.before_swap = lose
    ours.append(key, "o")
    ours.flush()
    assert ours.values(key) == [*"abtttttttt", "o"]
    assert len(waited) == 8
    assert all(0 <= seconds <= 1 for seconds in waited)


def test_a_collector_at_work_is_waited_for_by_the_clock_of_the_context(store: Store, context: Context) -> None:
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    patient = replace(context, monotonic=lambda: now, sleep=sleep)
    ours, _, _ = two_writers(store, context, "ab")
    commit = ours.head.commit_id
    assert commit is not None
    with Sweep(store, context), pytest.raises(CollectedError, match="at this moment"):
        check_swept(Objects(store), commit, context=patient)
    assert PATIENCE <= now < PATIENCE + 1
    check_swept(Objects(store), commit, context=patient)
