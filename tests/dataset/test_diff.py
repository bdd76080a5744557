"""Versions compared through the face: text, dictionaries, rows, and what is refused."""

from __future__ import annotations

from collections import OrderedDict
from itertools import count
from random import Random
from typing import Any

import numpy as np
import pytest

import zlake
from tests.scale import times
from zlake.errors import (
    DiffError,
    InvalidOperationError,
    RefNotFoundError,
    TensorDoesNotExistError,
    TensorModifiedError,
)

_names = count()


@pytest.fixture
def ds() -> Any:
    made = zlake.empty(f"mem://diff-{next(_names)}")
    made.create_tensor("x")
    made.create_tensor("t", htype="text")
    made.extend({"x": np.arange(10), "t": [f"t{i}" for i in range(10)]})
    made.commit("start", author="ann")
    return made


UNTOUCHED = {
    "created": False,
    "cleared": False,
    "info_updated": False,
    "data_added": [10, 10],
    "data_updated": set(),
    "data_deleted": set(),
    "data_transformed_in_place": False,
}


# ---------------------------------------------------------------- dictionaries


def test_nothing_staged_is_an_entry_that_says_nothing(ds: Any) -> None:
    found = ds.diff(as_dict=True)
    assert found == {
        "dataset": [
            {
                "commit_id": None,
                "author": None,
                "message": None,
                "date": None,
                "info_updated": False,
                "renamed": OrderedDict(),
                "deleted": [],
            }
        ],
        "tensors": [{"commit_id": None}],
    }


def test_the_present_state_against_the_commit_before_it(ds: Any) -> None:
    ds.x[3] = 33
    ds.pop(5)
    ds.append({"x": 7, "t": "new"})
    ds.append({"x": 8, "t": "newer"})
    ds.info["a"] = 1
    ds.x.info["b"] = 2
    ds.rename_tensor("t", "text")
    ds.create_tensor("y").extend(np.arange(3))
    found = ds.diff(as_dict=True)
    assert set(found) == {"dataset", "tensors"}
    assert found["tensor"] is found["tensors"]
    with pytest.raises(KeyError):
        found["tensorz"]
    (dataset,), (tensors,) = found["dataset"], found["tensors"]
    assert dataset == {
        "commit_id": ds.pending_commit_id,
        "author": None,
        "message": None,
        "date": None,
        "info_updated": True,
        "renamed": OrderedDict(t="text"),
        "deleted": [],
    }
    changed = {**UNTOUCHED, "data_added": [9, 11], "data_deleted": {5}}
    assert tensors == {
        "commit_id": ds.pending_commit_id,
        "x": {**changed, "info_updated": True, "data_updated": {3}},
        "text": changed,
        "y": {**UNTOUCHED, "created": True, "data_added": [0, 3]},
    }


def test_buffered_rows_belong_to_the_present_state(ds: Any) -> None:
    with ds:
        ds.x.append(10)
        assert ds.diff(as_dict=True)["tensors"][0]["x"]["data_added"] == [10, 11]


def test_deleted_and_cleared_tensors(ds: Any) -> None:
    ds.delete_tensor("t")
    ds.x.clear()
    ds.x.extend(np.arange(2))
    found = ds.diff(as_dict=True)
    assert found["dataset"][0]["deleted"] == ["t"]
    assert found["tensors"] == [
        {"commit_id": ds.pending_commit_id, "x": {**UNTOUCHED, "cleared": True, "data_added": [0, 2]}}
    ]


def test_each_commit_down_to_the_one_that_both_follow(ds: Any) -> None:
    base = ds.commit_id
    ds.checkout("side", create=True)
    ds.x.append(100)
    side_1 = ds.commit("side one", author="ben")
    ds.x[0] = 9
    side_2 = ds.commit("side two", author="ben")
    ds.checkout("main")
    ds.x.pop(9)
    main_1 = ds.commit("main one", author="ann")
    ds.x.append(5)

    here, there = ds.diff("side", as_dict=True)["dataset"]
    assert [entry["commit_id"] for entry in here] == [ds.pending_commit_id, main_1]
    assert [entry["commit_id"] for entry in there] == [side_2, side_1]
    assert [(entry["author"], entry["message"]) for entry in there] == [("ben", "side two"), ("ben", "side one")]
    assert here[0]["author"] is None
    assert here[1]["date"] == ds.commits[0]["time"]
    here, there = ds.diff("side", as_dict=True)["tensors"]
    assert here[0]["x"]["data_added"] == [9, 10]
    assert here[1]["x"] == {**UNTOUCHED, "data_added": [9, 9], "data_deleted": {9}}
    assert there[0]["x"] == {**UNTOUCHED, "data_added": [11, 11], "data_updated": {0}}
    assert there[1]["x"] == {**UNTOUCHED, "data_added": [10, 11]}

    one, two = ds.diff("side", main_1, as_dict=True)["dataset"]
    assert [entry["commit_id"] for entry in one] == [side_2, side_1]
    assert [entry["commit_id"] for entry in two] == [main_1]
    assert ds.diff(base, base, as_dict=True) == {"dataset": ([], []), "tensors": ([], [])}
    one, two = ds.diff(side_1, base, as_dict=True)["dataset"]
    assert ([entry["commit_id"] for entry in one], two) == ([side_1], [])


def test_long_histories_list_every_commit_once(ds: Any) -> None:
    made = []
    for i in range(100):
        ds.x.append(i)
        made.append(ds.commit(str(i)))
    here, there = ds.diff(made[0], as_dict=True)["dataset"]
    assert [entry["commit_id"] for entry in here] == made[:0:-1]
    assert there == []
    here, there = ds.diff(made[0], as_dict=True)["tensors"]
    assert [entry["x"]["data_added"] for entry in here] == [[i, i + 1] for i in range(109, 10, -1)]
    assert "and 83 before these" in str(ds.diff(made[0]))


def test_a_past_commit_is_compared_with_the_one_before_it(ds: Any) -> None:
    ds.x[2] = 5
    second = ds.commit("second")
    ds.x.append(1)
    ds.commit("third")
    ds.checkout(second)
    (entry,) = ds.diff(as_dict=True)["tensors"]
    assert (entry["commit_id"], entry["x"]["data_updated"]) == (second, {2})
    assert [(row.row_before, row.row_after) for row in ds.diff().rows("x")] == [(2, 2)]


def test_the_first_commit_is_compared_with_nothing(ds: Any, capsys: Any) -> None:
    ds.checkout(ds.commit_id)
    found = ds.diff()
    assert capsys.readouterr().out == f"{found}\n"
    assert str(found).splitlines() == [
        "Diff of nothing",
        f"     to commit {ds.commit_id}",
        "",
        "  x  created, 10 rows",
        "  t  created, 10 rows",
    ]
    assert [row.after for row in found.rows("x")] == list(range(10))


# ---------------------------------------------------------------- rows


def test_rows_come_with_their_samples(ds: Any) -> None:
    before = ds.commit_id
    ids = ds.x.ids().tolist()
    ds.x[3] = 33
    ds.t[3] = "changed"
    ds.pop(5)
    ds.append({"x": 7, "t": "new"})
    found = ds.diff(before)
    rows = list(found.rows("x"))
    assert [tuple(row) for row in rows] == [
        (ids[5], "removed", 5, None),
        (ids[3], "updated", 3, 3),
        (int(ds.x.ids()[9]), "added", None, 9),
    ]
    assert [(row.before, row.after) for row in rows] == [(5, None), (3, 33), (None, 7)]
    assert {row.tensor for row in rows} == {"x"}
    everything = [(row.tensor, row.change) for row in found.rows()]
    assert everything == [(name, change) for name in "xt" for change in ("removed", "updated", "added")]
    assert [row.after for row in found.rows("t")][1:] == ["changed", "new"]
    assert repr(rows[1]) == f"ChangedRow(tensor='x', sample_id={ids[3]}, change='updated', row_before=3, row_after=3)"


def test_the_other_way_round_added_is_removed(ds: Any) -> None:
    before = ds.commit_id
    ds.x.append(7)
    assert [(r.change, r.before, r.after) for r in ds.diff("main", before).rows()] == [("removed", 7, None)]
    assert [(r.change, r.before, r.after) for r in ds.diff(before, "main").rows()] == [("added", None, 7)]


def test_tensors_that_one_version_does_not_have(ds: Any) -> None:
    before = ds.commit_id
    ds.delete_tensor("t")
    ds.create_tensor("t").extend(np.arange(2))  # the name of another tensor
    ds.rename_tensor("x", "y")
    ds.y[0] = 5
    found = ds.diff(before)
    assert found.tensors == ["y", "t"]
    assert [row.change for row in found.rows("t")] == ["added"] * 2 + ["removed"] * 10
    assert [row.before for row in found.rows("t")][2:] == [f"t{i}" for i in range(10)]
    assert [tuple(r)[1:] for r in found.rows("x")] == [tuple(r)[1:] for r in found.rows("y")] == [("updated", 0, 0)]
    assert [row.tensor for row in found.rows("x")] == ["y"]


def test_samples_of_any_kind(ds: Any) -> None:
    rng = np.random.default_rng(5)
    before = ds.commit_id
    ds.create_tensor("image", htype="image", sample_compression="png")
    ds.create_tensor("boxes", htype="sequence[bbox]")
    ds.create_tensor("notes", htype="json")
    images = [rng.integers(0, 255, (8, 5 + i, 3), np.uint8) for i in range(70)]
    boxes = [[rng.random((2, 4), np.float32) for _ in range(i % 3)] for i in range(70)]
    ds.image.extend(images)
    ds.boxes.extend(boxes)
    ds.notes.extend([{"n": i} for i in range(70)])
    found = ds.diff(before)
    for row, image in zip(found.rows("image"), images, strict=True):
        np.testing.assert_array_equal(row.after, image)
    for row, samples in zip(found.rows("boxes"), boxes, strict=True):
        assert len(row.after) == len(samples)
        for a, b in zip(row.after, samples, strict=True):
            np.testing.assert_array_equal(a, b)
    assert [row.after[()] if row.after.ndim == 0 else row.after[0] for row in found.rows("notes")] == [
        {"n": i} for i in range(70)
    ]


def test_samples_that_only_moved_are_no_change(ds: Any) -> None:
    """Small appends are gathered into larger segments by later ones."""
    before = ds.commit_id
    for i in range(40):
        ds.x.append(100 + i)
        if i % 7 == 0:
            ds.commit(str(i))
    middle = ds.commit("middle")
    for i in range(40):
        ds.x.append(200 + i)
    ds.x[12] = -1
    assert {row.change for row in ds.diff(before).rows()} == {"added"}
    rows = list(ds.diff(middle).rows())
    assert [(row.change, row.row_after) for row in rows] == [("updated", 12), *(("added", 50 + i) for i in range(40))]


@pytest.mark.parametrize("seed", range(times(10)))
def test_any_two_versions_differ_in_what_their_samples_say(seed: int) -> None:
    random = Random(seed)
    ds = zlake.empty(f"mem://diff-any-{seed}", overwrite=True)
    ds.create_tensor("x", dtype="int64")
    value, states = count(), {}

    def note() -> None:
        if ds.has_head_changes:
            commit = ds.commit()
            states[commit] = dict(zip(ds.x.ids().tolist(), enumerate(ds.x.numpy().reshape(-1).tolist()), strict=True))

    for step in range(60):
        kind = random.choice(("append", "append", "update", "pop", "commit", "commit", "fork", "block"))
        rows = len(ds.x)
        if kind == "append":
            ds.x.append(next(value))
        elif kind == "block":
            with ds:
                for _ in range(random.randint(1, 5)):
                    ds.x.append(next(value))
        elif kind == "update" and rows:
            ds.x[random.randrange(rows)] = next(value)
        elif kind == "pop" and rows:
            ds.x.pop(random.randrange(rows))
        elif kind == "commit":
            note()
        elif kind == "fork" and states:
            note()
            ds.checkout(random.choice(list(states)))
            ds.checkout(f"b{step}", create=True)
    note()
    for _ in range(20):
        a, b = random.choice(list(states)), random.choice(list(states))
        was, now = states[a], states[b]
        expected = {
            *((i, "removed", row, None, v, None) for i, (row, v) in was.items() if i not in now),
            *((i, "added", None, row, None, v) for i, (row, v) in now.items() if i not in was),
            *(
                (i, "updated", row, now[i][0], v, now[i][1])
                for i, (row, v) in was.items()
                if i in now and now[i][1] != v
            ),
        }
        ds.checkout(a)
        found = [
            (*row, *(None if sample is None else np.asarray(sample).item() for sample in (row.before, row.after)))
            for row in ds.diff(a, b).rows("x")
        ]
        assert len(found) == len(expected)
        assert set(found) == expected


def test_hidden_tensors_are_compared_when_they_are_named(ds: Any) -> None:
    before = ds.commit_id
    ds.create_tensor("secret", hidden=True).extend(np.arange(2))
    ds.x.append(1)
    found = ds.diff(before)
    assert found.tensors == ["x"]
    assert "secret" not in str(found)
    assert "secret" not in found.as_dict()["tensors"][0][0]
    assert {row.tensor for row in found.rows()} == {"x"}
    assert len(list(found.rows("secret"))) == 2


def test_a_staged_state_that_others_replaced_is_still_compared(ds: Any) -> None:
    before = ds.commit_id
    ds.x.append(10)
    other = zlake.load(ds.path)
    for i in range(20):
        other.x.append(i)
        other.commit(str(i))
    found = ds.diff(before)
    assert [row.after for row in found.rows()] == [10]
    mine, theirs = ds.diff("main", as_dict=True)["tensors"]  # the session as it is, and what the branch became
    assert [entry["commit_id"] for entry in mine] == [ds.pending_commit_id]
    assert len(theirs) == 20
    assert [row.change for row in ds.diff("main").rows()] == ["removed"] * 20


def test_the_first_sample_is_read_alone_and_the_others_at_once(ds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from zlake.session import changed_rows

    before = ds.commit_id
    ds.x.extend(np.arange(600))
    asked: list[int] = []
    one, many = changed_rows.present.one, changed_rows.present.read
    monkeypatch.setattr(changed_rows.present, "one", lambda c, row: asked.append(1) or one(c, row))
    monkeypatch.setattr(
        changed_rows.present, "read", lambda c, r, chosen, k, a: asked.append(len(chosen())) or many(c, r, chosen, k, a)
    )
    rows = list(ds.diff(before).rows("x"))
    assert asked == []
    assert rows[300].after == 300
    assert asked == [1]
    assert [row.after for row in rows] == list(range(600))
    assert asked == [1, 1, 255, 255, 1, 87]


# ---------------------------------------------------------------- text


def test_the_text_says_what_changed(ds: Any) -> None:
    before = ds.commit_id
    ds.x[3] = 33
    ds.pop(5)
    ds.extend({"x": [7, 8], "t": ["new", "newer"]})
    ds.rename_tensor("t", "text")
    ds.create_group("g")
    second = ds.commit("second\x1b[31m line\nmore", author="ann")
    ds.info["a"] = 1
    ds.x.info["b"] = 1
    found = ds.diff(before)
    assert str(found).splitlines() == [
        f"Diff of commit {before}",
        "     to branch main, uncommitted changes",
        "",
        "  info of the dataset changed",
        "  group g created",
        "  x     info changed, 2 added (rows 9–10), 1 updated (row 3), 1 removed (row 5)",
        "  text  renamed from t, 2 added (rows 9–10), 1 removed (row 5)",
        "",
        f"Since commit {before}, which both follow:",
        "",
        f"  commit {before}: nothing more",
        "",
        "  branch main: 1 commit and uncommitted changes",
        f"    {ds.pending_commit_id}  not committed",
        "      info of the dataset changed",
        "      x: info changed",
        f"    {second}  {ds.commits[0]['time']}  ann  second\\x1b[31m line",
        "      x: 2 added, 1 updated, 1 removed",
        "      t: renamed from t, 2 added, 1 removed".replace("t:", "text:"),
    ]
    assert repr(found) == f"Diff('commit {before}' to 'branch main, uncommitted changes')"
    assert ds.diff(second, second).tensors == []
    assert "no changes" in str(ds.diff(second, second))


def test_row_numbers_in_many_ranges_are_cut(ds: Any) -> None:
    ds.x.extend(np.arange(2000))
    ds.commit()
    ds.x[::2] = np.zeros(1005, int)
    assert "1,005 updated (rows 0, 2, 4, 6, 8, 10, …)" in str(ds.diff())


# ---------------------------------------------------------------- modified_samples


def test_modified_samples_are_those_added_or_updated(ds: Any) -> None:
    first = ds.commit_id
    ds.x[4] = 44
    second = ds.commit("second")
    ds.x.append(10)
    ds.x.pop(0)
    found, rows = ds.x.modified_samples(return_indexes=True)
    assert (rows, found.numpy().ravel().tolist()) == ([9], [10])
    found, rows = ds.x.modified_samples(first, return_indexes=True)
    assert (rows, found.numpy().ravel().tolist()) == ([3, 9], [44, 10])
    assert len(ds.x.modified_samples(second)) == 1
    ds.commit("third")
    assert len(ds.x.modified_samples()) == 0
    ds.create_tensor("new").extend(np.arange(3))
    assert ds.new.modified_samples(first).numpy().ravel().tolist() == [0, 1, 2]


def test_modified_since_a_version_that_does_not_lead_here(ds: Any) -> None:
    ds.checkout("side", create=True)
    ds.x.append(1)
    side = ds.commit("side")
    ds.checkout("main")
    for target in (side, "side"):
        with pytest.raises(TensorModifiedError, match=r"does not lead to branch main.*ds\.diff"):
            ds.x.modified_samples(target)
    with pytest.raises(RefNotFoundError):
        ds.x.modified_samples("nowhere")
    with pytest.raises(DiffError, match="not 5"):
        ds.x.modified_samples(5)
    with pytest.raises(InvalidOperationError, match="view"):
        ds.x[:3].modified_samples()


# ---------------------------------------------------------------- refused


def test_what_cannot_be_compared(ds: Any) -> None:
    with pytest.raises(ValueError, match="id_2='main' is given without id_1"):
        ds.diff(id_2="main")
    with pytest.raises(RefNotFoundError, match="did you mean 'main'"):
        ds.diff("mian")
    with pytest.raises(RefNotFoundError):
        ds.diff("main", "a" * 26)
    with pytest.raises(DiffError, match=r"id_1 .* not 3 \(int\)"):
        ds.diff(3)
    with pytest.raises(DiffError, match=r"id_2 .* not \['main'\]"):
        ds.diff("main", ["main"])
    with pytest.raises(InvalidOperationError, match="view"):
        ds[:3].diff()
    with pytest.raises(InvalidOperationError, match="view"):
        ds[["x"]].diff()
    found = ds.diff("main")
    with pytest.raises(TensorDoesNotExistError, match="there are"):
        found.rows("nothing")
    ds.create_tensor("images")
    with pytest.raises(TensorDoesNotExistError, match="did you mean 'images'"):
        ds.diff().rows("imagse")


def test_a_read_only_dataset_is_compared_too(ds: Any) -> None:
    ds.x.append(3)
    found = zlake.load(ds.path, read_only=True).diff()
    assert [row.after for row in found.rows()] == [3]
