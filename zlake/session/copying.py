"""A version of a dataset, or a view of it, as a dataset of its own: segments are taken over, or rows written anew."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from msgspec import structs

from zlake.context import Context
from zlake.extents.map import ExtentMap
from zlake.extents.selection import Selection
from zlake.format import paths
from zlake.format.documents import FORMAT_VERSION, Root, SegmentTensor, TensorState
from zlake.segments.block import Block
from zlake.segments.layout import arrays
from zlake.segments.metadata import segment_documents
from zlake.segments.write import write_segment
from zlake.session.codecs import codec
from zlake.session.column import Column
from zlake.session.reuse import Wanted, pieces, wanted
from zlake.session.rewrite import block_of
from zlake.session.session import Session
from zlake.storage.store import ObjectInfo, Store, Written
from zlake.storage.transfer import sizes
from zlake.types import IdArray
from zlake.versions import refs
from zlake.versions.bring import How, bring
from zlake.versions.changes import Changes, RowChanges
from zlake.versions.claim import Claim, claim
from zlake.versions.head import EMPTY_SNAPSHOT, Head
from zlake.versions.read_head import MAIN
from zlake.versions.repository import Repository


@dataclass(frozen=True, slots=True)
class Part:
    """What of a dataset is to be copied.

    Attributes
    ----------
    names
        Full names of the tensors.
    group
        What is left off in front of names, with its slash.
    rows
        The rows, or None for all that each tensor has.
    everything
        Whether these are all tensors: then groups without tensors are copied too.
    """

    names: tuple[str, ...]
    group: str = ""
    rows: Selection | int | None = None
    everything: bool = True

    def digest(self, snapshot: str) -> str:
        """Return what names this part of a snapshot, 32 hexadecimal digits."""
        made = hashlib.blake2b(digest_size=16)
        made.update(repr((snapshot, self.names, self.group, self.everything)).encode())
        if self.rows is not None:
            rows = np.array([self.rows]) if isinstance(self.rows, int) else self.rows.array()
            made.update(rows.tobytes())
        return made.hexdigest()


def copy(
    session: Session, part: Part, dest: Store, context: Context, *, overwrite: bool, single_writer: bool, how: How
) -> Session:
    """Copy a part of a session's version, without what it has not flushed, and open the copy.

    Segments and rows first, then the branch ``main`` with everything staged on it, then the root: nothing is there for
    others to see until everything is.

    Parameters
    ----------
    session
        The source.
    part
        What to copy.
    dest, context
        Where to make the dataset, and the context to use it with.
    overwrite
        Delete a dataset that is there first.
    single_writer
        Write even where the storage has no conditional writes.
    how
        How objects travel.

    Raises
    ------
    InvalidPathException, DatasetExistsError, PathNotEmptyException
        As `zlake.versions.claim.claim`.
    RowIndexError
        If a tensor is shorter than the rows that were chosen; nothing was written.
    """
    source = session.repository
    columns = [wanted(session.column(name), part.rows) for name in part.names]
    place = claim(
        dest,
        source.store,
        source.root.dataset_id,
        context,
        kind="copy",
        of=part.digest(session.head.snapshot.id),
        overwrite=overwrite,
        single_writer=single_writer,
    )
    if place.finished:
        place.finish_again()
        repository = Repository.open(dest, context, single_writer=single_writer)
        return Session(repository, repository.head(MAIN))
    root = Root(format_version=FORMAT_VERSION, dataset_id=context.new_id(), created=context.clock())
    repository = Repository(dest, context, root, single_writer=single_writer)
    head = _main(repository)
    _take(source.store, place, columns, how)
    entries = _rewrite(repository, columns)
    rows = {each.column.key: _changes(each, entries[each.column.key]) for each in columns if each.rows.length}
    head = repository.flush(head, _everything(session, part, columns, rows))
    place.finish(root)
    return Session(repository, head)


def _main(repository: Repository) -> Head:
    """Make the branch ``main``, or drop what an earlier attempt has staged on it."""
    store, context = repository.store, repository.context
    found = store.read_versioned(paths.branch_key(MAIN))
    while True:
        ref = refs.first_ref(context)
        if found.value is not None:
            ref = refs.next_ref(refs.parse_branch(store, MAIN, found.value), None, None, context, dropped=True)
        outcome = refs.swap_branch(store, MAIN, ref, found.generation)
        if isinstance(outcome, Written):
            return Head(MAIN, ref, outcome.generation, EMPTY_SNAPSHOT)
        found = outcome


# ---------------------------------------------------------------- segments that are taken over


def _take(source: Store, place: Claim, columns: Sequence[Wanted], how: How) -> None:
    """Bring the tensors of segments that are taken as they are, and a document for each segment that fits them."""
    taken: dict[str, dict[str, tuple[SegmentTensor, np.dtype]]] = {}
    for each in columns:
        for entry in each.entries():
            dtype = np.dtype(np.uint8) if entry.layout == "encoded" else each.column.spec.dtype
            assert dtype is not None
            taken.setdefault(entry.segment, {})[each.column.key] = (entry, dtype)
    if not taken:
        return
    found = _listed(source, taken)
    objects: list[ObjectInfo] = []
    documents: list[tuple[str, bytes]] = []
    for segment, tensors in taken.items():
        keys = {info.key.split("/")[2] for info in found[segment]} - {"zarr.json"}
        for info in found[segment]:
            owner = info.key.split("/")[2]
            if owner in tensors or (owner == "zarr.json" and keys == set(tensors)):
                objects.append(info)
        if keys != set(tensors) or not any(info.key.count("/") == 2 for info in found[segment]):
            document = segment_documents(segment, tensors, False)["zarr.json"]
            documents.append((f"{paths.segment_prefix(segment)}zarr.json", document))
    bring(source, place.store, objects, place.there, how)
    place.store.create_many(documents)


def _listed(source: Store, taken: dict[str, dict[str, tuple[SegmentTensor, np.dtype]]]) -> dict[str, list[ObjectInfo]]:
    """Return the objects of segments; where the storage cannot list, those that their tables speak of."""
    found: dict[str, list[ObjectInfo]] = {segment: [] for segment in taken}
    if source.capabilities.listable:
        for info in sizes(source, [paths.segment_prefix(segment) for segment in taken]).values():
            found[info.key.split("/")[1]].append(info)
    else:
        for segment, tensors in taken.items():
            for key, (entry, dtype) in tensors.items():
                prefix = paths.tensor_prefix(segment, key)
                found[segment].extend(ObjectInfo(f"{prefix}{name}", -1, 0.0) for name in _names(entry, dtype))
    return found


def _names(entry: SegmentTensor, dtype: np.dtype) -> Iterator[str]:
    for layout in arrays(entry, dtype).values():
        yield from map(layout.object_key, layout.positions())


# ---------------------------------------------------------------- rows that are written anew


def _rewrite(repository: Repository, columns: Sequence[Wanted]) -> dict[str, list[SegmentTensor]]:
    """Write the rows that stay in no segment of theirs; return the new segments of each tensor, in row order."""
    context = repository.context
    made: dict[str, list[SegmentTensor]] = {each.column.key: [] for each in columns}
    blocks: dict[str, tuple[Block, str]] = {}
    size = 0

    def write() -> None:
        nonlocal size
        entries = write_segment(repository.store, context.new_id(), blocks, context)
        for key, entry in entries.items():
            made[key].append(entry)
        blocks.clear()
        size = 0

    for column, rows, ids in _parts(columns, context.flush_bytes):
        block = replace(block_of(column, rows, column.base()[0]), ids=ids)
        if blocks and (column.key in blocks or size + block.nbytes > context.flush_bytes):
            write()
        blocks[column.key] = (block, codec(column))
        size += block.nbytes
    if blocks:
        write()
    return made


def _parts(columns: Sequence[Wanted], most: int) -> Iterator[tuple[Column, ExtentMap, IdArray]]:
    for each in columns:
        ids, start = each.rewritten_ids(), 0
        for rows in pieces(each.column, each.rewritten(), most):
            yield each.column, rows, ids[start : start + rows.length]
            start += rows.length


# ---------------------------------------------------------------- the new state


def _changes(each: Wanted, entries: Sequence[SegmentTensor]) -> RowChanges:
    new = ExtentMap.from_runs((i, 0, entry.rows) for i, entry in enumerate(entries))
    return RowChanges(segments=(*each.entries(), *entries), appended=each.found(new), appended_ids=each.ids)


def _everything(session: Session, part: Part, columns: Sequence[Wanted], rows: dict[str, RowChanges]) -> Changes:
    states: dict[str, TensorState] = {}
    infos = {}
    for each in columns:
        state = each.column.state
        states[state.key] = structs.replace(state, name=state.name.removeprefix(part.group))
        if each.column.info:
            infos[state.key] = each.column.info
    names = {state.name for state in states.values()}
    groups = (
        {name.removeprefix(part.group) for name in session.groups if name.startswith(part.group)}
        if (part.everything)
        else set()
    )
    groups |= {"/".join(parts[:i]) for parts in (name.split("/") for name in names) for i in range(1, len(parts))}
    info = {} if part.group else session.info
    return Changes(
        rows=rows,
        tensors=states,
        groups=tuple(sorted(groups)) if groups else None,
        info=info or None,
        tensor_info=infos,
    )
