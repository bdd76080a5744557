"""The process ends between any two writes: each branch names a whole state, and what was acknowledged is in it."""

from __future__ import annotations

from itertools import count

import pytest

from tests.versions.support import World, Writer
from tests.versions.tap import StoppedError, Tap
from zlake.context import Context
from zlake.errors import DatasetNotFoundError
from zlake.storage.store import Store
from zlake.versions.repository import Repository


@pytest.mark.parametrize("after", [False, True])
def test_creation_that_was_cut_short_is_completed(store: Store, context: Context, after: bool) -> None:
    for writes in count():
        tap = Tap(store)
        tap.writes_left, tap.stop_after_effect = writes, after
        try:
            Repository.create(tap, context)
        except StoppedError:
            pass
        else:
            break
        if writes == 0 and not after:
            with pytest.raises(DatasetNotFoundError):
                Repository.open(store, context)
        else:
            head = Repository.open(store, context).head()
            assert head.snapshot.tensors == ()
            if store.read("refs/branches/main.json") is None:
                # another one may open it and go on where creation stopped
                writer = Writer(Repository.open(store, context), World())
                key = writer.create()
                writer.append(key, "a")
                writer.commit("one")
                assert writer.reopen().values(key) == ["a"]
        for key in list(store.list()):
            store.delete(key)
    assert writes == 2


def test_creation_that_was_cut_short_is_completed_by_creating_again(store: Store, context: Context) -> None:
    tap = Tap(store)
    tap.writes_left = 1
    with pytest.raises(StoppedError):
        Repository.create(tap, context)
    root = Repository.open(store, context).root
    again = Repository.create(store, context)
    assert again.root == root
    assert again.head().ref.sequence == 0


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("commit", [False, True])
def test_every_write_of_a_change(store: Store, context: Context, after: bool, commit: bool) -> None:
    """With pages of every kind in the change: extents, ids, info, history."""
    tap = Tap(store)
    writer = Writer(Repository.create(tap, context), World())
    key = writer.create()
    writer.append(key, range(3000))
    for i in range(16):
        writer.commit(str(i), allow_empty=True)
    acknowledged = writer.values(key)
    stops = 0
    for writes in count():
        writer.drop()
        for row in range(0, 3000, 2):
            writer.update(key, row, f"{writes}-{row}")
        writer.info = {"long": [writes] * 3000}
        wanted = [f"{writes}-{row}" if row % 2 == 0 else value for row, value in enumerate(acknowledged)]
        tap.writes_left, tap.stop_after_effect = writes, after
        try:
            writer.commit("last") if commit else writer.flush()
        except StoppedError:
            stops += 1
        tap.writes_left = None
        fresh = Writer(Repository.open(store, context), writer.world)
        found = fresh.values(key)
        assert found in (acknowledged, wanted)
        assert fresh.repository.load_info(fresh.head.snapshot.info) in (
            {},
            writer.repository.load_info(fresh.head.snapshot.info),
        )
        log = [c.message for c in fresh.repository.log(fresh.head.snapshot)]
        assert log[-16:] == [str(i) for i in reversed(range(16))]
        if found == wanted:
            assert log[: len(log) - 16] == (["last"] if commit else [])
            break
        writer = Writer(Repository.open(tap, context), writer.world)
    # two pages of two objects, info, history, the snapshot, the swap
    assert stops >= 7
