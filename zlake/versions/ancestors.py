"""The graph of commits through all parents, read lazily: merge bases, ancestry, and a walk in topological order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush

from zlake.errors import CorruptObjectError, RefNotFoundError
from zlake.format.documents import CommitBrief, Snapshot
from zlake.versions.history import brief
from zlake.versions.objects import Objects

_A, _B, _COMMON = 1, 2, 4
_BOTH = _A | _B


class Graph:
    """Commits in brief, found with few reads.

    A snapshot tells of itself and of its 16 newest ancestors along first parents; a page of history tells of up to 64
    more. A second parent costs one read, unless it is known already.

    Parameters
    ----------
    objects
        Reads snapshots and pages of history.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._briefs: dict[str, CommitBrief] = {}
        self._pages: dict[str, str] = {}  # by the first commit in it, a page of history

    def add(self, snapshot: Snapshot) -> tuple[str, ...]:
        """Learn what a snapshot tells; return it if it is a commit, else the commits that it lies on."""
        chain = [brief(snapshot)] if snapshot.kind == "commit" else []
        self._learn([*chain, *snapshot.recent], snapshot.history)
        return (snapshot.id,) if snapshot.kind == "commit" else snapshot.parents

    def _learn(self, chain: list[CommitBrief], history: str | None) -> None:
        for each in chain:
            self._briefs.setdefault(each.id, each)
        if chain and history is not None and chain[-1].parents:
            self._pages.setdefault(chain[-1].parents[0], history)

    def knows(self, commit_id: str) -> bool:
        """Whether `brief` needs no read."""
        return commit_id in self._briefs

    def brief(self, commit_id: str) -> CommitBrief:
        """Return a commit in brief.

        Raises
        ------
        DatasetCorruptError, CorruptObjectError
            If the history names what is missing, or damaged.
        """
        found = self._briefs.get(commit_id)
        page_id = self._pages.pop(commit_id, None)
        if found is None and page_id is not None:
            page = self._objects.history(page_id)
            self._learn(list(page.commits), page.previous)
            found = self._briefs.get(commit_id)
        if found is None:
            self.add(self._objects.snapshot(commit_id))
            found = self._briefs.get(commit_id)
        if found is None:
            raise CorruptObjectError(
                f"{self._objects.store.url}: {commit_id} is in the history, but it is no commit; "
                "restore the dataset from a copy, or load another version"
            )
        return found


class _Queue:
    """Commits to visit: those with the greatest generation first, so that a commit comes before all its ancestors."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._heap: list[tuple[int, float, str]] = []
        self.met: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._heap)

    def add(self, commit_id: str) -> None:
        """Add a commit, unless it was added before."""
        if commit_id not in self.met:
            self.met.add(commit_id)
            found = self._graph.brief(commit_id)
            heappush(self._heap, (-found.generation, -found.time, commit_id))

    def pop(self) -> CommitBrief:
        """Remove and return the first one."""
        return self._graph.brief(heappop(self._heap)[2])


def ancestors(objects: Objects, *snapshots: Snapshot) -> Iterator[CommitBrief]:
    """Yield all commits that lead to any of the snapshots, through all parents, commits that are given among them.

    Every commit comes before all its ancestors: by generation, then the newer first, then by id. Reads go as far as
    the iteration.
    """
    graph = Graph(objects)
    queue = _Queue(graph)
    for snapshot in snapshots:
        for commit_id in graph.add(snapshot):
            queue.add(commit_id)
    while queue:
        found = queue.pop()
        yield found
        for parent in found.parents:
            queue.add(parent)


def merge_bases(objects: Objects, a: Snapshot, b: Snapshot) -> list[str]:
    """Return the best common ancestors of two snapshots: those that are no ancestors of another common one.

    A commit counts among its own ancestors, and a staged snapshot has those of the commit that it lies on.

    Returns
    -------
    list
        Commit ids, by descending generation, then the newer first, then by id. More than one only where branches were
        merged crosswise; none where the histories have nothing in common.
    """
    graph = Graph(objects)
    queue = _Queue(graph)
    colors: dict[str, int] = {}
    open_ = 0  # waiting commits that are not known to be ancestors of a common one

    def paint(commit_id: str, color: int) -> None:
        nonlocal open_
        before = colors.get(commit_id, 0)
        colors[commit_id] = after = before | color
        open_ += (not after & _COMMON) - bool(before and not before & _COMMON)
        queue.add(commit_id)

    for snapshot, color in ((a, _A), (b, _B)):
        for commit_id in graph.add(snapshot):
            paint(commit_id, color)
    found = []
    while open_ > 0 and queue:
        commit = queue.pop()
        color = colors[commit.id]
        if not color & _COMMON:
            open_ -= 1
            if color == _BOTH:
                found.append(commit.id)
                color |= _COMMON
        if not open_:
            break  # what is waiting are ancestors of common ones; so would the parents of this one be
        for parent in commit.parents:
            paint(parent, color)
    return found


def merge_base(objects: Objects, a: Snapshot, b: Snapshot) -> str | None:
    """Return the best common ancestor of two snapshots, or None if their histories have nothing in common.

    Of several, as branches that were merged crosswise have, the one with the greatest generation, then the newest, then
    the one with the smallest id. Reads no further back than to it.
    """
    return next(iter(merge_bases(objects, a, b)), None)


def is_ancestor(objects: Objects, commit_id: str, of: Snapshot) -> bool:
    """Say whether a commit is ``of``, or leads to it through any parents.

    Raises
    ------
    RefNotFoundError
        If there is no such commit.
    """
    graph = Graph(objects)
    queue = _Queue(graph)
    tips = graph.add(of)
    if not graph.knows(commit_id):
        commit = objects.find_snapshot(commit_id)
        if commit is None or commit.kind != "commit":
            raise RefNotFoundError(f"{objects.store.url} has no commit {commit_id!r:.300}")
        graph.add(commit)
    least = graph.brief(commit_id).generation
    for tip in tips:
        queue.add(tip)
    while queue and commit_id not in queue.met:
        found = queue.pop()
        if found.generation <= least:
            return False
        for parent in found.parents:
            queue.add(parent)
    return commit_id in queue.met


def new_commits(objects: Objects, tip: Snapshot, known: Iterable[str]) -> tuple[set[str], frozenset[str]]:
    """Return the commits that lead to ``tip`` but to none of ``known``, and the others that they follow directly.

    Reads no further back than to where the histories meet.
    """
    graph = Graph(objects)
    (first,) = graph.add(tip)
    new: set[str] = set()
    edge: set[str] = set()
    colors: dict[str, bool] = {}  # by commit, whether it leads to a known one, as far as is known
    heap: list[tuple[int, str]] = []
    open_ = 0  # waiting commits that are new as far as is known

    def paint(commit: str, is_known: bool) -> None:
        nonlocal open_
        before = colors.get(commit)
        if before is None:
            heappush(heap, (-graph.brief(commit).generation, commit))
            open_ += not is_known
        elif is_known and not before:
            open_ -= 1
        colors[commit] = bool(before) or is_known

    paint(first, False)
    for commit in known:
        paint(commit, True)
    while open_:
        commit = heappop(heap)[1]
        parents = graph.brief(commit).parents
        if not colors[commit]:
            open_ -= 1
            new.add(commit)
            edge.update(parents)
        for parent in parents:
            paint(parent, colors[commit])
    return new, frozenset(edge - new)
