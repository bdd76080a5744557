from __future__ import annotations

import threading
import uuid

import pytest

from zlake.errors import ObjectExistsError, StorageFullError, StoragePermissionError
from zlake.storage import Written, open_store
from zlake.storage.batch import create_many, delete_many
from zlake.testing import Fault, FaultStore, on


@pytest.fixture
def store():
    return FaultStore(open_store(f"mem://{uuid.uuid4()}"))


def test_all_are_written(store):
    create_many(store, ((f"k/{i}", b"%d" % i) for i in range(100)))
    assert [store.read(f"k/{i}") for i in range(100)] == [b"%d" % i for i in range(100)]


def test_items_are_drawn_as_room_is_made():
    class Slow:
        url = "slow://"
        flying = 0
        most = 0

        def start_create(self, key, value):
            self.flying += 1
            self.most = max(self.most, self.flying)
            return self

        def result(self):
            self.flying -= 1
            return Written(b"g")

    slow = Slow()
    create_many(slow, ((str(i), b"") for i in range(50)), in_flight=7)
    assert (slow.most, slow.flying) == (7, 0)


def test_the_first_failure_is_raised_and_nothing_new_begun(store):
    store.fail(StorageFullError("full"), on("create", key="k/20"))
    with pytest.raises(StorageFullError, match="full"):
        create_many(store, ((f"k/{i}", b"") for i in range(1000)), in_flight=4)
    assert store.recorder.count("create") < 30


def test_a_failing_source_waits_for_what_is_under_way(store):
    def items():
        yield "a", b"1"
        yield "b", b"2"
        raise LookupError("no more")

    with pytest.raises(LookupError):
        create_many(store, items())
    assert store.store.read("a") == b"1"
    assert store.store.read("b") == b"2"


def test_an_existing_object_is_named(store):
    store.create("b", b"other")
    with pytest.raises(ObjectExistsError, match="'b'"):
        create_many(store, [("a", b"1"), ("b", b"2")])


def test_deletes_run_together_and_report_a_failure(store):
    create_many(store, ((f"k/{i}", b"") for i in range(20)))
    together = threading.Barrier(4)
    store.faults.append(Fault(on("delete"), lambda _: together.wait(30) and None, times=4))
    assert delete_many(store, [f"k/{i}" for i in range(10)]) == 10
    store.fail(StoragePermissionError("no"), on("delete", key="k/12"))
    with pytest.raises(StoragePermissionError):
        delete_many(store, [f"k/{i}" for i in range(10, 20)])
    assert list(store.store.list()) == ["k/12"]
