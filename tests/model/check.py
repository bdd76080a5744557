"""What must be true of the stored objects after each step, whatever the step was."""

from __future__ import annotations

from tests.model.store import WatchedStore
from zlake.format import decode, paths
from zlake.format.documents import ExtentTable, Info, Ref, Snapshot, Tag
from zlake.versions.objects import Objects


class Checker:
    """Looks at what was written since it last looked.

    Every ref names whole snapshots: the document, its parents, and the pages and segments that it names are there.
    """

    def __init__(self, store: WatchedStore) -> None:
        self.store = store
        self.whole: set[str] = set()
        """Snapshots all of whose objects were there when they were looked at."""

    def look(self) -> None:
        fresh, gone = self.store.news()
        if gone:
            self.whole.clear()
            fresh = self.store.list("refs/")
        for key in fresh:
            self._ref(key)

    def look_at_all(self) -> None:
        """Look at all refs."""
        self.store.news()
        for key in self.store.list("refs/"):
            self._ref(key)

    def _ref(self, key: str) -> None:
        if key.startswith(paths.BRANCHES):
            self._branch(key)
        elif key.startswith(paths.TAGS):
            tag = decode(Tag, self._read(key), where=key)
            if not tag.deleted:
                self._reach(tag.commit)

    def _branch(self, key: str) -> None:
        ref = decode(Ref, self._read(key), where=key)
        if ref.deleted:
            return
        if ref.commit is not None:
            assert self._reach(ref.commit).kind == "commit"
        if ref.staged is not None:
            staged = self._reach(ref.staged)
            assert staged.kind == "staged"
            assert staged.parents == (() if ref.commit is None else (ref.commit,))

    def _read(self, key: str) -> bytes:
        found = self.store.read(key)
        assert found is not None, f"{key} is missing"
        return found

    def _reach(self, snapshot_id: str) -> Snapshot:
        """Check a snapshot and all its ancestors."""
        first = self._snapshot(snapshot_id)
        waiting = [first]
        while waiting:
            snapshot = waiting.pop()
            if snapshot.id not in self.whole:
                self.whole.add(snapshot.id)
                self._objects(snapshot)
                waiting.extend(self._snapshot(parent) for parent in snapshot.parents)
        return first

    def _snapshot(self, snapshot_id: str) -> Snapshot:
        key = paths.snapshot_key(snapshot_id)
        return decode(Snapshot, self._read(key), where=key, expected_id=snapshot_id)

    def _objects(self, snapshot: Snapshot) -> None:
        pages = [snapshot.history]
        infos: list[Info] = [snapshot.info]
        for state in snapshot.tensors:
            infos.append(state.info)
            pages.extend(page.id for page in state.extents.pages)
            self._segments(state.extents)
        for diff in snapshot.diff.tensors:
            pages.extend(ids.page for ids in (diff.appended, diff.updated, diff.removed))
        pages.extend(info.object for info in infos)
        for page in pages:
            if page:
                self._read(paths.page_key(page))
        generations = [self._snapshot(parent).generation for parent in snapshot.parents]
        above = max(generations, default=0)
        assert snapshot.generation == above + (snapshot.kind == "commit")

    def _segments(self, table: ExtentTable) -> None:
        segments = list(table.segments)
        for entries, _ in Objects(self.store).extent_pages([page.id for page in table.pages]):
            segments.extend(entries)
        for entry in segments:
            self._read(f"{paths.segment_prefix(entry.segment)}zarr.json")
