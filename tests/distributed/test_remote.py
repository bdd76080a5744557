"""Ingests into S3 and GCS: credentials reach the workers and stand in nothing that travels; few requests."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

from servers.s3 import SECRET, TOKEN

import zlake
from tests.distributed.rows import SPAWN, check, create, write
from zlake.distributed import Plan, Receipt, begin, resume


def work(task: tuple[bytes, int]) -> bytes:
    plan, start = task
    found = Plan.from_bytes(plan)
    assert SECRET not in repr(found)
    return write(found, start, start + 3).to_bytes()


def test_processes(s3_bucket, s3_requests) -> None:
    ds = create(zlake.empty(s3_bucket.url, creds=s3_bucket.creds))
    with begin(ds) as ingest:
        plan = ingest.plan.to_bytes()
        for secret in (SECRET, TOKEN):
            assert secret.encode() not in plan
        with ProcessPoolExecutor(2, SPAWN) as pool:
            receipts = list(pool.map(work, [(plan, 10), (plan, 20)]))
        s3_requests.clear()
        ingest.commit(receipts)
    expected = [-1, 10, 11, 12, 20, 21, 22]
    check(ds, expected)
    check(zlake.load(s3_bucket.url, creds=s3_bucket.creds), expected)
    assert ds.verify()


def test_a_writer_writes_objects_and_asks_nothing(s3_bucket, s3_requests) -> None:
    ds = create(zlake.empty(s3_bucket.url, creds=s3_bucket.creds))
    ingest = begin(ds)
    plan = ingest.plan.to_bytes()
    s3_requests.clear()
    receipt = write(Plan.from_bytes(plan), 0, 3)
    assert {each.kind for each in s3_requests.requests} == {"put"}
    with resume(ds, plan) as again:
        again.commit([Receipt.from_bytes(receipt.to_bytes())])
    check(ds, [-1, 0, 1, 2])


def test_processes_on_gcs(gcs_bucket) -> None:
    ds = create(zlake.empty(gcs_bucket.url))
    with begin(ds) as ingest:
        plan = ingest.plan.to_bytes()
        with ProcessPoolExecutor(2, SPAWN) as pool:
            receipts = list(pool.map(work, [(plan, 10), (plan, 20)]))
        ingest.commit(receipts)
    check(zlake.load(gcs_bucket.url), [-1, 10, 11, 12, 20, 21, 22])
    assert ds.verify()
