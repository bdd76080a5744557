"""Garbage and leases as users of a dataset meet them."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zlake
from zlake.context import Context
from zlake.errors import InvalidOperationError, ReadOnlyModeError
from zlake.session.opening import create_session, open_session
from zlake.storage import open_store
from zlake.versions.lease import leases


def filled(path: Any, **options: Any) -> zlake.Dataset:
    ds = zlake.empty(path, **options)
    ds.create_tensor("x", dtype="int64")
    for i in range(12):
        ds.append({"x": np.full(3, i)})
    ds.commit("twelve rows")
    return ds


def test_files(tmp_path: Path) -> None:
    ds = filled(tmp_path / "ds")
    before = {path for path in (tmp_path / "ds").rglob("*") if path.is_file()}
    report = ds.gc(dry_run=True, grace=timedelta(0))
    assert {path for path in (tmp_path / "ds").rglob("*") if path.is_file()} == before
    assert report.deleted.snapshots == 13
    report = ds.gc(grace=0)
    assert report.deleted.snapshots == 13
    files = {path for path in (tmp_path / "ds").rglob("*") if path.is_file()}
    assert len(files) == report.reachable.objects + 2  # the root and the branch
    folders = [path for path in (tmp_path / "ds/commits").iterdir()] + [*(tmp_path / "ds/segments").iterdir()]
    assert len(folders) == report.reachable.snapshots + report.reachable.segments  # no empty ones
    assert zlake.load(tmp_path / "ds").x.numpy()[:, 0].tolist() == list(range(12))
    report = ds.verify()
    assert report.ok
    assert report.unreachable == 0
    ds.append({"x": np.zeros(3, np.int64)})
    assert len(zlake.load(tmp_path / "ds")) == 13


def test_old_files_are_marked_then_deleted(tmp_path: Path) -> None:
    ds = filled(tmp_path / "ds")
    old = time.time() - 8 * 86_400

    def age() -> None:
        for path in (tmp_path / "ds").rglob("*.json"):
            os.utime(path, (old, old))

    age()
    for path in (tmp_path / "ds").rglob("c.*"):
        os.utime(path, (old, old))
    report = ds.gc()
    assert (report.marked.snapshots, report.deleted.snapshots) == (13, 0)
    assert ds.gc().waiting.snapshots == 13
    age()
    assert ds.gc().deleted.snapshots == 13
    assert zlake.load(tmp_path / "ds").x.numpy()[:, 0].tolist() == list(range(12))


@pytest.mark.parametrize("service", ["s3_bucket", "gcs_bucket"])
def test_buckets(service: str, request: pytest.FixtureRequest) -> None:
    bucket = request.getfixturevalue(service)
    url, creds = bucket.url, bucket.creds
    ds = filled(f"{url}/ds", creds=creds)
    assert ds.gc().young.snapshots == 13
    time.sleep(1.1)  # these tell times by the second
    assert ds.gc(grace=timedelta(seconds=1)).marked.snapshots == 13
    time.sleep(2.1)
    assert ds.gc(grace=timedelta(seconds=1)).deleted.snapshots == 13
    loaded = zlake.load(f"{url}/ds", creds=creds)
    assert loaded.x.numpy()[:, 0].tolist() == list(range(12))
    assert loaded.verify().unreachable == 0


def test_refusals(tmp_path: Path) -> None:
    filled(tmp_path / "ds")
    ds = zlake.load(tmp_path / "ds", read_only=True)
    with pytest.raises(ReadOnlyModeError, match="dry_run=True"):
        ds.gc()
    assert ds.gc(dry_run=True).young.snapshots == 13
    with pytest.raises(InvalidOperationError):
        zlake.load(tmp_path / "ds")[:3].gc()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_sessions_that_stay_open_for_days_hold_a_lease(tmp_path: Path) -> None:
    clock = Clock()
    context = replace(Context(durable=False), monotonic=clock)
    store = open_store(str(tmp_path / "ds"), context=context)
    session = create_session(store, context, overwrite=False)
    ds = zlake.Dataset(session)
    ds.create_tensor("x", dtype="int64")
    ds.append({"x": [1]})
    reading = open_session(store, context, None, True)
    pinned = session.pinned()

    def held() -> dict[str, str | None]:
        return {lease.id: lease.snapshot for lease in leases(store, time.time())}

    assert not held()
    clock.now += 43 * 3600
    ds.append({"x": [2]})
    assert list(held().values()) == [pinned.head.snapshot.id]  # where it stood when the change began
    assert zlake.Dataset(pinned).x.numpy().tolist() == [[1]]
    assert len(held()) == 2
    assert zlake.Dataset(reading).x.numpy().tolist() == [[1]]
    reading.refresh()
    assert len(held()) == 2  # who wants nothing written takes none
    clock.now += 43 * 3600
    ds.refresh()
    assert set(held().values()) == {pinned.head.snapshot.id, session.head.snapshot.id}
    ds.append({"x": [3]})
    ds.gc(grace=0)
    assert zlake.Dataset(pinned).x.numpy().tolist() == [[1]]
