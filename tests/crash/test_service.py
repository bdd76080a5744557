"""Each conditional write of each change loses its answer on the way from a real service, behind a proxy.

Success is reported exactly when the change has landed; where nobody can know, that is what is said; a change is never
in conflict with itself, and never there twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from servers.proxy import Proxy
from servers.s3 import S3Server

from tests.crash.scenarios import SCENARIOS, create, few_rows, load
from tests.crash.service import Service, answer_lost, gone_after, gone_before, told_lost
from tests.crash.walk import Walk
from zlake.context import Context
from zlake.errors import DatasetExistsError, StorageError
from zlake.storage import tensorstore_store
from zlake.storage.probe import is_probe
from zlake.versions import safety

CHANGES = [
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
]
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


@pytest.mark.parametrize("name", CHANGES)
def test_every_conditional_write(service: Service, name: str) -> None:
    walk = Walk(SCENARIOS[name], service)
    print(f"{walk.all()} faults at {len(walk.steps)} conditional writes")


@pytest.mark.parametrize("mode", [answer_lost, told_lost, gone_after, gone_before])
def test_every_conditional_write_of_creating(service: Service, mode: Callable[[Proxy, int], None]) -> None:
    """The probe's writes among them, which are not the dataset's."""
    for n in count():
        with service.fresh({}) as (store, faulty, proxy):
            service.begin(proxy)
            mode(proxy, n)
            safety._probed.clear()
            error: Exception | None = None
            try:
                create(faulty, CONTEXT)
            except (StorageError, DatasetExistsError) as caught:
                error = caught
            wrote = [step.key.rpartition("/")[2] for step in service.steps(proxy)]
            service.heal(proxy)
            found = {key for key in store.list() if not is_probe(key)}
            assert found <= {"zarr.json", "refs/branches/main.json"}
            if error is None:
                assert len(found) == 2
            elif len(found) == 2:  # it is there, and nobody was told
                assert mode is gone_after
                assert wrote[n] == "main.json"
            if len(found) < 2:
                create(store, CONTEXT)
            few_rows(load(store))
            with service.looked_at(store) as copy:
                assert load(copy).verify(deep=True)
        if error is None and len(wrote) <= n:
            break
    assert n >= 5
