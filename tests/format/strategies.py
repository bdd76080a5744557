"""Hypothesis strategies for whole documents that the format allows."""

from __future__ import annotations

import base64
from itertools import pairwise
from math import prod
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from zlake import limits
from zlake.format import documents as d

SMALL = st.integers(1, 9)
COUNTS = st.integers(0, 2**40)


def to_id(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


ids = st.binary(min_size=16, max_size=16).map(to_id)
times = st.floats(0, 4e9)
words = st.sampled_from(["png", "lz4", "mp4", "zstd"])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
parts = st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters="/"), min_size=1, max_size=8).filter(
    lambda part: part not in (".", "..")
)
names = st.lists(parts, min_size=1, max_size=3).map("/".join)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
dictionaries = st.dictionaries(texts, values, max_size=3)
infos = st.builds(d.Info, value=dictionaries) | st.builds(d.Info, object=ids)


@st.composite
def segment_tensors(draw: st.DrawFn, sequence: bool = False, ndim: int | None = None) -> d.SegmentTensor:
    layout = draw(st.sampled_from(["dense", "ragged", "encoded"]))
    rows = draw(st.integers(1, 1000))
    items = draw(st.integers(0, 5000)) if sequence else -1
    dense = layout == "dense"
    rank = ndim if ndim is not None else draw(st.integers(0, 4))
    shape = tuple(draw(st.lists(st.integers(0, 40), min_size=rank, max_size=rank))) if dense else ()
    inner = tuple(draw(SMALL) for _ in range(1 + len(shape)))
    shard = tuple(n * draw(SMALL) for n in inner) if draw(st.booleans()) else ()
    return d.SegmentTensor(
        segment=draw(ids),
        layout=layout,
        rows=rows,
        elements=(rows if items < 0 else items) if dense else draw(COUNTS),
        inner=inner,
        codec=draw(st.sampled_from(d.CODECS)),
        shape=shape,
        shard=shard,
        items=items,
        shapes=0 if dense else draw(st.integers(0, 4)),
        sidecar=draw(st.sampled_from([0, 4096])),
        id_start=draw(st.sampled_from([-1, 0, 2**63, 2**64 - rows])),
        bytes=draw(COUNTS),
    )


@st.composite
def tables(draw: st.DrawFn, sequence: bool = False, ndim: int | None = None) -> tuple[d.ExtentTable, int]:
    page = st.builds(d.ExtentPage, ids, st.integers(1, 1000), st.integers(1, 16_384), COUNTS)
    pages = draw(st.lists(page, max_size=2, unique_by=lambda page: page.id))
    segments = draw(st.lists(segment_tensors(sequence, ndim), max_size=4, unique_by=lambda s: s.segment))
    extents = []
    for _ in range(draw(st.integers(0, 5)) if segments else 0):
        segment = draw(st.integers(0, len(segments) - 1))
        start = draw(st.integers(0, segments[segment].rows - 1))
        count = draw(st.integers(1, segments[segment].rows - start))
        extents.append(d.Extent(segment, start, count))
    rows = sum(page.rows for page in pages) + sum(extent.count for extent in extents)
    return d.ExtentTable(segments=tuple(segments), extents=tuple(extents), pages=tuple(pages)), rows


@st.composite
def tensors(draw: st.DrawFn, name: str, number: int) -> d.TensorState:
    sequence = draw(st.booleans())
    ndim = draw(st.none() | st.integers(0, 3))
    table, length = draw(tables(sequence, ndim))
    return d.TensorState(
        name=name,
        key=to_id(b"%016d" % number),
        htype=draw(st.sampled_from(["generic", "image.rgb", "class_label", "keypoints_coco", "link[image]"])),
        dtype=draw(st.none() | st.sampled_from(d.DTYPES)),
        length=length,
        extents=table,
        ndim=ndim,
        sample_compression=draw(st.none() | words),
        chunk_compression=draw(st.none() | words),
        sequence=sequence,
        info=draw(infos),
        options=draw(dictionaries),
    )


@st.composite
def id_runs(draw: st.DrawFn) -> d.IdRuns:
    if draw(st.integers(0, 4)) == 0:
        return d.IdRuns(page=draw(ids), count=draw(st.integers(1, 2**40)))
    edges = sorted(draw(st.sets(st.integers(0, 2**64), max_size=6)))
    runs = tuple((a, min(b - a, 1000)) for a, b in list(pairwise(edges))[::2])
    total = sum(count for _, count in runs)
    return d.IdRuns(runs=runs, count=draw(st.sampled_from([0, total])))


diffs = st.builds(
    d.Diff,
    tensors=st.lists(
        st.builds(
            d.TensorDiff,
            key=ids,
            created=st.booleans(),
            cleared=st.booleans(),
            renamed_from=st.just("") | names,
            appended=id_runs(),
            updated=id_runs(),
            removed=id_runs(),
        ),
        max_size=2,
        unique_by=lambda diff: diff.key,
    ).map(tuple),
    info_updated=st.booleans(),
    groups_created=st.lists(names, max_size=2, unique=True).map(tuple),
)
parents = st.lists(ids, max_size=2, unique=True).map(tuple)
briefs = st.builds(d.CommitBrief, id=ids, parents=parents, author=texts, time=times, message=texts)


@st.composite
def snapshots(draw: st.DrawFn) -> d.Snapshot:
    commit = draw(st.booleans())
    found = draw(st.lists(parts, max_size=3, unique=True))
    groups = draw(st.lists(parts.map(lambda part: f"groups of {part}"), max_size=2, unique=True))
    return d.Snapshot(
        id=to_id(b"itself" + b"\0" * 10),
        kind="commit" if commit else "staged",
        write_id=draw(ids),
        parents=draw(parents) if commit else draw(parents)[:1],
        time=draw(times),
        author=draw(texts),
        message=draw(texts),
        tensors=tuple(draw(tensors(f"tensors/{name}", i)) for i, name in enumerate(found)),
        groups=tuple(groups),
        info=draw(infos),
        diff=draw(diffs),
        recent=tuple(draw(st.lists(briefs, max_size=3, unique_by=lambda brief: brief.id))),
        history=draw(st.none() | ids),
        generation=draw(st.integers(1, 10**6)) if commit else 0,
    )


roots = st.builds(d.Root, format_version=st.just(1), dataset_id=ids, created=times)
refs = st.builds(
    d.Ref,
    commit=st.none() | ids,
    staged=st.none() | ids,
    sequence=COUNTS,
    write_id=ids,
    previous=st.lists(ids, max_size=3).map(tuple),
)
tags = st.builds(d.Tag, name=names, commit=ids, write_id=ids, deleted=st.just(True)) | st.builds(
    lambda name, commit, write_id: d.Tag(name, commit.id, write_id, snapshot=commit),
    names,
    snapshots().filter(lambda snapshot: snapshot.kind == "commit"),
    ids,
)
history_pages = st.builds(
    d.HistoryPage,
    id=ids,
    commits=st.lists(briefs, min_size=1, max_size=4, unique_by=lambda brief: brief.id).map(tuple),
    previous=st.none() | ids,
)
info_objects = st.builds(d.InfoObject, id=ids, value=dictionaries)
leases = st.builds(
    d.Lease,
    id=ids,
    number=COUNTS,
    snapshot=st.none() | ids,
    seconds=st.integers(1, limits.MAX_LEASE_SECONDS),
    writing=st.booleans(),
)
several = st.lists(ids, max_size=3, unique=True).map(tuple)
marks = st.builds(d.GcMark, id=ids, commits=several, pages=several, segments=several).filter(
    lambda mark: bool(mark.commits or mark.pages or mark.segments)
)
sweeps = st.builds(d.GcSweep, id=ids, began=ids)
copyings = st.builds(
    d.Copying,
    write_id=ids,
    source=ids,
    kind=st.sampled_from(["clone", "copy"]),
    of=st.text("0123456789abcdef", max_size=64),
    cleared=st.booleans(),
)
macs = st.just("") | st.text("0123456789abcdef", min_size=64, max_size=64)


@st.composite
def ingest_plans(draw: st.DrawFn) -> d.IngestPlan:
    states = draw(snapshots()).tensors
    return d.IngestPlan(
        dataset_id=draw(ids),
        ingest=draw(ids),
        token=draw(ids),
        branch="main",
        snapshot=draw(ids | st.just("")),
        commit=draw(ids | st.just("")),
        url="s3://bucket/data",
        tensors=tuple(replace(state, length=0, extents=d.ExtentTable()) for state in states),
        lengths=tuple(state.length for state in states),
        public=draw(st.just({}) | st.just({"aws_region": "eu-1"})),
    )


@st.composite
def receipts(draw: st.DrawFn) -> d.Receipt:
    states = [state for state in draw(snapshots()).tensors if state.extents.segments]
    tensors = tuple(
        d.ReceiptTensor(
            key=state.key,
            name=state.name,
            htype=state.htype,
            dtype=state.dtype,
            ndim=state.ndim,
            segments=state.extents.segments,
            class_names=draw(st.just(()) | st.just(("cat", "dög"))),
        )
        for state in states
    )
    return d.Receipt(draw(ids), draw(ids), tensors, draw(macs))


documents = st.one_of(
    roots,
    refs,
    tags,
    snapshots(),
    history_pages,
    info_objects,
    leases,
    marks,
    sweeps,
    copyings,
    ingest_plans(),
    receipts(),
)


def example_snapshot() -> d.Snapshot:
    """A commit that uses most fields, always the same."""
    segments = tuple(
        d.SegmentTensor(
            segment=to_id(bytes([i]) * 16),
            layout="dense",
            rows=100,
            elements=100,
            inner=(32, 8, 8),
            shape=(8, 8),
            shard=(64, 8, 8),
            id_start=1000 * i,
            bytes=prod((100, 8, 8)),
        )
        for i in range(3)
    )
    table = d.ExtentTable(segments=segments, extents=(d.Extent(0, 0, 100), d.Extent(2, 50, 50), d.Extent(1, 7, 1)))
    key = to_id(b"k" * 16)
    return d.Snapshot(
        id=to_id(b"c" * 16),
        kind="commit",
        write_id=to_id(b"w" * 16),
        parents=(to_id(b"p" * 16),),
        time=1.75e9,
        author="Ada",
        message='a "quoted" message\nof two lines',
        tensors=(
            d.TensorState(name="images/raw", key=key, htype="image", dtype="uint8", length=151, extents=table, ndim=2),
        ),
        groups=("images",),
        info=d.Info(value={"source": "camera", "nested": [1, 2.5, None, {"deep": True}]}),
        diff=d.Diff(tensors=(d.TensorDiff(key=key, appended=d.IdRuns(runs=((1000, 51),))),)),
        recent=(d.CommitBrief(to_id(b"p" * 16), (), "Ada", 1.7e9, "first"),),
        generation=2,
    )
