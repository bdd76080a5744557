"""A session whose write failed goes on: nothing of it is lost, nothing doubled, nothing half there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import zlake
from tests.crash.scenarios import CONTEXT, load, row
from zlake.errors import (
    CommitStateUnknownError,
    SampleAppendError,
    StorageFullError,
    StorageUnavailableError,
    TensorDoesNotExistError,
    WriteStateUnknownError,
)
from zlake.session import append
from zlake.storage.store import Store
from zlake.testing import FaultStore, on

FULL = StorageFullError("no space is left")


@pytest.fixture
def faulty(store: Store) -> FaultStore:
    return FaultStore(store)


def labels(ds: zlake.Dataset) -> list[int]:
    """The first element of each row of x, which tells rows apart."""
    assert len({len(tensor) for tensor in ds.tensors.values()}) == 1
    return [int(x[0, 0]) for x in ds.x.numpy()]


def lose_answer(faulty: FaultStore) -> None:
    """Let the next swap land without an answer, and nobody read the branch afterwards."""
    faulty.fail(WriteStateUnknownError("no answer"), on("swap"), moment="after")
    faulty.fail(StorageUnavailableError("no answer"), on("read_versioned"), times=None)


def fill_block(ds: zlake.Dataset, *numbers: int) -> None:
    with ds:
        for number in numbers:
            ds.append(row(number))


def test_rows_of_a_block_that_failed_outlive_a_later_failure(store: Store, faulty: FaultStore) -> None:
    ds = load(faulty)
    faulty.fail(FULL, on("create"), times=None)
    with pytest.raises(StorageFullError):
        fill_block(ds, 10, 11)
    with pytest.raises(StorageFullError):
        ds.append(row(12))
    with pytest.raises(StorageFullError):
        fill_block(ds, 13)
    assert labels(ds) == [0, 1, 2, 3, 10, 11, 13]
    assert labels(load(store)) == [0, 1, 2, 3]
    faulty.faults.clear()
    ds.append(row(14))
    assert labels(ds) == labels(load(store)) == [0, 1, 2, 3, 10, 11, 13, 14]


def test_the_rows_of_a_block_are_written_before_the_next_change(store: Store, faulty: FaultStore) -> None:
    """So that a failure of the next change takes nothing along."""
    ds = load(faulty)
    faulty.fail(FULL, on("create"))
    with pytest.raises(StorageFullError):
        fill_block(ds, 10, 11)
    faulty.faults.clear()
    swaps = 0

    def second_swap(operation: Any) -> bool:
        nonlocal swaps
        swaps += operation.name == "swap"
        return bool(operation.name == "swap" and swaps == 2)

    faulty.fail(FULL, second_swap)
    with pytest.raises(StorageFullError):
        ds.append(row(12))
    assert labels(ds) == labels(load(store)) == [0, 1, 2, 3, 10, 11]


def test_pop_counts_rows_after_the_block_before_was_written(store: Store, faulty: FaultStore) -> None:
    ds = load(faulty)
    faulty.fail(FULL, on("create"))
    with pytest.raises(StorageFullError):
        fill_block(ds, 10)
    load(store).append(row(20))
    ds.pop()
    assert labels(load(store)) == [0, 1, 2, 3, 20]


def test_a_full_buffer_that_cannot_be_flushed_refuses_the_next_row_only(store: Store, faulty: FaultStore) -> None:
    ds = load(faulty, replace(CONTEXT, flush_bytes=1))
    with ds:
        ds.append(row(10))
        faulty.fail(FULL, on("create"), times=None)
        for _ in range(3):
            with pytest.raises(StorageFullError):
                ds.append(row(11))
        assert labels(ds) == [0, 1, 2, 3, 10]
        faulty.faults.clear()
        ds.append(row(11))
    assert labels(ds) == labels(load(store)) == [0, 1, 2, 3, 10, 11]


def test_rows_held_back_from_an_unclear_flush_are_written_once(store: Store, faulty: FaultStore) -> None:
    """A full buffer is flushed up to a chunk boundary; what lies behind it stays, also if the flush has landed."""
    ds = load(faulty, replace(CONTEXT, flush_bytes=2_600_000))
    ds.create_tensor("big", dtype="uint8")
    samples = [np.full((1000, 100), i, np.uint8) for i in range(30)]
    lose_answer(faulty)
    begun = len(faulty.recorder)
    with ds:
        for sample in samples[:26]:
            ds.big.append(sample)
        with pytest.raises(CommitStateUnknownError):
            ds.big.append(samples[26])
        with pytest.raises(CommitStateUnknownError):
            ds.big.append(samples[26])
        assert len(ds.big) == 26
        faulty.faults.clear()
        for sample in samples[26:]:
            ds.big.append(sample)
    assert faulty.recorder.count("swap") >= 2, begun
    for opened in (ds, load(store)):
        assert opened.big.numpy()[:, 0, 0].tolist() == list(range(30))
    assert load(store).verify(deep=True)


@pytest.mark.parametrize("others", ["nobody", "appends", "commits", "deletes"])
def test_a_block_whose_flush_is_unclear_can_be_flushed_again(store: Store, faulty: FaultStore, others: str) -> None:
    ds = load(faulty)
    lose_answer(faulty)
    with pytest.raises(CommitStateUnknownError):
        fill_block(ds, 10, 11)
    with pytest.raises(CommitStateUnknownError):
        ds.flush()
    with pytest.raises(CommitStateUnknownError):
        ds.append(row(12))
    faulty.faults.clear()
    expected = [0, 1, 2, 3, 10, 11]
    other = load(store)
    assert labels(other) == expected
    if others == "appends":
        other.append(row(20))
        expected.append(20)
    elif others == "commits":
        other.commit("takes in what is staged")
        other.append(row(20))
        expected.append(20)
    elif others == "deletes":
        other.pop(4)
        expected.remove(10)
    fill_block(ds, 12)
    assert labels(ds) == labels(load(store)) == [*expected, 12]
    assert load(store).verify(deep=True)


def test_a_flush_that_did_not_land_after_all_is_made(store: Store, faulty: FaultStore) -> None:
    ds = load(faulty)
    faulty.fail(WriteStateUnknownError("no answer"), on("swap"))
    faulty.fail(StorageUnavailableError("no answer"), on("read_versioned"), times=None)
    with pytest.raises(CommitStateUnknownError):
        fill_block(ds, 10, 11)
    faulty.faults.clear()
    ds.flush()
    assert labels(ds) == labels(load(store)) == [0, 1, 2, 3, 10, 11]


@pytest.mark.parametrize("others", [False, True])
def test_a_commit_whose_outcome_is_unclear_is_made_once(store: Store, faulty: FaultStore, others: bool) -> None:
    ds = load(faulty)
    lose_answer(faulty)
    with pytest.raises(CommitStateUnknownError) as caught:
        ds.commit("once")
    faulty.faults.clear()
    if others:
        load(store).append(row(20))
        load(store).commit("theirs")
    assert ds.commit("once") == caught.value.commit_id
    messages = [commit["message"] for commit in ds.commits]
    assert messages == (["theirs", "once", "three rows"] if others else ["once", "three rows"])
    assert labels(ds) == ([0, 1, 2, 3, 20] if others else [0, 1, 2, 3])
    with pytest.raises(zlake.errors.EmptyCommitError):
        ds.commit("again")


def test_after_an_unclear_call_outside_a_block_the_session_sees_what_landed(store: Store, faulty: FaultStore) -> None:
    ds = load(faulty)
    lose_answer(faulty)
    with pytest.raises(CommitStateUnknownError, match=r"refresh\(\)"):
        ds.append(row(10))
    faulty.faults.clear()
    ds.refresh()
    assert labels(ds) == [0, 1, 2, 3, 10]


def test_an_object_that_got_no_answer_leaves_no_doubt(faulty: FaultStore) -> None:
    """Nothing names the object yet, so the user need not look for anything."""
    ds = load(faulty)
    faulty.fail(WriteStateUnknownError("no answer"), on("create"), times=None)
    with pytest.raises(StorageUnavailableError, match="before anything was changed"):
        ds.append(row(10))
    with pytest.raises(StorageUnavailableError, match="before anything was changed"):
        ds.commit("nothing")
    assert labels(ds) == [0, 1, 2, 3]


# ---------------------------------------------------------------- interrupted calls


def interrupt(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let ctrl-C come in the middle of buffering: when that many tensors have their row."""
    buffer, left = append.buffer, after

    def interrupted(*args: Any, **kwargs: Any) -> None:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        buffer(*args, **kwargs)

    monkeypatch.setattr(append, "buffer", interrupted)


@pytest.mark.parametrize("then", ["append", "block", "flush", "commit", "refresh"])
def test_an_interrupted_call_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch, then: str) -> None:
    ds = load(store)
    interrupt(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        ds.append(row(10))
    monkeypatch.undo()
    if then == "append":
        ds.append(row(11))
    elif then == "block":
        fill_block(ds, 11)
    elif then == "flush":
        ds.flush()
    elif then == "commit":
        ds.commit("what was staged")
    else:
        ds.refresh()
    assert labels(ds) == labels(load(store)) == [0, 1, 2, 3, *([11] if then in ("append", "block") else [])]


@pytest.mark.parametrize("options", [{"progressbar": True}, {"ignore_errors": True}, {}])
def test_an_interrupted_extend_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, options: dict[str, bool]
) -> None:
    ds = load(store)
    interrupt(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        ds.extend({name: [value] * 3000 for name, value in row(1).items()}, **options)
    monkeypatch.undo()
    ds.append(row(11))
    assert labels(ds) == labels(load(store)) == [0, 1, 2, 3, 11]


def test_rows_of_different_tensors_never_shift_against_each_other(store: Store) -> None:
    ds = load(store)
    with ds:
        ds.append(row(10))
        ds.x.append(np.full((2, 2), 99, np.int32))
        with pytest.raises(SampleAppendError, match="different lengths"):
            ds.append(row(11))
    with ds, pytest.raises(SampleAppendError, match="different lengths"):
        ds.append(row(11))
    ds.x.pop()
    with ds:
        ds.append(row(11))
        ds.append(row(12))
    assert labels(load(store)) == [0, 1, 2, 3, 10, 11, 12]


# ---------------------------------------------------------------- stale handles


def test_a_deleted_tensor_takes_no_rows(store: Store) -> None:
    ds = load(store)
    x, other = ds.x, load(store)
    other_x = other.x
    ds.delete_tensor("x")
    for change in (
        lambda: x.append(np.zeros((2, 2), np.int32)),
        lambda: x.extend(np.zeros((1, 2, 2), np.int32)),
        lambda: x.__setitem__(0, np.zeros((2, 2), np.int32)),
        lambda: x.__setitem__((0, 0), 1),
        x.pop,
        x.clear,
        lambda: x.info.update(key="value"),
    ):
        with pytest.raises(TensorDoesNotExistError, match="'x' was deleted"):
            change()
    other.refresh()
    with pytest.raises(TensorDoesNotExistError, match="'x' was deleted"):
        other_x.append(np.zeros((2, 2), np.int32))


def test_what_was_flushed_counts_even_if_more_cannot_be_read(store: Store, faulty: FaultStore) -> None:
    """Another writer's large class names are not needed to know that our rows have landed."""
    ds = load(faulty)
    load(store).create_tensor("many", htype="class_label", class_names=[f"class {i}" for i in range(2000)])
    infos = {key for key in store.list("pages/")}
    faulty.fail(StorageUnavailableError("gone"), lambda operation: operation.key in infos, times=None)
    ds.x.append(np.full((2, 2), 10, np.int32))
    assert len(load(store).x) == len(ds.x) == 5


@pytest.mark.parametrize("change", ["append", "extend", "extend what fits", "update"])
def test_class_names_that_cannot_be_read_are_no_fault_of_a_sample(
    store: Store, faulty: FaultStore, change: str
) -> None:
    """Nor is a row left out that fits."""
    first = load(store)
    first.create_tensor("many", htype="class_label", class_names=[f"class {i}" for i in range(2000)])
    infos = set(store.list("pages/"))
    first.many.append("class 3")
    many = load(faulty).many
    changes = {
        "append": lambda: many.append("class 7"),
        "extend": lambda: many.extend(["class 7"]),
        "extend what fits": lambda: many.extend(["class 7"], ignore_errors=True),
        "update": lambda: many.__setitem__(0, "class 7"),
    }
    faulty.fail(StorageUnavailableError("gone"), lambda operation: operation.key in infos)
    with pytest.raises(StorageUnavailableError, match="gone"):
        changes[change]()
    changes[change]()
    expected = [7] if change == "update" else [3, 7]
    assert many.numpy().reshape(-1).tolist() == load(store).many.numpy().reshape(-1).tolist() == expected
