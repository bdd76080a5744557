"""Who loses a swap, or meets a collector, waits by the context's clock; whoever brings another one never waits."""

from __future__ import annotations

import random
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count

import pytest

from tests.versions.support import Writer, two_writers
from tests.versions.tap import Tap
from zlake.context import Context
from zlake.errors import CollectedError
from zlake.storage.store import Store
from zlake.versions import protocol
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
        if len(waited) < 6:
            tap.before_swap = lose

    tap.before_swap = lose
    ours.append(key, "o")
    ours.flush()
    assert ours.values(key) == [*"abtttttttt", "o"]
    assert len(waited) == 7  # not after the first loss
    assert all(0 <= seconds <= 1 for seconds in waited)


def test_who_waited_looks_at_the_branch_again(store: Store, context: Context) -> None:
    """What others write while a writer waits costs it no further swap."""
    theirs, _, key = two_writers(store, context, "ab")
    tap = Tap(store)

    slept, lost = count(), count(1)

    def sleep(_: float) -> None:
        next(slept)
        theirs.append(key, "s")
        theirs.flush()

    ours = Writer(Repository.open(tap, replace(context, sleep=sleep)), theirs.world)

    def lose() -> None:
        theirs.append(key, "t")
        theirs.flush()
        if next(lost) < 2:
            tap.before_swap = lose

    tap.before_swap = lose
    ours.append(key, "o")
    ours.flush()
    assert ours.values(key) == [*"abtts", "o"]
    assert next(slept) == 1


@pytest.mark.parametrize("writers", [2, 8, 32])
def test_nobody_starves(writers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers who never stop, each attempt as long as any, in a time that is counted: nobody waits for all others."""
    source = random.Random(writers)
    monkeypatch.setattr(protocol, "random", source)
    commits, swaps, lost = 50, 0, 0
    begun, known, attempts = [0.0] * writers, [0] * writers, [0] * writers
    left, longest, most = [commits] * writers, 0.0, 0
    pause = [0.0]
    context = Context(sleep=pause.append)
    events = [(source.random(), writer, False) for writer in range(writers)]
    while events:
        now, writer, looks = heappop(events)
        if looks:
            known[writer] = swaps
        elif known[writer] == swaps:  # nobody has swapped since it looked
            swaps += 1
            longest, most = max(longest, now - begun[writer]), max(most, attempts[writer])
            left[writer] -= 1
            begun[writer], known[writer], attempts[writer] = now, swaps, 0
            if not left[writer]:
                continue
        else:
            lost += 1
            pause[:] = [0.0]
            protocol._wait(context, attempts[writer], 1 / 64)
            attempts[writer] += 1
            heappush(events, (now + pause[-1] * 64, writer, True))
            continue
        heappush(events, (now + source.uniform(0.8, 1.5), writer, False))
    print(f"{writers} writers: {lost / swaps:.1f} swaps lost for each that landed, at most {most}; {longest / now:.0%}")
    assert swaps == writers * commits
    assert most < protocol.ATTEMPTS / 4
    assert longest < now / 2
    assert lost < swaps * writers


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
