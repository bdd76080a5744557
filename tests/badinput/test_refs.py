"""Branches, tags and versions that cannot be: each its own error, and nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zlake
from tests.badinput.conftest import refused
from zlake.errors import (
    BranchDeletedError,
    CheckoutError,
    InvalidRefNameError,
    NothingToResetError,
    RefExistsError,
    RefNotFoundError,
    StaleSessionError,
    UnsafeStorageError,
    VersionControlError,
    ZlakeError,
)
from zlake.storage.store import Capabilities

ID = "a" * 26
Call = Callable[[zlake.Dataset], Any]


@pytest.fixture
def many(folder: Path) -> Path:
    """The branches ``main``, ``experiment``; a deleted branch, a tag, a deleted tag."""
    ds = zlake.load(folder)
    ds.commit("four rows")
    for name in ("experiment", "gone"):
        ds.checkout(name, create=True)
        ds.checkout("main")
    ds.delete_branch("gone")
    ds.tag("release-1")
    ds.tag("withdrawn")
    ds.delete_tag("withdrawn")
    return folder


REFUSED: list[tuple[str, Call, type[ZlakeError], tuple[str, ...]]] = [
    ("unknown", lambda ds: ds.checkout("experimnt"), RefNotFoundError, ("'experimnt'", "did you mean 'experiment'?")),
    ("unknown-tag", lambda ds: ds.checkout("release-2"), RefNotFoundError, ("'release-2'", "mean 'release-1'?")),
    ("nothing-like-it", lambda ds: ds.checkout("zzz"), RefNotFoundError, ("'zzz'", "there are ['experiment', ")),
    ("unknown-commit", lambda ds: ds.checkout(ID), RefNotFoundError, ("no commit", ID)),
    ("deleted", lambda ds: ds.checkout("gone"), BranchDeletedError, ("'gone' was deleted", "restore_branch('gone')")),
    ("deleted-load", lambda ds: zlake.load(f"{ds.path}@gone"), BranchDeletedError, ("'gone' was deleted",)),
    ("deleted-tag", lambda ds: ds.checkout("withdrawn"), RefNotFoundError, ("tag 'withdrawn' was deleted", "commit")),
    ("exists", lambda ds: ds.checkout("experiment", create=True), RefExistsError, ("a branch 'experiment' already",)),
    ("exists-main", lambda ds: ds.checkout("main", create=True), RefExistsError, ("a branch 'main' already",)),
    ("is-a-tag", lambda ds: ds.checkout("release-1", create=True), RefExistsError, ("has a tag 'release-1'",)),
    ("is-an-id", lambda ds: ds.checkout(ID, create=True), CheckoutError, (ID, "reads like a commit id")),
    ("bad-name", lambda ds: ds.checkout("a b", create=True), InvalidRefNameError, ("'a b'", "allowed are parts")),
    ("dots", lambda ds: ds.checkout("../main", create=True), InvalidRefNameError, ("'../main'",)),
    ("empty", lambda ds: ds.checkout("", create=True), InvalidRefNameError, ("''",)),
    ("empty-address", lambda ds: ds.checkout(""), InvalidRefNameError, ("''",)),
    ("no-text", lambda ds: ds.checkout(3, create=True), InvalidRefNameError, ("type int",)),
    ("lock", lambda ds: ds.checkout("x.lock", create=True), InvalidRefNameError, ("'x.lock'", ".lock")),
    ("long", lambda ds: ds.checkout("a" * 241, create=True), InvalidRefNameError, ("longer than 240",)),
    ("delete-main", lambda ds: ds.delete_branch("main"), VersionControlError, ("'main'", "is open here")),
    ("delete-unknown", lambda ds: ds.delete_branch("experimnt"), RefNotFoundError, ("no branch", "'experiment'?")),
    ("delete-deleted", lambda ds: ds.delete_branch("gone"), BranchDeletedError, ("'gone' was deleted",)),
    (
        "delete-a-tag",
        lambda ds: ds.delete_branch("release-1"),
        RefNotFoundError,
        ("'release-1'; it is the name of a tag",),
    ),
    (
        "untag-a-branch",
        lambda ds: ds.delete_tag("main"),
        RefNotFoundError,
        ("no tag 'main'; it is the name of a branch",),
    ),
    ("delete-bad", lambda ds: ds.delete_branch("a b"), InvalidRefNameError, ("'a b'",)),
    ("restore-unknown", lambda ds: ds.restore_branch("gonne"), RefNotFoundError, ("no branch", "'gone'?")),
    ("restore-alive", lambda ds: ds.restore_branch("experiment"), RefExistsError, ("'experiment' is not deleted",)),
    ("tag-exists", lambda ds: ds.tag("release-1"), RefExistsError, ("a tag 'release-1' at commit", "do not move")),
    ("tag-was", lambda ds: ds.tag("withdrawn"), RefExistsError, ("had a tag 'withdrawn'", "not used again")),
    ("tag-is-a-branch", lambda ds: ds.tag("experiment"), RefExistsError, ("has a branch 'experiment'",)),
    ("tag-bad", lambda ds: ds.tag("a..b"), InvalidRefNameError, ("'a..b'", "'..'")),
    ("tag-is-an-id", lambda ds: ds.tag(ID), InvalidRefNameError, ("reads like a commit id",)),
    ("tag-unknown", lambda ds: ds.tag("t", commit=ID), RefNotFoundError, ("no commit", ID)),
    ("tag-unknown-name", lambda ds: ds.tag("t", commit="mian"), RefNotFoundError, ("'mian'", "mean 'main'?")),
    ("untag-strange", lambda ds: ds.delete_tag("q"), RefNotFoundError, ("no tag 'q'; there are ['release-1', 'with",)),
    ("untag-unknown", lambda ds: ds.delete_tag("release"), RefNotFoundError, ("no tag 'release'", "'release-1'?")),
    ("untag-deleted", lambda ds: ds.delete_tag("withdrawn"), RefNotFoundError, ("'withdrawn' was deleted already",)),
    ("nothing-staged", lambda ds: ds.reset(), NothingToResetError, ("nothing is staged", "revert")),
    ("details", lambda ds: ds.get_commit_details("nope"), RefNotFoundError, ("'nope'",)),
    ("no-address", lambda ds: ds.checkout(None), InvalidRefNameError, ("None", "NoneType, not str")),
    ("no-details", lambda ds: ds.get_commit_details(None), InvalidRefNameError, ("None", "NoneType")),
    ("merge-none", lambda ds: ds.merge(None), InvalidRefNameError, ("None", "NoneType")),
    ("pick-none", lambda ds: ds.cherry_pick(None), InvalidRefNameError, ("None", "NoneType")),
    ("revert-none", lambda ds: ds.revert(None), InvalidRefNameError, ("None", "NoneType")),
    ("rebase-none", lambda ds: ds.rebase(None), InvalidRefNameError, ("None", "NoneType")),
    ("no-ref", lambda ds: zlake.load(ds.path, ref=""), InvalidRefNameError, ("''",)),
    ("short", lambda ds: ds.checkout(ds.commit_id[:3]), RefNotFoundError, ("no branch, tag or commit",)),
]


@pytest.mark.parametrize(("call", "error", "parts"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_refused(many: Path, call: Call, error: type[ZlakeError], parts: tuple[str, ...]) -> None:
    ds = zlake.load(many)
    commit = ds.commit_id
    with refused(many, error, *parts):
        call(ds)
    assert (ds.branch, ds.commit_id, len(ds)) == ("main", commit, 4)


def test_main_is_deleted_from_nowhere(many: Path) -> None:
    ds = zlake.load(f"{many}@experiment")
    with refused(many, VersionControlError, "branch 'main' cannot be deleted"):
        ds.delete_branch("main")


def test_the_staged_state_is_no_version(folder: Path) -> None:
    ds = zlake.load(folder)
    with refused(folder, RefNotFoundError, str(ds.pending_commit_id), "is no commit but a staged state"):
        ds.checkout(ds.pending_commit_id)
    with refused(folder, RefNotFoundError, "is no commit but a staged state"):
        ds.tag("t", commit=ds.pending_commit_id)


def test_a_tag_before_the_first_commit(tmp_path: Path) -> None:
    ds = zlake.empty(tmp_path / "ds")
    with refused(tmp_path, VersionControlError, "no commit yet for tag 'v1'", "commit first"):
        ds.tag("v1")
    with refused(tmp_path, VersionControlError, "branch 'main' has no commit yet"):
        ds.tag("v1", commit="main")
    assert ds.tags == {}


def test_a_branch_that_is_deleted_while_someone_writes(many: Path) -> None:
    writer, other = zlake.load(f"{many}@experiment"), zlake.load(many)
    other.delete_branch("experiment")
    before = {name: bytes(data) for name, data in _refs(many).items()}
    with pytest.raises(BranchDeletedError, match=r"branch 'experiment' was deleted.*checkout"):
        writer.info["a"] = 1
    with pytest.raises(BranchDeletedError, match="branch 'experiment' was deleted"):
        writer.commit("nothing", allow_empty=True)
    assert _refs(many) == before


def test_a_stale_session(many: Path) -> None:
    ds, other = zlake.load(many), zlake.load(many)
    ds.info["a"] = 1
    other.refresh()
    other.reset()
    before = _refs(many)
    with pytest.raises(StaleSessionError, match="was reset, which dropped what was staged on it, since this session"):
        ds.info["b"] = 2
    assert _refs(many) == before
    ds.refresh()
    assert dict(ds.info) == {}


def test_a_storage_without_conditional_writes(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zlake.versions import safety

    ds = zlake.load(many)
    monkeypatch.setattr(safety, "_probed", set())
    monkeypatch.setattr(ds._session.store, "capabilities", Capabilities(conditional=False))
    calls: tuple[Call, ...] = (
        lambda ds: ds.checkout("new", create=True),
        lambda ds: ds.tag("new"),
        lambda ds: ds.delete_branch("experiment"),
        lambda ds: ds.restore_branch("gone"),
        lambda ds: ds.delete_tag("release-1"),
    )
    before = _refs(many)
    for call in calls:
        monkeypatch.setattr(safety, "probe", _unsafe)
        with pytest.raises(UnsafeStorageError, match="no conditional writes"):
            call(ds)
    assert _refs(many) == before


def _unsafe(store: Any) -> None:
    raise UnsafeStorageError(f"{store.url} has no conditional writes")


def _refs(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in (folder / "refs").rglob("*.json")}
