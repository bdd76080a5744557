"""Garbage is collected while an ingest goes on: what its workers write stays, until the ingest is over."""

from __future__ import annotations

import gc
import random
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

import zlake
from tests.distributed.rows import numbers, only_x, values
from tests.versions.lifetimes import DAY, Clocked, Time, context_at
from zlake.distributed import Ingest, begin, resume
from zlake.distributed.upkeep import Upkeep
from zlake.errors import LeaseLapsedError, ReceiptError, StorageUnavailableError
from zlake.session.opening import create_session, open_session
from zlake.storage import open_store
from zlake.testing import FaultStore, on

_names = count()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def store(time: Time) -> FaultStore:
    return FaultStore(Clocked(open_store(f"mem://ingest-gc-{next(_names)}"), time, skew=-2 * DAY))


@pytest.fixture
def ds(store: FaultStore, time: Time) -> zlake.Dataset:
    made = zlake.Dataset(create_session(store, context_at(time, random.Random(1), skew=40 * DAY), overwrite=False))
    made.create_tensor("x", dtype="int64")
    made.x.append(0)
    made.commit("begun")
    return made


def collector(store: FaultStore, time: Time) -> zlake.Dataset:
    return zlake.Dataset(open_session(store, context_at(time, random.Random(2)), None, None))


def segments(store: FaultStore) -> int:
    return sum(key.endswith("/zarr.json") for key in store.list("segments/"))


def test_segments_stay_while_it_goes_on(ds: zlake.Dataset, store: FaultStore, time: Time) -> None:
    other = collector(store, time)
    with begin(ds) as ingest:
        first = numbers(ingest, [1])
        for _ in range(5):  # days: within the time of the lease
            time.advance(DAY)
            other.gc(grace=DAY / 2)
        second = numbers(ingest, [2])
        other.gc(grace=0)
        ingest.commit([first, second])
    assert values(ds) == [0, 1, 2]
    other.gc(grace=0)
    assert ds.verify()
    assert segments(store) == 3


def test_they_go_when_it_was_aborted(ds: zlake.Dataset, store: FaultStore, time: Time) -> None:
    other = collector(store, time)
    with begin(ds) as ingest:
        numbers(ingest, [1])
        time.advance(DAY)
        assert other.gc(grace=0).deleted.segments == 0
    assert segments(store) == 2
    assert other.gc(grace=0).deleted.segments == 1
    assert ds.verify()


def test_they_go_when_its_process_ended_long_ago(ds: zlake.Dataset, store: FaultStore, time: Time) -> None:
    ingest = begin(ds)
    receipt = numbers(ingest, [1])
    ingest._upkeep.stop()  # as if it had ended
    other = collector(store, time)
    for _ in range(6):
        time.advance(DAY)
        assert other.gc(grace=DAY).deleted.segments == 0
    for _ in range(3):
        time.advance(DAY)
        other.gc(grace=DAY)
    assert segments(store) == 1
    with resume(ds, ingest.plan) as again, pytest.raises(LeaseLapsedError):
        again.commit([receipt])
    assert values(ds) == [0]


def test_a_lapse_is_found_though_nothing_was_collected_yet(ds: zlake.Dataset, time: Time) -> None:
    with begin(ds) as ingest:
        receipt = numbers(ingest, [1])
        time.advance(8 * DAY)
        for _ in range(2):
            with pytest.raises(LeaseLapsedError, match="may have been collected"):
                ingest.commit([receipt])
    assert values(ds) == [0]


def tended(ingest: Ingest, time: Time, days: int) -> None:
    """Let the thread that looks after an ingest look every hour, as it does."""
    looks = iter([False] * days + [True])

    class Hours:
        def wait(self, seconds: float) -> bool:
            assert seconds <= DAY
            over = next(looks)
            if not over:
                time.advance(DAY)
            return over

        def is_set(self) -> bool:
            return False

    upkeep = Upkeep.__new__(Upkeep)
    upkeep.__dict__.update(ingest._upkeep.__dict__)
    upkeep._stopped = Hours()  # type: ignore[assignment]
    upkeep.run()
    ingest._upkeep.lapsed = upkeep.lapsed


def test_it_is_renewed_while_its_process_waits(ds: zlake.Dataset, store: FaultStore, time: Time) -> None:
    other = collector(store, time)
    with begin(ds) as ingest:
        receipt = numbers(ingest, [1])
        for _ in range(4):
            tended(ingest, time, 5)
            other.gc(grace=DAY)
        ingest.commit([receipt])
    assert values(ds) == [0, 1]


def test_it_is_not_renewed_when_nobody_can_commit_it(ds: zlake.Dataset, time: Time) -> None:
    ingest = begin(ds)
    upkeep = ingest._upkeep
    assert upkeep.is_alive()
    del ingest
    gc.collect()
    upkeep.join(10)
    assert not upkeep.is_alive()


def test_renewals_may_fail_now_and_then(ds: zlake.Dataset, store: FaultStore, time: Time) -> None:
    with begin(ds) as ingest:
        receipt = numbers(ingest, [1])
        for moment in ("before", "after"):
            store.fail(StorageUnavailableError("gone"), on("create", key="leases/"), moment=moment)  # type: ignore[arg-type]
            tended(ingest, time, 4)
        store.fail(StorageUnavailableError("gone"), on("create", key="leases/"))
        with pytest.raises(StorageUnavailableError):
            ingest.commit([receipt])
        ingest.commit([receipt])
    assert values(ds) == [0, 1]
    assert not list(store.list(f"leases/{ingest.plan.document.ingest}/"))


def test_what_was_collected_all_the_same_is_refused(ds: zlake.Dataset, store: FaultStore) -> None:
    """By somebody who deletes what the lease keeps: nothing is committed that is not there."""
    with begin(ds) as ingest:
        receipt = numbers(ingest, [1])
        for key in list(store.list("segments/")):
            if receipt.document.tensors[0].segments[0].segment in key:
                store.delete(key)
        with pytest.raises(ReceiptError, match="so its rows were deleted"):
            ingest.commit([receipt])


def test_a_worker_that_ended_leaves_garbage_alone(tmp_path: Path) -> None:
    ds = only_x(tmp_path)
    with begin(ds) as ingest:
        with suppress(ZeroDivisionError), ingest.plan.writer() as writer:
            for i in range(3):
                writer.append({"x": i})
                writer._session._flush_full()
            raise ZeroDivisionError
        receipt = numbers(ingest, [7])
        ingest.commit([receipt])
    assert ds.gc(grace=0).deleted.segments == 3
    assert values(ds) == [7]
    assert ds.verify().unreachable == 0
