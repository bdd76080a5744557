"""The rules that bind several fields: each broken once, each refused on writing and on reading."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from zlake import limits
from zlake.errors import FormatError
from zlake.format import documents as d
from zlake.format import encode
from zlake.format.checks import segment_problem

from .strategies import example_snapshot, to_id

SNAPSHOT = example_snapshot()
TENSOR = SNAPSHOT.tensors[0]
SEGMENT = TENSOR.extents.segments[0]
ID = to_id(b"z" * 16)
RUNS = d.IdRuns(runs=((5, 2),), count=2)


def with_tensor(**changes: Any) -> d.Snapshot:
    return replace(SNAPSHOT, tensors=(replace(TENSOR, **changes),))


def with_table(**changes: Any) -> d.Snapshot:
    return with_tensor(extents=replace(TENSOR.extents, **changes))


def with_diff(**changes: Any) -> d.Snapshot:
    return replace(SNAPSHOT, diff=d.Diff(tensors=(d.TensorDiff(key=ID, **changes),)))


def brief(**changes: Any) -> d.CommitBrief:
    return replace(SNAPSHOT.recent[0], **changes)


ROWS = d.ReceiptTensor(ID, "x", "generic", "uint8", 2, (SEGMENT,))
PLAN = d.IngestPlan(
    ID, ID, ID, "main", ID, ID, "/data", (with_tensor(length=0, extents=d.ExtentTable()).tensors[0],), (7,)
)

BROKEN: dict[str, tuple[d.Document, str]] = {
    "empty mark": (d.GcMark(ID), "1 to 20000 ids, not 0"),
    "mark with an id twice": (d.GcMark(ID, pages=(ID, ID)), "pages: .* appears twice"),
    "mark of too many": (d.GcMark(ID, pages=(ID,) * 20_001), "1 to 20000 ids, not 20001"),
    "tag without its commit": (d.Tag("v1", SNAPSHOT.id, ID), "snapshot: it is missing"),
    "tombstone with a commit": (d.Tag("v1", SNAPSHOT.id, ID, True, SNAPSHOT), "snapshot: a tombstone carries none"),
    "tag with another commit": (d.Tag("v1", ID, ID, snapshot=SNAPSHOT), f"{SNAPSHOT.id}, not commit {ID}"),
    "tag with a staged snapshot": (
        d.Tag("v1", ID, ID, snapshot=d.Snapshot(ID, "staged", ID, (), 0.0)),
        "it is the staged snapshot",
    ),
    "tag with a broken commit": (
        d.Tag("v1", SNAPSHOT.id, ID, snapshot=with_tensor(length=150)),
        r"snapshot\.tensors\[0\]\.length: it says 150",
    ),
    "lease for ever": (d.Lease(ID, 0, None, limits.MAX_LEASE_SECONDS + 1), "<= 2592000"),
    "lease for no time": (d.Lease(ID, 0, None, 0), ">= 1"),
    "rows do not add up": (with_tensor(length=150), "length: it says 150 rows, but the extents hold 151"),
    "segment not in the table": (with_table(extents=(d.Extent(3, 0, 151),)), "segment 3 is not in a table of 3"),
    "rows not in the segment": (
        with_table(extents=(d.Extent(0, 50, 51),)),
        r"rows \[50, 101\) are not in a segment of 100",
    ),
    "empty extent": (with_table(extents=(*TENSOR.extents.extents, d.Extent(0, 0, 0))), ">= 1"),
    "segment twice": (with_table(segments=(SEGMENT, *TENSOR.extents.segments[:2])), "appears twice"),
    "page twice": (with_table(pages=(d.ExtentPage(ID, 1, 1, 0),) * 2), "appears twice"),
    "page of too many extents": (with_table(pages=(d.ExtentPage(ID, 1, limits.PAGE_EXTENTS + 1, 0),)), "<= 16384"),
    "too many extents": (with_table(extents=(d.Extent(0, 0, 1),) * (limits.INLINE_EXTENTS + 1)), "length <= 1024"),
    "sequence without items": (with_tensor(sequence=True), "sequence"),
    "wrong rank": (with_tensor(ndim=3), r"\[8, 8\] has not rank 3"),
    "unknown dtype": (with_tensor(dtype="<U5"), "'<U5' is no core Zarr data type"),
    "tensor twice": (replace(SNAPSHOT, tensors=(TENSOR, replace(TENSOR, key=ID))), "'images/raw' appears twice"),
    "key twice": (replace(SNAPSHOT, tensors=(TENSOR, replace(TENSOR, name="b"))), "appears twice"),
    "group twice": (replace(SNAPSHOT, groups=("a", "a")), "'a' appears twice"),
    "tensor is a group": (replace(SNAPSHOT, groups=("images/raw",)), "is a tensor too"),
    "tensor in a tensor": (
        replace(SNAPSHOT, tensors=(TENSOR, replace(TENSOR, key=ID, name="images/raw/deep/er"))),
        "cannot lie inside 'images/raw'",
    ),
    "group in a tensor": (replace(SNAPSHOT, groups=("images/raw/g",)), "cannot lie inside"),
    "bad group name": (replace(SNAPSHOT, groups=("a/../b",)), "cannot be a name"),
    "own parent": (replace(SNAPSHOT, parents=(SNAPSHOT.id,)), "cannot follow itself"),
    "parent twice": (replace(SNAPSHOT, parents=(ID, ID)), "appears twice"),
    "staged on two": (replace(SNAPSHOT, kind="staged", parents=(ID, to_id(b"y" * 16))), "lies on one commit"),
    "no generation": (replace(SNAPSHOT, generation=0), "generation"),
    "long message": (replace(SNAPSHOT, message="\x01" * 2000), "longer than 8192 bytes"),
    "long text": (replace(SNAPSHOT, message="a" * 8193), "length <= 8192"),
    "long author": (replace(SNAPSHOT, author="ä" * 600), "longer than 1024 bytes"),
    "long brief": (replace(SNAPSHOT, recent=(brief(message='"' * 5000),)), r"recent\[0\].message"),
    "brief twice": (replace(SNAPSHOT, recent=(brief(), brief())), "appears twice"),
    "too many briefs": (replace(SNAPSHOT, recent=tuple(brief(id=to_id(b"%016d" % i)) for i in range(17))), "<= 16"),
    "info twice": (replace(SNAPSHOT, info=d.Info(value={"a": 1}, object=ID)), "inline or in an object"),
    "tensor info twice": (with_tensor(info=d.Info(value={"a": 1}, object=ID)), r"tensors\[0\].info"),
    "diff twice": (replace(SNAPSHOT, diff=d.Diff(tensors=(d.TensorDiff(key=ID),) * 2)), "appears twice"),
    "bad old name": (with_diff(renamed_from="../a"), "renamed_from"),
    "bad new group": (replace(SNAPSHOT, diff=d.Diff(groups_created=("",))), "groups_created"),
    "bad old group": (replace(SNAPSHOT, diff=d.Diff(groups_deleted=("a/",))), "groups_deleted"),
    "runs overlap": (with_diff(appended=d.IdRuns(runs=((5, 2), (6, 1)))), "follows one that ends before 7"),
    "runs not sorted": (with_diff(updated=d.IdRuns(runs=((5, 2), (1, 1)))), r"updated.runs"),
    "empty run": (with_diff(removed=d.IdRuns(runs=((5, 0),))), ">= 1"),
    "ids too large": (with_diff(appended=d.IdRuns(runs=((2**64 - 1, 2),))), "below 2"),
    "wrong count": (with_diff(appended=replace(RUNS, count=3)), "it says 3 ids, but the runs hold 2"),
    "page without count": (with_diff(appended=d.IdRuns(page=ID)), "goes with its count"),
    "page and runs": (with_diff(appended=replace(RUNS, page=ID)), "without runs"),
    "too many runs": (with_diff(appended=d.IdRuns(runs=tuple((3 * i, 1) for i in range(1025)))), "<= 1024"),
    "receipt of a tensor twice": (d.Receipt(ID, ID, (ROWS, ROWS)), "appears twice"),
    "receipt of a segment twice": (d.Receipt(ID, ID, (replace(ROWS, segments=(SEGMENT,) * 2),)), "appears twice"),
    "receipt of no rows": (d.Receipt(ID, ID, (replace(ROWS, segments=()),)), "length >= 1"),
    "receipt of unknown dtype": (d.Receipt(ID, ID, (replace(ROWS, dtype="<U5"),)), "no core Zarr data type"),
    "receipt with a short code": (d.Receipt(ID, ID, (), "0a"), "mac"),
    "plan with rows": (replace(PLAN, tensors=(TENSOR,)), "a plan has no rows"),
    "plan without a length": (replace(PLAN, lengths=()), "there are 0 for 1 tensors"),
    "plan with a tensor twice": (replace(PLAN, tensors=PLAN.tensors * 2, lengths=(1, 1)), "appears twice"),
    "plan with a bad name": (replace(PLAN, tensors=(replace(PLAN.tensors[0], name="a//b"),)), "cannot be a name"),
    "after the year 9999": (replace(SNAPSHOT, time=1e12), "year"),
    "never": (replace(SNAPSHOT, time=float("inf")), "out of range"),
    "before 1970": (replace(SNAPSHOT, time=-1.0), "time"),
}


@pytest.mark.parametrize(("broken", "why"), BROKEN.values(), ids=BROKEN)
def test_what_breaks_a_rule_is_not_written(broken: d.Document, why: str) -> None:
    with pytest.raises(FormatError, match=f"this {type(broken).__name__.lower()} cannot be written: .*{why}"):
        encode(broken)


RAGGED = d.SegmentTensor(segment=ID, layout="ragged", rows=5, elements=9, inner=(4,), shard=(8,), shapes=2)
SEQUENCE = replace(SEGMENT, items=7, elements=7)

SEGMENTS = {
    "dense": (SEGMENT, ""),
    "ragged": (RAGGED, ""),
    "sequence": (SEQUENCE, ""),
    "no items at all": (replace(SEQUENCE, items=0, elements=0), ""),
    "empty samples": (replace(RAGGED, elements=0), ""),
    "last id": (replace(SEGMENT, id_start=2**64 - 100), ""),
    "items are not elements": (replace(SEGMENT, elements=99), "elements: 99 is not the number of items, 100"),
    "sequence items": (replace(SEQUENCE, elements=100), "elements: 100 is not the number of items, 7"),
    "ragged with a shape": (replace(RAGGED, shape=(3,)), "shape: only dense rows share one"),
    "dense with shapes": (replace(SEGMENT, shapes=2), "shapes: dense rows have no shape-data"),
    "inner rank": (replace(SEGMENT, inner=(32, 8)), "inner: [32, 8] has not rank 3"),
    "shard rank": (replace(SEGMENT, shard=(64,)), "shard: [64] has not rank 3"),
    "shard no multiple": (replace(SEGMENT, shard=(48, 8, 8)), "shard: [48, 8, 8] is no multiple"),
    "huge chunk": (replace(SEGMENT, inner=(2**20, 2**20, 2**20), shard=()), "more than the 1073741824"),
    "huge shard": (replace(RAGGED, shard=(4 * (2**20 + 1),)), "1048577 inner chunks are more than"),
    "huge sample": (replace(SEGMENT, shape=(2**40, 2**40)), "holds too many elements"),
    "ids do not fit": (replace(SEGMENT, id_start=2**64 - 99), "leaves no room for 100 ids"),
}


@pytest.mark.parametrize(("segment", "why"), SEGMENTS.values(), ids=SEGMENTS)
def test_entries_of_segment_tables(segment: d.SegmentTensor, why: str) -> None:
    problem = segment_problem(segment)
    assert problem.startswith(why) if why.startswith(("elements", "inner", "shard: [")) else why in problem
    assert bool(problem) == bool(why)
