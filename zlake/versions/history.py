"""The ancestors of a commit: the newest in its document, older ones in pages of up to 64, linked backwards."""

from __future__ import annotations

from collections.abc import Iterator

from zlake import limits
from zlake.format.documents import CommitBrief, Snapshot
from zlake.versions.draft import Draft
from zlake.versions.objects import Objects


def brief(commit: Snapshot) -> CommitBrief:
    """Return a commit in brief."""
    return CommitBrief(
        id=commit.id,
        parents=commit.parents,
        author=commit.author,
        time=commit.time,
        message=commit.message,
        generation=commit.generation,
    )


def ancestry(parent: Snapshot, objects: Objects, draft: Draft) -> tuple[tuple[CommitBrief, ...], str | None]:
    """Return the ancestors of a snapshot that follows ``parent``: the recent ones, and the newest page of older ones.

    Every 16 commits the recent ones move to a page, together with those of the newest page as long as it is not full:
    one small write in 16 commits, one read of `log` for 64.

    Parameters
    ----------
    parent
        A commit; or a staged snapshot, whose ancestors are passed on.
    objects
        Reads the newest page.
    draft
        Takes a new page.
    """
    if parent.kind == "staged":
        return parent.recent, parent.history  # also the empty snapshot, which has none
    if len(parent.recent) < limits.RECENT_COMMITS:
        return (brief(parent), *parent.recent), parent.history
    moved, previous = parent.recent, parent.history
    if previous is not None:
        newest = objects.history(previous)
        if len(newest.commits) + len(moved) <= limits.HISTORY_PAGE_COMMITS:
            moved, previous = (*moved, *newest.commits), newest.previous
    return (brief(parent),), draft.history(moved, previous)


def log(snapshot: Snapshot, objects: Objects) -> Iterator[CommitBrief]:
    """Yield the commits that lead to a snapshot along first parents, newest first; a commit comes first itself.

    Reads one object for 64 commits, when they are reached.
    """
    if snapshot.kind == "commit":
        yield brief(snapshot)
    yield from snapshot.recent
    page_id, met = snapshot.history, set[str]()
    while page_id is not None and page_id not in met:  # a chain that leads back to itself would never end
        met.add(page_id)
        page = objects.history(page_id)
        yield from page.commits
        page_id = page.previous
