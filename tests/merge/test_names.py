"""Names that both sides gave to tensors."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest

import zlake
from zlake.errors import ConflictError, MergeConflictError, MergeMismatchError

_places = count()


def new(*names: str) -> zlake.Dataset:
    ds = zlake.empty(f"mem://merge-names-{next(_places)}")
    for number, name in enumerate(names):
        ds.create_tensor(name, dtype="int64")
        ds[name].append(np.int64(number))
    ds.commit("base")
    return ds


@pytest.mark.parametrize(("ours", "theirs"), [("a", "b"), ("b", "a")])
@pytest.mark.parametrize("verb", ["merge", "rebase"])
def test_two_tensors_are_given_one_name(ours: str, theirs: str, verb: str) -> None:
    ds = new("a", "b")
    ds.checkout("other", create=True)
    ds.rename_tensor(theirs, "c")
    ds.commit()
    ds.checkout("main")
    ds.rename_tensor(ours, "c")
    ds.commit()
    call = {"merge": lambda how: ds.merge("other", how), "rebase": lambda how: ds.rebase("other", how)}[verb]
    with pytest.raises(MergeConflictError, match="'c': two tensors of one name") as error:
        call(None)
    assert [(each.tensor, each.kind) for each in error.value.conflicts] == [("c", "two tensors of one name")]
    call("theirs")
    mine, other = (theirs, ours) if verb == "merge" else (ours, theirs)
    assert list(ds.tensors) == ["c"], f"{other} gave way"
    assert ds.c.numpy().item() == "ab".index(mine)


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_ours_keeps_its_name(order: tuple[str, str]) -> None:
    ours, theirs = order
    ds = new("a", "b")
    ds.checkout("other", create=True)
    ds.rename_tensor(theirs, "c")
    ds.commit()
    ds.checkout("main")
    ds.rename_tensor(ours, "c")
    ds.commit()
    ds.merge("other", "ours")
    assert sorted(ds.tensors) == sorted(["c", theirs])
    assert ds.c.numpy().item() == "ab".index(ours)


def test_a_tensor_that_was_renamed_since_keeps_its_name_unless_told_otherwise() -> None:
    ds = new("a")
    first = ds.commit_id
    assert first is not None
    ds.rename_tensor("a", "z")
    ds.commit()
    with pytest.raises(MergeConflictError) as error:
        ds.cherry_pick(first)
    assert [(each.tensor, each.kind) for each in error.value.conflicts] == [("z", "named differently here and there")]
    assert ds.cherry_pick(first, "ours") is None
    assert list(ds.tensors) == ["z"]
    assert ds.cherry_pick(first, "theirs") is not None
    assert list(ds.tensors) == ["a"]


def test_a_tensor_that_both_sides_brought_learns_its_htype_from_the_one_that_has_samples() -> None:
    ds = zlake.empty(f"mem://merge-names-{next(_places)}")
    ds.commit("nothing", allow_empty=True)
    ds.checkout("other", create=True)
    ds.create_tensor("a", dtype="int64")
    created = ds.commit()
    ds.a.append(np.int64(7))
    ds.commit()
    ds.checkout("main")
    ds.cherry_pick(created)
    assert ds.a.htype == "unspecified"
    ds.cherry_pick("other")
    assert (ds.a.htype, ds.a.numpy().item()) == ("generic", 7)
    ds.cherry_pick(created)
    assert ds.a.htype == "generic"
    ds.checkout("other")
    ds.merge("main", force=True)
    assert (ds.a.htype, len(ds.a)) == ("generic", 1)


@pytest.mark.parametrize("filled", ["main", "other"])
def test_an_empty_tensor_and_one_with_samples_are_joined(filled: str) -> None:
    ds = zlake.empty(f"mem://merge-names-{next(_places)}")
    ds.commit("nothing", allow_empty=True)
    for branch in ("other", "main"):
        ds.checkout(branch, create=branch == "other")
        ds.create_tensor("a", dtype="int64")
        if branch == filled:
            ds.a.append(np.int64(7))
        ds.commit()
    ds.merge("other", force=True)
    assert (ds.a.htype, ds.a.numpy().item()) == ("generic", 7)


@pytest.mark.parametrize("text", ["main", "other"])
def test_an_empty_tensor_of_numbers_and_one_of_text_are_not_joined(text: str) -> None:
    ds = zlake.empty(f"mem://merge-names-{next(_places)}")
    ds.commit("nothing", allow_empty=True)
    for branch in ("other", "main"):
        ds.checkout(branch, create=branch == "other")
        if branch == text:
            ds.create_tensor("a", htype="text")
        else:
            ds.create_tensor("a", dtype="int64")
        ds.commit()
    with pytest.raises(MergeMismatchError, match="'a'"):
        ds.merge("other", force=True)
    assert len(ds.commits) == 2


@pytest.mark.parametrize("force", [False, True])
def test_a_name_that_a_tensor_gets_back_is_not_given_to_another_one(force: bool) -> None:
    """There ``x`` is another tensor; here the old one keeps its name, because its new one is taken."""
    ds = new("x")
    ds.checkout("other", create=True)
    ds.rename_tensor("x", "y")
    ds.create_tensor("x", dtype="int64")
    ds.x.append(np.int64(7))
    ds.commit()
    ds.checkout("main")
    ds.create_tensor("y", dtype="int64")
    ds.y.append(np.int64(8))
    ds.commit()
    with pytest.raises(MergeConflictError, match="'x': two tensors of one name"):
        ds.merge("other", force=force)
    ds.merge("other", "ours", force=force)
    assert {name: tensor.numpy().reshape(-1).tolist() for name, tensor in ds.tensors.items()} == {
        "x": [0],
        "y": [8, 0] if force else [8],  # joined
    }
    assert ds.verify(deep=True)


@pytest.mark.parametrize("theirs", ["int64", "text"])
def test_a_tensor_renamed_on_both_sides_joins_one_of_its_new_name(theirs: str) -> None:
    ds = zlake.empty(f"mem://merge-names-{next(_places)}")
    ds.create_tensor("x", **({"htype": "text"} if theirs == "text" else {"dtype": theirs}))
    ds.x.append("seven" if theirs == "text" else np.int64(7))
    ds.commit()
    ds.checkout("other", create=True)
    ds.rename_tensor("x", "z")
    ds.commit()
    ds.checkout("main")
    ds.rename_tensor("x", "y")
    ds.create_tensor("z", dtype="int64")
    ds.z.append(np.int64(8))
    ds.commit()
    if theirs == "text":
        with pytest.raises(MergeMismatchError, match="'z'"):
            ds.merge("other", force=True)
        return
    ds.merge("other", force=True)
    assert ds.y.numpy().reshape(-1).tolist() == [7]
    assert ds.z.numpy().reshape(-1).tolist() == [8, 7]
    assert ds.verify(deep=True)


def test_a_tensor_that_others_deleted_is_in_the_way_of_no_name() -> None:
    ds = new("a")
    other = zlake.load(ds.path)
    other.delete_tensor("a")
    other.create_tensor("b", dtype="int64")
    with pytest.raises(ConflictError) as error:
        ds.rename_tensor("a", "b")
    assert [conflict[:2] for conflict in error.value.conflicts] == [("a", None)]
