"""Commits travelling between clones of one dataset: missing objects first, then the branch, by compare-and-swap.

A lease keeps collectors at the destination away from what travels, and from what is found there, until the branch names
it. All of it is seen to be there before the branch moves, so that whoever reads the branch can trust it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final

from zlake.errors import (
    CollectedError,
    CommitError,
    DivergedError,
    RefExistsError,
    StagedChangesError,
    UnrelatedDatasetsError,
)
from zlake.format import paths
from zlake.format.documents import Ref, Snapshot
from zlake.format.pages import PAGE_KEYS
from zlake.storage.store import ObjectInfo, Versioned, Written
from zlake.storage.transfer import Moved, sizes
from zlake.versions import branching, refs, tags
from zlake.versions.ancestors import is_ancestor, new_commits
from zlake.versions.bring import DEFAULT, How, bring
from zlake.versions.guard import check_swept
from zlake.versions.head import Head
from zlake.versions.keeping import leased
from zlake.versions.objects import Either, Objects
from zlake.versions.protocol import nothing_changed
from zlake.versions.reach import Reach, reach
from zlake.versions.read_head import snapshot_of
from zlake.versions.repository import Repository

Carry = Callable[[Head, Head], str | None]
"""Brings staged changes to another commit: from the branch as it is, and as it is to be without them. Returns the id of
the staged snapshot that it wrote there, or None if nothing is left of them."""

_ATTEMPTS: Final = 64
_LOOKS: Final = 3
"""Times that it is looked whether all is there, and what is missing is sent again."""
_KNOWN_BRANCHES: Final = 32
"""Branches of the destination that are asked what it has; what only others have is looked for object by object."""


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What a push or pull did.

    Attributes
    ----------
    branch
        The branch that was to be moved.
    before, commit
        What it named before, and what it names now.
    commits
        How many commits it did not have.
    objects, bytes
        How many objects were read and written, and their bytes.
    linked
        How many objects share their bytes with the other side.
    tags
        Names of the tags that were made.
    """

    branch: str
    before: str | None
    commit: str | None
    commits: int = 0
    objects: int = 0
    bytes: int = 0
    linked: int = 0
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exchange:
    """One branch on its way.

    Attributes
    ----------
    source, dest
        The two clones. The destination may lack its root: then nobody sees it yet.
    branch, into
        Name of the branch in the source, and in the destination.
    force
        Move the branch even where commits or staged changes of the destination are lost from it.
    tags
        Whether the tags of the commits go along.
    carry
        What becomes of changes that are staged in the destination; None refuses to move a branch that has some.
    there
        Objects that an earlier attempt has brought, where the destination has no root.
    how
        How objects travel.
    """

    source: Repository
    dest: Repository
    branch: str
    into: str
    force: bool = False
    tags: bool = False
    carry: Carry | None = None
    there: Mapping[str, ObjectInfo] | None = None
    how: How = field(default=DEFAULT)

    def run(self) -> Exchanged:
        """Bring the branch to the commit that it names in the source.

        Raises
        ------
        UnrelatedDatasetsError
            If the two are no clones of one dataset.
        RefNotFoundError
            If the source has no such branch.
        CommitError
            If nothing is committed on it.
        DivergedError
            If the destination's branch has commits that the source's lacks, unless `force`.
        StagedChangesError
            If it has staged changes that cannot be kept, unless `force`.
        RefExistsError
            If a tag stands for another commit there, or has the branch's name.
        CommitStateUnknownError
            If no answer came from the last step.
        CollectedError
            If a collector goes on deleting what is found in the destination, or does not come to its end.
        """
        self._check_related()
        head = self.source.head(self.branch)
        if head.ref.commit is None:
            raise CommitError(
                f"{self.source.store.url}: nothing is committed on branch {self.branch!r}, and only commits travel"
            )
        tip = self.source.snapshot(head.ref.commit)
        labels = self._tags(tip) if self.tags else {}
        found = self._read()
        before, commits, moved = _ref(self.dest, self.into, found), 0, Moved()
        now = before
        if self._must_move(before, tip):
            branching.refuse_tag(self.dest.store, self.into)
            commits, wanted = self._wanted(tip, before)
            # where there is no root yet nobody collects
            alone = self.there is not None
            with nullcontext() if alone else leased(self.dest.store, self.dest.context, tip.id, writing=True):
                moved = self._bring(tip, wanted)
                now = self._land(tip, found)
        for name, commit in labels.items():
            tags.create(self.dest.objects, self.dest.context, name, commit, guarded=False)
        return Exchanged(
            self.into,
            None if before is None else before.commit,
            None if now is None else now.commit,
            commits,
            moved.objects,
            moved.bytes,
            moved.linked,
            tuple(labels),
        )

    # ------------------------------------------------------------ checking

    def _check_related(self) -> None:
        ours, theirs = self.source.root.dataset_id, self.dest.root.dataset_id
        if ours != theirs:
            raise UnrelatedDatasetsError(
                f"{self.source.store.url} and {self.dest.store.url} are no clones of one dataset: commits travel "
                "between a dataset and what deepcopy or push made of it; samples of others can be appended"
            )

    def _tags(self, tip: Snapshot) -> dict[str, str]:
        """Return the tags to make: those of the commit and its ancestors that the destination never had."""
        made = {}
        for name, commit in tags.tags(self.source.store).items():
            if not is_ancestor(self.source.objects, commit, tip):
                continue
            there = refs.find_tag(self.dest.store, name)
            if there is None:
                made[name] = commit
            elif not there.deleted and there.commit != commit:
                raise RefExistsError(
                    f"tag {name!r} stands for commit {there.commit} at {self.dest.store.url} and for {commit} at "
                    f"{self.source.store.url}; delete one of them, or send the branch without tags"
                )
        return made

    def _read(self) -> Versioned:
        return self.dest.store.read_versioned(paths.branch_key(self.into))

    def _must_move(self, before: Ref | None, tip: Snapshot) -> bool:
        """Say whether the branch is to be moved; raise if it must not be."""
        if before is None or before.deleted:
            return True
        if before.commit == tip.id or (not self.force and self._is_ahead(before, tip)):
            return False
        if before.staged is not None and self.carry is None and not self.force:
            raise StagedChangesError(
                f"{self.dest.store.url}: branch {self.into!r} has staged changes, which would be lost; commit or reset "
                "them there first, or pass force=True to drop them"
            )
        if not self.force and not self._follows(before, tip):
            raise DivergedError(
                f"branch {self.into!r} has diverged: it names {before.commit} at {self.dest.store.url}, and "
                f"{tip.id} at {self.source.store.url}, and neither leads to the other; pull one of them into a branch "
                "of another name (into=...) and merge it, or pass force=True to overwrite",
                tip.id,
                str(before.commit),
            )
        return True

    def _follows(self, before: Ref, tip: Snapshot) -> bool:
        """Whether the destination's commit leads to ours."""
        if before.commit is None:
            return True
        objects = self.source.objects
        return objects.find_snapshot(before.commit) is not None and is_ancestor(objects, before.commit, tip)

    def _is_ahead(self, before: Ref, tip: Snapshot) -> bool:
        """Whether our commit leads to the destination's."""
        objects = self.dest.objects
        if before.commit is None or objects.find_snapshot(tip.id) is None:
            return False
        return is_ancestor(objects, tip.id, objects.snapshot(before.commit))

    # ------------------------------------------------------------ objects

    def _wanted(self, tip: Snapshot, before: Ref | None) -> tuple[int, _Wanted]:
        """Return how many commits no branch of the destination is known to reach, and what they bring."""
        source, dest = self.source, self.dest
        commits, boundary = new_commits(Either(source.objects, dest.objects), tip, self._known(before))
        found = reach(source.objects, [tip.id], known=boundary)
        for commit in boundary:
            have = reach(source.objects, [commit], known=frozenset(source.snapshot(commit).parents))
            found.segments -= have.segments
            found.pages -= have.pages
        prefixes = [paths.segment_prefix(segment) for segment in sorted(found.segments)]
        return len(commits), _Wanted(boundary, found, prefixes, sizes(source.store, prefixes))

    def _bring(self, tip: Snapshot, wanted: _Wanted) -> Moved:
        """Bring everything that is not there, until all of it is: what was found may have been collected meanwhile."""
        there = self._present(wanted) if self.there is None else self.there
        moved = self._send(wanted, there)
        if self.there is not None:
            return moved
        for left in reversed(range(_LOOKS)):
            try:
                with nothing_changed(self.dest.store):
                    self._check(tip, wanted, found=bool(there))
            except CollectedError:
                if not left:
                    raise
            else:
                break
            there = self._present(wanted)
            moved += self._send(wanted, there)
        return moved

    def _present(self, wanted: _Wanted) -> dict[str, ObjectInfo]:
        return sizes(self.dest.store, wanted.prefixes)

    def _send(self, wanted: _Wanted, there: Mapping[str, ObjectInfo]) -> Moved:
        objects = [*wanted.chunks.values(), *_documents(wanted.found)]
        with nothing_changed(self.dest.store):
            return bring(self.source.store, self.dest.store, objects, there, self.how)

    def _check(self, tip: Snapshot, wanted: _Wanted, *, found: bool) -> None:
        """Raise `CollectedError` unless all is there; of segments that were ``found``, every object is looked for.

        A collector may have deleted a chunk after the ``zarr.json`` that it deleted was sent once more.
        """
        store = self.dest.store
        fresh = Objects(store)  # not what memory holds
        check_swept(fresh, tip.id, context=self.dest.context, known=wanted.boundary, thorough=True)
        if found and not wanted.chunks.keys() <= self._present(wanted).keys():
            raise CollectedError(f"{store.url}: what {tip.id} names is collected as garbage again and again; try later")

    def _known(self, before: Ref | None) -> list[str]:
        """Return commits that the destination has, with everything behind them."""
        if self.there is not None:
            return []
        named = branching.branches(self.dest.store)
        others = [ref for name, ref in named.items() if name != self.into]
        known = [before, *others[:_KNOWN_BRANCHES]]
        return list(dict.fromkeys(ref.commit for ref in known if ref and not ref.deleted and ref.commit))

    # ------------------------------------------------------------ the branch

    def _land(self, tip: Snapshot, found: Versioned) -> Ref | None:
        """Swap the branch, and return it; whoever else swaps it meanwhile is asked again whether it may be moved."""
        store = self.dest.store
        for _ in range(_ATTEMPTS):
            before = _ref(self.dest, self.into, found)
            if not self._must_move(before, tip):
                return before
            ref = self._next(before, tip, found)
            outcome = refs.swap_branch(store, self.into, ref, found.generation)
            if isinstance(outcome, Written):
                return ref
            found = outcome
        raise CommitError(
            f"{store.url}: branch {self.into!r} was changed by others {_ATTEMPTS} times while it was to be moved; "
            "nothing was lost, try again"
        )

    def _next(self, before: Ref | None, tip: Snapshot, found: Versioned) -> Ref:
        context = self.dest.context
        if before is None:
            return Ref(commit=tip.id, staged=None, sequence=0, write_id=context.new_id())
        if before.deleted:
            return refs.next_ref(before, tip.id, None, context, restarted=True)
        forward = self._follows(before, tip)
        staged = None
        if before.staged is not None and self.carry is not None and forward:
            old = Head(self.into, before, found.generation, snapshot_of(self.dest.objects, before, self.into))
            bare = refs.next_ref(before, tip.id, None, context)
            staged = self.carry(old, Head(self.into, bare, found.generation, tip))
            return refs.next_ref(before, tip.id, staged, context)
        dropped = before.staged is not None
        return refs.next_ref(before, tip.id, None, context, dropped=dropped, restarted=not forward)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to travel.

    Attributes
    ----------
    boundary
        Commits that it follows, and the destination has.
    found
        All that is reached beyond those.
    prefixes
        Of the segments among it.
    chunks
        The objects of these segments, by key, as they are in the source.
    """

    boundary: frozenset[str]
    found: Reach
    prefixes: list[str]
    chunks: dict[str, ObjectInfo]


def _ref(repository: Repository, name: str, found: Versioned) -> Ref | None:
    return None if found.value is None else refs.parse_branch(repository.store, name, found.value)


def _documents(found: Reach) -> Iterator[ObjectInfo]:
    """Yield the objects of pages and snapshots; they are small, so their sizes are not asked for."""
    for page in sorted(found.pages):
        keys = PAGE_KEYS if page in found.arrays else ("zarr.json",)
        yield from (ObjectInfo(f"{paths.page_prefix(page)}{key}", -1, 0.0) for key in keys)
    for commit in sorted(found.commits):
        yield ObjectInfo(paths.snapshot_key(commit), -1, 0.0)
