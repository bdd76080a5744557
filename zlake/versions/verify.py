"""Checking a whole dataset: everything that its branches and tags reach."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from tqdm.auto import tqdm

from zlake.errors import CorruptObjectError, DatasetCorruptError, FormatError, ZlakeError
from zlake.extents import edit
from zlake.extents.map import ExtentMap
from zlake.format import decode, paths
from zlake.format.documents import IdRuns, Info, Root, SegmentTensor, Snapshot, Tag, TensorState
from zlake.segments.source import open_source
from zlake.types import IdArray
from zlake.versions.extent_store import load_extents
from zlake.versions.lease import documents
from zlake.versions.marks import KINDS as COLLECTABLE
from zlake.versions.objects import Objects
from zlake.versions.reach import reach
from zlake.versions.read_head import MAIN
from zlake.versions.refs import branch_names, parse_branch, parse_tag, tag_names
from zlake.versions.report import Damage, Report, VersionStatus
from zlake.versions.repository import Repository
from zlake.versions.row_ids import ids_of
from zlake.versions.verify_segment import count_objects, verify_group, verify_tensor

T = TypeVar("T")
_Part = tuple[str, str]
"""Segment id and tensor key."""

_THREADS = 8


def verify_repository(repository: Repository, *, deep: bool = True, progressbar: bool = False) -> Report:
    """Check every object that a branch or tag reaches, and say what is damaged and what still reads.

    Checks every document and page against its checksum and the rules of the format, that extents lie within their
    segments, that every commit's ancestors are there, that no sample id appears twice in a tensor of a branch or tag
    and, with ``deep``, every checksum of every object of every segment. Nothing is taken from caches.

    Parameters
    ----------
    repository
        The dataset.
    deep
        Read the segments too.
    progressbar
        Show progress.
    """
    return _Verification(repository, deep, progressbar).run()


class _Verification:
    def __init__(self, repository: Repository, deep: bool, progressbar: bool) -> None:
        self.repository = repository
        self.store = repository.store
        self.objects = Objects(self.store)
        self.deep = deep
        self.progressbar = progressbar
        self.damages: dict[str, str] = {}
        self.checked: set[str] = set()
        self.samples = 0
        """Objects of arrays that were checked."""
        self.bad_pages: set[str] = set()
        self.bad_parts: set[_Part] = set()
        self.parts: dict[_Part, tuple[SegmentTensor, np.dtype[Any]]] = {}
        self.uses: dict[str, dict[str, set[_Part]]] = {}
        """Parts of each tensor of each snapshot."""
        self.snapshots: dict[str, Snapshot | None] = {}
        self.restorable: list[str] = []
        self.collected: list[str] = []
        """Names of deleted branches."""
        self.broken: dict[str, set[str]] = {}
        """Names of tensors that are damaged for another reason than a part, by snapshot."""

    def run(self) -> Report:
        self._document(paths.root_key(), lambda data: decode(Root, data, where=paths.root_key()))
        tips = self._tips()
        self._walk(tips)
        if self.deep:
            self._segments()
        for tip in dict.fromkeys(tips):
            self._unique_ids(tip)
        damages = tuple(Damage(key, reason) for key, reason in sorted(self.damages.items()))
        versions = tuple(self._status(snapshot_id) for snapshot_id in self.snapshots)
        return Report(
            self.store.url,
            self.deep,
            damages,
            versions,
            len(self.checked) + self.samples,
            restorable=tuple(self.restorable),
            collected=tuple(self.collected),
            leases=len({found[0] for found, _ in documents(self.store)}) if self.store.capabilities.listable else 0,
            unreachable=self._unreachable() if self.deep and self.store.capabilities.listable else None,
        )

    # ------------------------------------------------------------ documents

    def _damage(self, key: str, reason: str) -> None:
        self.damages.setdefault(key, reason.removeprefix(f"{self.store.url.rstrip('/')}/{key}").lstrip(" :"))

    def _try(self, key: str, read: Callable[[], T]) -> T | None:
        """Carry out a read of one object, and note what is wrong with it."""
        self.checked.add(key)
        try:
            return read()
        except FormatError as error:
            self._damage(key, str(error))
            return None

    def _document(self, key: str, parse: Callable[[bytes], T]) -> T | None:
        def read() -> T:
            data = self.store.read(key)
            if data is None:
                raise CorruptObjectError(f"{key} is missing")
            return parse(data)

        return self._try(key, read)

    def _tips(self) -> list[str]:
        """Return the snapshots that branches and tags name."""
        branches, tags = [MAIN], list[str]()
        if self.store.capabilities.listable:
            branches, tags = branch_names(self.store), tag_names(self.store)
            if MAIN not in branches and next(iter(self.store.list(paths.COMMITS)), None) is not None:
                branches.append(MAIN)  # not there, though the dataset has commits: damage
        tips: list[str] = []
        for name in branches:
            ref = self._document(paths.branch_key(name), lambda data, n=name: parse_branch(self.store, n, data))  # type: ignore[misc]
            if ref is not None:
                named = [i for i in (ref.staged, ref.commit) if i is not None]
                if not ref.deleted or self._is_there(name, named):
                    tips.extend(named)
        for name in tags:
            tag = self._document(paths.tag_key(name), lambda data, n=name: parse_tag(self.store, n, data))  # type: ignore[misc]
            if tag is not None and not tag.deleted:
                tips.append(tag.commit)
                self._same_commit(tag)
        return tips

    def _same_commit(self, tag: Tag) -> None:
        """Check that a tag carries its commit as it is."""
        key = paths.snapshot_key(tag.commit)
        commit = self._try(key, lambda: self.objects.snapshot(tag.commit))
        if commit is not None and commit != tag.snapshot:
            self._damage(paths.tag_key(tag.name), f"carries something else than {key}, which is what counts")

    def _is_there(self, name: str, tips: Sequence[str]) -> bool:
        """Whether nothing of what a deleted branch names was collected."""
        missing: list[str] = []
        reach(self.objects, tips, on_damage=lambda key, e: missing.append(key) if _is_missing(e) else None)
        (self.collected if missing else self.restorable).append(name)
        return not missing

    def _unreachable(self) -> int:
        """Return how many snapshots, pages and segments are stored that nothing needs."""
        segments = {segment for segment, _ in self.parts}
        stored = (paths.owner_of(key) for folder in COLLECTABLE for key in self.store.list(folder))
        return sum(
            f"{folder}{each}/zarr.json" not in self.checked and each not in segments
            for folder, each in {owner for owner in stored if owner is not None}
        )

    def _walk(self, tips: Sequence[str]) -> None:
        """Check all snapshots from the tips back."""
        waiting = list(dict.fromkeys(reversed(tips)))
        with tqdm(desc="versions", unit="", disable=not self.progressbar) as bar:
            while waiting:
                snapshot_id = waiting.pop()
                if snapshot_id in self.snapshots:
                    continue
                key = paths.snapshot_key(snapshot_id)
                snapshot = self._try(key, lambda i=snapshot_id: self.objects.snapshot(i))  # type: ignore[misc]
                self.snapshots[snapshot_id] = snapshot
                bar.update()
                if snapshot is not None:
                    waiting.extend(self._snapshot(snapshot))

    def _snapshot(self, snapshot: Snapshot) -> Iterable[str]:
        """Check what a snapshot names, and return its ancestors."""
        self.uses[snapshot.id] = {}
        self.broken[snapshot.id] = set()
        self._info(snapshot.info)
        for state in snapshot.tensors:
            if not self._tensor(snapshot.id, state) or not self._info(state.info):
                self.broken[snapshot.id].add(state.name)
        for diff in snapshot.diff.tensors:
            for ids in (diff.appended, diff.updated, diff.removed):
                self._ids(ids)
        ancestors = [*snapshot.parents, *(brief.id for brief in snapshot.recent)]
        page_id = snapshot.history
        while page_id is not None and paths.page_key(page_id) not in self.checked:
            page = self._try(paths.page_key(page_id), lambda i=page_id: self.objects.history(i))  # type: ignore[misc]
            if page is None:
                break
            ancestors.extend(brief.id for brief in page.commits)
            page_id = page.previous
        return reversed(ancestors)

    def _page(self, page_id: str, read: Callable[[], Any]) -> bool:
        """Check one page; say whether it is whole."""
        key = paths.page_key(page_id)
        if key not in self.checked and self._try(key, read) is None:
            self.bad_pages.add(page_id)
        return page_id not in self.bad_pages

    def _info(self, info: Info) -> bool:
        return not info.object or self._page(info.object, lambda: self.objects.info(info.object))

    def _ids(self, ids: IdRuns) -> bool:
        return not ids.page or self._page(ids.page, lambda: self.objects.id_runs(ids.page))

    def _tensor(self, snapshot_id: str, state: TensorState) -> bool:
        whole = True
        entries = list(state.extents.segments)
        for page in state.extents.pages:
            if self._page(page.id, lambda i=page.id: self.objects.extent_pages([i])):  # type: ignore[misc]
                entries.extend(self.objects.extent_pages([page.id])[0][0])
            else:
                whole = False
        used = self.uses[snapshot_id].setdefault(state.name, set())
        for entry in entries:
            part = (entry.segment, state.key)
            used.add(part)
            stored = np.dtype("uint8" if entry.layout == "encoded" else state.dtype)
            if self.parts.setdefault(part, (entry, stored)) != (entry, stored):
                key = paths.snapshot_key(snapshot_id)
                self._damage(key, f"tensor {state.name!r}: another version says otherwise of segment {entry.segment}")
                whole = False
        return whole

    # ------------------------------------------------------------ segments

    def _segments(self) -> None:
        """Read every object of every segment."""
        groups = {segment for segment, _ in self.parts}
        with (
            ThreadPoolExecutor(_THREADS, "zlake-verify") as pool,
            tqdm(total=len(self.parts), desc="segments", unit="", disable=not self.progressbar) as bar,
        ):
            for found in pool.map(lambda segment: list(verify_group(self.store, segment)), sorted(groups)):
                for key, reason in found:
                    self._damage(key, reason)
            self.checked.update(f"{paths.segment_prefix(segment)}zarr.json" for segment in groups)

            def verify(item: tuple[_Part, tuple[SegmentTensor, np.dtype[Any]]]) -> tuple[_Part, list[tuple[str, str]]]:
                (segment, key), (entry, dtype) = item
                return (segment, key), list(verify_tensor(self.store, entry, key, dtype))

            for part, found in pool.map(verify, self.parts.items()):
                entry, dtype = self.parts[part]
                self.samples += count_objects(entry, dtype)
                for key, reason in found:
                    self._damage(key, reason)
                    self.bad_parts.add(part)
                bar.update()

    def _unique_ids(self, tip: str) -> None:
        snapshot = self.snapshots.get(tip)
        for state in () if snapshot is None else snapshot.tensors:
            if state.name in self.broken[tip] or self.uses[tip][state.name] & self.bad_parts:
                continue
            segments, extents = load_extents(state.extents, self.objects)
            try:
                ids = ids_of(state.key, segments, extents, _Ids(self.repository))
            except (ZlakeError, MemoryError) as error:
                self._damage(f"{paths.snapshot_key(tip)}", f"the ids of tensor {state.name!r} cannot be read: {error}")
                self.broken[tip].add(state.name)
                continue
            if ids is not None and len(np.unique(ids)) != len(ids):
                self._damage(paths.snapshot_key(tip), f"tensor {state.name!r} holds a sample id twice")
                self.broken[tip].add(state.name)

    def _status(self, snapshot_id: str) -> VersionStatus:
        snapshot = self.snapshots[snapshot_id]
        if snapshot is None:
            return VersionStatus(snapshot_id, "unknown", False)
        damaged = {name for name, parts in self.uses[snapshot_id].items() if parts & self.bad_parts}
        damaged |= self.broken[snapshot_id]
        return VersionStatus(snapshot_id, snapshot.kind, not damaged, tuple(sorted(damaged)))


def _is_missing(error: FormatError) -> bool:
    return isinstance(error, DatasetCorruptError)


class _Ids:
    """Reads sample ids of stored segments."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def ids(self, key: str, segments: Sequence[SegmentTensor], extents: ExtentMap) -> IdArray:
        """Return the sample ids of rows."""
        store, context = self._repository.store, self._repository.context
        found = np.empty(extents.length, np.uint64)
        segment, row = extents.locate(np.arange(extents.length))
        for number in edit.used_segments(extents).tolist():
            # the dtype of the values does not matter to the ids
            source = open_source(store, segments[number], key, np.dtype(np.uint8), context)
            mine = segment == number
            found[mine] = source.ids(row[mine])
        return found
