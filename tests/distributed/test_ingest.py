"""An ingest that goes well: processes, kinds of tensors, other writers, order, sizes."""

from __future__ import annotations

import itertools
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zlake
from tests.distributed.rows import SPAWN, check, create, numbers, only_x, row, rows, values, work, write
from zlake.context import Context
from zlake.distributed import Plan, Receipt, begin
from zlake.errors import MemoryDatasetCanNotBePickledError, ReceiptError
from zlake.storage import open_store
from zlake.versions.lease import leases

_names = itertools.count()


def memory() -> str:
    return f"mem://ingest-{next(_names)}"


def test_processes(tmp_path: Path) -> None:
    ds = create(zlake.empty(tmp_path / "ds"))
    with begin(ds) as ingest:
        plan = ingest.plan.to_bytes()
        assert len(plan) < 3000
        with ProcessPoolExecutor(3, SPAWN) as pool:
            receipts = list(pool.map(work, [(plan, 10 * i, 10 * i + 7) for i in range(3)]))
        assert max(map(len, receipts)) < 3000
        assert len(ds) == len(zlake.load(tmp_path / "ds")) == 1
        commit = ingest.commit([receipts[i] for i in (2, 0, 1)], "three workers", author="me")
    expected = [-1, *range(20, 27), *range(7), *range(10, 17)]
    check(ds, expected)
    other = zlake.load(tmp_path / "ds")
    check(other, expected)
    assert other.commit_id == commit
    assert not other.has_head_changes
    assert other.get_commit_details(commit)["author"] == "me"
    assert [each["message"] for each in other.commits] == ["three workers", "the first row"]
    assert other.verify()
    assert not list((tmp_path / "ds").glob("leases/*/*"))
    names = other.label.info["class_names"]
    assert len(set(names)) == len(names)
    assert names[:2] == ["cat", "dog"]


def test_receipts_travel_and_say_what_they_hold() -> None:
    ds = create(zlake.empty(memory()))
    with begin(ds) as ingest:
        receipt = write(ingest.plan, 0, 5)
        again = Receipt.from_bytes(memoryview(receipt.to_bytes()))
        assert again == receipt
        assert again.rows == dict.fromkeys(("number", "ragged", "image", "text", "label", "steps"), 5)
        assert "number" in repr(again)
        assert ingest.plan.document.token not in repr(ingest.plan) + repr(ingest) + repr(receipt)
        ingest.commit([again])
    check(ds, [-1, 0, 1, 2, 3, 4])


def test_plan_travels_without_reading_anything(tmp_path: Path) -> None:
    ds = create(zlake.empty(tmp_path / "ds"))
    with begin(ds) as ingest:
        plan = Plan.from_bytes(ingest.plan.to_bytes())
        assert repr(plan) == f"<Plan for {tmp_path / 'ds'}, branch 'main'>"
        receipt = write(plan, 0, 3)
        assert Plan.from_bytes(plan.to_bytes()).document == plan.document
        ingest.commit([receipt])
    check(ds, [-1, 0, 1, 2])


def test_plans_and_receipts_pickle(tmp_path: Path) -> None:
    ds = create(zlake.empty(tmp_path / "ds"))
    with begin(ds) as ingest, ProcessPoolExecutor(1, SPAWN) as pool:
        receipt = pool.submit(write, ingest.plan, 0, 3).result()
        assert pickle.loads(pickle.dumps(receipt)) == receipt
        ingest.commit([receipt])
    check(ds, [-1, 0, 1, 2])
    with begin(only_x(memory())) as ingest, pytest.raises(MemoryDatasetCanNotBePickledError):
        pickle.dumps(ingest.plan)


def test_behind_what_others_commit_meanwhile() -> None:
    path = memory()
    ds = only_x(path, [0])
    other = zlake.load(path)
    with begin(ds) as ingest:
        receipt = numbers(ingest, [10, 11])
        other.extend({"x": [1, 2]})
        other.commit("others")
        other.extend({"x": [3]})  # staged: taken in, as by any commit
        ingest.commit([receipt, numbers(ingest, [12])], "ours")
    assert values(ds) == values(zlake.load(path)) == [0, 1, 2, 3, 10, 11, 12]
    assert ds.commits[0]["message"] == "ours"
    assert len(ds.commits) == 3


def test_what_the_dataset_has_not_flushed_is_there_too() -> None:
    path = memory()
    ds = only_x(path)
    with ds:
        ds.append({"x": 1})
        ingest = begin(ds)
        receipt = numbers(ingest, [3])
        ds.append({"x": 2})
        ingest.commit([receipt])
        ds.append({"x": 4})
    assert values(ds) == values(zlake.load(path)) == [1, 2, 3, 4]
    assert ds.has_head_changes


def test_another_branch_may_be_open_when_it_is_committed() -> None:
    ds = only_x(memory(), [0])
    with begin(ds) as ingest:
        receipt = numbers(ingest, [1])
        ds.checkout("side", create=True)
        ds.append({"x": 7})
        ingest.commit([receipt])
    assert (ds.branch, values(ds)) == ("side", [0, 7])
    assert ds.has_head_changes
    ds.checkout("main")
    assert values(ds) == [0, 1]


def test_at_a_past_commit_a_branch_is_made() -> None:
    path = memory()
    ds = only_x(path, [0])
    first = ds.commit_id
    ds.append({"x": 1})
    ds.commit("second")
    past = zlake.load(f"{path}@{first}")
    with begin(past) as ingest:
        ingest.commit([numbers(ingest, [5])])
    assert values(past) == [0, 5]
    assert past.branch.startswith("auto_")
    assert values(ds) == [0, 1]


def test_into_a_dataset_without_rows_or_commits() -> None:
    path = memory()
    ds = zlake.empty(path)
    ds.create_tensor("x")
    with begin(ds) as ingest:
        ingest.commit([numbers(ingest, [1, 2]), numbers(ingest, [3])], "first")
    assert values(zlake.load(path)) == [1, 2, 3]
    assert ds.x.dtype == np.int64
    assert [each["message"] for each in ds.commits] == ["first"]


def test_a_full_buffer_becomes_a_segment() -> None:
    path = memory()
    ds = only_x(path)
    with begin(ds) as ingest:
        plan = replace(ingest.plan, context=replace(Context(), flush_bytes=4096))
        with plan.writer() as writer:
            for i in range(1000):
                writer.append({"x": i})
            writer.extend({"x": range(1000, 1100)})
        assert writer.receipt.rows == {"x": 1100}
        segments = writer.receipt.document.tensors[0].segments
        assert len(segments) > 3
        assert max(entry.rows for entry in segments) <= 4096 // 24 + 101
        ingest.commit([writer.receipt])
    assert values(zlake.load(path)) == list(range(1100))
    assert ds.verify()


def test_many_receipts_make_pages() -> None:
    path = memory()
    ds = only_x(path)
    with begin(ds) as ingest:
        receipts = [numbers(ingest, [i, -i]) for i in range(300)]
        ingest.commit(receipts)
    assert values(zlake.load(path)) == [sign * i for i in range(300) for sign in (1, -1)]
    assert ds.verify()
    (diff,) = ds._session.head.snapshot.diff.tensors
    assert diff.appended.count == 600


def test_rows_whose_ids_do_not_count_up() -> None:
    """A writer that runs out of ids draws another run of them, perhaps within a segment."""
    ds = only_x(memory())
    with begin(ds) as ingest:
        starts = itertools.count(1 << 40, -(1 << 35))
        plan = replace(ingest.plan, context=replace(Context(), new_sample_ids=lambda: next(starts)))
        writer = plan.writer()
        with writer:
            writer.extend({"x": [1, 2]})
            writer._session.columns["x"]._id_left = 1
            writer.extend({"x": [3, 4, 5]})
        (entry,) = writer.receipt.document.tensors[0].segments
        assert entry.id_start == -1
        store, kept = ds._session.store, {}
        for key in list(store.list(f"segments/{entry.segment}/")):
            kept[key] = store.read(key) or b""
            store.delete(key)
        with pytest.raises(ReceiptError, match=r"receipt 0: .*nothing was committed"):
            ingest.commit([writer.receipt])
        store.create_many(kept.items())
        ingest.commit([writer.receipt, writer.receipt])
        assert ingest.commit([writer.receipt]) == ds.commit_id
    assert values(ds) == [1, 2, 3, 4, 5]
    assert ds.verify()


def test_class_names_of_all_workers_are_united() -> None:
    path = memory()
    ds = zlake.empty(path)
    ds.create_tensor("label", htype="class_label", class_names=["a"])
    ds.label.info["colour"] = "blue"
    ds.commit("begun")
    other = zlake.load(path)
    with begin(ds) as ingest:
        receipts = []
        for names in (["b", "c", "a"], ["c", "b", "d"], ["a", "a"], ["e", "c"]):
            with ingest.plan.writer() as writer:
                writer.extend({"label": names})
            receipts.append(writer.receipt)
        other.label.extend(["c", "x"])
        other.commit("other names")
        ingest.commit(receipts)
    assert [each["text"] for each in (ds.label[i].data() for i in range(len(ds)))] == [
        [name] for name in "cxbcacbdaaec"
    ]
    assert ds.label.info["class_names"] == ["a", "c", "x", "b", "d", "e"]
    assert ds.label.info["colour"] == "blue"
    assert ds.verify()


def test_many_class_names_lie_in_an_object() -> None:
    ds = zlake.empty(memory())
    names = [f"name {i}" for i in range(3000)]
    ds.create_tensor("label", htype="class_label", class_names=names)
    ds.commit("begun")
    with begin(ds) as ingest:
        with ingest.plan.writer() as writer:
            writer.extend({"label": ["name 2999", "new", 3]})
        assert len(writer.receipt.to_bytes()) < 2000
        ingest.commit([writer.receipt])
    assert ds.label.numpy().ravel().tolist() == [2999, 3000, 3]
    assert ds.label.info["class_names"] == [*names, "new"]


def test_rows_of_some_tensors() -> None:
    ds = only_x(memory(), [1])
    ds.create_tensor("y", dtype="int64")
    ds.create_tensor("hidden", dtype="int64", hidden=True)
    with begin(ds) as ingest:
        with ingest.plan.writer() as writer:
            writer.extend({"y": [10]}, skip_ok=True)
            writer.append({"x": 2, "y": 20})
            writer.append({"x": 3}, append_empty=True)
        assert writer.receipt.rows == {"x": 2, "y": 3}
        ingest.commit([writer.receipt])
    assert values(ds) == [1, 2, 3]
    assert [sample.tolist() for sample in ds.y.numpy(aslist=True)][:2] == [[10], [20]]


def test_an_ingest_keeps_one_lease_until_it_is_over() -> None:
    path = memory()
    ds = only_x(path)
    store = open_store(path)

    def held() -> int:
        return len(leases(store, 0.0))

    with begin(ds) as ingest:
        assert held() == 1
        numbers(ingest, [1])
        with begin(ds):
            assert held() == 2
        assert held() == 1
        ingest.commit([numbers(ingest, [2])])
        assert held() == 0
    ingest = begin(ds)
    ingest.abort()
    ingest.abort()
    assert held() == 0
    with pytest.raises(ZeroDivisionError), begin(ds):
        raise ZeroDivisionError
    assert held() == 0


def test_requests_are_few_and_do_not_grow_with_the_rows() -> None:
    counts = []
    for each in (1, 1000):
        ds = only_x(memory(), [0])
        from zlake.testing import FaultStore

        faulty = FaultStore(ds._session.store)
        ds._session.repository.store = ds._session.repository.objects.store = faulty
        with begin(ds) as ingest:
            receipts = [numbers(ingest, [i] * each) for i in range(4)]
            faulty.recorder.clear()
            ingest.commit(receipts)
        counts.append([(operation.name, operation.key.split("/")[0]) for operation in faulty.recorder])
    assert counts[0] == counts[1]
    kinds = [kind for kind in counts[0] if kind[1] != "leases"]
    assert kinds == [
        ("read_versioned", "refs"),
        *[("read", "segments")] * 4,
        ("create", "commits"),
        ("swap", "refs"),
    ]


def commit_for_ever(path: str, writer: int, said: Any) -> None:
    """Add a row and a class name with each commit, until it is told to stop."""
    ds = zlake.load(path)
    said.send(writer)
    done = 0
    while not said.poll():
        with ds:
            ds.append({"label": f"{writer} {done % 50}"})
            ds.commit(f"{writer}/{done}")
        done += 1
    said.send(done)


def test_among_writers_who_never_stop(tmp_path: Path) -> None:
    path = str(tmp_path / "ds")
    ds = zlake.empty(path)
    ds.create_tensor("label", htype="class_label")
    ds.commit("begun")
    with begin(ds) as ingest:
        receipts = []
        for i in range(60):
            with ingest.plan.writer() as writer:
                writer.extend({"label": [f"ours {i % 7}", f"ours {i % 11}"]})
            receipts.append(writer.receipt)
        pipes, children = [], []
        for number in range(3):
            ours, theirs = SPAWN.Pipe()
            pipes.append(ours)
            children.append(SPAWN.Process(target=commit_for_ever, args=(path, number, theirs), daemon=True))
            children[-1].start()
        assert [pipe.recv() for pipe in pipes] == [0, 1, 2]
        commit = ingest.commit(receipts, "ours")
        for pipe in pipes:
            pipe.send("stop")
        done = [pipe.recv() for pipe in pipes]
        for child in children:
            child.join()
            assert child.exitcode == 0
    found = zlake.load(path)
    assert len(found) == 120 + sum(done)
    names = [found.label[row].data()["text"][0] for row in range(len(found))]
    own = [name for name in names if name.startswith("ours")]
    assert own == [f"ours {i % n}" for i in range(60) for n in (7, 11)]
    start = names.index(own[0])
    assert names[start : start + 120] == own  # together
    for number in range(3):
        theirs = [name for name in names if name.startswith(f"{number} ")]
        assert theirs == [f"{number} {i % 50}" for i in range(done[number])]
    assert commit in [each["commit"] for each in found.commits]
    assert len(found.commits) == sum(done) + 2
    assert found.verify()


def test_samples_are_checked_as_by_the_dataset() -> None:
    ds = create(zlake.empty(memory()))
    with begin(ds) as ingest:
        with ingest.plan.writer() as writer:
            for bad in ({"number": 1}, {**row(1), "ragged": "text"}, {**row(1), "image": np.zeros(3)}):
                with pytest.raises(zlake.errors.SampleAppendError):
                    writer.append(bad)
            with pytest.raises(zlake.errors.TensorDoesNotExistError, match="nubmer"):
                writer.append({**row(1), "nubmer": 3})
            uneven = rows(0, 4)
            uneven["text"] = uneven["text"][1:]
            with pytest.raises(zlake.errors.SampleExtendError, match="different lengths"):
                writer.extend(uneven)
            writer.extend({**rows(0, 3), "number": [0, "x", 2]}, ignore_errors=True)
            writer.append(row(5))
        ingest.commit([writer.receipt])
    check(ds, [-1, 0, 2, 5])
