"""What snapshots reach: every object that must stay as long as they can be read. No sample is read, and no array."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from zlake import limits
from zlake.errors import FormatError
from zlake.format import decode, pages, paths
from zlake.format.documents import HistoryPage, IdRuns, Info, SegmentTensor, Snapshot
from zlake.storage.store import Request
from zlake.versions.objects import Objects

_BATCH: Final = limits.READS_IN_FLIGHT
"""Documents read, and held in memory, at once."""

OnDamage = Callable[[str, FormatError], None]
"""Is told the key of an object that cannot be read, and why."""


@dataclass(slots=True)
class Reach:
    """Ids of everything that some snapshots reach, themselves included.

    Attributes
    ----------
    commits
        Snapshots, committed and staged: ``commits/<id>/``.
    pages
        Pages of extents, of sample ids and of history, and large infos: ``pages/<id>/``.
    arrays
        The pages among them that are arrays, of extents or of sample ids: two objects each, `format.pages.PAGE_KEYS`.
        The others are one, ``zarr.json``.
    segments
        Segments: ``segments/<id>/``.
    """

    commits: set[str] = field(default_factory=set)
    pages: set[str] = field(default_factory=set)
    arrays: set[str] = field(default_factory=set)
    segments: set[str] = field(default_factory=set)

    def prefixes(self) -> Iterator[str]:
        """Yield the prefix of each, ending in ``/``, in an order in which each may be written: what it names first."""
        yield from map(paths.segment_prefix, sorted(self.segments))
        yield from map(paths.page_prefix, sorted(self.pages))
        yield from (f"{paths.COMMITS}{commit}/" for commit in sorted(self.commits))

    def __contains__(self, key: str) -> bool:
        """Whether an object of this key belongs to what is reached."""
        folder, _, rest = key.partition("/")
        return rest.partition("/")[0] in self.ids(f"{folder}/")

    def ids(self, folder: str) -> set[str]:
        """Return the ids of what lies in a folder of the dataset, ``commits/`` for one."""
        return {paths.COMMITS: self.commits, paths.PAGES: self.pages, paths.SEGMENTS: self.segments}.get(folder, set())

    def __len__(self) -> int:
        return len(self.commits) + len(self.pages) + len(self.segments)

    def update(self, other: Reach) -> None:
        """Add what another reaches."""
        self.commits |= other.commits
        self.pages |= other.pages
        self.arrays |= other.arrays
        self.segments |= other.segments


def reach(
    objects: Objects,
    tips: Iterable[str],
    known: Collection[str] = frozenset(),
    *,
    on_damage: OnDamage | None = None,
) -> Reach:
    """Return everything that snapshots reach, through all parents of all their ancestors.

    Reads each snapshot, page of history, and document of a page of extents once, up to 64 at a time, from the storage:
    what ``objects`` remembers is neither used nor pushed out.

    Parameters
    ----------
    objects
        The dataset's objects.
    tips
        Ids of commits or staged snapshots.
    known
        Commits to stop at, with everything behind them: neither they nor their ancestors are walked. What a snapshot
        in front of them names is reached, also where they name it too.
    on_damage
        Is told of each object that is damaged or missing; the walk goes on without it. Without this it raises.

    Raises
    ------
    DatasetCorruptError
        If an object that is reached is missing.
    CorruptObjectError, UnsupportedFormatError
        If one is damaged, or of a newer version.
    StorageError
        If the storage does not answer.
    """
    walk = _Walk(objects, known if isinstance(known, (set, frozenset)) else frozenset(known), on_damage)
    walk.run(tips)
    return walk.found


class _Walk:
    def __init__(
        self,
        objects: Objects,
        known: Collection[str],
        on_damage: OnDamage | None,
    ) -> None:
        self.objects = objects
        self.known = known
        self.on_damage = on_damage
        self.found = Reach()
        self.snapshots: list[str] = []
        """Snapshots to read."""
        self.history: list[str] = []
        """Pages of history to read."""
        self.extents: list[str] = []
        """Pages of extents to read."""
        self.parents: dict[str, tuple[str, ...]] = {}
        """Parents of commits that were met in brief but not reached yet: they spare waiting for the commit itself."""
        self.met: set[str] = set()
        """Known commits where the walk stopped."""

    def run(self, tips: Iterable[str]) -> None:
        self._reach(tips)
        while self.snapshots or self.extents or (self.history and not self.known):
            self._read(self.snapshots, paths.snapshot_key, self._snapshot)
            self._read(self.extents, paths.page_key, self._extents)
            if not self.known:
                self._read(self.history, paths.page_key, self._history)
        if self.history:
            self._histories_before_known()

    def _read(self, waiting: list[str], key_of: Callable[[str], str], take: Callable[[str, bytes], None]) -> None:
        """Read some of what waits, all at once, and take it."""
        batch = waiting[-_BATCH:]
        del waiting[-_BATCH:]
        keys = [key_of(object_id) for object_id in batch]
        for object_id, key, data in zip(batch, keys, self._values(keys), strict=True):
            try:
                if data is None:
                    raise self.objects.missing(key)
                take(object_id, data)
            except FormatError as error:
                if self.on_damage is None:
                    raise
                self.on_damage(key, error)

    def _values(self, keys: list[str]) -> list[bytes | None]:
        if len(keys) == 1:
            return [self.objects.store.read(keys[0])]
        return self.objects.store.read_many([Request(key) for key in keys]) if keys else []

    # ------------------------------------------------------------ snapshots

    def _reach(self, snapshots: Iterable[str]) -> None:
        """Note snapshots to read, and those before them as far as briefs tell."""
        waiting = list(snapshots)
        while waiting:
            snapshot_id = waiting.pop()
            if snapshot_id in self.known:
                self.met.add(snapshot_id)
            elif snapshot_id not in self.found.commits:
                self.found.commits.add(snapshot_id)
                self.snapshots.append(snapshot_id)
                waiting.extend(self.parents.pop(snapshot_id, ()))

    def _snapshot(self, snapshot_id: str, data: bytes) -> None:
        where = self.objects.where(paths.snapshot_key(snapshot_id))
        snapshot = decode(Snapshot, data, where=where, expected_id=snapshot_id)
        self._briefly((brief.id, brief.parents) for brief in snapshot.recent)
        self._reach(snapshot.parents)
        if snapshot.history is not None:
            self._page(snapshot.history, self.history)
        self._info(snapshot.info)
        for state in snapshot.tensors:
            self._info(state.info)
            self._segments(state.extents.segments)
            for page in state.extents.pages:
                self._page(page.id, self.extents, array=True)
        for diff in snapshot.diff.tensors:
            for ids in (diff.appended, diff.updated, diff.removed):
                self._ids(ids)

    def _briefly(self, briefs: Iterable[tuple[str, tuple[str, ...]]]) -> None:
        for commit, parents in briefs:
            if commit in self.found.commits:
                self._reach(parents)
            elif commit not in self.known:
                self.parents[commit] = parents

    # ------------------------------------------------------------ what they name

    def _page(self, page_id: str, waiting: list[str] | None = None, *, array: bool = False) -> None:
        if page_id not in self.found.pages:
            self.found.pages.add(page_id)
            if array:
                self.found.arrays.add(page_id)
            if waiting is not None:
                waiting.append(page_id)

    def _info(self, info: Info) -> None:
        if info.object:
            self._page(info.object)

    def _ids(self, ids: IdRuns) -> None:
        if ids.page:
            self._page(ids.page, array=True)

    def _segments(self, entries: Iterable[SegmentTensor]) -> None:
        self.found.segments.update(entry.segment for entry in entries)

    def _extents(self, page_id: str, data: bytes) -> None:
        where = self.objects.where(paths.page_prefix(page_id).rstrip("/"))
        self._segments(pages.decode_extent_segments(page_id, data, where=where))

    # ------------------------------------------------------------ history

    def _history(self, page_id: str, data: bytes, end: Collection[str] = frozenset()) -> None:
        where = self.objects.where(paths.page_key(page_id))
        page = decode(HistoryPage, data, where=where, expected_id=page_id)
        self._briefly((brief.id, brief.parents) for brief in page.commits)
        if page.previous is not None and page.previous not in end:
            self._page(page.previous, self.history)

    def _histories_before_known(self) -> None:
        """Follow the pages of history up to those that the known commits have.

        A page that follows page p names p, or takes p's commits over and names the page before p. So whatever was built
        upon a commit leads to the page that it names, or to the one before that.
        """
        end = set[str]()
        for commit in self.met:
            try:
                newest = self.objects.snapshot(commit).history
                if newest is not None:
                    end |= {newest, self.objects.history(newest).previous or newest}
            except FormatError:
                continue  # then the pages are followed further than they need be
        self.history = [page_id for page_id in self.history if page_id not in end]
        while self.history:
            self._read(self.history, paths.page_key, partial(self._history, end=end))
