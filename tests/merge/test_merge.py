from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zlake
from tests.scale import times
from zlake.errors import (
    MergeConflictError,
    MergeError,
    MergeMismatchError,
    RefNotFoundError,
)

_names = count()
Change = Callable[[zlake.Dataset], Any]


def new(rows: Sequence[int] = (), **tensor: Any) -> zlake.Dataset:
    ds = zlake.empty(f"mem://merge-{next(_names)}")
    ds.create_tensor("x", **{"dtype": "int64", **tensor})
    if len(rows):
        ds.x.extend(np.array(rows, np.int64))
    ds.commit("base")
    return ds


def split(ds: zlake.Dataset, ours: Change, theirs: Change) -> None:
    """Make one change on main and another on a branch, committed, and come back to main."""
    ds.checkout("other", create=True)
    theirs(ds)
    ds.commit("theirs", allow_empty=True)
    ds.checkout("main")
    ours(ds)
    ds.commit("ours", allow_empty=True)


def values(ds: zlake.Dataset, tensor: str = "x") -> list[int]:
    return [int(v) for v in ds[tensor].numpy().reshape(-1)]


def append(*new_values: int) -> Change:
    return lambda ds: ds.x.extend(np.array(new_values, np.int64))


def update(row: int, value: int) -> Change:
    return lambda ds: ds.x.__setitem__(row, np.int64(value))


def pop(*rows: int) -> Change:
    return lambda ds: ds.x.pop(list(rows))


def nothing(ds: zlake.Dataset) -> None:
    pass


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (append(7), append(8), [0, 1, 2, 3, 7, 8]),
        (append(7), update(1, 10), [0, 10, 2, 3, 7]),
        (update(1, 10), append(8), [0, 10, 2, 3, 8]),
        (append(7), pop(1), [0, 2, 3, 7]),
        (pop(1), append(8), [0, 2, 3, 8]),
        (update(0, 10), update(3, 30), [10, 1, 2, 30]),
        (update(1, 10), update(1, 10), [0, 10, 2, 3]),
        (update(3, 30), pop(0, 1), [2, 30]),
        (pop(0, 1), update(3, 30), [2, 30]),
        (pop(1), pop(1), [0, 2, 3]),
        (pop(1), pop(2), [0, 3]),
        (pop(0, 1, 2, 3), append(8), [8]),
        (lambda ds: ds.x.clear(), append(8), [8]),
    ],
)
def test_what_goes_together(ours: Change, theirs: Change, expected: list[int]) -> None:
    ds = new(range(4))
    split(ds, ours, theirs)
    merged = ds.merge("other")
    assert values(ds) == expected
    assert merged == ds.commit_id
    assert len(ds.get_commit_details(merged)["parents"]) == 2
    assert ds.merge("other") is None
    assert values(ds) == expected
    ds.checkout("other")
    assert ds.merge(target_id="main") == merged  # fast-forward
    assert values(ds) == expected
    assert ds.verify(deep=True).ok


@pytest.mark.parametrize(
    ("ours", "theirs", "kind", "kept", "taken"),
    [
        (update(1, 10), update(1, 11), "updated here and there", [0, 10, 2, 3], [0, 11, 2, 3]),
        (pop(1), update(1, 11), "updated there, deleted here", [0, 2, 3], [0, 2, 3, 11]),
        (update(1, 10), pop(1), "deleted there, updated here", [0, 10, 2, 3], [0, 2, 3]),
    ],
)
def test_conflicts_of_rows(ours: Change, theirs: Change, kind: str, kept: list[int], taken: list[int]) -> None:
    for resolution, expected in (("ours", kept), ("theirs", taken)):
        ds = new(range(4))
        split(ds, ours, theirs)
        before = ds.commit_id, values(ds)
        row = "" if "deleted here" in kind else r" \(row 1\)"
        named = rf"cannot merge 'other' into 'main': .*: 'x' sample \d+{row}: {kind}; nothing was changed"
        with pytest.raises(MergeConflictError, match=named) as caught:
            ds.merge("other")
        assert (ds.commit_id, values(ds)) == before
        (conflict,) = caught.value.conflicts
        assert (conflict.tensor, conflict.kind, conflict.base_row, conflict.base.item()) == ("x", kind, 1, 1)
        sides = [None if value is None else value.item() for value in (conflict.ours, conflict.theirs)]
        assert sides == [None if "deleted here" in kind else 10, None if "deleted there" in kind else 11]
        asked: list[Any] = []

        def decide(conflict: Any, side: str = resolution, asked: list[Any] = asked) -> Any:
            asked.append(conflict)
            return side

        ds.merge("other", conflict_resolution=decide)
        assert (values(ds), len(asked)) == (expected, 1)
        assert ds.merge("other") is None
        twin = new(range(4))
        split(twin, ours, theirs)
        twin.merge("other", conflict_resolution=resolution)
        assert values(twin) == expected


def test_a_deletion_stays_after_another_merge() -> None:
    ds = new(range(4))
    split(ds, pop(1), append(8))
    ds.merge("other")
    ds.checkout("other")
    ds.x.append(np.int64(9))
    ds.commit("more")
    ds.checkout("main")
    ds.merge("other")
    assert values(ds) == [0, 2, 3, 8, 9]


@pytest.mark.parametrize("tip", ["main", "other"])
def test_branches_merged_crosswise(tip: str) -> None:
    ds = new(range(4))
    split(ds, append(7), lambda ds: (append(8)(ds), update(0, 10)(ds)))
    first = ds.commit_id
    ds.merge("other")
    append(70)(ds)
    ds.commit("main goes on")
    ds.checkout("other")
    ds.merge(first)
    pop(values(ds).index(7))(ds)  # taken from the other side, and deleted
    pop(values(ds).index(8))(ds)
    append(80)(ds)
    ds.commit("other goes on")
    ds.checkout(tip)
    ds.merge("other" if tip == "main" else "main")
    assert sorted(values(ds)) == [1, 2, 3, 10, 70, 80]
    assert ds.verify(deep=True).ok


def test_what_is_staged_on_both_sides_takes_part() -> None:
    ds = new(range(2))
    ds.checkout("other", create=True)
    ds.x.append(np.int64(8))
    ds.checkout("main")
    ds.x.append(np.int64(7))
    merged = ds.merge("other")
    assert values(ds) == [0, 1, 7, 8]
    assert not ds.has_head_changes
    assert ds.get_commit_details(merged)["message"] == "Merge other into main"
    ds.checkout("other")
    assert not ds.has_head_changes
    assert ds.commits[0]["message"] == "Auto commit before merging into main"


def test_a_conflict_with_what_is_staged_there_commits_nothing() -> None:
    ds = new(range(2))
    ds.checkout("other", create=True)
    update(0, 5)(ds)
    ds.checkout("main")
    update(0, 6)(ds)
    with pytest.raises(MergeConflictError):
        ds.merge("other")
    assert ds.has_head_changes
    ds.checkout("other")
    assert ds.has_head_changes


def test_the_other_way_is_fast_forward_and_merges_oneself_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    ds = new(range(2))
    ds.checkout("other", create=True)
    append(5)(ds)
    tip = ds.commit("theirs")
    assert ds.merge("other") is None
    assert ds.merge("main") is None
    assert "nothing to merge" in capsys.readouterr().out
    ds.checkout("main")
    assert ds.merge("other") == tip
    assert values(ds) == [0, 1, 5]


def test_pick_then_merge_brings_nothing_twice() -> None:
    ds = new(range(3))
    ds.checkout("other", create=True)
    append(8)(ds)
    update(0, 10)(ds)
    picked = ds.commit("pick me", author="ada")
    append(9)(ds)
    ds.commit("more")
    ds.checkout("main")
    append(7)(ds)
    found = ds.cherry_pick(picked)
    details = ds.get_commit_details(found)
    assert (details["message"], details["author"]) == ("pick me", "ada")
    assert values(ds) == [10, 1, 2, 8, 7]
    assert ds.has_head_changes  # what was staged stays staged
    assert ds.cherry_pick(picked) is None
    ds.merge("other")
    assert values(ds) == [10, 1, 2, 8, 7, 9]


def test_revert_takes_one_commit_back() -> None:
    ds = new(range(4))
    pop(1)(ds)
    removal = ds.commit("remove")
    assert ds.revert(removal) is not None
    assert values(ds) == [0, 1, 2, 3]  # at its place: nothing came since
    assert ds.commits[0]["message"].startswith('Revert "remove"')
    assert ds.revert(removal) is None
    update(0, 10)(ds)
    changed = ds.commit("change")
    append(9)(ds)
    ds.commit("later")
    ds.revert(changed)
    assert values(ds) == [0, 1, 2, 3, 9]
    update(0, 11)(ds)
    first = ds.commit("first")
    update(0, 12)(ds)
    ds.commit("second")
    with pytest.raises(MergeConflictError, match=f"revert commit {first}"):
        ds.revert(first)
    assert values(ds)[0] == 12


def test_rebase_replays_commits_and_moves_the_branch_once() -> None:
    ds = new(range(2))
    ds.checkout("other", create=True)
    for value in (8, 9):
        append(value)(ds)
        ds.commit(f"add {value}", author="ada")
    append(10)(ds)
    ds.checkout("main")
    append(7)(ds)
    onto = ds.commit("ours")
    ds.checkout("other")
    ds.rebase("main")
    assert values(ds) == [0, 1, 7, 8, 9, 10]
    assert [each["message"] for each in ds.commits] == ["add 9", "add 8", "ours", "base"]
    assert ds.commits[2]["commit"] == onto
    assert ds.has_head_changes
    assert ds.rebase("main") is None
    assert ds.verify(deep=True).ok


def test_rebase_that_conflicts_names_the_commit_and_changes_nothing() -> None:
    ds = new(range(2))
    ds.checkout("other", create=True)
    update(0, 5)(ds)
    tip = ds.commit("theirs")
    ds.checkout("main")
    update(0, 6)(ds)
    ds.commit("ours")
    ds.checkout("other")
    with pytest.raises(MergeConflictError, match=f"replay commit {tip}"):
        ds.rebase("main")
    assert (ds.commit_id, values(ds)) == (tip, [5, 1])


def test_class_names_merge_by_name() -> None:
    ds = zlake.empty(f"mem://merge-{next(_names)}")
    ds.create_tensor("x", htype="class_label", class_names=["cat"])
    ds.x.extend(["cat"] * 3)
    ds.commit("base")
    split(ds, lambda ds: ds.x.extend(["dog", "emu"]), lambda ds: ds.x.extend(["fox", "dog", "cat"]))
    ds.merge("other")
    texts = [text[0] for text in ds.x.data()["text"]]
    assert texts == ["cat", "cat", "cat", "dog", "emu", "fox", "dog", "cat"]
    assert ds.x.info["class_names"] == ["cat", "dog", "emu", "fox"]


def test_conflicts_of_classes_that_both_sides_added() -> None:
    ds = zlake.empty(f"mem://merge-{next(_names)}")
    ds.create_tensor("x", htype="class_label", class_names=["cat"])
    ds.x.extend(["cat"] * 3)
    ds.commit("base")
    split(ds, lambda ds: ds.x.__setitem__(1, "dog"), lambda ds: (ds.pop(0), ds.x.__setitem__(0, "emu")))
    with pytest.raises(MergeConflictError) as caught:
        ds.merge("other")
    (conflict,) = caught.value.conflicts
    assert (conflict.base_row, conflict.ours_row, conflict.theirs_row) == (1, 1, 0)
    assert (conflict.base.item(), conflict.ours.item(), conflict.theirs.item()) == (0, 1, 1)
    sides = [conflict.data("base"), conflict.data("ours"), conflict.data("theirs")]
    assert [side["text"] for side in sides if side] == [["cat"], ["dog"], ["emu"]]
    with pytest.raises(MergeError, match="'base', 'ours', 'theirs', not 'mine'"):
        conflict.data("mine")
    ds.merge("other", lambda conflict: "theirs" if conflict.data("theirs")["text"] == ["emu"] else None)
    assert ds.x.data()["text"] == [["emu"], ["cat"]]


def test_two_writers_add_class_names() -> None:
    path = f"mem://merge-{next(_names)}"
    one = zlake.empty(path)
    one.create_tensor("x", htype="class_label", class_names=[])
    two = zlake.load(path)
    one.x.append("dog")
    with two:
        two.x.append("cat")
    one.refresh()
    assert [text[0] for text in one.x.data()["text"]] == ["dog", "cat"]


def test_tensors_deleted_there_go_only_on_demand() -> None:
    for flag in (False, True):
        ds = new(range(2))
        split(ds, nothing, lambda ds: ds.delete_tensor("x"))
        ds.x.append(np.int64(1)) if not flag else None
        ds.merge("other", delete_removed_tensors=flag)
        assert ("x" in ds.tensors) is not flag


def test_one_name_on_both_sides() -> None:
    def create(value: int, dtype: str = "int64") -> Change:
        def make(ds: zlake.Dataset) -> None:
            ds.create_tensor("y", dtype=dtype).append(np.dtype(dtype).type(value))

        return make

    for arguments, expected in (
        ({"conflict_resolution": "ours"}, [1]),
        ({"conflict_resolution": "theirs"}, [2]),
        ({"force": True}, [1, 2]),
    ):
        ds = new(range(2))
        split(ds, create(1), create(2))
        with pytest.raises(MergeConflictError, match="'y': two tensors of one name"):
            ds.merge("other")
        ds.merge("other", **arguments)
        assert values(ds, "y") == expected
        assert ds.verify(deep=True).ok
    ds = new(range(2))
    split(ds, create(1), create(2, "float32"))
    with pytest.raises(MergeMismatchError, match=r"'y': dtype \(int64 here, float32 there\)"):
        ds.merge("other", force=True)


def test_renames() -> None:
    ds = new(range(2))
    split(ds, append(7), lambda ds: ds.rename_tensor("x", "y"))
    ds.merge("other")
    assert values(ds, "y") == [0, 1, 7]
    ds = new(range(2))
    split(ds, lambda ds: ds.rename_tensor("x", "a"), lambda ds: (append(8)(ds), ds.rename_tensor("x", "b")))
    with pytest.raises(MergeConflictError, match="'x': named differently here and there"):
        ds.merge("other")
    ds.merge("other", force=True)
    assert (values(ds, "a"), values(ds, "b")) == ([0, 1], [0, 1, 8])
    ds = new(range(2))
    split(ds, lambda ds: ds.delete_tensor("x"), lambda ds: ds.rename_tensor("x", "b"))
    with pytest.raises(MergeConflictError, match="'x': tensor deleted here, changed there"):
        ds.merge("other")
    ds.merge("other", force=True)
    assert values(ds, "b") == [0, 1]
    assert ds.verify(deep=True).ok


def test_infos_and_groups() -> None:
    ds = new(range(2))

    def change(name: str) -> Change:
        def make(ds: zlake.Dataset) -> None:
            ds.info[name] = 1
            ds.info["same"] = name
            ds.create_group(name)

        return make

    split(ds, change("a"), change("b"))
    with pytest.raises(MergeConflictError, match="info 'same'"):
        ds.merge("other")
    ds.merge("other", conflict_resolution="theirs")
    assert dict(ds.info) == {"a": 1, "b": 1, "same": "b"}
    assert sorted(ds.groups) == ["a", "b"]


@pytest.mark.parametrize(
    ("tensor", "samples"),
    [
        ({"dtype": "int32"}, [np.zeros((i, 2), np.int32) + i for i in range(1, 7)]),
        ({"htype": "text"}, [f"text {i}" for i in range(6)]),
        ({"htype": "image", "sample_compression": "png"}, [np.full((4, 4 + i, 3), i, np.uint8) for i in range(6)]),
        ({"htype": "sequence[generic]", "dtype": "int64"}, [[np.arange(3) + i] * (i + 1) for i in range(6)]),
    ],
)
def test_samples_of_every_layout(tensor: dict[str, Any], samples: list[Any]) -> None:
    ds = zlake.empty(f"mem://merge-{next(_names)}")
    ds.create_tensor("x", **tensor)
    ds.x.extend(samples[:3])
    ds.commit("base")
    split(ds, lambda ds: ds.x.append(samples[3]), lambda ds: (ds.x.append(samples[4]), update_any(ds, 1, samples[5])))
    ds.merge("other")
    expected = [samples[i] for i in (0, 5, 2, 3, 4)]
    for row, sample in enumerate(expected):
        assert np.array_equal(ds.x[row].numpy(), np.asarray(sample)) or ds.x[row].numpy().item() == sample
    assert ds.verify(deep=True).ok


def update_any(ds: zlake.Dataset, row: int, sample: Any) -> None:
    ds.x[row] = sample


@pytest.mark.parametrize("call", ["merge", "cherry_pick", "revert", "rebase"])
def test_bad_input(call: str) -> None:
    ds = new(range(2))
    with pytest.raises(RefNotFoundError, match="nowhere"):
        getattr(ds, call)("nowhere")
    with pytest.raises(MergeError, match="not 'mine'"):
        getattr(ds, call)("main", conflict_resolution="mine")
    ds.read_only = True
    with pytest.raises(PermissionError):
        getattr(ds, call)("main")


def test_a_function_that_answers_nonsense_changes_nothing() -> None:
    ds = new(range(2))
    split(ds, update(0, 5), update(0, 6))
    with pytest.raises(MergeError, match="not 'both'"):
        ds.merge("other", conflict_resolution=lambda conflict: "both")  # type: ignore[arg-type,return-value]
    assert values(ds) == [5, 1]


# ---------------------------------------------------------------- against a model

steps = st.lists(
    st.tuples(st.sampled_from("aud"), st.integers(0, 100), st.integers(1000, 9999)), min_size=0, max_size=5
)


@settings(max_examples=times(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps, steps, steps, st.sampled_from(["ours", "theirs"]))
def test_three_ways_against_a_model(first: Any, ours: Any, theirs: Any, side: str) -> None:
    ds = new(range(6))
    fresh = count(10)

    def play(model: dict[int, int], wanted: Any) -> None:
        """Samples are told apart by an identity that the model gives them, in row order."""
        for what, at, value in wanted:
            order = list(model)
            if what == "a" or not order:
                append(value)(ds)
                model[next(fresh)] = value
            elif what == "u":
                update(at % len(order), value)(ds)
                model[order[at % len(order)]] = value
            else:
                pop(at % len(order))(ds)
                del model[order[at % len(order)]]
        ds.commit("step", allow_empty=True)

    base = {i: i for i in range(6)}
    for _ in range(2):  # the second time after a merge
        ds.checkout(f"other{next(fresh)}", create=True)
        branch = ds.branch
        mine, other = dict(base), dict(base)
        play(other, theirs)
        ds.checkout("main")
        play(mine, ours)
        play(mine, first)
        back: dict[int, int] = {}
        merged = dict(mine)
        for key, value in base.items():
            now, there = mine.get(key), other.get(key)
            if there in (value, now):
                continue
            if now == value or side == "theirs":
                if there is None:
                    merged.pop(key, None)
                elif now is None:
                    back[key] = there
                else:
                    merged[key] = there
        merged.update(back)
        merged.update({key: value for key, value in other.items() if key not in base})
        ds.merge(branch, conflict_resolution=side)  # type: ignore[arg-type]
        assert values(ds) == list(merged.values())
        base = merged
