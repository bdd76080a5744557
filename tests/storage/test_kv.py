from __future__ import annotations

import ast
import uuid
from pathlib import Path

import pytest
import tensorstore as ts

import zlake
from zlake.errors import StorageError, StorageUnavailableError, WriteStateUnknownError
from zlake.storage import Lost, Versioned, Written, kv, retry


class Flaky:
    """A key-value store whose writes and reads fail as scripted: before, or after, they took effect."""

    def __init__(self, *script: str) -> None:
        self.store = ts.KvStore.open({"driver": "memory", "path": f"{uuid.uuid4()}/"}).result()
        self.script = list(script)
        self.writes = 0

    def write(self, key, value, if_equal=None):
        self.writes += 1
        return self._play("write", lambda: self.store.write(key, value, if_equal=if_equal))

    def read(self, key):
        return self._play("read", lambda: self.store.read(key))

    def list(self, keys):
        return self.store.list(keys)

    def _play(self, operation, call):
        if not self.script or not self.script[0].startswith(operation):
            return call()
        _, moment, *message = self.script.pop(0).split(" ", 2)
        if moment == "after":
            call().result()
        if moment == "lost":
            call().result()
            return _Future(kv.ts.KvStore.TimestampedStorageGeneration(b"", 0.0))
        return _Future(ValueError(message[0]))


class _Future:
    def __init__(self, outcome):
        self.outcome = outcome

    def result(self):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture(autouse=True)
def pauses(monkeypatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr(retry, "sleep", pauses.append)
    return pauses


def _create(store, value=b"ours"):
    return kv.start_write(store, "mem://t", "key", value, kv.ABSENT).result()


def test_the_generation_of_an_absent_key():
    assert kv.read_versioned(Flaky(), "mem://t", "key") == Versioned(None, kv.ABSENT)


def test_an_error_after_the_effect_is_a_success():
    store = Flaky("write after UNAVAILABLE: gone")
    assert isinstance(_create(store), Written)
    assert store.writes == 1


def test_an_error_before_the_effect_is_tried_again(pauses):
    store = Flaky("write before UNAVAILABLE: gone", "write before ABORTED: x [curl_code='56']")
    assert isinstance(_create(store), Written)
    assert store.writes == 3
    assert len(pauses) == 2


def test_a_driver_that_lost_against_itself_is_a_success():
    assert isinstance(_create(Flaky("write lost")), Written)


def test_losing_against_somebody_else():
    store = Flaky()
    store.store.write("key", b"theirs").result()
    assert _create(store) == Lost()


def test_somebody_else_wrote_while_we_were_cut_off():
    store = Flaky("write before UNAVAILABLE: gone")
    store.store.write("key", b"theirs").result()
    assert _create(store) == Lost()
    assert store.writes == 1


def test_a_swap_that_was_cut_off():
    store = Flaky("write after UNAVAILABLE: gone", "write before UNAVAILABLE: gone")
    old = store.store.write("key", b"old").result().generation
    won = kv.start_write(store, "mem://t", "key", b"ours", old).result()
    assert kv.read_versioned(store, "mem://t", "key") == Versioned(b"ours", won.generation)
    again = kv.start_write(store, "mem://t", "key", b"newer", won.generation).result()
    assert kv.read_versioned(store, "mem://t", "key") == Versioned(b"newer", again.generation)


def test_refusals_are_not_tried_again():
    store = Flaky("write before PERMISSION_DENIED: no")
    with pytest.raises(PermissionError):
        _create(store)
    assert store.writes == 1


def test_giving_up_says_that_nothing_was_written(pauses):
    store = Flaky(*["write before UNAVAILABLE: gone"] * 20)
    with pytest.raises(StorageUnavailableError, match="'key' was not written"):
        _create(store)
    assert store.writes == retry.ATTEMPTS
    assert len(pauses) == retry.ATTEMPTS - 1


def test_when_nothing_can_be_read_back_nobody_knows():
    store = Flaky("write after UNAVAILABLE: gone", *["read before UNAVAILABLE: gone"] * 20)
    with pytest.raises(WriteStateUnknownError, match="may have been written or not"):
        _create(store)


def test_an_empty_generation_is_refused():
    with pytest.raises(StorageError):
        kv.start_write(Flaky(), "mem://t", "key", b"x", b"")


def test_pauses_are_random_and_bounded():
    found = [list(retry.delays()) for _ in range(50)]
    assert all(0 <= pause <= retry.LONGEST_SECONDS for pauses in found for pause in pauses)
    assert len({pauses[0] for pauses in found}) > 25


def test_no_other_module_writes_through_tensorstore():
    root = Path(zlake.__path__[0])
    found = []
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "write":
                continue
            owner = ast.unparse(node.func.value)
            conditional = any(keyword.arg == "if_equal" for keyword in node.keywords)
            if conditional or owner.split(".")[-1] in ("kv", "kvstore", "_kv", "_opened", "base"):
                found.append(path.relative_to(root).as_posix())
    assert set(found) == {"storage/kv.py"}
