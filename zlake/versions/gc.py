"""Collecting garbage: what no ref, lease or open session reaches, and has not for a grace period.

Two phases, by the storage's clock alone. What is unreachable, and older than the grace period, is *marked*. What a mark
names that is at least a grace period old, and what is still unreachable, is deleted. So nothing is deleted that anybody
could read, or build upon, within the last grace period, however the clocks of writers go. Whoever makes an old version
reachable again does so within `zlake.versions.keeping.keeping`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from zlake import limits
from zlake.context import Context
from zlake.errors import CollectionRefusedError, FormatError, ReadOnlyModeError, UnsupportedOperationError
from zlake.format import paths
from zlake.storage.batch import delete_many
from zlake.storage.probe import is_probe
from zlake.storage.store import ObjectInfo, Store
from zlake.versions import marks
from zlake.versions.clock import storage_time
from zlake.versions.gc_report import Amount, GcReport
from zlake.versions.marks import KINDS, Ids, no_ids
from zlake.versions.objects import Objects
from zlake.versions.reach import Reach, reach
from zlake.versions.repository import Repository
from zlake.versions.roots import Roots, find_roots, live_objects, unreadable

_BATCH: Final = 1000
"""Objects deleted between two looks at the time."""


def collect(
    repository: Repository,
    grace: timedelta | float | None = None,
    *,
    dry_run: bool = False,
    sessions: tuple[str, ...] = (),
) -> GcReport:
    """Mark what is unreachable, and delete what was marked a grace period ago and still is.

    May be stopped at any moment, run by several processes at once, and called again whenever it suits.

    Parameters
    ----------
    repository
        The dataset.
    grace
        The grace period, as a `timedelta` or in seconds; 7 days for None. It must exceed the time that any writer
        takes from writing samples to naming them, and it is for how long a deleted branch can be restored and a reader
        can read on. With 0 everything unreachable is deleted at once: only where nobody else uses the dataset.
    dry_run
        Only say what would be done. Learning the storage's time takes an object, which is deleted at once; a storage
        that is read-only here is taken to be at the time of its newest object.
    sessions
        Snapshots that sessions of this process stand at: they stay.

    Raises
    ------
    CollectionRefusedError
        If anything that is reachable is damaged or missing, or the grace period is none: nothing was deleted.
    ReadOnlyModeError
        If the storage takes no writes.
    UnsupportedOperationError
        If the storage cannot list its objects, or does not tell when they were written.
    StorageError
        If it does not answer; what was deleted was garbage, and calling again goes on.
    """
    store = repository.store
    if not store.capabilities.listable:
        raise UnsupportedOperationError(f"{store.url} cannot list its objects, so garbage cannot be found there")
    if not dry_run and not store.capabilities.writable:
        raise ReadOnlyModeError(f"{store.url} cannot be written: it is read-only here; dry_run=True says what is there")
    collection = _Collection(store, repository.context, seconds_of(grace), dry_run, sessions)
    try:
        return collection.run()
    except FormatError as error:
        raise unreadable(store, error) from error


def seconds_of(grace: timedelta | float | None) -> float:
    """Return a grace period in seconds.

    Raises
    ------
    CollectionRefusedError
        If it is no length of time.
    """
    if grace is None:
        return limits.GC_GRACE_SECONDS
    seconds: object = grace.total_seconds() if isinstance(grace, timedelta) else grace
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < math.inf:
        raise CollectionRefusedError(
            f"grace is {grace!r}; it must be a timedelta or a number of seconds, 0 or more: timedelta(days=7)"
        )
    return float(seconds)


@dataclass(slots=True)
class _Stored:
    """A snapshot, page or segment as it lies in the storage."""

    modified: float = 0.0
    bytes: int = 0
    objects: int = 0
    keys: list[str] = field(default_factory=list)
    """Only of what may be deleted."""


class _Collection:
    def __init__(self, store: Store, context: Context, grace: float, dry_run: bool, sessions: tuple[str, ...]) -> None:
        self.store = store
        self.context = context
        self.grace = grace
        self.dry_run = dry_run
        self.sessions = sessions
        self.objects = Objects(store)

    def run(self) -> GcReport:
        if self.dry_run:
            return self._look()[0]
        deleted = Amount()
        while True:
            with marks.Sweep(self.store, self.context) as sweep:
                report, doomed, done = self._look(deleted)
                if self._delete(doomed, deleted, sweep):
                    marks.delete_all(self.store, done)
                    return report

    def _now(self) -> float:
        if self.store.capabilities.writable:
            return storage_time(self.store, self.context)
        return max((info.modified for info in self.store.list_info()), default=0.0)

    # ------------------------------------------------------------ looking

    def _look(self, deleted: Amount | None = None) -> tuple[GcReport, dict[tuple[str, str], _Stored], list[str]]:
        """Find what is unreachable, and mark what was not before.

        Returns
        -------
        tuple
            The report; what is to be deleted now; and the keys of the marks that are of no use after that.
        """
        report = GcReport(
            self.store.url, self.grace, self.dry_run, self._now(), deleted=Amount() if deleted is None else deleted
        )
        roots = find_roots(self.store, report.time, self.grace)
        report.leases = roots.leases
        live = live_objects(self.objects, roots, self.sessions)
        garbage, kept = self._garbage(live, roots, report)
        candidates = no_ids()
        for folder, each in garbage:
            candidates[folder].add(each)
        found = marks.read_marks(self.store)
        at_once = self.grace == 0
        ripe = [mark for mark in found if mark.modified <= report.time - self.grace]
        before = marks.named_by(found)
        marked = candidates if at_once else marks.named_by(ripe)
        doomed = {folder: candidates[folder] & marked[folder] for folder in KINDS}
        self._keep_whole(doomed, kept | (candidates[paths.COMMITS] - doomed[paths.COMMITS]), live)
        waiting = marks.named_by(mark for mark in found if mark.modified > report.time - self.grace)
        fresh = no_ids()
        for folder in KINDS:
            # also what is deleted at once: a collection that is cut short leaves word of what it was about to delete
            fresh[folder] = candidates[folder] - (before[folder] if at_once else waiting[folder] | doomed[folder])
        done = [mark.key for mark in (found if at_once else ripe)]
        if not self.dry_run:
            written = marks.write_marks(self.store, self.context, fresh)
            done += written if at_once else []
            self._tidy(roots, report.time)
        chosen = {}
        for (folder, each), stored in garbage.items():
            if each in doomed[folder]:
                chosen[folder, each] = stored
                if self.dry_run:
                    _add(report.deleted, folder, stored)
            else:
                _add(report.marked if each in fresh[folder] else report.waiting, folder, stored)
        return report, chosen, done

    def _garbage(self, live: Reach, roots: Roots, report: GcReport) -> tuple[dict[tuple[str, str], _Stored], set[str]]:
        """Return what is unreachable, old and not leased; and the unreachable snapshots that stay for now."""
        garbage: dict[tuple[str, str], _Stored] = {}
        kept: set[str] = set()
        youngest = report.time - self.grace
        for folder in KINDS:
            for each, stored in self._listed(folder, live, report):
                if stored.modified <= youngest and stored.modified < roots.since:
                    garbage[folder, each] = stored
                    continue
                _add(report.young if stored.modified > youngest else report.leased, folder, stored)
                if folder == paths.COMMITS:
                    kept.add(each)
        return garbage, kept

    def _listed(self, folder: str, live: Reach, report: GcReport) -> Iterator[tuple[str, _Stored]]:
        """Yield what lies in a folder and is unreachable; what is reachable is only counted."""
        found: dict[str, _Stored] = {}
        used: set[str] = set()
        for info in self.store.list_info(folder):
            owner = paths.owner_of(info.key)
            if owner is None:
                report.foreign += 1
            elif info.key in live:
                report.reachable.objects += 1
                report.reachable.bytes += info.size
                used.add(owner[1])
            else:
                _take(found.setdefault(owner[1], _Stored()), info)
        _count(report.reachable, folder, len(used))
        yield from found.items()

    def _keep_whole(self, doomed: Ids, snapshots: set[str], live: Reach) -> None:
        """Take from what is doomed whatever is named by unreachable snapshots that stay.

        So every snapshot that is there can be read whole, and made reachable again.
        """
        if any(doomed.values()) and snapshots:
            named = reach(self.objects, snapshots, live.commits, on_damage=lambda key, error: None)
            doomed[paths.COMMITS] -= named.commits
            doomed[paths.PAGES] -= named.pages
            doomed[paths.SEGMENTS] -= named.segments

    # ------------------------------------------------------------ deleting

    def _delete(self, doomed: dict[tuple[str, str], _Stored], deleted: Amount, sweep: marks.Sweep) -> bool:
        """Delete what names others before what they name; say whether all was done while others knew of the sweep."""
        for folder in KINDS:
            mine = {each: stored for (kind, each), stored in doomed.items() if kind == folder}
            keys = [key for stored in mine.values() for key in stored.keys]
            # the document that opens it first: what has one is whole
            keys.sort(key=lambda key: (key.count("/") != 2 or not key.endswith("/zarr.json"), key))
            heads = sum(key.count("/") == 2 and key.endswith("/zarr.json") for key in keys)
            for part in (keys[:heads], keys[heads:]):
                for start in range(0, len(part), _BATCH):
                    if not sweep.known:
                        return False
                    delete_many(self.store, part[start : start + _BATCH], self.context.writes_in_flight)
            for each, stored in mine.items():
                _add(deleted, folder, stored)
                if len(stored.keys) == stored.objects:
                    self.store.tidy(f"{folder}{each}/")
        return True

    def _tidy(self, roots: Roots, now: float) -> None:
        """Delete notes that are of no use any more: of leases that lapsed, of collectors and probes that died."""
        dead = list(roots.lapsed)
        dead += [info.key for info in marks.sweeps(self.store) if now - info.modified > limits.GC_SWEEP_SECONDS]
        for info in (*self.store.list_info("probe-"), *self.store.list_info(paths.GC_PROBES)):
            own = is_probe(info.key) or paths.is_dataset_key(info.key)
            if own and now - info.modified > limits.GC_SWEEP_SECONDS:
                dead.append(info.key)
        marks.delete_all(self.store, dead)


def _take(stored: _Stored, info: ObjectInfo) -> None:
    stored.modified = max(stored.modified, info.modified)
    stored.bytes += info.size
    stored.objects += 1
    stored.keys.append(info.key)


def _add(amount: Amount, folder: str, stored: _Stored) -> None:
    _count(amount, folder, 1)
    amount.objects += stored.objects
    amount.bytes += stored.bytes


def _count(amount: Amount, folder: str, many: int) -> None:
    name = {paths.COMMITS: "snapshots", paths.PAGES: "pages", paths.SEGMENTS: "segments"}[folder]
    setattr(amount, name, getattr(amount, name) + many)
