"""What collectors of garbage write down: what they found unreachable, and that they are deleting."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from zlake import limits
from zlake.context import Context
from zlake.errors import FormatError, StorageError
from zlake.format import decode, encode, paths
from zlake.format.documents import GcMark, GcSweep
from zlake.storage.store import ObjectInfo, Request, Store
from zlake.versions.clock import storage_time

KINDS: Final = (paths.COMMITS, paths.PAGES, paths.SEGMENTS)
"""Folders of what can be collected, in the order in which it is: nothing is deleted before what names it."""

Ids = dict[str, set[str]]
"""Ids by folder."""


def no_ids() -> Ids:
    """Return an empty set for each folder."""
    return {folder: set() for folder in KINDS}


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark that was found.

    Attributes
    ----------
    key
        Its key.
    modified
        When it was written, by the storage's clock.
    ids
        What it names; nothing if it is damaged or of a newer version.
    """

    key: str
    modified: float
    ids: Ids


def read_marks(store: Store) -> list[Mark]:
    """Return all marks."""
    found = []
    for info, data in _read(store, paths.GC_MARKS):
        ids = no_ids()
        mark_id = paths.name_of(info.key, paths.GC_MARKS)
        with contextlib.suppress(FormatError):
            mark = decode(GcMark, data, where=info.key, expected_id=mark_id)
            for folder, named in zip(KINDS, (mark.commits, mark.pages, mark.segments), strict=True):
                ids[folder].update(named)
        found.append(Mark(info.key, info.modified, ids))
    return found


def named_by(marks: Iterable[Mark]) -> Ids:
    """Return everything that marks name."""
    ids = no_ids()
    for mark in marks:
        for folder in KINDS:
            ids[folder] |= mark.ids[folder]
    return ids


def _read(store: Store, prefix: str) -> Iterator[tuple[ObjectInfo, bytes]]:
    listed = [info for info in store.list_info(prefix) if paths.is_dataset_key(info.key)]
    for start in range(0, len(listed), limits.READS_IN_FLIGHT):
        batch = listed[start : start + limits.READS_IN_FLIGHT]
        for info, data in zip(batch, store.read_many([Request(info.key) for info in batch]), strict=True):
            if data is not None:  # else another collector is done with it
                yield info, data


def write_marks(store: Store, context: Context, ids: Ids) -> list[str]:
    """Record what was found unreachable, in as many marks as it takes, and return their keys."""
    flat = [(folder, each) for folder in KINDS for each in sorted(ids[folder])]
    marks = []
    for start in range(0, len(flat), limits.GC_MARK_IDS):
        part = flat[start : start + limits.GC_MARK_IDS]
        mark_id = context.new_id()
        named = (tuple(each for folder, each in part if folder == kind) for kind in KINDS)
        marks.append((paths.mark_key(mark_id), encode(GcMark(mark_id, *named))))
    store.create_many(marks)
    return [key for key, _ in marks]


def delete_all(store: Store, keys: Iterable[str]) -> None:
    """Delete notes, one after the other."""
    for key in keys:
        store.delete(key)


class Sweep:
    """Lets others know, for the time of a block, that garbage is being collected. Entered before refs are read."""

    def __init__(self, store: Store, context: Context) -> None:
        self._store = store
        self._context = context
        self._key = self._began = ""
        self._noted = -math.inf
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="zlake-sweep", daemon=True)

    @property
    def known(self) -> bool:
        """Whether others are sure to know: if not, the refs must be read again before anything more is deleted."""
        return self._context.monotonic() - self._noted < limits.GC_SWEEP_SECONDS / 2

    def _note(self) -> None:
        sweep_id, now, before = self._context.new_id(), self._context.monotonic(), self._key
        self._began = self._began or sweep_id
        self._store.create(paths.sweep_key(sweep_id), encode(GcSweep(sweep_id, self._began)))
        self._key, self._noted = paths.sweep_key(sweep_id), now
        if before:
            self._store.delete(before)

    def _go_on(self) -> None:
        while not self._over.wait(limits.GC_SWEEP_SECONDS / 4):
            with contextlib.suppress(StorageError):
                self._note()

    def __enter__(self) -> Sweep:
        self._note()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        with contextlib.suppress(StorageError):
            self._store.delete(self._key)


def sweeps(store: Store) -> list[ObjectInfo]:
    """Return the sweeps that are under way, or were cut short."""
    return [info for info in store.list_info(paths.GC_SWEEPS) if paths.is_dataset_key(info.key)]


def sweeps_now(store: Store, context: Context) -> set[str | None]:
    """Return the collectors that may be deleting at this moment, by what their sweeps say of when they began.

    None stands for one of which that cannot be read: it may be any.
    """
    found = sweeps(store)
    if not found:
        return set()
    now = storage_time(store, context)
    keys = [info.key for info in found if now - info.modified < limits.GC_SWEEP_SECONDS]
    values = store.read_many([Request(key) for key in keys])
    return {_began(key, data) for key, data in zip(keys, values, strict=True)}


def _began(key: str, data: bytes | None) -> str | None:
    with contextlib.suppress(FormatError):
        if data is not None:  # else it is over, or goes on under another id
            return decode(GcSweep, data, where=key, expected_id=paths.name_of(key, paths.GC_SWEEPS)).began
    return None
