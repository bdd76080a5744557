"""The rules of the format that bind several fields together: what a type alone cannot say.

Each function raises `BreachError` with a sentence that starts with the place in the document. `zlake.format.codec` adds
which object it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import msgspec

from zlake import limits
from zlake.format import documents as d
from zlake.format.names import name_problem


class BreachError(ValueError):
    """A document breaks a rule of the format."""


class UnknownError(ValueError):
    """A document needs something that this version does not know."""


def check_document(document: Any) -> None:
    """Check a document of any kind."""
    check = _CHECKS.get(type(document))
    if check is not None:
        check(document)


def check_root(root: d.Root) -> None:
    """Refuse features that this package does not know."""
    unknown = [name for name in root.features if name not in d.FEATURES]
    if unknown:
        raise UnknownError(f"feature {unknown[0]!r} is needed to read it")
    _distinct(root.features, "features")


def check_snapshot(snapshot: d.Snapshot) -> None:
    """Check a snapshot as a whole."""
    commit = snapshot.kind == "commit"
    if commit and snapshot.generation < 1:
        raise BreachError("generation: a commit counts at least itself, so it is 1 or more")
    if not commit and len(snapshot.parents) > 1:
        raise BreachError(f"parents: a staged snapshot lies on one commit, not on {len(snapshot.parents)}")
    if snapshot.id in snapshot.parents:
        raise BreachError("parents: a snapshot cannot follow itself")
    _distinct(snapshot.parents, "parents")
    _check_text(snapshot.author, "author", limits.MAX_AUTHOR_BYTES)
    _check_text(snapshot.message, "message", limits.MAX_MESSAGE_BYTES)
    _check_info(snapshot.info, "info")
    _check_names(snapshot)
    for i, tensor in enumerate(snapshot.tensors):
        try:
            check_tensor(tensor)
        except BreachError as error:
            raise BreachError(f"tensors[{i}].{error}") from None
    _check_diff(snapshot.diff)
    _check_briefs(snapshot.recent, "recent")


def check_tag(tag: d.Tag) -> None:
    """Check that a tag carries the commit that it names, and a tombstone none."""
    snapshot = tag.snapshot
    if snapshot is None:
        if not tag.deleted:
            raise BreachError("snapshot: it is missing; every tag but a tombstone carries its commit")
        return
    if tag.deleted:
        raise BreachError("snapshot: a tombstone carries none")
    if (snapshot.id, snapshot.kind) != (tag.commit, "commit"):
        raise BreachError(f"snapshot: it is the {snapshot.kind} snapshot {snapshot.id}, not commit {tag.commit}")
    try:
        check_snapshot(snapshot)
    except BreachError as error:
        raise BreachError(f"snapshot.{error}") from None


def check_history(page: d.HistoryPage) -> None:
    """Check a page of history."""
    _check_briefs(page.commits, "commits")


def check_mark(mark: d.GcMark) -> None:
    """Check that a mark names something, each thing once, and not too much."""
    ids = {"commits": mark.commits, "pages": mark.pages, "segments": mark.segments}
    total = sum(map(len, ids.values()))
    if not 1 <= total <= limits.GC_MARK_IDS:
        raise BreachError(f"commits: a mark names 1 to {limits.GC_MARK_IDS} ids, not {total}")
    for field, values in ids.items():
        _distinct(values, field)


def check_plan(plan: d.IngestPlan) -> None:
    """Check the plan of an ingest: tensors without rows, and a length for each."""
    if len(plan.lengths) != len(plan.tensors):
        raise BreachError(f"lengths: there are {len(plan.lengths)} for {len(plan.tensors)} tensors")
    _distinct([tensor.key for tensor in plan.tensors], "tensors")
    _distinct([tensor.name for tensor in plan.tensors], "tensors")
    for i, tensor in enumerate(plan.tensors):
        problem = name_problem(tensor.name)
        if problem:
            raise BreachError(f"tensors[{i}]: {tensor.name!r} cannot be a name: {problem}")
        if tensor.length:
            raise BreachError(f"tensors[{i}].length: a plan has no rows")
        check_tensor(tensor)


def check_receipt(receipt: d.Receipt) -> None:
    """Check the receipt of an ingest: each tensor once, with segments that make sense."""
    _distinct([tensor.key for tensor in receipt.tensors], "tensors")
    for i, tensor in enumerate(receipt.tensors):
        if tensor.dtype is not None and tensor.dtype not in d.DTYPES:
            raise BreachError(f"tensors[{i}].dtype: {tensor.dtype!r} is no core Zarr data type")
        try:
            check_segments(tensor.segments)
        except BreachError as error:
            raise BreachError(f"tensors[{i}].{error}") from None


def check_tensor(tensor: d.TensorState) -> None:
    """Check one tensor: its schema, and that its extents add up."""
    if tensor.dtype is not None and tensor.dtype not in d.DTYPES:
        raise BreachError(f"dtype: {tensor.dtype!r} is no core Zarr data type ({', '.join(d.DTYPES)})")
    _check_info(tensor.info, "info")
    table = tensor.extents
    _distinct([page.id for page in table.pages], "extents.pages")
    rows = sum(page.rows for page in table.pages) + check_extents(table.segments, table.extents)
    if rows != tensor.length:
        raise BreachError(f"length: it says {tensor.length} rows, but the extents hold {rows}")
    for i, segment in enumerate(table.segments):
        if (segment.items >= 0) != tensor.sequence:
            raise BreachError(f"extents.segments[{i}].items: {segment.items} goes with a sequence tensor only")
        ranked = tensor.ndim is not None and segment.layout == "dense" and not tensor.sequence
        if ranked and len(segment.shape) != tensor.ndim:
            raise BreachError(f"extents.segments[{i}].shape: {list(segment.shape)} has not rank {tensor.ndim}")


def check_extents(segments: Sequence[d.SegmentTensor], extents: Sequence[d.Extent]) -> int:
    """Check a segment table and the extents over it, and return how many rows they hold."""
    check_segments(segments)
    rows = [segment.rows for segment in segments]
    known = len(rows)
    total = 0
    for i, extent in enumerate(extents):
        segment, start, count = extent.segment, extent.start, extent.count
        if segment >= known:
            raise BreachError(f"extents.extents[{i}]: segment {segment} is not in a table of {known}")
        if start + count > rows[segment]:
            raise BreachError(
                f"extents.extents[{i}]: rows [{start}, {start + count}) are not in a segment of {rows[segment]} rows"
            )
        total += count
    return total


def check_segments(segments: Sequence[d.SegmentTensor]) -> None:
    """Check a table of segments."""
    _distinct([segment.segment for segment in segments], "extents.segments")
    for i, segment in enumerate(segments):
        problem = segment_problem(segment)
        if problem:
            raise BreachError(f"extents.segments[{i}].{problem}")


def segment_problem(segment: d.SegmentTensor) -> str:
    """Return what is wrong with one entry of a segment table, or an empty string."""
    if segment.codec not in d.CODECS:
        raise UnknownError(f"codec {segment.codec!r} is needed to read it")
    dense = segment.layout == "dense"
    items = segment.rows if segment.items < 0 else segment.items
    if dense and segment.elements != items:
        return f"elements: {segment.elements} is not the number of items, {items}, as dense rows need"
    if not dense and segment.shape:
        return f"shape: only dense rows share one, this is {segment.layout}"
    if dense and segment.shapes:
        return "shapes: dense rows have no shape-data"
    rank = 1 + len(segment.shape)
    if len(segment.inner) != rank:
        return f"inner: {list(segment.inner)} has not rank {rank}"
    size = prod(segment.inner)
    if size > limits.MAX_CHUNK_ELEMENTS:
        return f"inner: {size} elements are more than the {limits.MAX_CHUNK_ELEMENTS} that one chunk may hold"
    if segment.shape and prod(segment.shape) > d.MAX_COUNT:
        return f"shape: {list(segment.shape)} holds too many elements"
    if segment.shard:
        if len(segment.shard) != rank:
            return f"shard: {list(segment.shard)} has not rank {rank}"
        if any(outer % inner for outer, inner in zip(segment.shard, segment.inner, strict=True)):
            return f"shard: {list(segment.shard)} is no multiple of the inner chunks {list(segment.inner)}"
        chunks = prod(segment.shard) // size
        if chunks > limits.MAX_SHARD_CHUNKS:
            return f"shard: {chunks} inner chunks are more than the {limits.MAX_SHARD_CHUNKS} that one shard may hold"
    if segment.id_start + segment.rows - 1 > d.MAX_SAMPLE_ID:
        return f"id_start: {segment.id_start} leaves no room for {segment.rows} ids below 2**64"
    return ""


def _check_names(snapshot: d.Snapshot) -> None:
    """Check that names are well formed and that no tensor, key or group appears twice or inside a tensor."""
    names = [tensor.name for tensor in snapshot.tensors]
    for field, group in (("tensors", names), ("groups", snapshot.groups)):
        for i, name in enumerate(group):
            problem = name_problem(name)
            if problem:
                raise BreachError(f"{field}[{i}]: {name!r} cannot be a name: {problem}")
        _distinct(group, field)
    _distinct([tensor.key for tensor in snapshot.tensors], "tensors")
    taken = set(names)
    for name in (*names, *snapshot.groups):
        parent = name.rpartition("/")[0]
        while parent:
            if parent in taken:
                raise BreachError(f"tensors: {name!r} cannot lie inside {parent!r}, which is a tensor")
            parent = parent.rpartition("/")[0]
    for name in snapshot.groups:
        if name in taken:
            raise BreachError(f"groups: {name!r} is a tensor too")


def _check_diff(diff: d.Diff) -> None:
    _distinct([tensor.key for tensor in diff.tensors], "diff.tensors")
    for field, group in (("groups_created", diff.groups_created), ("groups_deleted", diff.groups_deleted)):
        for name in group:
            problem = name_problem(name)
            if problem:
                raise BreachError(f"diff.{field}: {name!r} cannot be a name: {problem}")
        _distinct(group, f"diff.{field}")
    for i, tensor in enumerate(diff.tensors):
        if tensor.renamed_from and name_problem(tensor.renamed_from):
            raise BreachError(f"diff.tensors[{i}].renamed_from: {name_problem(tensor.renamed_from)}")
        for field in ("appended", "updated", "removed"):
            _check_runs(getattr(tensor, field), f"diff.tensors[{i}].{field}")


def _check_runs(ids: d.IdRuns, where: str) -> None:
    """Check that runs of ids are sorted, do not overlap, and are as many as they say."""
    if ids.page:
        if ids.runs or not ids.count:
            raise BreachError(f"{where}: a page of ids goes with its count and without runs")
        return
    total, end = 0, 0
    for start, count in ids.runs:
        if start < end:
            raise BreachError(f"{where}.runs: a run from {start} follows one that ends before {end}")
        end = start + count
        total += count
    if end > d.MAX_SAMPLE_ID + 1:
        raise BreachError(f"{where}.runs: ids must be below 2**64")
    if ids.count not in (0, total):
        raise BreachError(f"{where}.count: it says {ids.count} ids, but the runs hold {total}")


def _check_briefs(briefs: Sequence[d.CommitBrief], where: str) -> None:
    _distinct([brief.id for brief in briefs], where)
    for i, brief in enumerate(briefs):
        _check_text(brief.author, f"{where}[{i}].author", limits.MAX_AUTHOR_BYTES)
        _check_text(brief.message, f"{where}[{i}].message", limits.MAX_MESSAGE_BYTES)


def _check_info(info: d.Info, where: str) -> None:
    if info.object and info.value:
        raise BreachError(f"{where}: info is either inline or in an object, not both")


def _check_text(text: str, where: str, most: int) -> None:
    """Bound a text by its size as a JSON string: newlines and quotes count twice, control characters six times."""
    if len(text) * 6 > most and len(msgspec.json.encode(text)) - 2 > most:
        raise BreachError(f"{where}: as a JSON string it is longer than {most} bytes")


def _distinct(values: Sequence[str], where: str) -> None:
    if len(set(values)) == len(values):
        return
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise BreachError(f"{where}: {value!r} appears twice")
        seen.add(value)


_CHECKS: dict[type, Any] = {
    d.Root: check_root,
    d.Tag: check_tag,
    d.Snapshot: check_snapshot,
    d.HistoryPage: check_history,
    d.GcMark: check_mark,
    d.IngestPlan: check_plan,
    d.Receipt: check_receipt,
}
