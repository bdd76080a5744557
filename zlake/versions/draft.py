"""The objects that a new snapshot needs beside itself, collected to be written before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from zlake import limits
from zlake.context import Context
from zlake.extents.map import ExtentMap
from zlake.format import encode, pages, paths
from zlake.format.documents import CommitBrief, ExtentPage, HistoryPage, IdRuns, Info, InfoObject, SegmentTensor
from zlake.versions import idruns
from zlake.versions.objects import Objects, to_table


class Draft:
    """New pages of one write attempt.

    Parameters
    ----------
    objects
        Learns what is written, so that later reads find it in memory.
    context
        Source of ids.

    Attributes
    ----------
    pending
        Keys and bytes to create.
    """

    def __init__(self, objects: Objects, context: Context) -> None:
        self.objects = objects
        self.context = context
        self.pending: list[tuple[str, bytes]] = []

    def extent_pages(self, segments: Sequence[SegmentTensor], extents: ExtentMap) -> list[ExtentPage]:
        """Add pages that hold this map, and return them in row order."""
        made = []
        counted: set[str] = set()
        for table, part in pages.split_extents(segments, to_table(extents)):
            page_id = self.context.new_id()
            rows = int(part[:, 2].sum())
            size = sum(entry.bytes for entry in table if entry.segment not in counted)
            counted.update(entry.segment for entry in table)
            self._page(page_id, pages.encode_extent_page(page_id, table, part))
            kept = ExtentMap(part[:, 0].copy(), part[:, 1].copy(), part[:, 2].copy())
            self.objects.remember("extents", page_id, (table, kept))
            made.append(ExtentPage(id=page_id, rows=rows, extents=len(part), bytes=size))
        return made

    def id_runs(self, runs: idruns.Runs, inline: int) -> IdRuns:
        """Return the document of a set of ids: inline up to ``inline`` runs, else a new page."""
        total = idruns.count(runs)
        if len(runs) <= inline:
            sizes = (runs[:, 1] - runs[:, 0]).tolist()
            pairs = tuple((first, size + 1) for first, size in zip(runs[:, 0].tolist(), sizes, strict=True))
            return IdRuns(runs=pairs, count=total)
        page_id = self.context.new_id()
        counted = np.stack((runs[:, 0], runs[:, 1] - runs[:, 0] + np.uint64(1)), axis=1)
        self._page(page_id, pages.encode_id_page(page_id, counted))
        self.objects.remember("ids", page_id, runs)
        return IdRuns(page=page_id, count=total)

    def info(self, value: Mapping[str, Any]) -> Info:
        """Return the document of a user's dictionary: inline where it is small, else a new object."""
        plain = dict(value)
        if len(msgspec.json.encode(plain)) <= limits.INLINE_INFO_BYTES:
            return Info(value=plain)
        object_id = self.context.new_id()
        self._document("info", object_id, InfoObject(id=object_id, value=plain), plain)
        return Info(object=object_id)

    def history(self, commits: tuple[CommitBrief, ...], previous: str | None) -> str:
        """Add a page of history, and return its id."""
        page_id = self.context.new_id()
        page = HistoryPage(id=page_id, commits=commits, previous=previous)
        self._document("history", page_id, page, page)
        return page_id

    def _document(self, kind: str, object_id: str, document: HistoryPage | InfoObject, value: Any) -> None:
        self.pending.append((paths.page_key(object_id), encode(document)))
        self.objects.remember(kind, object_id, value)

    def _page(self, page_id: str, parts: Sequence[tuple[str, bytes]]) -> None:
        prefix = paths.page_prefix(page_id)
        # the document last: a page whose zarr.json exists is whole
        self.pending.extend((prefix + key, data) for key, data in reversed(parts))
