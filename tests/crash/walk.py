"""Walk through the storage operations of a change, let each go wrong in every way, and look at what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

import zlake
from tests.crash.scenarios import Scenario, create, everything, known_name, load, state
from zlake.errors import CommitStateUnknownError, StorageError, StorageUnavailableError, WriteStateUnknownError
from zlake.storage import open_store
from zlake.storage.store import Lost, Store
from zlake.testing import FaultStore, Operation, ProcessEnded, nth, since
from zlake.testing.faults import When

WRITES = ("create", "swap", "delete")
UNKNOWN = (CommitStateUnknownError, WriteStateUnknownError)
_names = count()


class Step(Protocol):
    """One operation of a change."""

    @property
    def key(self) -> str: ...


class Fault(Protocol):
    """A way in which the n-th operation goes wrong."""

    __name__: str

    def __call__(self, broken: Any, n: int, /) -> None: ...


class Place(Protocol):
    """Where the dataset lies, and how what lies there goes wrong."""

    def fresh(self, objects: dict[str, bytes]) -> AbstractContextManager[tuple[Store, Store, Any]]:
        """A store of its own with these objects: as it is, as the change sees it, and what breaks it."""

    def looked_at(self, store: Store) -> AbstractContextManager[Store]:
        """The same objects, to look at."""

    def steps(self, broken: Any) -> list[Any]:
        """The operations since `begin` that can go wrong."""

    def begin(self, broken: Any) -> None:
        """Count operations from here."""

    def heal(self, broken: Any) -> None:
        """Let nothing go wrong any more."""

    def modes(self, step: Any) -> list[Any]:
        """The ways in which an operation can go wrong that differ for it."""

    def unknowable(self, steps: list[Any], n: int, mode: Any) -> bool:
        """Whether nobody can know then if a branch or tag was written."""

    def doubtful(self, steps: list[Any], n: int) -> bool:
        """Whether an error there may say that it is not known, though it was written."""


# ---------------------------------------------------------------- in memory


@contextmanager
def fresh(objects: dict[str, bytes]) -> Iterator[Store]:
    """A store of its own with these objects."""
    store = open_store(f"mem://every-operation-{next(_names)}")
    for key, value in objects.items():
        store.create(key, value)
    yield store
    store.delete_prefix()


def objects_of(store: Store) -> dict[str, bytes]:
    return {key: store.read(key) or b"" for key in store.list()}


def gone(operation: Operation) -> Exception:
    """What a store says when nothing answers: of a write, that it may have landed."""
    return WriteStateUnknownError("no answer") if operation.name in WRITES else StorageUnavailableError("no answer")


def fail(store: FaultStore, when: When, error: Callable[[Operation], Exception], **options: Any) -> None:
    def act(operation: Operation) -> None:
        raise error(operation)

    fault = store.fail(StorageUnavailableError(), when, **options)
    fault.act = act


def refused(store: FaultStore, n: int) -> None:
    """One operation fails, and had no effect."""
    store.fail(StorageUnavailableError("refused"), nth(n))


def unanswered(store: FaultStore, n: int) -> None:
    """One write takes effect, and nobody is told."""
    fail(store, nth(n), gone, moment="after")


def told_lost(store: FaultStore, n: int) -> None:
    """One swap takes effect, and its writer is told that it lost, by a driver that tried again by itself."""
    store.answer(Lost(), nth(n))


def gone_before(store: FaultStore, n: int) -> None:
    """The network goes away, and stays away."""
    fail(store, since(n), gone, times=None)


def gone_after(store: FaultStore, n: int) -> None:
    """The network goes away after one write took effect, and stays away."""
    fail(store, nth(n), gone, moment="after")
    fail(store, since(n + 1), gone, times=None)


def ended_before(store: FaultStore, n: int) -> None:
    store.end(nth(n))


def ended_after(store: FaultStore, n: int) -> None:
    store.end(nth(n), moment="after")


ANY = (refused, gone_before, ended_before)
AFTER_WRITES = (unanswered, gone_after, ended_after)


def modes(operation: Operation) -> list[Callable[[FaultStore, int], None]]:
    """The ways in which an operation can go wrong that differ for it."""
    if operation.name == "swap":
        return [*ANY, *AFTER_WRITES, told_lost]
    return [*ANY, *AFTER_WRITES] if operation.name in WRITES else list(ANY)


class Memory:
    """A dataset in memory, behind a `FaultStore`."""

    @contextmanager
    def fresh(self, objects: dict[str, bytes]) -> Iterator[tuple[Store, Store, FaultStore]]:
        with fresh(objects) as store:
            faulty = FaultStore(store)
            yield store, faulty, faulty

    def looked_at(self, store: Store) -> AbstractContextManager[Store]:
        return nullcontext(store)

    def steps(self, broken: FaultStore) -> list[Operation]:
        return list(broken.recorder)

    def begin(self, broken: FaultStore) -> None:
        broken.recorder.clear()

    def heal(self, broken: FaultStore) -> None:
        broken.faults.clear()

    def modes(self, step: Operation) -> list[Callable[[FaultStore, int], None]]:
        return modes(step)

    def unknowable(self, steps: list[Operation], n: int, mode: Callable[[FaultStore, int], None]) -> bool:
        if writes_a_ref(steps[n]):
            return mode in (gone_before, gone_after)
        before = steps[n - 1] if n else None
        # of the swap that is lost to others, which nobody is sure about before it has read the branch again
        return (
            before is not None
            and writes_a_ref(before)
            and steps[n].name == "read_versioned"
            and steps[n].key == before.key
        )

    def doubtful(self, steps: list[Operation], n: int) -> bool:
        return any(map(writes_a_ref, steps[:n]))


def writes_a_ref(operation: Operation) -> bool:
    return _is_write(operation) and operation.key.startswith("refs/")


def _is_write(step: Step) -> bool:
    """Whether it creates or swaps; steps that have no name do."""
    return getattr(step, "name", "swap") in ("create", "swap")


# ---------------------------------------------------------------- the walk


@dataclass
class Walk:
    """One scenario: its dataset before, what it does undisturbed, and what is to be found after."""

    scenario: Scenario
    place: Place

    def __post_init__(self) -> None:
        with fresh({}) as store:
            self.scenario.prepare(create(store))
            self.start = objects_of(store)
        with self.opened() as (store, broken, ds):
            self.before = self.found(store)
            self.scenario.act(ds)
            self.steps = self.place.steps(broken)
            self.after = self.found(store)
            assert shows(ds, self.after)
        self.refused = [self.before]
        for part in self.scenario.parts:
            with self.opened() as (store, _, ds):
                part(ds)
                self.refused.append(self.found(store))
        assert self.scenario.unseen or self.after not in self.refused

    @contextmanager
    def opened(self) -> Iterator[tuple[Store, Any, zlake.Dataset]]:
        with self.place.fresh(self.start) as (store, faulty, broken):
            ds = load(faulty, self.scenario.context, self.scenario.address)
            if self.scenario.behind is not None:
                self.scenario.behind(load(store))
            self.place.begin(broken)
            yield store, broken, ds

    def all(self) -> int:
        """Let each operation go wrong in every way that differs for it; return how many faults that were."""
        done = 0
        for n, step in enumerate(self.steps):
            for mode in self.place.modes(step):
                try:
                    self.fault(n, mode)
                except BaseException as error:
                    error.add_note(f"operation {n} of {len(self.steps)}, {mode.__name__}: {step}")
                    raise
                done += 1
        return done

    def fault(self, n: int, mode: Any) -> None:
        with self.opened() as (store, broken, ds):
            mode(broken, n)
            error: BaseException | None = None
            try:
                self.scenario.act(ds)
            except (StorageError, CommitStateUnknownError, ProcessEnded) as caught:
                error = caught
            found = self.check(store)
            if error is None:
                assert found == self.after, "acknowledged, but not there"
            elif not isinstance(error, ProcessEnded):
                unknowable = self.place.unknowable(self.steps, n, mode)
                if isinstance(error, UNKNOWN):
                    assert unknowable or self.scenario.unseen or self.place.doubtful(self.steps, n), error
                else:
                    assert not unknowable, error
                    assert found in self.refused, "refused, but there"
                self.go_on(store, broken, ds, found)
                return
            self.retry(store, found)

    def found(self, store: Store) -> dict[str, Any]:
        with self.place.looked_at(store) as copy:
            return everything(copy)

    def check(self, store: Store) -> dict[str, Any]:
        """The dataset as a new process finds it: whole, and before or after the change."""
        with self.place.looked_at(store) as copy:
            found = everything(copy)
            assert found in (*self.refused, self.after)
            report = load(copy).verify(deep=True)
            assert report, report
            assert self.scenario.collects or self.start.keys() <= set(copy.list()), "deleted"
            return found

    def retry(self, store: Store, found: dict[str, Any]) -> None:
        """Another session makes the change where it is not there yet, or the rest of it where that is named."""
        ds = load(store, self.scenario.context, self.scenario.address)
        if found == self.before:
            self.scenario.act(ds)
        elif found != self.after:
            (self.scenario.again or self.scenario.act)(ds)
        else:
            return
        assert self.check(store) == self.after

    def go_on(self, store: Store, broken: Any, ds: zlake.Dataset, found: dict[str, Any]) -> None:
        """The same session goes on, as the errors tell its user to."""
        self.place.heal(broken)
        if self.scenario.again is not None:
            self.scenario.again(ds)
        else:
            if found == self.after:
                ds.refresh()
            if found != self.after or not shows(ds, self.after):
                self.scenario.act(ds)
        assert shows(ds, self.after)
        assert self.check(store) == self.after


def shows(ds: zlake.Dataset, all_: dict[str, Any]) -> bool:
    """Whether a session sees the branch that it is on as the storage has it."""
    return bool(state(ds) == all_["branches"].get(known_name(ds.branch)))
