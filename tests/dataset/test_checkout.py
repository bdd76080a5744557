"""Branches, tags, checkout and reset, as users see them."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import zlake
from zlake.context import Context
from zlake.errors import (
    AmbiguousRefError,
    BranchDeletedError,
    CheckoutError,
    ConflictError,
    EmptyCommitError,
    FormatError,
    InvalidOperationError,
    MergeConflictError,
    NothingToResetError,
    ReadOnlyModeError,
    RefExistsError,
    RefNotFoundError,
    StaleSessionError,
    VersionControlError,
)

CONTEXT = Context(durable=False, threads=2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Rows 0, 1, 2, committed."""
    ds = zlake.empty(tmp_path / "ds", context=CONTEXT)
    ds.create_tensor("x", dtype="int64")
    ds.x.extend([0, 1, 2])
    ds.commit("three rows")
    return tmp_path / "ds"


def load(path: Path, ref: str | None = None) -> zlake.Dataset:
    return zlake.load(path, ref=ref, context=CONTEXT)


def rows(ds: zlake.Dataset) -> list[int]:
    return [int(value) for value in ds.x.numpy().reshape(-1)]


# ---------------------------------------------------------------- going from branch to branch


def test_branches_diverge_and_keep_what_is_staged(path: Path) -> None:
    ds = load(path)
    first = ds.commit_id
    assert ds.checkout("dev", create=True) == first
    assert (ds.branch, ds.branches, ds.is_head_node, ds.has_head_changes) == ("dev", ["dev", "main"], True, False)
    ds.x.append(3)
    assert ds.checkout("main") == first
    assert (rows(ds), ds.has_head_changes) == ([0, 1, 2], False)
    ds.x.append(4)
    second = ds.commit("on main")
    assert ds.checkout("dev") == first
    assert (rows(ds), ds.has_head_changes) == ([0, 1, 2, 3], True)  # staged changes stay on the branch that was left
    assert rows(load(path, "dev")) == [0, 1, 2, 3]  # for every process
    third = ds.commit("on dev")
    assert [c["message"] for c in ds.commits] == ["on dev", "three rows"]
    assert ds.checkout("main") == second
    assert rows(ds) == [0, 1, 2, 4]
    assert ds.checkout(third) == third
    assert (ds.branch, ds.is_head_node, rows(ds)) == (None, False, [0, 1, 2, 3])
    assert ds.verify()


def test_a_new_branch_starts_with_a_commit_of_what_is_staged(path: Path) -> None:
    ds = load(path)
    first = ds.commit_id
    ds.x.append(3)
    made = ds.checkout("dev", create=True)
    assert made not in (first, None)
    assert ds.commits[0] == {**ds.commits[0], "commit": made, "message": "Auto commit before checkout to dev"}
    assert ds.get_commit_details("dev")["parents"] == [first]
    assert load(path).commit_id == made  # the commit is one of the branch that is left
    assert not load(path).has_head_changes


def test_a_first_branch_of_a_new_dataset_has_a_commit_in_common(tmp_path: Path) -> None:
    ds = zlake.empty(tmp_path / "ds")
    assert ds.commit_id is None
    made = ds.checkout("dev", create=True)
    assert made is not None
    assert load(tmp_path / "ds").commit_id == made


def test_checkout_inside_a_block_flushes_to_the_branch_that_is_left(path: Path) -> None:
    ds = load(path)
    with ds:
        ds.x.append(3)
        ds.checkout("dev", create=True)
        ds.x.append(4)
        ds.checkout("main")
        ds.x.append(5)
        assert rows(load(path, "dev")) == [0, 1, 2, 3, 4]
    assert rows(load(path)) == [0, 1, 2, 3, 5]
    assert load(path).commits[0]["message"] == "Auto commit before checkout to dev"


def test_checkout_of_the_branch_that_is_open_sees_what_others_wrote(path: Path) -> None:
    ds, other = load(path), load(path)
    other.x.append(3)
    ds.checkout("main")
    assert rows(ds) == [0, 1, 2, 3]
    with ds:
        ds.x.append(4)
        other.x.append(5)
        ds.checkout("main")
        assert sorted(rows(ds)) == [0, 1, 2, 3, 4, 5]


def test_faces_follow(path: Path) -> None:
    ds = load(path)
    x, view = ds.x, ds[1:]
    ds.checkout("dev", create=True)
    ds.create_tensor("y", dtype="int8")
    ds.x.append(3)
    y = ds.y
    ds.checkout("main")
    assert x.numpy().tolist() == [[0], [1], [2]] or rows(ds) == [0, 1, 2]
    assert list(ds.tensors) == ["x"]
    assert len(view.x) == 2
    with pytest.raises(zlake.errors.TensorDoesNotExistError, match="'y'"):
        y.append(1)
    ds.checkout("dev")
    ds.y.append(1)
    assert ds.y.numpy().reshape(-1).tolist() == [1]


def test_read_only_sessions_look_around_but_make_nothing(path: Path) -> None:
    load(path).checkout("dev", create=True)
    ds = zlake.load(path, read_only=True)
    ds.checkout("dev")
    assert (ds.branch, ds.read_only) == ("dev", True)
    for call in (
        lambda: ds.checkout("new", create=True), lambda: ds.tag("t"), lambda: ds.delete_branch("dev"),
        lambda: ds.delete_tag("t"), lambda: ds.restore_branch("x"), lambda: ds.reset(),
    ):  # fmt: skip
        with pytest.raises(ReadOnlyModeError, match="read_only=False"):
            call()
    assert load(path).branches == ["dev", "main"]
    assert load(path).tags == {}


def test_views_have_no_versions(path: Path) -> None:
    ds = load(path)
    for view in (ds[0:2], ds[["x"]], ds[0]):
        for name, call in {
            "checkout": lambda view=view: view.checkout("main"),
            "reset": lambda view=view: view.reset(),
            "commit": lambda view=view: view.commit("no"),
            "tag": lambda view=view: view.tag("no"),
            "delete_tag": lambda view=view: view.delete_tag("no"),
            "delete_branch": lambda view=view: view.delete_branch("no"),
            "restore_branch": lambda view=view: view.restore_branch("no"),
        }.items():
            with pytest.raises(InvalidOperationError, match=f"{name} method cannot be called on a Dataset view"):
                call()


# ---------------------------------------------------------------- addresses


def test_addresses(path: Path) -> None:
    ds = load(path)
    first = str(ds.commit_id)
    ds.tag("v1.0")
    ds.x.append(3)
    ds.commit("four rows")
    for address in (first, first[:4], first[:12], "v1.0"):
        if address in (first[:4],) and str(ds.commit_id).startswith(first[:4]):
            continue  # once in a million
        assert ds.checkout(address) == first
        assert (rows(ds), ds.branch) == ([0, 1, 2], None)
        assert rows(zlake.load(f"{path}@{address}")) == [0, 1, 2]
    assert ds.checkout("main") != first


def test_a_beginning_that_two_commits_share(tmp_path: Path) -> None:
    ids = iter([f"{letter}{'a' * 24}{end}" for letter in "abcdefgh" for end in "bcdefghijklmnop"])
    ds = zlake.empty(tmp_path / "ds", context=Context(new_id=lambda: next(ids), durable=False))
    ds.create_tensor("x", dtype="int64")
    found: dict[str, list[str]] = {}
    for number in range(9):
        ds.x.append(number)
        commit = ds.commit(f"commit {number}\nof nine")
        found.setdefault(commit[:25], []).append(commit)
    beginning, commits = next((b, c) for b, c in found.items() if len(c) > 1)
    with pytest.raises(AmbiguousRefError, match="could be any of the commits") as caught:
        ds.checkout(beginning)
    for commit in commits:
        assert f"{commit} ({ds.get_commit_details(commit)['message'].splitlines()[0]})" in str(caught.value)
    assert isinstance(caught.value, CheckoutError)
    assert ds.branch == "main"
    assert ds.checkout(commits[0]) == commits[0]
    ds.checkout("main")
    ds.checkout(beginning[:5], create=True)  # a branch of this name comes first
    assert ds.branch == beginning[:5]
    ds.checkout("main")
    ds.checkout(beginning[:5])
    assert ds.branch == beginning[:5]


def test_commit_details(path: Path) -> None:
    ds = load(path)
    first = ds.commit_id
    ds.x.append(3)
    second = ds.commit("four", author="Ada <ada@example.org>")
    details = ds.get_commit_details(second)
    assert details == {**ds.commits[0], "parents": [first]}
    assert details["author"] == "Ada <ada@example.org>"
    assert ds.get_commit_details(second[:9]) == ds.get_commit_details("main") == details
    with pytest.raises(KeyError, match="no commit 'aaaaa"):
        ds.get_commit_details("a" * 26)


def test_pending_commit_id_names_the_staged_state(path: Path) -> None:
    ds = load(path)
    assert ds.pending_commit_id is None
    ds.x.append(3)
    pending = ds.pending_commit_id
    assert pending not in (None, ds.commit_id)
    assert load(path).pending_commit_id == pending
    ds.x.append(4)
    assert ds.pending_commit_id != pending
    ds.commit("four")
    assert ds.pending_commit_id is None


# ---------------------------------------------------------------- writing to the past


def test_the_first_change_of_a_past_commit_makes_a_branch(path: Path) -> None:
    ds = load(path)
    first = str(ds.commit_id)
    ds.x.append(3)
    ds.commit("four rows")
    old = load(path, first)
    assert (old.read_only, old.branch) == (False, None)
    with pytest.raises(zlake.errors.SampleError):
        old.x.append("no number")
    assert load(path).branches == ["main"]  # a change that is refused makes none
    old.x.append(9)
    made = str(old.branch)
    assert made.startswith("auto_")
    assert load(path).branches == [made, "main"]
    old.x.append(10)
    assert old.branch == made
    second = old.commit("from the past")
    assert old.get_commit_details(second)["parents"] == [first]
    assert rows(load(path, made)) == [0, 1, 2, 9, 10]
    assert rows(load(path)) == [0, 1, 2, 3]
    assert load(path).verify()


def test_a_block_at_a_tag_and_a_commit_at_a_tag(path: Path) -> None:
    load(path).tag("v1")
    ds = load(path)
    ds.checkout("v1")
    with ds:
        ds.x.append(3)
        ds.create_tensor("y")
        assert ds.branch is None
    assert str(ds.branch).startswith("auto_")
    ds.checkout("v1")
    with pytest.raises(EmptyCommitError, match="nothing to commit"):
        ds.commit("nothing")
    assert (ds.branch, len(ds.branches)) == (None, 2)
    ds.commit("nothing", allow_empty=True)
    assert (str(ds.branch)[:5], len(ds.branches)) == ("auto_", 3)
    assert load(path).tags == {"v1": load(path).commit_id}


def test_checkout_of_a_new_branch_at_the_past_takes_along_what_is_buffered(path: Path) -> None:
    ds = load(path)
    ds.tag("v1")
    ds.checkout("v1")
    with ds:
        ds.x.append(3)
        ds.checkout("mine", create=True)
        ds.x.append(4)
    assert (ds.branch, ds.branches) == ("mine", ["main", "mine"])
    assert rows(load(path, "mine")) == [0, 1, 2, 3, 4]
    assert len(load(path, "mine").commits) == 1


def test_committed_versions_are_read_only_by_default(path: Path) -> None:
    load(path).x.append(3)
    ds = zlake.load(path, committed=True)
    assert (rows(ds), ds.read_only, ds.branch) == ([0, 1, 2], True, None)
    with pytest.raises(ReadOnlyModeError):
        ds.x.append(4)
    ds.read_only = False
    ds.x.append(4)
    assert str(ds.branch).startswith("auto_")


def test_a_pickled_dataset_whose_branch_moved_on_makes_no_branch(path: Path) -> None:
    ds = load(path)
    sent = pickle.dumps(ds)
    ds.x.append(3)
    ds.commit("four")
    twin = pickle.loads(sent)
    assert rows(twin) == [0, 1, 2]
    with pytest.raises(ReadOnlyModeError):
        twin.x.append(4)
    assert load(path).branches == ["main"]


# ---------------------------------------------------------------- tags


def test_tags(path: Path) -> None:
    ds = load(path)
    first = str(ds.commit_id)
    assert ds.tag("v1") == first
    ds.x.append(3)
    assert ds.tag("before") == first  # what is staged is no part of a commit
    second = ds.commit("four")
    assert ds.tag("v2") == second
    assert ds.tag("old", commit=first[:8]) == first
    assert ds.tag("of/main", "main") == second
    assert ds.tag("again", "v1") == first
    expected = {"again": first, "before": first, "of/main": second, "old": first, "v1": first, "v2": second}
    assert ds.tags == expected
    assert list(ds.tags) == sorted(expected)
    ds.delete_tag("old")
    assert "old" not in load(path).tags
    assert rows(load(path, first)) == [0, 1, 2]
    assert ds.verify()


# ---------------------------------------------------------------- deleting and restoring


def test_a_deleted_branch_comes_back_with_what_was_staged(path: Path) -> None:
    ds = load(path)
    ds.checkout("dev", create=True)
    ds.x.append(3)
    ds.commit("on dev")
    ds.x.append(4)
    ds.checkout("main")
    ds.delete_branch("dev")
    assert ds.branches == ["main"]
    assert ds.verify()
    ds.restore_branch("dev")
    assert ds.branches == ["dev", "main"]
    again = load(path, "dev")
    assert (rows(again), again.has_head_changes) == ([0, 1, 2, 3, 4], True)
    again.x.append(5)
    assert rows(load(path, "dev")) == [0, 1, 2, 3, 4, 5]


def test_a_branch_of_the_same_name_after_a_deletion(path: Path) -> None:
    ds = load(path)
    ds.checkout("dev", create=True)
    ds.x.append(3)
    ds.commit("on dev")
    late = load(path, "dev")
    ds.checkout("main")
    ds.delete_branch("dev")
    ds.checkout("dev", create=True)
    assert rows(ds) == [0, 1, 2]
    ds.x.append(7)
    with pytest.raises(StaleSessionError, match="was deleted and made anew"), late:
        late.x.append(4)
    assert rows(late) == [0, 1, 2, 3, 4]  # still buffered
    late.checkout("dev-2", create=True)
    assert rows(load(path, "dev-2")) == [0, 1, 2, 3, 4]
    assert rows(load(path, "dev")) == [0, 1, 2, 7]


def test_writers_learn_that_their_branch_was_deleted_and_go_on(path: Path) -> None:
    ds = load(path)
    ds.checkout("dev", create=True)
    ds.x.append(3)
    ds.checkout("main")
    writer = load(path, "dev")
    ds.delete_branch("dev")
    with pytest.raises(BranchDeletedError, match=r"branch .dev. was deleted.*still buffered"), writer:  # noqa: PT012
        writer.x.append(4)
        writer.x[0] = -1
    with pytest.raises(BranchDeletedError):
        writer.commit("no")
    with pytest.raises(BranchDeletedError):
        writer.checkout("main")  # which would leave behind what is buffered
    with pytest.raises(BranchDeletedError):
        writer.refresh()
    assert rows(writer) == [-1, 1, 2, 3, 4]
    writer.checkout("rescue", create=True)
    assert rows(load(path, "rescue")) == [-1, 1, 2, 3, 4]
    assert load(path).branches == ["main", "rescue"]
    writer.commit("rescued")
    ds.restore_branch("dev")
    assert rows(load(path, "dev")) == [0, 1, 2, 3]
    assert ds.verify()


def test_a_call_outside_a_block_on_a_deleted_branch_leaves_nothing_behind(path: Path) -> None:
    ds = load(path)
    ds.checkout("dev", create=True)
    writer = load(path, "dev")
    ds.checkout("main")
    ds.delete_branch("dev")
    with pytest.raises(BranchDeletedError, match="nothing of this call was written"):
        writer.x.append(4)
    assert rows(writer) == [0, 1, 2]
    assert writer.checkout("main") == ds.commit_id
    writer.x.append(4)
    assert rows(load(path)) == [0, 1, 2, 4]


def test_writers_go_on_after_their_branch_was_restored(path: Path) -> None:
    ds = load(path)
    ds.checkout("dev", create=True)
    writer = load(path, "dev")
    ds.checkout("main")
    ds.delete_branch("dev")
    with pytest.raises(BranchDeletedError), writer:
        writer.x.append(4)
    ds.restore_branch("dev")
    writer.flush()
    writer.commit("four")
    assert rows(load(path, "dev")) == [0, 1, 2, 4]


def test_refresh_of_a_deleted_branch_drops_what_is_asked_to_be_dropped(path: Path) -> None:
    ds = load(path)
    ds.checkout("dev", create=True)
    writer = load(path, "dev")
    ds.checkout("main")
    ds.delete_branch("dev")
    with pytest.raises(BranchDeletedError), writer:
        writer.x.append(4)
    with pytest.raises(BranchDeletedError, match="restore_branch"):
        writer.refresh(discard=True)
    assert rows(writer) == [0, 1, 2]
    writer.checkout("main")
    assert writer.branch == "main"


# ---------------------------------------------------------------- conflicts with other writers


def conflicting(path: Path) -> zlake.Dataset:
    """Open a session whose block changed row 1 as another one did, and appended; beside what it had staged before."""
    writer = load(path)
    writer.x.append(3)
    other = load(path)
    other.x[1] = 10
    with pytest.raises(ConflictError, match=r"'x' sample \d+.*still buffered.*create=True.*discard=True"), writer:  # noqa: PT012
        writer.x[1] = -1
        writer.x.append(4)
    assert rows(writer) == [0, -1, 2, 3, 4]
    return writer


@pytest.mark.parametrize(("side", "row"), [("ours", 10), ("theirs", -1)])
def test_what_conflicts_with_others_goes_on_on_a_new_branch_and_is_merged(path: Path, side: str, row: int) -> None:
    writer = conflicting(path)
    for refused in (writer.commit, writer.refresh, lambda: writer.checkout("main"), lambda: writer.rebase("main")):
        with pytest.raises(ConflictError):
            refused()
    writer.checkout("mine", create=True)
    assert (writer.branch, rows(writer)) == ("mine", [0, -1, 2, 3, 4])
    assert rows(load(path, "mine")) == [0, -1, 2, 3, 4]
    assert rows(load(path)) == [0, 10, 2, 3]
    writer.commit("my idea")
    writer.checkout("main")
    writer.merge("mine", conflict_resolution=side)
    assert rows(load(path)) == [0, row, 2, 3, 4]
    assert writer.verify()


def test_what_conflicts_with_others_is_rebased_from_a_new_branch(path: Path) -> None:
    writer = conflicting(path)
    with writer:
        writer.checkout("mine", create=True)
        writer.x.append(5)
    writer.commit("my idea")
    load(path).commit("their idea")
    with pytest.raises(MergeConflictError):
        writer.rebase("main")
    writer.rebase("main", conflict_resolution="theirs")
    assert rows(load(path, "mine")) == [0, -1, 2, 3, 4, 5]
    assert [commit["message"] for commit in writer.commits] == ["my idea", "their idea", "three rows"]


def test_what_conflicts_with_others_is_dropped_by_reset_and_refresh(path: Path) -> None:
    writer = conflicting(path)
    with pytest.raises(StaleSessionError, match="nothing was dropped"):
        writer.reset()
    assert rows(writer) == [0, -1, 2, 3, 4]
    writer.refresh(discard=True)
    assert rows(writer) == [0, 10, 2, 3]
    load(path).x[1] = 20
    with pytest.raises(ConflictError), writer:
        writer.x[1] = -1
    writer.reset(force=True)
    assert rows(writer) == rows(load(path)) == [0, 1, 2]


# ---------------------------------------------------------------- reset


def test_reset_drops_what_is_staged_and_buffered(path: Path) -> None:
    ds = load(path)
    first = ds.commit_id
    ds.x.append(3)
    ds.create_tensor("y")
    with ds:
        ds.x.append(4)
        ds.reset()
        assert rows(ds) == [0, 1, 2]
        ds.x.append(5)
    assert (rows(ds), list(ds.tensors), ds.commit_id) == ([0, 1, 2, 5], ["x"], first)
    assert rows(load(path)) == [0, 1, 2, 5]
    assert ds.verify()


def test_reset_of_what_is_buffered_alone(path: Path) -> None:
    ds = load(path)
    with ds:
        ds.x.append(3)
        ds.reset()
    assert rows(load(path)) == [0, 1, 2]
    with pytest.raises(NothingToResetError, match="nothing is staged and nothing buffered"):
        ds.reset()
    ds.reset(force=True)
    ds.tag("v1")
    ds.checkout("v1")
    with ds:
        ds.x.append(3)
        ds.reset()
    assert (ds.branch, ds.branches) == (None, ["main"])


def test_reset_before_the_first_commit(tmp_path: Path) -> None:
    ds = zlake.empty(tmp_path / "ds")
    ds.create_tensor("x")
    ds.reset()
    assert list(ds.tensors) == []
    assert list(load(tmp_path / "ds").tensors) == []


def test_reset_drops_nothing_that_the_session_has_not_seen(path: Path) -> None:
    ds, other = load(path), load(path)
    ds.x.append(3)
    other.x.append(4)
    with pytest.raises(StaleSessionError, match=r"others have staged more on branch 'main'.*nothing was dropped"):
        ds.reset()
    assert sorted(rows(load(path))) == [0, 1, 2, 3, 4]
    ds.refresh()
    ds.reset()
    assert rows(load(path)) == [0, 1, 2]


def test_forced_reset_drops_what_others_staged(path: Path) -> None:
    ds, other = load(path), load(path)
    other.x.append(4)
    with pytest.raises(NothingToResetError):
        ds.reset()
    ds.reset(force=True)
    assert rows(load(path)) == [0, 1, 2]


def test_reset_after_others_have_committed(path: Path) -> None:
    ds, other = load(path), load(path)
    ds.x.append(3)
    other.refresh()
    commit = other.commit("mine now")
    with pytest.raises(StaleSessionError, match=f"others have committed what was staged as {commit}"):
        ds.reset()
    ds.reset(force=True)
    assert (ds.commit_id, rows(ds)) == (commit, [0, 1, 2, 3])


def test_writers_learn_that_what_they_staged_was_reset(path: Path) -> None:
    ds, other = load(path), load(path)
    ds.x.append(3)
    other.refresh()
    other.reset()
    with pytest.raises(StaleSessionError, match="branch 'main' was reset, which dropped what was staged"):
        ds.commit("three and four")
    with pytest.raises(StaleSessionError), ds:
        ds.x.append(4)
    assert rows(ds) == [0, 1, 2, 3, 4]
    assert rows(load(path)) == [0, 1, 2]
    ds.checkout("kept", create=True)  # one way on: with all that this session knows
    assert rows(load(path, "kept")) == [0, 1, 2, 3, 4]
    assert rows(load(path)) == [0, 1, 2]
    assert ds.verify()


def test_refresh_goes_on_from_what_a_reset_left(path: Path) -> None:
    ds, other = load(path), load(path)
    ds.x.append(3)
    other.refresh()
    other.reset()
    with pytest.raises(StaleSessionError), ds:
        ds.x.append(4)
    ds.refresh()
    assert rows(ds) == rows(load(path)) == [0, 1, 2, 4]
    ds.commit("four")


def test_a_change_of_a_row_that_was_reset_is_a_conflict(path: Path) -> None:
    ds, other = load(path), load(path)
    ds.x.append(3)
    other.refresh()
    other.reset()
    with pytest.raises(StaleSessionError), ds:
        ds.x[3] = 33
    with pytest.raises(ConflictError, match="x"):
        ds.refresh()
    assert rows(ds) == [0, 1, 2, 33]
    ds.refresh(discard=True)
    assert rows(ds) == [0, 1, 2]


def test_appends_that_others_reset_do_not_bother_who_has_not_seen_them(path: Path) -> None:
    ds, other = load(path), load(path)
    other.x.append(4)
    other.reset()
    ds.x.append(3)
    ds.commit("three")
    assert rows(load(path)) == [0, 1, 2, 3]


def test_a_damaged_staged_state_can_be_dropped(path: Path) -> None:
    ds = load(path)
    ds.checkout("dev", create=True)
    ds.x.append(3)
    staged = ds.pending_commit_id
    ds.checkout("main")
    document = path / "commits" / str(staged) / "zarr.json"
    document.write_bytes(document.read_bytes()[:-30])
    fresh = load(path)
    with pytest.raises(
        FormatError, match=f"staged on branch 'dev': pass reset=True to drop it, or load commit {ds.commit_id}"
    ):
        fresh.checkout("dev")
    assert fresh.branch == "main"
    fresh.checkout("dev", reset=True)
    assert rows(fresh) == [0, 1, 2]
    assert load(path, "dev").verify()


def test_a_damaged_staged_state_can_be_dropped_when_loading(path: Path) -> None:
    ds = load(path)
    ds.x.append(3)
    (path / "commits" / str(ds.pending_commit_id) / "zarr.json").unlink()
    with pytest.raises(FormatError, match=r"is missing.* staged on branch 'main': pass reset=True"):
        load(path)
    assert rows(zlake.load(path, reset=True)) == [0, 1, 2]
    assert rows(load(path)) == [0, 1, 2]


# ---------------------------------------------------------------- refusals that need a history


def test_names_are_taken_once(path: Path) -> None:
    ds = load(path)
    ds.tag("v1")
    ds.checkout("dev", create=True)
    with pytest.raises(RefExistsError, match="has a branch 'main' already; checkout"):
        ds.checkout("main", create=True)
    with pytest.raises(RefExistsError, match="has a tag 'v1'"):
        ds.checkout("v1", create=True)
    with pytest.raises(RefExistsError, match="has a branch 'dev'"):
        ds.tag("dev")
    with pytest.raises(VersionControlError, match="is open here"):
        ds.delete_branch("dev")
    ds.checkout("main")
    ds.delete_branch("dev")
    ds.tag("dev")  # the name is free again
    with pytest.raises(RefExistsError, match="has a tag 'dev'"):
        ds.restore_branch("dev")
    ds.delete_tag("dev")
    ds.restore_branch("dev")
    with pytest.raises(RefExistsError, match="is not deleted"):
        ds.restore_branch("dev")
    assert ds.branches == ["dev", "main"]
    with pytest.raises(RefNotFoundError, match="tag 'dev' was deleted"):
        ds.delete_tag("dev")


def test_refusals_keep_what_is_staged_as_it_is(path: Path) -> None:
    ds = load(path)
    ds.x.append(3)
    with pytest.raises(RefExistsError):
        ds.checkout("main", create=True)
    assert (ds.has_head_changes, len(ds.commits), rows(ds)) == (True, 1, [0, 1, 2, 3])


def test_ten_thousand_rows_on_ten_branches_share_their_segments(path: Path) -> None:
    ds = load(path)
    ds.x.extend(np.arange(10_000))
    ds.commit("many")
    segments = len(list((path / "segments").iterdir()))
    for number in range(10):
        ds.checkout(f"branch-{number}", create=True)
    assert len(list((path / "segments").iterdir())) == segments


def test_a_branch_that_others_deleted_is_not_listed_though_it_is_open_here(path: Path) -> None:
    ds, other = load(path), load(path)
    ds.checkout("dev", create=True)
    other.delete_branch("dev")
    assert ds.branches == other.branches == ["main"]
