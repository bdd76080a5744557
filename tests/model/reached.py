"""What refs and leases reach, walked by the tests themselves."""

from __future__ import annotations

from collections.abc import Iterable

from tests.model.store import WatchedStore
from zlake.format import decode, paths
from zlake.format.documents import HistoryPage, Info, Lease, Ref, Snapshot, Tag
from zlake.versions.objects import Objects

Names = frozenset[str]
"""Folders of snapshots, pages and segments: ``segments/<id>/``."""
FOLDERS = ("commits/", "pages/", "segments/")


def folder_of(key: str) -> str | None:
    """Return the folder of the snapshot, page or segment that a key belongs to."""
    return "/".join(key.split("/")[:2]) + "/" if key.startswith(FOLDERS) else None


class Reached:
    """Walks versions; what a snapshot names by itself never changes, and is remembered."""

    def __init__(self, store: WatchedStore) -> None:
        self.store = store
        self._known: dict[str, tuple[tuple[str, ...], Names]] = {}

    def from_refs(self, grace: float, sessions: Iterable[str] = ()) -> Names:
        """Return what must stay: of branches, of tags, of what was deleted less than ``grace`` seconds ago, of leases.

        Parameters
        ----------
        grace
            In seconds.
        sessions
            Further snapshots.
        """
        now = self.store.clock()
        found = set(self.walk(sessions, partly=True))
        for info in self.store.list_info("refs/"):
            value = self.store.objects[info.key].value
            ref: Ref | Tag
            if info.key.startswith(paths.TAGS):
                ref = decode(Tag, value, where=info.key)
                tips = [ref.commit]
            else:
                ref = decode(Ref, value, where=info.key)
                tips = [each for each in (ref.commit, ref.staged) if each is not None]
            if not ref.deleted:
                found |= self.walk(tips)
            elif now - info.modified < grace:
                found |= self.walk(tips, partly=True)
        return frozenset(found | self.leased(now))

    def leased(self, now: float) -> Names:
        held: dict[str, tuple[int, float, Lease]] = {}
        for info in self.store.list_info("leases/"):
            lease = decode(Lease, self.store.objects[info.key].value, where=info.key)
            held[lease.id] = max(held.get(lease.id, (-1, 0.0, lease)), (lease.number, info.modified, lease))
        alive = [each.snapshot for _, modified, each in held.values() if modified + each.seconds > now]
        return self.walk([each for each in alive if each is not None], partly=True)

    def walk(self, tips: Iterable[str], *, partly: bool = False) -> Names:
        """Return all that snapshots reach; with ``partly`` what is gone of it is left out, else it is an error."""
        found: set[str] = set()
        waiting = list(tips)
        while waiting:
            each = waiting.pop()
            name = f"commits/{each}/"
            if name in found or (partly and paths.snapshot_key(each) not in self.store.objects):
                continue
            parents, names = self._snapshot(each)
            found |= names
            waiting += parents
        return frozenset(found)

    def is_whole(self, tips: Iterable[str]) -> bool:
        """Whether nothing is missing of what snapshots reach."""
        waiting, seen = list(tips), set()
        while waiting:
            each = waiting.pop()
            if each in seen:
                continue
            seen.add(each)
            if paths.snapshot_key(each) not in self.store.objects:
                return False
            parents, names = self._snapshot(each)
            waiting += parents
            if any(f"{name}zarr.json" not in self.store.objects for name in names):
                return False
        return True

    def _snapshot(self, each: str) -> tuple[tuple[str, ...], Names]:
        if each not in self._known:
            key = paths.snapshot_key(each)
            snapshot = decode(Snapshot, self.store.objects[key].value, where=key, expected_id=each)
            self._known[each] = snapshot.parents, frozenset(self._named(snapshot))
        return self._known[each]

    def _named(self, snapshot: Snapshot) -> set[str]:
        infos: list[Info] = [snapshot.info, *(state.info for state in snapshot.tensors)]
        pages = [info.object for info in infos]
        pages += [ids.page for d in snapshot.diff.tensors for ids in (d.appended, d.updated, d.removed)]
        segments = []
        for state in snapshot.tensors:
            tables = [page.id for page in state.extents.pages]
            pages += tables
            segments += [entry.segment for entry in state.extents.segments]
            for entries, _ in Objects(self.store).extent_pages(tables):
                segments += [entry.segment for entry in entries]
        page = snapshot.history
        while page is not None:
            pages.append(page)
            key = paths.page_key(page)
            page = decode(HistoryPage, self.store.objects[key].value, where=key).previous
        named = {f"pages/{page}/" for page in pages if page} | {f"segments/{segment}/" for segment in segments}
        return named | {f"commits/{snapshot.id}/"}
