"""The rows of a tensor at one moment, stored and buffered ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zlake.extents.map import ExtentMap
from zlake.extents.plan import Plan, plan
from zlake.format.documents import SegmentTensor
from zlake.segments.source import Source
from zlake.session.buffer import ColumnBuffer
from zlake.types import IntArray

if TYPE_CHECKING:
    from zlake.session.column import Column


class Content:
    """The rows of a tensor at one moment, to read from: later changes of the column do not touch it.

    Attributes
    ----------
    extents
        Which row of which source each row is.
    segments
        The stored sources; the one behind them is the buffer.
    """

    __slots__ = ("_buffer", "_column", "_stored", "_unflushed", "extents", "segments")

    def __init__(
        self,
        column: Column,
        extents: ExtentMap,
        segments: tuple[SegmentTensor, ...],
        stored: list[Source | None],
        buffer: ColumnBuffer,
    ) -> None:
        self.extents = extents
        self._column = column
        self.segments = segments
        self._stored = stored
        self._buffer = buffer
        self._unflushed: Source | None = None

    def source(self, index: int) -> Source:
        """Return the source at ``index``, opening it on first use (no I/O); the one behind the stored is the buffer."""
        if index < len(self._stored):
            source = self._stored[index]
            if source is None:
                column = self._column
                source = column.session.open_source(self.segments[index], column.key, column.spec.dtype)
                self._stored[index] = source
            return source
        if self._unflushed is None:
            with self._column.lock:
                self._unflushed = self._buffer.source()
        return self._unflushed

    def plan(self, rows: slice | IntArray) -> tuple[Plan, Sequence[Source]]:
        """Return how to read the rows, and the sources that the plan numbers."""
        made = plan(self.extents, rows)
        used = {run.source for run in made.runs}
        opened = [self.source(index) for index in used]
        sources = self._stored
        if len(sources) in used:
            sources = [*sources, *(source for source in opened if source is self._unflushed)]
        return made, sources  # type: ignore[return-value]  # the plan names opened sources only
