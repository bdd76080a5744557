"""Storages are probed before the first write, once, and only where they have to be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.versions.support import World, Writer
from tests.versions.tap import Tap
from zlake.context import Context
from zlake.errors import InvalidRefNameError, ReadOnlyModeError, UnsafeStorageError
from zlake.storage.store import Buffer, Lost, Store, Written
from zlake.types import Pending
from zlake.versions import safety
from zlake.versions.repository import Repository


def renamed(store: Store, scheme: str) -> Tap:
    tap = Tap(store)
    tap.url = store.url.replace("mem://", f"{scheme}://")
    return tap


def test_services_that_may_be_imitations_are_probed_once(store: Store, context: Context) -> None:
    tap = renamed(store, "s3")
    writer = Writer(Repository.create(tap, context), World())
    assert any(key.startswith("probe-") for _, key, _ in tap.take())
    assert [key for key in store.list() if key.startswith("probe-")] == []
    writer.create()
    writer.commit("one")
    assert [op for op, _, _ in tap.take()] == ["create", "swap"]


def test_storages_are_not_remembered_for_ever(store: Store, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safety, "_probed", set())
    monkeypatch.setattr(safety, "_REMEMBERED", 3)
    for number in range(7):
        tap = renamed(store, f"s{number}")
        safety.check_writable(tap)
        assert tap.take()
        safety.check_writable(tap)
        assert tap.take() == []
        safety.check_writable(store)  # one that needs no probe is not remembered at all
    assert len(safety._probed) == 1


def test_own_drivers_are_not_probed(store: Store, context: Context) -> None:
    tap = Tap(store)
    Repository.create(tap, context)
    assert [(op, key) for op, key, _ in tap.take()] == [("create", "zarr.json"), ("create", "refs/branches/main.json")]


class Careless(Tap):
    """A service that ignores the condition of a create."""

    def start_create(self, key: str, value: Buffer) -> Pending[Written | Lost]:
        self.inner.delete(key)
        return super().start_create(key, value)


def test_a_service_that_ignores_conditions_is_refused(store: Store, context: Context) -> None:
    careless = Careless(store)
    careless.url = "s3://careless"
    with pytest.raises(UnsafeStorageError, match="single_writer=True"):
        Repository.create(careless, context)
    assert list(store.list()) == []
    repository = Repository.create(careless, context, single_writer=True)
    assert repository.head().commit_id is None


def test_a_store_without_conditions_is_refused(store: Store, context: Context) -> None:
    tap = renamed(store, "sftp")
    tap.capabilities = replace(store.capabilities, conditional=False)
    with pytest.raises(UnsafeStorageError, match="conditional"):
        Repository.create(tap, context)


def test_a_store_that_takes_no_writes(store: Store, context: Context) -> None:
    writer = Writer(Repository.create(store, context), World())
    tap = renamed(store, "https")
    tap.capabilities = replace(store.capabilities, writable=False)
    reader = Writer(Repository.open(tap, context), writer.world)
    reader.create()
    with pytest.raises(ReadOnlyModeError, match="read-only"):
        reader.flush()


@pytest.mark.parametrize("address", ["../x", "a b", "", "x.json", "a//b", "a" * 300])
def test_addresses_that_nothing_can_have(store: Store, context: Context, address: str) -> None:
    with pytest.raises(InvalidRefNameError):
        Repository.create(store, context).resolve(address)
