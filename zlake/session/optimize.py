"""Rows that lie in small pieces written anew, together; no row changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from tqdm.auto import tqdm

from zlake import limits
from zlake.errors import CommitStateUnknownError, InvalidOperationError
from zlake.extents import edit
from zlake.extents.map import ExtentMap
from zlake.extents.plan import plan
from zlake.format.documents import SegmentTensor, Snapshot
from zlake.segments.block import Block
from zlake.segments.gather import gather_shapes
from zlake.segments.write import write_segment
from zlake.session import commit as committing
from zlake.session.codecs import codec
from zlake.session.column import Column
from zlake.session.doubts import landed_before, noting
from zlake.session.rewrite import block_of
from zlake.session.session import Session, alone
from zlake.versions import fragments
from zlake.versions.compact import Moves
from zlake.versions.protocol import nothing_changed

SCHEDULERS = ("threaded", "processed", "serial", "ray")
"""What Deep Lake knows; the work is done by threads, whichever is named."""


@dataclass(frozen=True, slots=True)
class OptimizeReport:
    """What an `optimize` or `rechunk` did; false if there was nothing to do.

    Attributes
    ----------
    commit
        Id of the commit that records it, which changes no row; None if there was nothing to do, or if it was all about
        rows that are staged: these stay staged.
    segments_before, segments_after
        Segments that rows of the tensors lie in.
    extents_before, extents_after
        Runs of rows that lie together, summed over the tensors.
    bytes_written
        What the new segments take.
    """

    commit: str | None
    segments_before: int
    segments_after: int
    extents_before: int
    extents_after: int
    bytes_written: int

    def __bool__(self) -> bool:
        return self.bytes_written > 0

    def __str__(self) -> str:
        before = f"{_count(self.extents_before, 'extent')} in {_count(self.segments_before, 'segment')}"
        if not self:
            return f"nothing to do: {before}"
        after = f"{_count(self.extents_after, 'extent')} in {_count(self.segments_after, 'segment')}"
        where = "staged as before" if self.commit is None else f"commit {self.commit}"
        return f"{before} became {after}, {self.bytes_written:,} bytes written; {where}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


@alone
def optimize(
    session: Session,
    names: Sequence[str],
    everything: bool,
    message: str | None,
    num_workers: int,
    scheduler: str,
    progressbar: bool,
) -> OptimizeReport:
    """Write rows of these tensors anew where they lie in small pieces, or all of them, and let the branch name them."""
    what = "rechunk" if everything else "optimize"
    title = message or what.capitalize()
    _check(session, what, title, num_workers, scheduler)
    keys = {session.column(name).key for name in names}  # which stay, whatever others rename
    session.drop_interrupted()
    session.recover()
    branch, before = str(session.head.branch), session.head.snapshot
    doubt = (what, f"{branch} {sorted(keys)}")
    landed = landed_before(session, *doubt, partial(_landed, session, branch))
    if landed is not None:
        was, now = (each.id if each.kind == "commit" else "".join(each.parents) for each in (before, landed))
        return _report(session, keys, before, landed, None if was == now else now)
    if session.changed:
        session.flush()
        before = session.head.snapshot
    session.keep()
    with tqdm(desc=what, unit="B", unit_scale=True, delay=1, disable=not progressbar) as bar:
        columns = [column for column in session.columns.values() if column.key in keys]
        moves = _Rewriting(session, num_workers, bar).run(columns, everything)
    if not moves:
        return _report(session, keys, before, before, None)
    with noting(session, *doubt), session.advising():
        made = session.repository.compact(session.head, moves, title, committing.default_author())
    if made is None:  # others have rewritten or removed all these rows
        session.go_on(session.repository.head(branch))
        return _report(session, keys, before, before, None)
    head, commit = made
    session.go_on(head)
    return _report(session, keys, before, head.snapshot, commit)


def _check(session: Session, what: str, title: str, num_workers: Any, scheduler: str) -> None:
    session.check_writable()
    if session.head.branch is None:
        raise InvalidOperationError(
            f"{what} works on a branch: {session.store.url} is open at a past version, which stays as it is; "
            "checkout a branch first"
        )
    if isinstance(num_workers, bool) or not isinstance(num_workers, int) or num_workers < 0:
        raise InvalidOperationError(f"num_workers is a number of threads, 0 or more, not {num_workers!r:.100}")
    if scheduler not in SCHEDULERS:
        raise InvalidOperationError(f"scheduler is one of {', '.join(SCHEDULERS)}, not {scheduler!r:.100}")
    committing.check_text("message", title, limits.MAX_MESSAGE_BYTES)


def _landed(session: Session, branch: str, error: CommitStateUnknownError) -> Snapshot | None:
    """Return what a call made of which nobody could tell, if it landed; then go on from there."""
    head = session.repository.settle(branch, error)
    if head is None:
        return None
    session.go_on(head)
    return session.repository.snapshot(error.commit_id)


def _report(
    session: Session, keys: Collection[str], before: Snapshot, after: Snapshot, commit: str | None
) -> OptimizeReport:
    was, now = (_Layout(session, snapshot, keys) for snapshot in (before, after))
    return OptimizeReport(
        commit,
        was.segments,
        now.segments,
        was.extents,
        now.extents,
        sum(size for place, size in now.bytes.items() if place not in was.bytes),
    )


class _Layout:
    """Where rows of some tensors lie at a version."""

    def __init__(self, session: Session, snapshot: Snapshot, keys: Collection[str]) -> None:
        self.extents = 0
        self.bytes: dict[tuple[str, str], int] = {}
        for state in snapshot.tensors:
            if state.key in keys:
                entries, extents = session.repository.load_extents(state.extents)
                self.extents += extents.n_extents
                self.bytes.update({(state.key, entry.segment): entry.bytes for entry in entries})
        self.segments = len({segment for _, segment in self.bytes})


class _Rewriting:
    """Reads rows and writes them into segments, some tensors in each, with bounded memory.

    Without workers one segment is in memory at a time; with them, one more for each.
    """

    def __init__(self, session: Session, workers: int, bar: tqdm) -> None:
        self.session = session
        self.workers = workers
        self.bar = bar
        self.most = max(session.context.flush_bytes, limits.SHARD_BYTES)
        self._made: dict[str, list[SegmentTensor]] = {}
        self._waiting: deque[Future[dict[str, SegmentTensor]]] = deque()

    def run(self, columns: Sequence[Column], everything: bool) -> dict[str, Moves]:
        """Write what is to be written, and return the rows' old and new places by tensor key."""
        parts = {column.key: self._parts(column, everything) for column in columns if len(column)}
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(self.workers, "zlake-optimize")) if self.workers else None
            try:
                for blocks in self._segments(
                    [(column, part) for column in columns for part in parts.get(column.key, ())]
                ):
                    self._write(blocks, pool)
                while self._waiting:
                    self._take(self._waiting.popleft().result())
            finally:
                for future in self._waiting:
                    future.cancel()
        return {column.key: self._moves(column, parts[column.key]) for column in columns if parts.get(column.key)}

    def _parts(self, column: Column, everything: bool) -> list[ExtentMap]:
        segments, extents = column.base()
        itemsize = 1 if column.encoded or column.spec.dtype is None else column.spec.dtype.itemsize
        found = fragments.find(segments, extents, itemsize, everything)
        parts = fragments.pieces(extents, found, fragments.sizes(segments, extents, itemsize), self.most)
        if not everything or column.encoded or column.state.sequence:
            return parts
        return [alike for part in parts for alike in _apart(column, part, itemsize)]

    def _segments(self, parts: Sequence[tuple[Column, ExtentMap]]) -> Iterator[dict[str, tuple[Block, str]]]:
        """Yield what goes into each segment: rows of several tensors, if they are few, as a flush writes them."""
        blocks: dict[str, tuple[Block, str]] = {}
        size = 0
        for column, part in parts:
            self.session.keep()
            block = block_of(column, part, column.base()[0])
            if blocks and (column.key in blocks or size + block.nbytes > self.most):
                yield blocks
                blocks, size = {}, 0
            blocks[column.key] = (block, codec(column))
            size += block.nbytes
        if blocks:
            yield blocks

    def _write(self, blocks: dict[str, tuple[Block, str]], pool: ThreadPoolExecutor | None) -> None:
        segment = self.session.context.new_id()
        if pool is None:
            self._take(self._written(segment, blocks))
            return
        if len(self._waiting) >= self.workers:
            self._take(self._waiting.popleft().result())
        self._waiting.append(pool.submit(self._written, segment, blocks))

    def _written(self, segment: str, blocks: dict[str, tuple[Block, str]]) -> dict[str, SegmentTensor]:
        store = self.session.store
        with nothing_changed(store):
            return write_segment(store, segment, blocks, self.session.context)

    def _take(self, entries: dict[str, SegmentTensor]) -> None:
        for key, entry in entries.items():
            self._made.setdefault(key, []).append(entry)
            self.bar.update(entry.bytes)

    def _moves(self, column: Column, parts: Sequence[ExtentMap]) -> Moves:
        segments, made = column.base()[0], self._made[column.key]
        new = ExtentMap.from_runs([(len(segments) + i, 0, entry.rows) for i, entry in enumerate(made)])
        return Moves((*segments, *made), edit.join(parts), new)


def _apart(column: Column, rows: ExtentMap, itemsize: int) -> Iterator[ExtentMap]:
    """Yield rows one behind the other, each sample that is to be stored in tiles by itself."""
    segments = column.base()[0]
    may_be = [
        entry.layout == "ragged" and entry.elements * itemsize > limits.TILING_THRESHOLD_BYTES for entry in segments
    ]
    if not any(may_be[i] for i in edit.used_segments(rows).tolist()):
        yield rows
        return
    made = plan(rows, slice(0, rows.length, 1))
    shapes = gather_shapes(made, [column.source(i) for i in range(len(segments))])
    large = (shapes.prod(axis=1) * itemsize > limits.TILING_THRESHOLD_BYTES).nonzero()[0].tolist()
    start = 0
    for row in large:
        if start < row:
            yield edit.slice_(rows, start, row)
        yield edit.slice_(rows, row, row + 1)
        start = row + 1
    if start < rows.length:
        yield edit.slice_(rows, start, rows.length)
