from __future__ import annotations

import random
from itertools import count
from typing import Any

import pytest

from tests.versions.lifetimes import DAY, Clocked, Time, context_at
from zlake.context import Context
from zlake.errors import CorruptObjectError, FormatError, LeaseLapsedError, StorageUnavailableError
from zlake.format import decode, paths
from zlake.format.documents import Lease as LeaseDocument
from zlake.storage.open import open_store
from zlake.versions.clock import storage_time
from zlake.versions.lease import Lease, leases

_names = count()
SNAPSHOT = "s" * 26


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def context(time: Time) -> Context:
    return context_at(time, random.Random(1), skew=40 * DAY)


@pytest.fixture
def store(time: Time) -> Clocked:
    return Clocked(open_store(f"mem://lease-{next(_names)}"), time, skew=-2 * DAY)


def now(store: Clocked, context: Context) -> float:
    return storage_time(store, context)


def test_taken_renewed_released(store: Clocked, time: Time, context: Context) -> None:
    began = now(store, context)
    lease = Lease.take(store, context, SNAPSHOT, seconds=1000)
    assert repr(lease) == f"<Lease {lease.id} of {store.url}>"
    (held,) = leases(store, began)
    assert (held.id, held.snapshot, held.writing) == (lease.id, SNAPSHOT, True)
    assert (held.began, held.ends) == (began, began + 1000)
    assert not lease.renew_if_due()
    for _ in range(5):
        time.advance(250)
        assert lease.renew_if_due()
    (held,) = leases(store, now(store, context))
    assert (held.began, held.ends) == (began, began + 1250 + 1000)
    assert len(held.keys) == 2  # when it began, and the newest
    lease.renew("t" * 26)
    lease.renew()
    (held,) = leases(store, now(store, context))
    assert held.snapshot == "t" * 26
    lease.release()
    assert not list(store.list())
    lease.release()


def test_document(store: Clocked, context: Context) -> None:
    with Lease.take(store, context, seconds=60, writing=False) as lease:
        key = paths.lease_key(lease.id, 0)
        document = decode(LeaseDocument, store.read(key) or b"", where=key)
        assert document == LeaseDocument(lease.id, 0, None, 60, False)
    assert not list(store.list())


def test_a_lease_that_lapsed_says_so_when_it_is_renewed(store: Clocked, time: Time, context: Context) -> None:
    lease = Lease.take(store, context, SNAPSHOT, seconds=1000)
    time.advance(1001)
    assert [held.ends < now(store, context) for held in leases(store, now(store, context))] == [True]
    with pytest.raises(LeaseLapsedError, match="1000 seconds"):
        lease.renew()
    lease.renew()
    store.delete(paths.lease_key(lease.id, 2))  # a collector has cleared it away
    with pytest.raises(LeaseLapsedError):
        lease.renew()


@pytest.mark.parametrize("landed", [False, True])
def test_renewals_that_failed_do_not_end_it(store: Clocked, time: Time, context: Context, landed: bool) -> None:
    lease = Lease.take(store, context, SNAPSHOT, seconds=1000)
    for passed in (900, 900):
        time.advance(passed)
        create = store.start_create

        def fail(key: str, value: Any, create: Any = create) -> Any:
            if landed:
                create(key, value).result()
            raise StorageUnavailableError("gone")

        store.start_create = fail  # type: ignore[method-assign]
        with pytest.raises(StorageUnavailableError):
            lease.renew()
        store.start_create = create  # type: ignore[method-assign]
        time.advance(50)
        lease.renew()
        (held,) = leases(store, now(store, context))
        assert len(held.keys) == 2
    time.advance(900)
    store.start_create = fail  # type: ignore[method-assign]
    with pytest.raises(StorageUnavailableError):
        lease.renew()
    store.start_create = create  # type: ignore[method-assign]
    time.advance(101)
    if not landed:  # then the one before has ended
        with pytest.raises(LeaseLapsedError):
            lease.renew()
    lease.renew()
    lease.release()
    assert not list(store.list())


def test_found_by_another_process(store: Clocked, time: Time, context: Context) -> None:
    lease = Lease.take(store, context, SNAPSHOT)
    time.advance(DAY)
    lease.renew()
    time.advance(3 * DAY)
    found = Lease.find(store, context, lease.id, SNAPSHOT)
    assert found is not None
    assert found.due
    found.renew()
    (held,) = leases(store, now(store, context))
    assert (held.id, held.snapshot, held.writing) == (lease.id, SNAPSHOT, True)
    time.advance(8 * DAY)
    found = Lease.find(store, context, lease.id, SNAPSHOT)
    assert found is not None
    with pytest.raises(LeaseLapsedError):
        found.renew()
    found.release()
    assert Lease.find(store, context, lease.id) is None


def test_leases_of_any_age_that_cannot_be_read(store: Clocked, time: Time, context: Context) -> None:
    store.create(paths.lease_key("a" * 26, 0), b"{}")
    with pytest.raises(CorruptObjectError):
        leases(store, now(store, context))
    time.advance(30 * DAY + 1)
    (held,) = leases(store, now(store, context))
    assert held.ends < now(store, context)
    assert held.snapshot is None


def test_one_that_is_renewed_between_listing_and_reading(store: Clocked, time: Time, context: Context) -> None:
    lease = Lease.take(store, context, SNAPSHOT, seconds=1000)
    lease.renew()
    other = Lease.take(store, context, seconds=1000)
    read_many = store.read_many
    rounds = []

    def slow(requests: Any) -> Any:
        rounds.append(len(requests))
        if len(rounds) == 1:
            lease.renew("t" * 26)
            other.release()
        return read_many(requests)

    store.read_many = slow  # type: ignore[method-assign]
    assert [held.snapshot for held in leases(store, now(store, context))] == ["t" * 26]
    assert rounds == [2, 1]


def test_bad_lengths(store: Clocked, context: Context) -> None:
    for seconds in (0, -5, 31 * int(DAY)):
        with pytest.raises(FormatError, match="seconds"):
            Lease.take(store, context, seconds=seconds)
    assert not list(store.list())
