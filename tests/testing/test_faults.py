from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import uuid

import pytest

from zlake.errors import StorageUnavailableError, WriteStateUnknownError
from zlake.storage import Lost, Request, Store, Written, open_store
from zlake.testing import FaultStore, Operation, ProcessEnded, nth, on, since
from zlake.testing.store_tests import StoreTests


class TestFaultStoreWithoutFaults(StoreTests):
    @pytest.fixture
    def store(self) -> Store:
        return FaultStore(open_store(f"mem://{uuid.uuid4()}"))


@pytest.fixture
def store(tmp_path) -> FaultStore:
    return FaultStore(open_store(tmp_path / "set"))


def test_everything_is_recorded(store):
    store.create("a/b", b"0123456789")
    store.create_many([("c/d", b"xyz")])
    store.read("a/b", 2, 5)
    store.read_many([Request("c/d", -2), Request("none")])
    generation = store.read_versioned("a/b").generation
    store.swap("a/b", b"two", generation)
    list(store.list("a/"))
    list(store.list_info())
    store.local_path("c/d")
    store.tensorstore_spec("c/")
    store.delete("c/d")
    assert list(store.recorder) == [
        Operation(0, "create", "a/b", size=10),
        Operation(1, "create", "c/d", size=3),
        Operation(2, "read", "a/b", 2, 5, 3),
        Operation(3, "read", "c/d", -2, None, 2),
        Operation(4, "read", "none"),
        Operation(5, "read_versioned", "a/b", size=10),
        Operation(6, "swap", "a/b", size=3),
        Operation(7, "list", "a/"),
        Operation(8, "list_info", ""),
        Operation(9, "local_path", "c/d"),
        Operation(10, "tensorstore_spec", "c/"),
        Operation(11, "delete", "c/d"),
    ]
    assert store.recorder.count("read") == 3
    assert store.recorder.size("create") == 13
    assert store.recorder.count(key="a/") == 5
    store.recorder.clear()
    assert len(store.recorder) == 0


def test_a_failure_before_the_effect(store):
    store.fail(StorageUnavailableError("gone"), on("create"))
    with pytest.raises(StorageUnavailableError):
        store.create("a", b"x")
    assert store.read("a") is None
    assert isinstance(store.create("a", b"x"), Written)


def test_a_failure_after_the_effect(store):
    store.fail(WriteStateUnknownError("no answer"), on("create"), moment="after")
    pending = store.start_create("a", b"x")
    with pytest.raises(WriteStateUnknownError):
        pending.result()
    assert store.read("a") == b"x"


def test_a_failure_that_stays(store):
    store.fail(StorageUnavailableError("gone"), on("read", key="a"), times=None)
    for _ in range(3):
        with pytest.raises(StorageUnavailableError):
            store.read("a")
    with pytest.raises(StorageUnavailableError):
        store.read_many([Request("b"), Request("a")])
    assert store.read("b") is None


async def test_a_pending_create_fails_when_awaited(store):
    store.fail(StorageUnavailableError("gone"), nth(0))
    pending = store.start_create("a", b"x")
    with pytest.raises(StorageUnavailableError):
        await pending


def test_a_lie(store):
    store.create("ref", b"one")
    store.answer(Lost(), on("swap"))
    store.answer(b"damaged", on("read"))
    assert store.swap("ref", b"two", store.read_versioned("ref").generation) == Lost()
    assert store.read("ref") == b"damaged"
    assert store.read("ref") == b"two"


def test_a_pickle_carries_no_faults(store):
    store.create("a", b"x")
    store.fail(StorageUnavailableError("gone"), on(), times=None)
    again = pickle.loads(pickle.dumps(store))
    assert again.read("a") == b"x"
    assert len(again.recorder) == 1


@pytest.mark.parametrize(("moment", "kept"), [("before", ["k/0", "k/1"]), ("after", ["k/0", "k/1", "k/2"])])
@pytest.mark.parametrize("start", ["create", "start_create"])
def test_a_kill(tmp_path, moment, kept, start):
    program = f"""
import sys
from zlake.storage import open_store
from zlake.testing import FaultStore, nth
store = FaultStore(open_store(sys.argv[1]))
store.kill(nth(2), moment={moment!r})
for i in range(5):
    store.{start}(f"k/{{i}}", b"x"){".result()" if start == "start_create" else ""}
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "set")], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert list(open_store(tmp_path / "set").list()) == kept


def test_a_failure_from_one_operation_on(store):
    store.fail(StorageUnavailableError("gone"), since(2), times=None)
    store.create("a", b"1")
    assert store.read("a") == b"1"
    for _ in range(3):
        with pytest.raises(StorageUnavailableError):
            store.read("a")


@pytest.mark.parametrize(("moment", "kept"), [("before", None), ("after", b"2")])
def test_an_end_that_nothing_outlives(store, moment, kept):
    store.create("a", b"1")
    store.end(on("create"), moment=moment)
    with pytest.raises(ProcessEnded):
        store.start_create("b", b"2")
    for call in (
        lambda: store.create("c", b"3"),
        lambda: store.read("a"),
        lambda: store.delete("a"),
        lambda: list(store.list()),
    ):
        with pytest.raises(ProcessEnded):
            call()
    assert not issubclass(ProcessEnded, Exception)
    assert store.store.read("a") == b"1"
    assert store.store.read("b") == kept
    assert store.store.read("c") is None
