"""Workers that are killed, and coordinators that end, or are not answered, at any storage operation."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

import zlake
from tests.crash.scenarios import CONTEXT, create, everything, load
from tests.crash.scenarios import Scenario as Change
from tests.crash.walk import Memory, Walk, fresh, modes, objects_of
from tests.distributed.rows import SPAWN, check, numbers, row, rows, values, write
from tests.distributed.rows import create as create_kinds
from zlake.distributed import Plan, Receipt, begin, resume
from zlake.errors import (
    CommitStateUnknownError,
    LeaseLapsedError,
    StorageError,
    StorageUnavailableError,
    WriteStateUnknownError,
)
from zlake.storage.store import Store
from zlake.testing import FaultStore, ProcessEnded, on


def be_killed(plan: bytes, at: int) -> None:
    """Write rows, and be killed at one of the writes."""
    found = Plan.from_bytes(plan)
    faulty = FaultStore(found.store)
    faulty.kill(lambda operation: operation.name == "create" and operation.index == at)
    write(Plan(found.document, faulty, found.context), 100, 105)
    raise AssertionError("not killed")


def test_workers_that_are_killed(tmp_path: Path) -> None:
    ds = create_kinds(zlake.empty(tmp_path / "ds"))
    with begin(ds) as ingest:
        plan = ingest.plan.to_bytes()
        children = [SPAWN.Process(target=be_killed, args=(plan, at)) for at in (0, 3, 7)]
        for child in children:
            child.start()
        receipts = [write(Plan.from_bytes(plan), 10 * i, 10 * i + 3) for i in range(2)]
        for child in children:
            child.join()
            assert child.exitcode == -signal.SIGKILL
        assert len(zlake.load(tmp_path / "ds")) == 1
        ingest.commit(receipts)
    expected = [-1, 0, 1, 2, 10, 11, 12]
    check(ds, expected)
    report = ds.verify()
    assert report
    assert report.unreachable  # what they have left
    ds.gc(grace=0)
    assert ds.verify().unreachable == 0
    check(zlake.load(tmp_path / "ds"), expected)


def end_before_committing(path: str, pipe: Any) -> None:
    """A coordinator that is killed when it has all receipts."""
    ds = zlake.load(path)
    ingest = begin(ds)
    plan = ingest.plan.to_bytes()
    pipe.send((plan, [write(Plan.from_bytes(plan), 10 * i, 10 * i + 3).to_bytes() for i in range(2)]))
    pipe.close()
    os.kill(os.getpid(), signal.SIGKILL)


def test_another_process_goes_on(tmp_path: Path) -> None:
    path = str(tmp_path / "ds")
    ds = create_kinds(zlake.empty(path))
    ours, theirs = SPAWN.Pipe(duplex=False)
    child = SPAWN.Process(target=end_before_committing, args=(path, theirs))
    child.start()
    theirs.close()
    plan, receipts = ours.recv()
    child.join()
    ds.gc(grace=0)  # its lease holds
    with resume(ds, plan) as ingest:
        commit = ingest.commit([receipts[1], write(ingest.plan, 20, 22)])
    with resume(ds, plan) as ingest:
        assert ingest.commit(receipts[1:]) == commit
    with resume(ds, plan) as ingest, pytest.raises(LeaseLapsedError):  # it was released with the commit
        ingest.commit(receipts)
    check(zlake.load(path), [-1, 10, 11, 12, 20, 21])
    assert ds.verify()


# ---------------------------------------------------------------- every operation


def ingest_some(ds: zlake.Dataset) -> None:
    with begin(ds) as ingest:
        receipts = []
        for start in (0, 10):
            with ingest.plan.writer() as writer:
                writer.extend({name: made for name, made in rows(start, start + 2).items() if name in ds.tensors})
            receipts.append(writer.receipt)
        ingest.commit(receipts, "ingested")


def three_tensors(ds: zlake.Dataset) -> None:
    ds.create_tensor("number", dtype="int64")
    ds.create_tensor("text", htype="text")
    ds.create_tensor("label", htype="class_label")
    ds.append({name: row(-1)[name] for name in ds.tensors})
    ds.commit("begun")
    ds.append({name: row(-2)[name] for name in ds.tensors})


def others_append(ds: zlake.Dataset) -> None:
    ds.append({name: row(-3)[name] for name in ds.tensors})


@pytest.mark.parametrize("behind", [None, others_append])
def test_every_operation_of_an_ingest(behind: Any) -> None:
    """All of it, as one change: begun again after any error."""
    walk = Walk(Change(three_tensors, ingest_some, behind=behind), Memory())
    print(f"{walk.all()} faults at {len(walk.steps)} operations")


class Prepared:
    """An ingest whose workers are done, and others who have committed meanwhile."""

    def __init__(self) -> None:
        with fresh({}) as store:
            ds = create(store)
            three_tensors(ds)
            ingest = begin(ds)
            self.plan = ingest.plan
            self.receipts = []
            for start in (0, 10, 20):
                with ingest.plan.writer() as writer:
                    writer.extend({name: made for name, made in rows(start, start + 2).items() if name in ds.tensors})
                self.receipts.append(writer.receipt.to_bytes())
            other = load(store)
            others_append(other)
            other.commit("others")
            self.start = objects_of(store)
        with fresh(self.start) as store:
            self.before = everything(store)
            faulty = FaultStore(store)
            self.commit(faulty)
            self.steps = list(faulty.recorder)
            self.after = everything(store)

    def commit(self, store: Store) -> None:
        with resume(load(store), self.plan) as ingest:
            ingest.commit(self.receipts, "ingested")


def test_every_operation_of_a_commit() -> None:
    """The same receipts can be committed again, here or by another process, and are there once."""
    prepared = Prepared()
    done = 0
    for n, step in enumerate(prepared.steps):
        for mode in modes(step):
            for same in (True, False):
                with fresh(prepared.start) as store:
                    try:
                        fault(prepared, store, n, mode, same)
                    except BaseException as error:
                        error.add_note(f"operation {n} of {len(prepared.steps)}, {mode.__name__}, {same}: {step}")
                        raise
                    done += 1
    print(f"{done} faults at {len(prepared.steps)} operations")


def fault(prepared: Prepared, store: Store, n: int, mode: Any, same: bool) -> None:
    faulty = FaultStore(store)
    ds, ingest, error = None, None, None
    mode(faulty, n)
    try:
        ds = load(faulty)
        ingest = resume(ds, prepared.plan)
        with ingest:
            ingest.commit(prepared.receipts, "ingested")
    except (StorageError, CommitStateUnknownError, ProcessEnded) as caught:
        error = caught
    found = everything(store)
    assert found in (prepared.before, prepared.after)
    assert load(store).verify(deep=True)
    if error is None:
        assert found == prepared.after
    elif not isinstance(error, (CommitStateUnknownError, ProcessEnded)):
        assert found == prepared.before
    faulty.faults.clear()
    if not same or ingest is None or ds is None or isinstance(error, ProcessEnded):
        if ingest is None or ingest._over != "this ingest was aborted":
            prepared.commit(store)
    elif isinstance(error, CommitStateUnknownError):
        ingest.commit(prepared.receipts, "ingested")
    else:
        return
    if ingest is None or ingest._over != "this ingest was aborted":
        assert everything(store) == prepared.after
        assert load(store).verify(deep=True)


def test_every_operation_of_a_worker() -> None:
    """A writer that was refused goes on; one that ended leaves nothing that anybody sees."""
    with fresh({}) as store:
        ds = create(store)
        three_tensors(ds)
        ingest = begin(ds)
        start, before = objects_of(store), everything(store)
        faulty = FaultStore(store)
        written(ingest.plan, faulty)
        steps = list(faulty.recorder)
        assert {step.name for step in steps} == {"create"}
    for n, step in enumerate(steps):
        for mode in modes(step):
            with fresh(start) as store:
                faulty = FaultStore(store)
                mode(faulty, n)
                receipt = written(ingest.plan, faulty)
                assert everything(store) == before
                if receipt is None:
                    receipt = written(ingest.plan, store)
                with resume(load(store), ingest.plan) as again:
                    again.commit([receipt, receipt])
                ds = load(store)
                assert ds.number.numpy().ravel().tolist() == [-1, -2, 0, 1, 2]
                assert ds.text.text() == [row(number)["text"] for number in (-1, -2, 0, 1, 2)]
                assert ds.verify()


def written(plan: Plan, store: Store) -> Receipt | None:
    """Write rows, and close the writer again where it is told to; None if the process ended."""
    writer = Plan(plan.document, store, plan.context).writer()
    try:
        with writer:
            writer.extend({name: made for name, made in rows(0, 3).items() if name in ("number", "text", "label")})
    except StorageError:
        store.faults.clear()  # type: ignore[attr-defined]
        writer.close()
    except ProcessEnded:
        return None
    return writer.receipt


# ---------------------------------------------------------------- lost answers


def test_a_commit_that_was_not_answered_is_found_again() -> None:
    with fresh({}) as store:
        three_tensors(create(store))
        faulty = FaultStore(store)
        ds = load(faulty, CONTEXT)
        ds.create_tensor("x", dtype="int64")
        with begin(ds) as ingest:
            receipts = [numbers_of_x(ingest, [i]) for i in range(3)]
            faulty.recorder.clear()
            faulty.fail(WriteStateUnknownError("no answer"), on("swap"), moment="after")
            faulty.fail(StorageUnavailableError("gone"), swapped(faulty), times=None)
            with pytest.raises(CommitStateUnknownError, match="commit the same receipts again"):
                ingest.commit(receipts)
            faulty.faults.clear()
            other = load(store)
            other.append({"number": 7, "text": "", "label": "cat"}, skip_ok=True)
            other.commit("others")
            commit = ingest.commit(receipts)
        assert values(load(store)) == [0, 1, 2]
        assert [each["commit"] for each in load(store).commits][1] == commit


def swapped(store: FaultStore) -> Any:
    """Match what comes after a swap."""
    return lambda operation: operation.name != "swap" and any(each.name == "swap" for each in store.recorder)


def numbers_of_x(ingest: Any, made: list[int]) -> Receipt:
    with ingest.plan.writer() as writer:
        writer.extend({"x": made}, skip_ok=True)
    return writer.receipt


@pytest.mark.parametrize("both", [False, True])
def test_two_processes_commit_the_same_receipts(both: bool) -> None:
    """Whoever loses the swap finds rows there, and commits the others; or is told the commit of all."""
    with fresh({}) as store:
        ds = create(store)
        ds.create_tensor("x", dtype="int64")
        ds.commit("begun")
        ingest = begin(ds)
        receipts = [numbers(ingest, [1]), numbers(ingest, [2])]
        repository, other = ds._session.repository, load(store)
        commit, commits = repository.commit, []

        def late(*args: Any, **options: Any) -> Any:
            repository.commit = commit  # type: ignore[method-assign]
            with resume(other, ingest.plan) as second:
                commits.append(second.commit(receipts[: 1 + both]))
            return commit(*args, **options)

        repository.commit = late  # type: ignore[method-assign]
        made = ingest.commit(receipts)
        assert values(ds) == values(load(store)) == [1, 2]
        assert (made == commits[0]) is both
        assert [each["commit"] for each in ds.commits][:-1] == ([made] if both else [made, commits[0]])
        assert ingest.commit(receipts) == made
        assert load(store).verify()
