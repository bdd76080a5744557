"""Collectors against writers and readers whose clocks are up to two days off, all of which may stop at any moment."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from tests.scale import SCALE, times
from tests.versions.lifetimes import COLLECTABLE, DAY, Clocked, StoredWorld, Time, context_at
from tests.versions.support import Writer
from zlake.context import Context
from zlake.errors import CollectedError, VersionControlError
from zlake.format import paths
from zlake.storage.open import open_store
from zlake.storage.store import Store
from zlake.testing.faults import FaultStore, ProcessEnded, nth
from zlake.versions import branching, guard, refs, tags
from zlake.versions.gc import collect
from zlake.versions.lease import Lease
from zlake.versions.objects import Objects
from zlake.versions.reach import Reach, reach
from zlake.versions.repository import Repository
from zlake.versions.resetting import reset

RUNS, STEPS = 300, 45
SKEW = 2 * DAY
_names = count()


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "PATIENCE", 0.0)


class Reader:
    """Somebody who reads a version, with a lease or for as long as versions stay without one."""

    def __init__(self, snapshot: str, since: float, lease: Lease | None) -> None:
        self.snapshot, self.since, self.lease = snapshot, since, lease


class Slow:
    """Somebody who has written segments and will name them later."""

    def __init__(self, writer: Writer, changes: Any, due: float, lease: Lease | None) -> None:
        self.writer, self.changes, self.due, self.lease = writer, changes, due, lease


class Run:
    """One dataset and everybody who uses it."""

    def __init__(self, seed: int, store: Store) -> None:
        self.rng = random.Random(seed)
        self.time = Time()
        self.grace = self.rng.choice([DAY, 3 * DAY, 7 * DAY])
        self.store = Clocked(store, self.time, self.rng.uniform(-SKEW, SKEW))
        self.store.before_delete = self.check_delete
        self.world = StoredWorld(self.store)
        self.named: dict[tuple[str, str], float] = {}
        """When each snapshot, page and segment was last named by a ref or a lease."""
        self.reaches: dict[str, Reach] = {}
        self.readers: list[Reader] = []
        self.slow: list[Slow] = []
        self.commits: list[str] = []
        self.refused: list[str] = []
        self.broken: set[str] = set()
        """Branches that were deleted because what they should name was gone."""
        self.deleted = 0
        context = self.context()
        first = Writer(Repository.create(self.store, context), self.world, coalesce=True)
        self.key = first.create()
        first.append(self.key, [1, 2, 3])
        self.commits.append(first.commit("first"))
        self.writers = [first, *(Writer(Repository.open(self.store, self.context()), self.world) for _ in range(2))]

    def context(self) -> Context:
        return context_at(self.time, self.rng, self.rng.uniform(-SKEW, SKEW))

    # ------------------------------------------------------------ what must hold

    def live(self) -> Iterator[str]:
        """Ids of snapshots that refs and leases name at this moment."""
        for name in refs.branch_names(self.store):
            ref = refs.parse_branch(self.store, name, self.store.read(paths.branch_key(name)) or b"")
            if not ref.deleted:
                yield from (each for each in (ref.commit, ref.staged) if each is not None)
        yield from tags.tags(self.store).values()
        yield from (reader.snapshot for reader in self.readers if reader.lease is not None)

    def observe(self) -> None:
        """Note what is named, and look whether it is all there."""
        stored = set(self.store.list())
        for snapshot in set(self.live()):
            for folder, ids in self.parts(snapshot):
                for each in ids:
                    self.named[folder, each] = self.time.now
                    assert f"{folder}{each}/zarr.json" in stored, f"{folder}{each} is named, but gone"
        for reader in self.readers:
            self.check_reads(reader, stored)

    def parts(self, snapshot: str) -> Iterator[tuple[str, set[str]]]:
        if snapshot not in self.reaches:
            self.reaches[snapshot] = reach(Objects(self.store), [snapshot])
        for folder in COLLECTABLE:
            yield folder, self.reaches[snapshot].ids(folder)

    def check_reads(self, reader: Reader, stored: set[str]) -> None:
        for folder, ids in self.parts(reader.snapshot):
            for each in ids:
                assert f"{folder}{each}/zarr.json" in stored, f"a reader misses {folder}{each}"
                if folder == paths.SEGMENTS:
                    assert stored.issuperset(self.world.keys[each])

    def check_delete(self, key: str) -> None:
        owner = paths.owner_of(key)
        if owner is None:
            assert key.startswith(("gc/", "leases/")), f"{key} is nobody's garbage"
            return
        self.deleted += 1
        age = self.time.now - self.store.written.get(key, -1e18)
        assert age >= self.grace, f"{key} is deleted {age / DAY:.2f} days after it was written"
        since = self.time.now - self.named.get(owner, -1e18)
        assert since >= self.grace, f"{key} is deleted {since / DAY:.2f} days after a ref named it"
        for slow in self.slow:
            segments = {e.segment for rows in slow.changes.rows.values() for e in rows.segments}
            assert owner[1] not in segments, f"{key} is deleted before its writer has named it"

    # ------------------------------------------------------------ what happens

    def step(self, *, inside: bool = False) -> None:
        actions: list[tuple[int, Callable[[], None]]] = [
            (8, self.flush),
            (5, self.commit),
            (4, self.many_updates),
            (3, self.begin_slow),
            (3, self.end_slow),
            (2, self.orphan),
            (3, self.make_branch),
            (3, self.delete_branch),
            (3, self.restore_branch),
            (2, self.make_tag),
            (1, self.delete_tag),
            (2, self.reset),
            (4, self.begin_reading),
        ]
        if not inside:
            actions.append((9, self.collect))
        weights, chosen = zip(*actions, strict=True)
        self.observe()
        self.rng.choices(chosen, weights)[0]()
        self.observe()

    def pass_time(self) -> None:
        self.time.advance(self.rng.choice([0, 60, 3600, 0.3 * DAY, DAY, 2 * DAY]))
        now = self.time.now
        for reader in list(self.readers):
            if reader.lease is not None:
                reader.lease.renew_if_due()
                if self.rng.random() < 0.1:
                    self.observe()
                    reader.lease.release()
                    reader.lease, reader.since = None, now
            if reader.lease is None and now - reader.since >= self.grace:
                self.readers.remove(reader)
        for slow in list(self.slow):
            if slow.lease is not None:
                slow.lease.renew_if_due()
            if now >= slow.due and slow.lease is None:
                self.slow.remove(slow)  # it took longer than anybody may

    def writer(self) -> Writer:
        writer = self.rng.choice(self.writers)
        if self.rng.random() < 0.3:
            writer.head = writer.repository.head(self.rng.choice(list(branching.branches(self.store))))
        return writer

    def stopping(self, act: Callable[[Store], Any], most: int) -> Any:
        """Do something that perhaps stops at some operation, as if its process had ended."""
        faulty = FaultStore(self.store)
        if self.rng.random() < 0.4:
            faulty.end(nth(self.rng.randrange(most)), moment=self.rng.choice(["before", "after"]))
        try:
            return act(faulty)
        except ProcessEnded:
            return None

    def write(self, act: Callable[[Writer], Any]) -> None:
        """A writer's change; it may be stopped, or refused because it knows an old state of its branch."""
        mine = self.writer()

        def change(store: Store) -> str:
            writer = Writer(Repository.open(store, mine.repository.context), self.world, coalesce=mine.coalesce)
            writer.head = mine.head
            act(writer)
            mine.head = writer.head
            return "done"

        try:
            if self.stopping(change, 14) is None:
                mine.head = mine.repository.head()
        except VersionControlError as error:
            self.refused.append(type(error).__name__)
            mine.head = mine.repository.head()
        if mine.head.commit_id is not None and mine.head.commit_id not in self.commits:
            self.commits.append(mine.head.commit_id)

    def flush(self) -> None:
        def act(writer: Writer) -> None:
            writer.append(self.key, [self.rng.random()])
            writer.flush()

        self.write(act)

    def commit(self) -> None:
        def act(writer: Writer) -> None:
            writer.append(self.key, [self.rng.random()])
            writer.commit("more")

        self.write(act)

    def many_updates(self) -> None:
        """Updates, deletions, a large info: what makes pages."""

        def act(writer: Writer) -> None:
            rows = len(writer.stored(self.key))
            if self.rng.random() < 0.5:
                writer.info = {"names": [f"{self.rng.random()}" * 4] * 100}
            elif rows > 2:
                writer.update(self.key, self.rng.randrange(rows), self.rng.random())
            writer.append(self.key, [0] * self.rng.randrange(1, 4))
            writer.commit("pages", allow_empty=True)

        self.write(act)

    def begin_slow(self) -> None:
        writer = self.writer()
        lease = None
        if self.rng.random() < 0.4:
            lease = Lease.take(self.store, writer.repository.context, writing=True)
        writer.append(self.key, [self.rng.random(), 1])
        self.slow.append(Slow(writer, writer.changes(), self.time.now + 0.95 * self.grace, lease))
        writer.drop()

    def end_slow(self) -> None:
        if self.slow:
            slow = self.slow.pop(self.rng.randrange(len(self.slow)))
            try:
                slow.writer.repository.flush(slow.writer.head, slow.changes, self.world)
            except VersionControlError as error:
                self.refused.append(type(error).__name__)
                slow.writer.head = slow.writer.repository.head()
                slow.writer.repository.flush(slow.writer.head, slow.changes, self.world)
            if slow.lease is not None:
                slow.lease.release()

    def orphan(self) -> None:
        self.world.write([(next(self.world.next_id), None)], self.writer().repository.context)

    def make_branch(self) -> None:
        writer = self.writer()
        past = self.rng.random() < 0.5
        commit = self.rng.choice(self.commits)

        def act(store: Store) -> None:
            repository = Repository.open(store, writer.repository.context)
            start = repository.at(commit) if past else writer.head
            staged = self.rng.random() < 0.5
            branching.create(repository.objects, repository.context, f"b{next(_names)}", start, staged=staged)

        self.guarded(act)

    def guarded(self, act: Callable[[Store], Any], young: bool = False) -> None:
        """Something that may name what was collected, unless that is young: then it is refused."""
        try:
            if self.stopping(lambda store: (act(store), "done"), 12) is None:
                self.take_back()
        except Exception as error:
            if type(error).__name__ not in ("CollectedError", "RefNotFoundError", "DatasetCorruptError"):
                raise
            if young and "at this moment" not in str(error):
                raise
            self.refused.append(type(error).__name__)

    def take_back(self) -> None:
        """Delete branches and tags whose maker was stopped between naming a version and finding that it is gone."""
        for name, ref in branching.branches(self.store).items():
            for each in (ref.commit, ref.staged):
                if each is not None and not self.whole(each):
                    branching.delete(Objects(self.store), self.context(), name)
                    self.broken.add(name)
                    break
        for name, commit in tags.tags(self.store).items():
            if not self.whole(commit):
                tags.delete(self.store, self.context(), name)

    def whole(self, snapshot: str) -> bool:
        try:
            guard.check_whole(Objects(self.store), snapshot)
        except CollectedError:
            return False
        return True

    def delete_branch(self) -> None:
        names = [name for name in branching.branches(self.store) if name != "main"]
        if names:
            objects = Objects(self.store)
            self.stopping(lambda store: branching.delete(objects, self.context(), self.rng.choice(names)), 4)

    def restore_branch(self) -> None:
        gone = branching.deleted_branches(self.store)
        if gone:
            name = self.rng.choice(list(gone))
            context = self.context()
            age = self.time.now - self.store.written[paths.branch_key(name)]
            young = age < self.grace and name not in self.broken
            self.guarded(lambda store: branching.restore(Objects(store), context, name), young)

    def make_tag(self) -> None:
        commit, context = self.rng.choice(self.commits), self.context()
        self.guarded(lambda store: tags.create(Objects(store), context, f"t{next(_names)}", commit))

    def delete_tag(self) -> None:
        names = list(tags.tags(self.store))
        if names:
            tags.delete(self.store, self.context(), self.rng.choice(names))

    def reset(self) -> None:
        repository = Repository.open(self.store, self.context())
        head = repository.head(self.rng.choice(list(branching.branches(self.store))))
        if head.ref.staged is not None:
            reset(repository.objects, repository.context, head)

    def begin_reading(self) -> None:
        writer = self.writer()
        head = writer.repository.head(self.rng.choice(list(branching.branches(self.store))))
        lease = None
        if self.rng.random() < 0.4:
            seconds = 7 * int(DAY)
            context = writer.repository.context
            lease = Lease.take(self.store, context, head.snapshot.id, seconds=seconds, writing=False)
        self.readers.append(Reader(head.snapshot.id, self.time.now, lease))

    def collect(self) -> None:
        context = self.context()
        rng = self.rng

        def act(store: Store) -> Any:
            return collect(Repository.open(store, context), self.grace)

        def meanwhile(store: FaultStore) -> None:
            """Let somebody do something, another collection even, in the middle of it."""
            at = rng.randrange(60)

            def others() -> None:
                if rng.random() < 0.3:
                    collect(Repository.open(self.store, self.context()), self.grace)
                else:
                    self.step(inside=True)

            def once(operation: Any) -> bool:
                if operation.index == at:
                    others()
                return False

            store.fail(RuntimeError(), once)

        def both(store: Store) -> Any:
            assert isinstance(store, FaultStore)
            if rng.random() < 0.5:
                meanwhile(store)
            return act(store)

        self.stopping(both, 60)

    # ------------------------------------------------------------ the end

    def settle(self) -> None:
        """Everybody leaves; in the end nothing is left that is not named."""
        for reader in self.readers:
            if reader.lease is not None and self.rng.random() < 0.5:
                reader.lease.release()
        self.readers.clear()
        self.slow.clear()
        for _ in range(5):
            self.time.advance(31 * DAY)
            collect(Repository.open(self.store, self.context()), self.grace)
        self.observe()
        named: set[str] = set()
        for snapshot in set(self.live()):
            for folder, ids in self.parts(snapshot):
                named.update(f"{folder}{each}" for each in ids)
        left = {"/".join(key.split("/")[:2]) for key in self.store.list() if key.startswith(COLLECTABLE)}
        assert left == named
        assert not list(self.store.list("leases/"))
        assert not list(self.store.list("gc/"))


def run(seed: int, store: Store, steps: int = STEPS) -> Run:
    found = Run(seed, store)
    for _ in range(steps):
        found.pass_time()
        found.step()
    found.settle()
    return found


@pytest.mark.timeout(600 * SCALE)
@pytest.mark.parametrize("part", range(10))
def test_nothing_reachable_or_young_is_deleted_and_all_else_is(part: int) -> None:
    deleted = 0
    for seed in range(part, times(RUNS), 10):
        try:
            deleted += run(seed, open_store(f"mem://gc-clocks-{next(_names)}")).deleted
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
    assert deleted
