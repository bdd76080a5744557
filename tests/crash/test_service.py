"""Each conditional write of each change loses its answer on the way from a real service, behind a proxy.

Success is reported exactly when the change has landed; where nobody can know, that is what is said; a change is never
in conflict with itself, and never there twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from servers.proxy import Proxy
from servers.s3 import S3Server

import zlake
from tests.crash.scenarios import create, everything, few_rows, load
from tests.crash.service import Service, answer_lost, gone_after, gone_before, told_lost
from tests.crash.surroundings import CHANGES, SURROUNDINGS, cases
from tests.crash.walk import Walk, fresh
from zlake.context import Context
from zlake.errors import CommitStateUnknownError, DatasetExistsError, StorageError
from zlake.session import copying, exchange
from zlake.storage import tensorstore_store
from zlake.storage.probe import is_probe
from zlake.storage.store import Store
from zlake.versions import safety
from zlake.versions.bring import How
from zlake.versions.clone import clone

SOME = [
    "create_tensor",
    "append",
    "coalesce",
    "update",
    "pop",
    "tensor_info",
    "rename_tensor",
    "delete_tensor",
    "commit",
    "commit_with_history_page",
    "commit_behind_others",
    "branch",
    "branch_again",
    "delete_branch",
    "restore_branch",
    "tag",
    "delete_tag",
    "reset",
    "merge_forward",
    "merge",
    "cherry_pick",
    "revert",
    "rebase",
    "optimize",
    "optimize_staged",
    "pull",
    "push_again",
    "gc",
    "gc_sweep",
]
pytestmark = pytest.mark.timeout(600)
MODES = [answer_lost, told_lost, gone_after, gone_before]
FEW_RETRIES = {"max_retries": 1, "initial_delay": "5ms", "max_delay": "10ms"}
CONTEXT = Context(threads=2, reads_in_flight=19)
"""A context that nobody else has, so that TensorStore makes one with the few retries."""


@pytest.fixture(scope="module")
def proxy(s3_server: S3Server) -> Iterator[Proxy]:
    proxy = Proxy(s3_server.endpoint)
    yield proxy
    proxy.close()


@pytest.fixture
def service(proxy: Proxy, s3_bucket: Any, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setattr(tensorstore_store, "_RETRIES", FEW_RETRIES)
    service = Service(proxy, s3_bucket.url, s3_bucket.creds, CONTEXT)
    safety.check_writable(service.direct)
    return service


@pytest.mark.parametrize(("name", "surroundings"), cases(SOME))
def test_every_conditional_write(service: Service, name: str, surroundings: str) -> None:
    with SURROUNDINGS[surroundings].around(CHANGES[name]) as scenario:
        walk = Walk(scenario, service)
        print(f"{walk.all()} faults at {len(walk.steps)} conditional writes")


@dataclass(frozen=True)
class Attempt:
    """A call of which one conditional write went wrong, and what came of it.

    Attributes
    ----------
    n
        Which write, if there are so many.
    error
        What the call raised.
    wrote
        Names of all objects that it wrote conditionally.
    store
        Where, once all is well again.
    """

    n: int
    error: Exception | None
    wrote: list[str]
    store: Store


def attempts(
    service: Service,
    mode: Callable[[Proxy, int], None],
    act: Callable[[Store], object],
    expected: tuple[type[Exception], ...],
) -> Iterator[Attempt]:
    """Let the first conditional write of a call go wrong, then the second, and so on until none is left."""
    for n in count():
        with service.fresh({}) as (store, faulty, proxy):
            service.begin(proxy)
            mode(proxy, n)
            safety._probed.clear()
            error: Exception | None = None
            try:
                act(faulty)
            except expected as caught:
                error = caught
            wrote = [step.key.rpartition("/")[2] for step in service.steps(proxy)]
            service.heal(proxy)
            yield Attempt(n, error, wrote, store)
        if error is None and len(wrote) <= n:
            return


@pytest.mark.parametrize("mode", MODES)
def test_every_conditional_write_of_creating(service: Service, mode: Callable[[Proxy, int], None]) -> None:
    """The probe's writes among them, which are not the dataset's."""
    expected = (StorageError, DatasetExistsError)
    for attempt in attempts(service, mode, lambda store: create(store, CONTEXT), expected):
        store = attempt.store
        found = {key for key in store.list() if not is_probe(key)}
        assert found <= {"zarr.json", "refs/branches/main.json"}
        if attempt.error is None:
            assert len(found) == 2
        elif len(found) == 2:  # it is there, and nobody was told
            assert mode is gone_after
            assert attempt.wrote[attempt.n] == "main.json"
        if len(found) < 2:
            create(store, CONTEXT)
        few_rows(load(store))
        with service.looked_at(store) as copy:
            assert load(copy).verify(deep=True)
    assert attempt.n >= 5


@pytest.mark.parametrize(
    ("kind", "mode"), [*((kind, mode) for kind in ("copy", "deepcopy") for mode in MODES), ("push", gone_after)]
)
def test_every_conditional_write_of_a_copy(service: Service, mode: Callable[[Proxy, int], None], kind: str) -> None:
    """The root is written last: who sees a dataset sees all of it, and a call that was cut short is gone on with."""
    with fresh({}) as source:
        ds = small(source)
        with fresh({}) as dest:
            COPIES[kind](ds, dest)
            goal = everything(dest)
        expected = (StorageError, CommitStateUnknownError)
        for attempt in attempts(service, mode, lambda store: COPIES[kind](ds, store), expected):
            with service.looked_at(attempt.store) as found:
                there = "zarr.json" in found.list()
                assert not there or everything(found) == goal
            assert there or attempt.error is not None, "acknowledged, but not there"
            try:
                COPIES[kind](ds, attempt.store)
            except DatasetExistsError:
                assert there
            with service.looked_at(attempt.store) as found:
                assert everything(found) == goal
                report = load(found).verify(deep=True)
                assert report, report
        print(f"{attempt.n} conditional writes")
        assert attempt.n >= 6


def small(store: Store) -> zlake.Dataset:
    """A commit of one row, a tag, and a staged row."""
    ds = create(store)
    ds.create_tensor("x", dtype="int32")
    ds.x.append(1)
    ds.commit("first")
    ds.tag("v1")
    ds.x.append(2)
    return ds


def copy(ds: zlake.Dataset, dest: Store) -> None:
    part = copying.Part(tuple(ds.tensors), ds._group, ds._rows, everything=True)
    copying.copy(ds._session.pinned(), part, dest, CONTEXT, overwrite=False, single_writer=False, how=ONE)


def deepcopy(ds: zlake.Dataset, dest: Store) -> None:
    clone(ds._session.repository, dest, how=ONE)


def push(ds: zlake.Dataset, dest: Store) -> None:
    """A push that makes a clone."""
    exchange.push(ds._session, dest, CONTEXT, "main", None, force=False, tags=True, how=ONE, single_writer=False)


ONE = How(workers=1)
COPIES = {"copy": copy, "deepcopy": deepcopy, "push": push}
