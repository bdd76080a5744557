"""Extent tables of documents to extent maps and back, with pages shared between snapshots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

import numpy as np

from zlake import limits
from zlake.extents import edit
from zlake.extents.map import EMPTY, ExtentMap
from zlake.extents.places import Substitution
from zlake.format.documents import Extent, ExtentPage, ExtentTable, SegmentTensor
from zlake.types import IntArray
from zlake.versions.draft import Draft
from zlake.versions.objects import Located, Objects

SEGMENT_BYTES: Final = 256
EXTENT_BYTES: Final = 16
"""About what an entry of a segment table and an extent take in a document."""
INLINE_TABLE_BYTES: Final = 48 * limits.KIB
"""An inline table larger than this moves its older extents to a page."""
FINISHED_TABLE_BYTES: Final = 2 * limits.KIB
"""The same where rows were appended that no later flush will gather: every commit that follows repeats the table."""
DOCUMENT_TABLES_BYTES: Final = 512 * limits.KIB
"""What the inline tables of all tensors may take in one document."""
EDITED_PAGE_BYTES: Final = 64 * limits.KIB
"""A page whose extents were edited is cut into pages of about this size: what is edited once is edited again."""
SPREAD_PAGE_BYTES: Final = 256 * limits.KIB
"""The same of neighbouring pages that were edited at once: each page costs two objects."""
PAGE_FANOUT: Final = 4
"""How many neighbouring pages of one size class are merged into one."""


def load_extents(table: ExtentTable, objects: Objects) -> Located:
    """Return the segment table and the extent map of a tensor, reading its pages at once where there are any.

    Raises
    ------
    DatasetCorruptError, CorruptObjectError
        If a page is missing or damaged.
    """
    if not table.pages:
        return table.segments, inline_map(table)
    parts = objects.extent_pages([page.id for page in table.pages])
    parts.append((table.segments, inline_map(table)))
    return together(parts)


def together(parts: Iterable[Located]) -> Located:
    """Return the rows of several tables, one behind the other, as those of one."""
    numbers: dict[str, int] = {}
    segments: list[SegmentTensor] = []
    maps = [edit.renumber(extents, adopt(segments, numbers, entries)) for entries, extents in parts]
    return tuple(segments), edit.join(maps)


def inline_map(table: ExtentTable) -> ExtentMap:
    """Return the map of a table's inline extents, over its inline segments."""
    if len(table.extents) == 1:
        (only,) = table.extents
        return ExtentMap(np.array([only.segment]), np.array([only.start]), np.array([only.count]))
    if not table.extents:
        return EMPTY
    return ExtentMap.from_runs((e.segment, e.start, e.count) for e in table.extents)


def adopt(segments: list[SegmentTensor], numbers: dict[str, int], entries: Sequence[SegmentTensor]) -> IntArray:
    """Add entries to a segment table, each segment once, and return their places in it.

    Parameters
    ----------
    segments
        The table, extended here.
    numbers
        Place in the table by segment id, extended here.
    entries
        Entries to add.
    """
    places = np.empty(len(entries), np.int64)
    for i, entry in enumerate(entries):
        place = numbers.setdefault(entry.segment, len(segments))
        if place == len(segments):
            segments.append(entry)
        places[i] = place
    return places


def pruned(segments: Sequence[SegmentTensor], extents: ExtentMap) -> Located:
    """Return the segments that a map names, and the map over them."""
    used = edit.used_segments(extents)
    if len(used) == len(segments):
        return tuple(segments), extents
    mapping = np.zeros(len(segments), np.int64)
    mapping[used] = np.arange(len(used))
    return tuple(segments[i] for i in used.tolist()), edit.renumber(extents, mapping)


class Part:
    """Rows of a table that are stored together: those of one page, or the inline ones. Loaded when edited."""

    def __init__(self, page: ExtentPage | None, rows: int, objects: Objects, located: Located | None = None) -> None:
        self.page = page
        self.rows = rows
        self.changed = False
        self._objects = objects
        self._segments: list[SegmentTensor] | None = None
        self._numbers: dict[str, int] = {}
        self._extents = EMPTY
        if located is not None:
            self._fill(located)

    def _fill(self, located: Located) -> None:
        self._segments = list(located[0])
        self._numbers = {entry.segment: i for i, entry in enumerate(located[0])}
        self._extents = located[1]

    def load(self) -> tuple[list[SegmentTensor], ExtentMap]:
        """Return the segment table, which may be extended, and the map."""
        if self._segments is None:
            assert self.page is not None
            self._fill(self._objects.extent_pages([self.page.id])[0])
        assert self._segments is not None
        return self._segments, self._extents

    def adopt(self, entries: Sequence[SegmentTensor], extents: ExtentMap) -> ExtentMap:
        """Return a map over ``entries`` as one over this part's table."""
        segments, _ = self.load()
        return edit.renumber(extents, adopt(segments, self._numbers, entries))

    def put(self, extents: ExtentMap) -> None:
        """Replace the map."""
        self._extents = extents
        self.rows = extents.length
        self.changed = True

    def refill(self, segments: Sequence[SegmentTensor], extents: ExtentMap) -> None:
        """Replace the map, and the table that it is over."""
        self._fill((tuple(segments), extents))
        self.put(extents)

    def pruned(self) -> Located:
        """Return the table with the segments alone that are used, and the map over it."""
        return pruned(*self.load())


class TableEditor:
    """Edits one tensor's extent table part by part, so that untouched pages stay shared.

    Parameters
    ----------
    table
        The table to start from; it is not changed.
    objects
        Reads the pages that an edit needs.
    """

    def __init__(self, table: ExtentTable, objects: Objects) -> None:
        self._objects = objects
        self._parts = [Part(page, page.rows, objects) for page in table.pages]
        tail = inline_map(table)
        self._parts.append(Part(None, tail.length, objects, (table.segments, tail)))

    @property
    def length(self) -> int:
        """Number of rows."""
        return sum(part.rows for part in self._parts)

    @property
    def n_extents(self) -> int:
        """Number of extents; loads every page."""
        return sum(part.load()[1].n_extents for part in self._parts)

    def append(self, segments: Sequence[SegmentTensor], extents: ExtentMap) -> None:
        """Add rows at the end."""
        tail = self._parts[-1]
        new = tail.adopt(segments, extents)
        tail.put(edit.concat(tail.load()[1], new))

    def drop_last(self, rows: int) -> None:
        """Remove rows at the end."""
        for part in reversed(self._parts):
            gone = min(rows, part.rows)
            if gone:
                part.put(edit.slice_(part.load()[1], 0, part.rows - gone) if gone < part.rows else EMPTY)
                rows -= gone

    def clear(self) -> None:
        """Remove all rows."""
        self._parts = [Part(None, 0, self._objects, ((), EMPTY))]

    def replace(self, rows: IntArray, segments: Sequence[SegmentTensor], extents: ExtentMap) -> None:
        """Give rows, each named once, new content: row i of ``extents`` to ``rows[i]``."""
        for part, mine, which in self._by_part(rows):
            new = part.adopt(segments, extents if which is None else edit.take(extents, which))
            part.put(edit.replace(part.load()[1], mine, new))

    def delete(self, rows: IntArray) -> None:
        """Remove rows."""
        for part, mine, _ in self._by_part(rows):
            part.put(edit.delete(part.load()[1], mine))

    def substitute(self, segments: Sequence[SegmentTensor], old: ExtentMap, new: ExtentMap) -> bool:
        """Let the rows that lie where ``old`` says lie where ``new`` says, and say whether there are any.

        Parts that change one behind the other become one: what was cut into small pages often fits into the document.
        """
        table, numbers = list(segments), {entry.segment: i for i, entry in enumerate(segments)}
        move = Substitution(old, new)
        found: list[Part] = []
        for part in self._parts:
            entries, extents = part.load()
            extents = edit.renumber(extents, adopt(table, numbers, entries))
            moved = move(extents)
            if moved is not extents:
                part.refill(table, moved)
            if found and part.changed and found[-1].changed:
                more = part.adopt(*found.pop().load())
                part.put(edit.concat(more, part.load()[1]))
            found.append(part)
        self._parts = found
        return any(part.changed for part in found)

    def _by_part(self, rows: IntArray) -> list[tuple[Part, IntArray, IntArray | None]]:
        """Split rows by part: (part, rows within it, which of ``rows`` they are or None for all)."""
        if not len(rows):
            return []
        if len(self._parts) == 1:
            return [(self._parts[0], rows, None)]
        order = np.argsort(rows, kind="stable")
        ends = np.cumsum([part.rows for part in self._parts])
        cuts = np.searchsorted(rows[order], ends).tolist()
        found: list[tuple[Part, IntArray, IntArray | None]] = []
        for part, end, low, high in zip(self._parts, ends.tolist(), [0, *cuts], cuts, strict=False):
            if low < high:
                which = order[low:high]
                found.append((part, rows[which] - (end - part.rows), which))
        return found

    def store(self, draft: Draft, inline_bytes: int) -> ExtentTable:
        """Return the table as a document, with new pages added to the draft.

        Parameters
        ----------
        draft
            Takes the new pages.
        inline_bytes
            What the inline part may take in the document, about.
        """
        pages: list[ExtentPage] = []
        for changed, group in groupby(self._parts[:-1], lambda part: part.changed):
            if not changed:
                pages.extend(part.page for part in group if part.page is not None)
            elif parts := [part.pruned() for part in group if part.rows]:
                # changes all over the place will come again: few large pages then, small ones where one was changed
                most = EDITED_PAGE_BYTES if len(parts) == 1 else SPREAD_PAGE_BYTES
                for piece in _cut(*together(parts), most):
                    pages.extend(draft.extent_pages(*piece))
        segments, extents = self._parts[-1].pruned()
        spilled = _spill(segments, extents, inline_bytes)
        if spilled:
            older = edit.slice_(extents, 0, spilled)
            pages = _merge(pages, (segments, older), draft, self._objects)
            tail = Part(None, 0, self._objects, (segments, EMPTY))
            tail.put(edit.slice_(extents, spilled, extents.length))
            segments, extents = tail.pruned()
        inline = tuple(Extent(*run) for run in extents.runs())
        return ExtentTable(segments=segments, extents=inline, pages=tuple(pages))


def appended_run(
    table: ExtentTable, segments: Sequence[SegmentTensor], extents: ExtentMap, most: int
) -> ExtentTable | None:
    """Return a table with rows at its end, where they are one run of a new segment and nothing goes to a page.

    What most commits do, at a tenth of the price of a `TableEditor`, which has to be asked in all other cases.
    """
    if len(segments) != 1 or extents.n_extents != 1:
        return None
    inline, runs = (*table.segments, *segments), len(table.extents) + 1
    if not _fits(len(inline), runs, most) or any(entry.segment == segments[0].segment for entry in table.segments):
        return None
    run = Extent(len(table.segments), int(extents.start[0]), extents.length)
    return ExtentTable(segments=inline, extents=(*table.extents, run), pages=table.pages)


def _fits(segments: int, extents: int, most: int) -> bool:
    return extents <= limits.INLINE_EXTENTS and segments * SEGMENT_BYTES + extents * EXTENT_BYTES <= most


def _spill(segments: Sequence[SegmentTensor], extents: ExtentMap, most: int) -> int:
    """Return how many first rows of the inline map go to a page, so that the rest takes a quarter of ``most``."""
    n = extents.n_extents
    if _fits(len(segments), n, most):
        return 0
    # walk from the newest extent back: a segment costs where it is met first
    backwards = extents.segment[::-1]
    cost = np.full(n, EXTENT_BYTES, np.int64)
    cost[np.unique(backwards, return_index=True)[1]] += SEGMENT_BYTES
    kept = int(np.searchsorted(np.cumsum(cost), most // 4, side="right"))
    kept = min(kept, limits.INLINE_EXTENTS // 4)
    return extents.length if not kept else int(extents.ends[n - 1 - kept])


def _cut(segments: Sequence[SegmentTensor], extents: ExtentMap, most: int) -> Iterator[Located]:
    """Yield the map in pieces of about ``most`` bytes, each over the whole table."""
    pieces = -(-(len(segments) * SEGMENT_BYTES + extents.n_extents * EXTENT_BYTES) // most)
    start = 0
    for part in np.array_split(extents.ends, max(1, min(pieces, extents.n_extents))):
        end = int(part[-1])
        yield tuple(segments), edit.slice_(extents, start, end)
        start = end


def _merge(pages: list[ExtentPage], tail: Located, draft: Draft, objects: Objects) -> list[ExtentPage]:
    """Append a page for ``tail``, merging the last pages of its size class into it: few pages, written few times."""
    pages = list(pages)
    size = tail[1].n_extents
    merged = [tail]
    while len(pages) >= PAGE_FANOUT - 1:
        group = pages[-(PAGE_FANOUT - 1) :]
        total = size + sum(page.extents for page in group)
        alike = all(_size_class(page.extents) <= _size_class(size) for page in group)
        if not alike or total > limits.PAGE_EXTENTS:
            break
        merged = [*objects.extent_pages([page.id for page in group]), *merged]
        pages = pages[: -(PAGE_FANOUT - 1)]
        size = total
    return pages + draft.extent_pages(*together(merged))


def _size_class(extents: int) -> int:
    return (extents.bit_length() - 1) // 3
