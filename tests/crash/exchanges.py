"""Commits that travel between the dataset and a clone of it, and garbage that is collected in steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import zlake
from tests.crash.scenarios import Act, apart_and_committed, few_rows, idempotent, load, row
from zlake.storage import open_store
from zlake.storage.store import Store
from zlake.versions.clone import clone

AGED = 1e-6
"""A grace period that has passed when the next call is made."""


def source_of(name: str) -> Store:
    return open_store(f"mem://crash-source-{name}")


def cloned(name: str, ours: Act, theirs: Act) -> Act:
    """Make a dataset and a clone of it, which then go separate ways."""

    def prepare(ds: zlake.Dataset) -> None:
        few_rows(ds)
        ds.commit("four rows")
        source = source_of(name)
        source.delete_prefix()
        clone(ds._session.repository, source)
        theirs(load(source))
        ours(ds)

    return prepare


def two_commits(ds: zlake.Dataset) -> None:
    ds.append(row(70, "mouse"))
    ds.commit("elsewhere")
    ds.pop(0)
    ds.tag("v9")
    ds.commit("elsewhere again")


def stage(ds: zlake.Dataset) -> None:
    ds.append(row(80))
    ds.x[1] = row(9)["x"]


def nothing(ds: zlake.Dataset) -> None:
    """Change nothing."""


def sent_and_deleted(name: str, ds: zlake.Dataset) -> None:
    """A branch was there once: its objects are found, not written."""
    push(name)(ds)
    ds.delete_branch("theirs")


def pull(
    name: str, into: str | None = None, tags: bool = False, force: bool = False
) -> Callable[[zlake.Dataset], None]:
    def act(ds: zlake.Dataset) -> None:
        ds.pull(load(source_of(name)), "main", force, into=into, tags=tags, progressbar=False, num_workers=1)

    return act


def push(name: str, tags: bool = False) -> Callable[[zlake.Dataset], None]:
    """Let the clone push to another branch of the dataset than the one that is open."""

    def act(ds: zlake.Dataset) -> None:
        load(source_of(name)).push(ds, "main", into="theirs", tags=tags, progressbar=False, num_workers=1)

    return act


EXCHANGES = {
    "pull": idempotent(cloned("pull", nothing, two_commits), pull("pull")),
    "pull_staged": idempotent(cloned("staged", stage, two_commits), pull("staged")),
    "pull_into": idempotent(cloned("into", stage, two_commits), pull("into", "theirs")),
    "pull_tags": idempotent(cloned("tags", nothing, two_commits), pull("tags", tags=True), parts=(pull("tags"),)),
    "pull_force": idempotent(
        cloned("force", lambda ds: ds.commit("on main", allow_empty=True), two_commits), pull("force", force=True)
    ),
    "push": idempotent(cloned("push", stage, two_commits), push("push")),
    "push_tags": idempotent(cloned("labels", nothing, two_commits), push("labels", tags=True), parts=(push("labels"),)),
    "push_again": idempotent(cloned("again", partial(sent_and_deleted, "again"), two_commits), push("again")),
}


def marked(ds: zlake.Dataset) -> None:
    apart_and_committed(ds)
    ds.gc(AGED)


COLLECTIONS = {
    "gc_mark": idempotent(apart_and_committed, lambda ds: ds.gc(AGED), unseen=True, collects=True),
    "gc_sweep": idempotent(marked, lambda ds: ds.gc(AGED), unseen=True, collects=True),
    "gc_dry_run": idempotent(apart_and_committed, lambda ds: ds.gc(AGED, dry_run=True), unseen=True),
}
