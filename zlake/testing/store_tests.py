"""The suite that every `zlake.storage.Store` must pass.

Subclass it with a fixture named ``store`` that yields a fresh, empty, writable store::

    class TestMyStore(StoreTests):
        @pytest.fixture
        def store(self):
            return open_store("my://place")

Tests of what a store does not claim (`zlake.storage.Capabilities`) are skipped. pytest shows values in failed
assertions if ``pytest.register_assert_rewrite("zlake.testing.store_tests")`` is called before the import.
"""
# Each test's name says what it checks.
# ruff: noqa: D101, D102

from __future__ import annotations

import contextlib
import copy
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from zlake.errors import InvalidKeyError, ObjectExistsError
from zlake.storage.store import Lost, Request, Store, Versioned, Written

BAD_KEYS: tuple[str, ...] = (
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "../a",
    "a/..",
    "a/../b",
    "a/./b",
    "a\\b",
    "a\0b",
    "a\nb",
    "a\x7fb",
    "a?b",
    "a*b",
    "a:b",
    "a%2fb",
    "a#b",
    " a",
    "a ",
    "a.__lock",
    "a.__lock/b",
    "e\u0301",
    "\ud800",
    "a\u202eb",
    "a/" * 600 + "a",
    "a" * 249,
)
"""Keys that every store must refuse, whatever its driver makes of them."""


class StoreReadTests:
    def test_missing_keys_read_as_none(self, store: Store) -> None:
        assert store.read("none") is None
        assert store.read("none/deeper", 3, 5) is None
        assert store.read("none", -4) is None
        assert store.read("none", 2, 2) is None
        assert store.read_versioned("none").value is None
        assert store.read_many([Request("none"), Request("none", 1, 2)]) == [None, None]

    @pytest.mark.parametrize(
        ("start", "stop"), [(0, None), (0, 4), (3, 7), (3, None), (-4, None), (9, 10), (5, 5), (10, None), (0, 10)]
    )
    def test_ranges_read_as_slices(self, store: Store, start: int, stop: int | None) -> None:
        store.create("ten", b"0123456789")
        expected = b"0123456789"[start:stop]
        assert store.read("ten", start, stop) == expected
        assert store.read_many([Request("ten", start, stop)]) == [expected]

    @pytest.mark.parametrize(("start", "stop"), [(0, 50), (4, 50), (10, 11), (50, 60), (50, None), (-50, None)])
    def test_ranges_end_where_the_object_ends(self, store: Store, start: int, stop: int | None) -> None:
        store.create("ten", b"0123456789")
        assert store.read("ten", start, stop) == b"0123456789"[start:stop]
        assert store.read_many([Request("ten", start, stop)]) == [b"0123456789"[start:stop]]

    def test_senseless_ranges_are_refused(self, store: Store) -> None:
        with pytest.raises(ValueError, match="before it starts"):
            store.read("ten", 5, 3)
        with pytest.raises(ValueError, match="takes no stop"):
            store.read("ten", -5, 3)

    def test_many_reads_come_back_in_order(self, store: Store) -> None:
        store.create_many((f"n/{i:03}", str(i).encode() * i) for i in range(40))
        requests = [Request(f"n/{i:03}") for i in reversed(range(45))]
        expected = [str(i).encode() * i if i < 40 else None for i in reversed(range(45))]
        assert store.read_many(requests) == expected
        assert store.read_many([]) == []

    def test_a_value_and_its_generation_belong_together(self, store: Store) -> None:
        written = store.create("v", b"one")
        assert isinstance(written, Written)
        assert store.read_versioned("v") == Versioned(b"one", written.generation)

    def test_bad_keys_are_refused_everywhere(self, store: Store) -> None:
        operations: Sequence[Callable[[str], Any]] = (
            store.read,
            store.read_versioned,
            lambda key: store.read_many([Request(key)]),
            lambda key: store.create(key, b"x"),
            lambda key: store.start_create(key, b"x"),
            lambda key: store.swap(key, b"x", b"g"),
            store.delete,
            store.local_path,
        ) + ((lambda key: store.link(key, __file__),) if store.capabilities.files else ())
        for key in BAD_KEYS:
            for operation in operations:
                with pytest.raises(InvalidKeyError):
                    operation(key)

    def test_unicode_keys(self, store: Store) -> None:
        for key in ("refs/branches/größe.json", "雪/ñ", "a b/(c)~@,=+.json", "हिन्दी"):
            assert isinstance(store.create(key, key.encode()), Written)
            assert store.read(key) == key.encode()
            if store.capabilities.listable:
                assert key in list(store.list())

    def test_a_store_made_again_from_its_state_reads_the_same_data(self, store: Store) -> None:
        store.create("p/q", b"kept")
        again = copy.deepcopy(store)  # by `__reduce_ex__`, as a worker process gets it
        assert again.url == store.url
        assert again.read("p/q") == b"kept"

    def test_local_path_holds_exactly_the_bytes(self, store: Store) -> None:
        store.create("shard", b"raw bytes")
        path = store.local_path("shard")
        if path is None:
            pytest.skip("no local files")
        with open(path, "rb") as file:
            assert file.read() == b"raw bytes"

    def test_tensorstore_reads_the_same_objects(self, store: Store) -> None:
        import tensorstore as ts

        store.create("seg/ment/c/0", b"0123456789")
        spec, context = store.tensorstore_spec("seg/ment/")
        kv = ts.KvStore.open(spec, context=context).result()
        assert kv.read("c/0").result().value == b"0123456789"
        assert kv.read("c/0", byte_range=slice(2, 5)).result().value == b"234"
        assert kv.read("c/0", byte_range=slice(-3, None)).result().value == b"789"
        assert kv.read("c/1").result().state == "missing"


class StoreWriteTests:
    def test_create_wins_once_and_losing_changes_nothing(self, store: Store) -> None:
        assert isinstance(store.create("a/b", b"first"), Written)
        before = store.read_versioned("a/b")
        assert store.create("a/b", b"second") == Lost()
        assert store.start_create("a/b", b"third").result() == Lost()
        assert store.read_versioned("a/b") == before

    def test_creating_the_same_bytes_again_counts_as_written(self, store: Store) -> None:
        # The first answer may have been lost on the way.
        store.create("a", b"ours")
        assert isinstance(store.create("a", b"ours"), Written)

    def test_several_creates_are_under_way_at_once(self, store: Store) -> None:
        pending = [store.start_create(f"s/{i}", bytes([i]) * 1000) for i in range(12)]
        assert all(isinstance(each.result(), Written) for each in pending)
        assert [store.read(f"s/{i}") for i in range(12)] == [bytes([i]) * 1000 for i in range(12)]

    async def test_a_create_can_be_awaited(self, store: Store) -> None:
        assert isinstance(await store.start_create("w", b"x"), Written)
        assert await store.start_create("w", b"y") == Lost()

    def test_any_buffer_can_be_written(self, store: Store) -> None:
        store.create("bytearray", bytearray(b"abc"))
        store.create("view", memoryview(b"0123456789")[2:6])
        assert store.read_many([Request("bytearray"), Request("view")]) == [b"abc", b"2345"]

    def test_create_many_names_the_key_that_exists(self, store: Store) -> None:
        store.create("m/3", b"other")
        with pytest.raises(ObjectExistsError, match="'m/3'"):
            store.create_many((f"m/{i}", b"mine") for i in range(5))
        assert store.read("m/3") == b"other"

    def test_a_link_is_the_object_or_nothing(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"bytes of a file")
        linked = store.link("linked/a", str(tmp_path / "file"))
        assert linked is None or (linked and store.capabilities.files)  # not every file system has links
        assert store.read("linked/a") == (b"bytes of a file" if linked else None)
        store.create("other", b"something else")
        assert store.link("other", str(tmp_path / "file")) is (False if linked else None)
        assert store.read("other") == b"something else"
        assert store.link("linked/b", str(tmp_path / "none")) is None

    def test_swap_replaces_one_generation(self, store: Store) -> None:
        store.create("ref", b"one")
        old = store.read_versioned("ref").generation
        won = store.swap("ref", b"two", old)
        assert isinstance(won, Written)
        assert store.read_versioned("ref") == Versioned(b"two", won.generation)
        assert store.swap("ref", b"three", old) == Lost()
        assert store.read("ref") == b"two"
        assert isinstance(store.swap("ref", b"four", won.generation), Written)
        assert store.read("ref") == b"four"

    def test_swapping_back_makes_no_old_generation_valid(self, store: Store) -> None:
        store.create("ref", b"one")
        first = store.read_versioned("ref").generation
        second = store.swap("ref", b"two", first)
        assert isinstance(second, Written)
        third = store.swap("ref", b"three", second.generation)
        assert isinstance(third, Written)
        assert store.swap("ref", b"stale", first) == Lost()
        assert store.swap("ref", b"stale", second.generation) == Lost()
        assert store.read("ref") == b"three"

    def test_swapping_the_same_bytes_again_counts_as_written(self, store: Store) -> None:
        store.create("ref", b"one")
        old = store.read_versioned("ref").generation
        store.swap("ref", b"ours", old)
        assert isinstance(store.swap("ref", b"ours", old), Written)

    def test_swapping_an_absent_key(self, store: Store) -> None:
        absent = store.read_versioned("new").generation
        assert isinstance(store.swap("new", b"one", absent), Written)
        assert store.swap("new", b"two", absent) == Lost()
        assert store.read("new") == b"one"
        here = store.read_versioned("new").generation
        store.delete("new")
        assert store.swap("new", b"two", here) == Lost()
        assert store.read("new") is None

    def test_an_empty_generation_never_overwrites(self, store: Store) -> None:
        store.create("ref", b"one")
        with contextlib.suppress(InvalidKeyError):
            assert store.swap("ref", b"two", b"") == Lost()
        assert store.read("ref") == b"one"

    def test_empty_values_are_no_missing_values(self, store: Store) -> None:
        assert isinstance(store.create("empty", b""), Written)
        assert store.read("empty") == b""
        assert store.read("empty", 0, 5) == b""
        found = store.read_versioned("empty")
        assert found.value == b""
        assert store.create("empty", b"x") == Lost()
        assert isinstance(store.swap("empty", b"x", found.generation), Written)

    def test_large_values(self, store: Store) -> None:
        value = bytes(range(256)) * (12 << 12)  # 12 MiB
        assert isinstance(store.start_create("large", value).result(), Written)
        assert store.read("large") == value
        assert store.read("large", 5 << 20, (5 << 20) + 300) == value[5 << 20 : (5 << 20) + 300]
        assert store.create("large", value[:-1] + b"x") == Lost()

    def test_delete(self, store: Store) -> None:
        store.create("d/e", b"x")
        store.delete("d/e")
        store.delete("d/e")
        store.delete("never/was")
        assert store.read("d/e") is None
        assert isinstance(store.create("d/e", b"y"), Written)

    def test_delete_prefix(self, store: Store) -> None:
        _need(store.capabilities.listable, "no listings")
        store.create_many((key, b"x") for key in ("a/1", "a/2/3", "ab", "b/1"))
        assert store.delete_prefix("a/") == 2
        assert list(store.list()) == ["ab", "b/1"]
        assert store.delete_prefix() == 2
        assert store.delete_prefix() == 0


class StoreListTests:
    def test_keys_come_in_order(self, store: Store) -> None:
        _need(store.capabilities.listable, "no listings")
        keys = ["a-b/c", "a.b", "a/b", "a/b-c", "a0", "b/c/d/e", "ä"]
        store.create_many((key, b"x") for key in reversed(keys))
        assert list(store.list()) == sorted(keys)
        assert list(store.list("a/")) == ["a/b", "a/b-c"]
        assert list(store.list("a/b")) == ["a/b", "a/b-c"]
        assert list(store.list("a")) == sorted(key for key in keys if key.startswith("a"))
        assert list(store.list("b/c/d/")) == ["b/c/d/e"]
        assert list(store.list("zz/top")) == []
        with pytest.raises(InvalidKeyError):
            list(store.list("../"))

    def test_sizes_and_times(self, store: Store) -> None:
        _need(store.capabilities.listable, "no listings")
        start = time.time()
        store.create("t/one", b"12345")
        store.create("t/two", b"")
        found = list(store.list_info("t/"))
        assert [(each.key, each.size) for each in found] == [("t/one", 5), ("t/two", 0)]
        # The storage's clock may be coarse, and may be another machine's.
        assert all(start - 120 < each.modified < time.time() + 120 for each in found)


class StoreRaceTests:
    def test_of_eight_threads_that_create_one_wins(self, store: Store) -> None:
        _need(store.capabilities.conditional, "no conditional writes")
        for key in (f"race/{round_}" for round_ in range(5)):
            outcomes = _together(8, partial(_create_as, store, key))
            winners = [me for me, outcome in enumerate(outcomes) if isinstance(outcome, Written)]
            assert len(winners) == 1
            assert store.read(key) == f"from {winners[0]}".encode()

    def test_no_increment_is_lost(self, store: Store) -> None:
        _need(store.capabilities.conditional, "no conditional writes")
        store.create("sum", b"0 start")

        def increment(me: int) -> None:
            for step in range(5):
                while True:
                    found = store.read_versioned("sum")
                    assert found.value is not None
                    # Distinct bytes for every write, as documents have by their write ids.
                    value = f"{int(found.value.split()[0]) + 1} {me}-{step}".encode()
                    if isinstance(store.swap("sum", value, found.generation), Written):
                        break

        _together(6, increment)
        assert store.read("sum", 0, 2) == b"30"


class StoreTests(StoreReadTests, StoreWriteTests, StoreListTests, StoreRaceTests):
    """All of it; see the module."""


def _need(claimed: bool, reason: str) -> None:
    if not claimed:
        pytest.skip(reason)


def _create_as(store: Store, key: str, me: int) -> Written | Lost:
    return store.create(key, f"from {me}".encode())


def _together(threads: int, call: Callable[[int], Any]) -> list[Any]:
    barrier = threading.Barrier(threads)
    outcomes: list[Any] = [None] * threads

    def run(me: int) -> None:
        barrier.wait()
        try:
            outcomes[me] = call(me)
        except Exception as error:
            outcomes[me] = error

    running = [threading.Thread(target=run, args=(me,)) for me in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return outcomes
