"""Damage of what collectors, holders of leases and copiers write down, and of tombstones.

No reader needs them. A collector that cannot read what keeps objects alive deletes nothing; one that cannot read a mark
deletes nothing of what that mark names.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

import zlake
from tests.damage.dataset import small_limits
from tests.damage.history import build, read_documents
from tests.damage.test_many import DAMAGES
from tests.model.store import Clock, WatchedStore
from tests.scale import times
from zlake.context import Context
from zlake.errors import CollectionRefusedError, ZlakeError
from zlake.format import encode, paths
from zlake.format.documents import Copying, GcSweep
from zlake.session.opening import create_session, is_dataset, open_session
from zlake.storage import open_store
from zlake.storage.store import Store
from zlake.testing import FaultStore, ProcessEnded, on
from zlake.versions.clone import clone
from zlake.versions.gc import collect
from zlake.versions.lease import Lease
from zlake.versions.repository import Repository

HOUR = 3600.0
CONTEXT = Context(threads=2, durable=False)
STORED = (paths.COMMITS, paths.PAGES, paths.SEGMENTS)
_names = itertools.count()


class Noted:
    """A dataset with a history and garbage, half of it kept by a lease, the other half marked, ready to be deleted."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.context = replace(CONTEXT, clock=self.clock)
        self.store = WatchedStore("mem://noted", self.clock)
        with small_limits():
            ds = zlake.Dataset(create_session(self.store, self.context, overwrite=False))
            build(ds)
            ds.text.append("one more, and the state before is garbage")
            self.leased = ds._session.head.snapshot.id
            ds.text.append("and another one")
        for snapshot in (self.leased, None):
            Lease.take(self.store, self.context, snapshot, seconds=100 * int(HOUR), writing=False)
        self.clock.advance(3 * HOUR)
        ds.gc(HOUR)
        self.clock.advance(3 * HOUR)
        self.store.create(paths.sweep_key("b" * 26), encode(GcSweep("b" * 26, "b" * 26)))
        self.clock.advance(HOUR)
        self.expected = read_documents(self.store)
        self.before = self.stored(self.store)
        with self.twin() as store:
            self.collect(store)
            self.after = self.stored(store)
        assert self.after < self.before

    def twin(self) -> Twin:
        return Twin(self.store)

    def stored(self, store: WatchedStore) -> set[str]:
        return {key for key in store.objects if key.startswith(STORED)}

    def collect(self, store: WatchedStore) -> None:
        context = replace(self.context, clock=store.clock)
        collect(Repository.open(store, context), HOUR)

    def keys(self, *folders: str) -> list[str]:
        return [key for key in self.store.objects if key.startswith(folders)]


class Twin:
    """A copy of the dataset for the time of a block."""

    def __init__(self, store: WatchedStore) -> None:
        self.store = store.twin(f"mem://noted-{next(_names)}")

    def __enter__(self) -> WatchedStore:
        return self.store

    def __exit__(self, *_: object) -> None:
        self.store.objects.clear()


@pytest.fixture(scope="module")
def noted() -> Noted:
    return Noted()


def damaged(rng: random.Random, noted: Noted, key: str) -> bytes:
    """Return what is left of an object; it may be the document of something else."""
    kind = rng.randrange(len(DAMAGES) + 2)
    if kind < len(DAMAGES):
        return DAMAGES[kind](rng, noted.store.objects[key].value)
    others = [other for other in noted.keys("gc/", "leases/", "refs/") if other != key]
    return noted.store.objects[rng.choice(others)].value


def cases(noted: Noted, count: int, *folders: str) -> Iterator[tuple[str, WatchedStore]]:
    """Yield datasets in each of which one object of these folders is damaged."""
    rng = random.Random(folders[0])
    keys = noted.keys(*folders)
    for _ in range(times(count)):
        key = rng.choice(keys)
        value = damaged(rng, noted, key)
        if value != noted.store.objects[key].value:
            with noted.twin() as store:
                store.objects[key].value = value
                yield key, store


def collected(noted: Noted, store: WatchedStore) -> str:
    """Collect; return how it ended. Whatever it was, nothing is deleted that an undisturbed collection leaves."""
    try:
        noted.collect(store)
    except ZlakeError as error:
        assert noted.stored(store) == noted.before, "deleted, though refused"
        return type(error).__name__
    assert noted.after <= noted.stored(store), "something in use was deleted"
    return "collected"


def test_marks(noted: Noted) -> None:
    """What a damaged mark names is marked anew, and deleted a grace period later."""
    for key, store in cases(noted, 150, paths.GC_MARKS):
        assert read_documents(store) == noted.expected
        assert collected(noted, store) == "collected"
        assert noted.stored(store) == noted.before
        assert key not in store.objects  # it is of no use to anybody
        store.clock.advance(2 * HOUR)
        assert collected(noted, store) == "collected"
        assert noted.stored(store) == noted.after


def test_leases(noted: Noted) -> None:
    outcomes: Counter[str] = Counter()
    for _, store in cases(noted, 150, "leases/"):
        assert read_documents(store) == noted.expected
        outcomes[collected(noted, store)] += 1
        zlake.Dataset(open_session(store, CONTEXT, None, None)).text.append("writers do not mind")
    assert set(outcomes) == {CollectionRefusedError.__name__}


def test_leases_that_no_lease_can_be_as_old_as(noted: Noted) -> None:
    """Nobody has to delete a damaged lease by hand."""
    for key, store in itertools.islice(cases(noted, 3, "leases/"), 3):
        store.clock.advance(31 * 24 * HOUR)
        noted.collect(store)
        assert key not in store.objects


def test_sweeps(noted: Noted) -> None:
    """That there is one is all that it says."""
    for _, store in cases(noted, 40, paths.GC_SWEEPS):
        assert read_documents(store) == noted.expected
        assert collected(noted, store) == "collected"
        assert noted.stored(store) == noted.after


def test_refs_and_tombstones(noted: Noted) -> None:
    outcomes: Counter[str] = Counter()
    for key, store in cases(noted, 250, "refs/"):
        outcomes[collected(noted, store)] += 1
        if key == paths.branch_key("gone"):
            ds = zlake.Dataset(open_session(store, CONTEXT, None, None))
            with pytest.raises(ZlakeError):
                ds.restore_branch("gone")
            assert store.objects[key].value != noted.store.objects[key].value
            assert len(ds.dense) > 0
    assert set(outcomes) == {CollectionRefusedError.__name__}


def test_a_note_of_a_copy_that_was_cut_short() -> None:
    """The copy is gone on with, or refused; a dataset that is there then is the whole copy."""
    source = open_store("mem://noted-source")
    with small_limits():
        build(zlake.Dataset(create_session(source, CONTEXT, overwrite=False)))
    repository = Repository.open(source, CONTEXT)
    half = open_store("mem://noted-half")
    broken = FaultStore(half)
    broken.end(on("create", key="commits/"))
    with pytest.raises(ProcessEnded):
        clone(repository, broken)
    objects = {key: half.read(key) or b"" for key in half.list()}
    note = paths.copying_key()
    another = encode(Copying("b" * 26, "c" * 26, "clone", "", cleared=True))
    expected = read_documents(source)
    rng = random.Random(5)
    outcomes: Counter[str] = Counter()
    for n in range(times(100)):
        dest = open_store(f"mem://noted-copy-{n}")
        value = another if n % 20 == 0 else rng.choice(DAMAGES)(rng, objects[note])
        for key, data in objects.items():
            dest.create(key, value if key == note else data)
        outcomes[cloned(repository, dest)] += 1
        if is_dataset(dest):
            assert read_documents(dest) == expected
        assert cloned(repository, dest, overwrite=True) == "cloned"
        assert read_documents(dest) == expected
        assert note not in set(dest.list())
        dest.delete_prefix()
    print(dict(outcomes))
    assert outcomes["cloned"]
    source.delete_prefix()
    half.delete_prefix()


def cloned(repository: Repository, dest: Store, overwrite: bool = False) -> str:
    try:
        clone(repository, dest, overwrite=overwrite)
    except ZlakeError as error:
        return type(error).__name__
    return "cloned"
