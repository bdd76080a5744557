"""Whoever is told that nobody knows how a write ended, looks, and repeats what is not there, has it once."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

import zlake
from tests.interleave.play import Cast, _context, prepare
from tests.interleave.scheduler import Choose, Dice, Odometer, Operation, Scheduler, SteppedStore, Sticky
from tests.scale import times
from zlake.errors import CommitStateUnknownError, StorageUnavailableError, WriteStateUnknownError
from zlake.session.opening import open_session
from zlake.storage.store import Buffer, Lost, Store, Versioned, Written

_numbers = itertools.count()
_CAST = Cast([])


class Unanswered(SteppedStore):
    """The first swap is not answered, and may take effect at any later time; nor is the look at what became of it."""

    def __init__(self, store: Store, scheduler: Scheduler, swaps: int) -> None:
        super().__init__(store, scheduler, lambda operation, key: key.startswith("refs/"))
        self.swaps = swaps
        self.silent = False

    def swap(self, key: str, value: Buffer, generation: bytes) -> Written | Lost:
        self.swaps -= 1
        if self.swaps < 0:
            return super().swap(key, value, generation)
        operation: Operation | None = self._scheduler.begin(
            "swap", key, lambda: self.store.swap(key, value, generation)
        )
        assert operation is not None
        operation.fate = "late"
        # the last of them is one that nobody can ask for either
        self.silent = self.swaps == 0
        outcome: Written | Lost = self._scheduler.wait(operation)
        return outcome

    def read_versioned(self, key: str) -> Versioned:
        if self.silent:
            self.silent = False
            raise StorageUnavailableError("no answer")
        return super().read_versioned(key)


def refresh(ds: zlake.Dataset) -> None:
    ds.refresh()


def drop(ds: zlake.Dataset) -> None:
    ds._session.refresh(discard=True)


def go_on(ds: zlake.Dataset) -> None:
    """The next change settles it, too."""
    ds.info["next"] = True


def careful(ds: zlake.Dataset, value: int, look: Callable[[zlake.Dataset], None]) -> None:
    """Append a row as the error says it is to be done."""
    try:
        ds.x.append(value)
    except CommitStateUnknownError:
        look(ds)
        if value not in ds.x.numpy():
            ds.x.append(value)


def block(ds: zlake.Dataset, value: int) -> None:
    """What is buffered is repeated by the session itself."""
    try:
        with ds:
            ds.x.append(value)
            ds.x[1] = -value
    except CommitStateUnknownError:
        ds.flush()


def commit(ds: zlake.Dataset, value: int) -> None:
    try:
        ds.commit("mine")
    except CommitStateUnknownError:
        ds.commit("mine")
    careful(ds, value, refresh)


ACTS: dict[str, Callable[[zlake.Dataset], Any]] = {
    "refresh": lambda ds: careful(ds, 1, refresh),
    "discard": lambda ds: careful(ds, 1, drop),
    "next change": lambda ds: careful(ds, 1, go_on),
    "block": lambda ds: block(ds, 1),
    "commit": lambda ds: commit(ds, 1),
}


def play(act: Callable[[zlake.Dataset], Any], choose: Choose, swaps: int) -> None:
    """Let somebody write without answers beside somebody else who appends a row."""
    if _CAST.prepared is None:
        _CAST.prepared = prepare(_CAST)
    store = _CAST.prepared.store.twin(f"mem://repeat-{next(_numbers)}")
    scheduler = Scheduler(choose, late_answers=False)
    stores = [
        Unanswered(store, scheduler, swaps),
        SteppedStore(store, scheduler, lambda operation, key: "refs/" in key),
    ]
    one, other = (
        zlake.Dataset(open_session(each, _context(store.clock, i + 1), None, None)) for i, each in enumerate(stores)
    )
    scheduler.add("A", lambda: act(one))
    scheduler.add("B", lambda: other.x.append(2))
    try:
        scheduler.play()
        ds = zlake.Dataset(open_session(store, _context(store.clock, 3), None, None))
        values = ds.x.numpy().reshape(-1).tolist()
        assert (values.count(1), values.count(2), len(values)) == (1, 1, 7), values
        assert [each["message"] for each in ds.commits].count("mine") == (act is ACTS["commit"])
        report = ds.verify(deep=True)
        assert report, report.damages
    except BaseException as error:
        error.add_note("\n".join(["what happened:", *scheduler.story]))
        raise


@pytest.mark.parametrize("name", ACTS)
def test_every_order(name: str) -> None:
    odometer = Odometer()
    play(ACTS[name], odometer, 1)
    while odometer.turn():
        play(ACTS[name], odometer, 1)


@pytest.mark.parametrize("name", ACTS)
def test_several_swaps_without_answers(name: str) -> None:
    for seed in range(times(30)):
        play(ACTS[name], Sticky(seed), 2 + seed % 2)
        play(ACTS[name], Dice(seed), 2)


def test_a_fence_that_gets_no_answer_leaves_it_unknown() -> None:
    prepared = prepare(Cast([]))

    class Silent(SteppedStore):
        def swap(self, key: str, value: Buffer, generation: bytes) -> Written | Lost:
            self.sent = (key, bytes(value), generation)
            raise WriteStateUnknownError("no answer")

        def read_versioned(self, key: str) -> Versioned:
            if self.deaf:
                self.deaf -= 1
                raise StorageUnavailableError("no answer")
            return super().read_versioned(key)

    store = Silent(prepared.store, Scheduler(Dice(0)))
    store.deaf = 0
    ds = zlake.Dataset(open_session(store, _context(prepared.store.clock, 1), None, None))
    store.deaf = 1
    with pytest.raises(CommitStateUnknownError, match=r"refresh\(\), which settles it"):
        ds.x.append(1)
    first = store.sent
    store.deaf = 2
    with pytest.raises(StorageUnavailableError, match="no answer"):
        ds.refresh()
    with pytest.raises(CommitStateUnknownError):
        ds.x.append(1)
    assert isinstance(prepared.store.swap(*first), Written)  # it comes after all
    ds.refresh()
    assert ds.x.numpy().reshape(-1).tolist().count(1) == 1
