"""The table: what is measured, beside whom, and what zlake must reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.measure import Result

FIXED_PEERS = ("memmap", "memmap_torch", "tensorstore", "deeplake3", "deeplake4", "lance", "icechunk", "mds", "hf")
VERSIONED = ("deeplake3", "deeplake4", "lance", "icechunk")
LIBRARIES = ("deeplake3", "deeplake4", "lance", "icechunk", "mds", "hf")


@dataclass(frozen=True)
class Condition:
    """One thing that must hold.

    Attributes
    ----------
    text
        What must hold, for the reader.
    test
        Given zlake's result and the peers' results by name; None when what it compares with is missing.
    """

    text: str
    test: Callable[[Result, Mapping[str, Result]], bool | None]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    group: str
    title: str
    workload: str
    ours: str = "zlake"
    beside: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()


def at_least(value: float, unit: str) -> Condition:
    return Condition(f"≥ {value:,.0f} {unit}", lambda mine, _: mine.value >= value)


def at_most(value: float, unit: str) -> Condition:
    return Condition(f"≤ {value:g} {unit}", lambda mine, _: mine.value <= value)


def times(factor: float, peer: str) -> Condition:
    def test(mine: Result, others: Mapping[str, Result]) -> bool | None:
        return mine.value >= factor * others[peer].value if peer in others else None

    return Condition(f"≥ {factor:g} × {peer}", test)


def ahead_of(*peers: str) -> Condition:
    def test(mine: Result, others: Mapping[str, Result]) -> bool | None:
        known = [others[peer].value for peer in peers if peer in others]
        return mine.value > max(known) if known else None

    return Condition("ahead of " + (", ".join(peers) if len(peers) < len(LIBRARIES) else "every library"), test)


def extra_at_most(name: str, limit: float) -> Condition:
    def test(mine: Result, _: Mapping[str, Result]) -> bool | None:
        return mine.extra[name] <= limit if name in mine.extra else None

    return Condition(f"{name} ≤ {limit:g}", test)


def below(peer: str) -> Condition:
    def test(mine: Result, others: Mapping[str, Result]) -> bool | None:
        return mine.value < others[peer].value if peer in others else None

    return Condition(f"less than {peer}", test)


def peer_at_most(peer: str, limit: float, unit: str) -> Condition:
    def test(_: Result, others: Mapping[str, Result]) -> bool | None:
        return others[peer].value <= limit if peer in others else None

    return Condition(f"{peer} ≤ {limit:g} {unit}", test)


def peer_extra_at_most(peer: str, name: str, limit: float) -> Condition:
    def test(_: Result, others: Mapping[str, Result]) -> bool | None:
        return others[peer].extra[name] <= limit if peer in others else None

    return Condition(f"{peer}: {name} ≤ {limit:,.0f}", test)


def requests(name: str, limit: int, kinds: tuple[str, ...] = ("GET", "HEAD")) -> Condition:
    def test(mine: Result, _: Mapping[str, Result]) -> bool | None:
        seen = mine.extra.get(name)
        return None if seen is None else sum(seen.get(k, 0) for k in kinds) <= limit and "LIST" not in seen

    return Condition(f"{name}: ≤ {limit} {'reads' if 'GET' in kinds else 'writes'}, no listing", test)


def _variants(codec: str, text: str) -> tuple[Row, ...]:
    """Return the reading rows again for stored data of another kind; they are stated, not judged."""
    beside = (f"tensorstore:{codec}",)
    return tuple(
        Row(codec, f"{what}, {text}", workload, f"zlake:{codec}", beside)
        for what, workload in (
            ("sequential epoch", "fixed.epoch"),
            ("shuffled epoch", "fixed.shuffled"),
            ("random batches of 256", "fixed.gather"),
            ("single random samples", "fixed.single"),
        )
    )


ROWS: tuple[Row, ...] = (
    Row(
        "fixed",
        "`extend` of 50,000 rows, durable, committed",
        "fixed.extend",
        beside=FIXED_PEERS,
        conditions=(times(0.8, "tensorstore"), ahead_of("deeplake3", "lance", "icechunk", "hf")),
    ),
    Row(
        "fixed",
        "`append` row by row in a `with` block",
        "fixed.append",
        beside=("deeplake3", "mds"),
        conditions=(at_least(60_000, "rows/s"),),
    ),
    Row(
        "fixed",
        "sequential epoch, torch batches of 256",
        "fixed.epoch",
        beside=(*FIXED_PEERS, "deeplake4_batches"),
        conditions=(
            times(0.5, "memmap"),
            times(0.5, "memmap_torch"),
            ahead_of(*LIBRARIES),
            ahead_of("deeplake4_batches"),
        ),
    ),
    Row(
        "fixed",
        "fully shuffled epoch, torch batches of 256",
        "fixed.shuffled",
        beside=FIXED_PEERS,
        conditions=(times(0.5, "memmap"), times(0.5, "memmap_torch"), ahead_of(*LIBRARIES)),
    ),
    Row(
        "fixed",
        "random batches of 256",
        "fixed.gather",
        beside=FIXED_PEERS,
        conditions=(at_least(1_000_000, "rows/s"),),
    ),
    Row(
        "fixed",
        "single random samples",
        "fixed.single",
        beside=FIXED_PEERS,
        conditions=(at_least(100_000, "samples/s"),),
    ),
    *_variants("zstd", "zstd"),
    *_variants("s3", "S3"),
    Row(
        "ragged",
        "`extend` of 200,000 ragged rows (a list of arrays), durable",
        "ragged.extend",
        beside=("memmap", "tensorstore", *LIBRARIES),
        conditions=(at_least(600_000, "rows/s"),),
    ),
    Row(
        "ragged",
        "sequential epoch, lists of 256 arrays",
        "ragged.epoch",
        beside=("memmap", "tensorstore", *LIBRARIES),
        conditions=(at_least(1_200_000, "rows/s"),),
    ),
    Row("ragged", "all rows as one list of arrays", "ragged.whole"),
    Row(
        "ragged",
        "5,000 random rows in batches of 256",
        "ragged.gather",
        beside=("memmap", "tensorstore", *LIBRARIES),
        conditions=(at_least(300_000, "rows/s"),),
    ),
    Row(
        "ragged",
        "single random ragged samples",
        "ragged.single",
        beside=("memmap", "tensorstore", *LIBRARIES),
        conditions=(at_least(70_000, "samples/s"),),
    ),
    Row("jpeg", "`extend` of 4,000 JPEG files, durable", "jpeg.extend", beside=("memmap", *LIBRARIES)),
    Row(
        "jpeg",
        "sequential epoch, decoded (memmap: two threads that only decode)",
        "jpeg.epoch",
        beside=("memmap", *LIBRARIES),
        conditions=(times(0.85, "memmap"),),
    ),
    Row(
        "jpeg",
        "shuffled epoch, decoded (memmap: two threads that only decode)",
        "jpeg.shuffled",
        beside=("memmap", *LIBRARIES),
        conditions=(times(0.85, "memmap"),),
    ),
    Row(
        "jpeg",
        "single random files, not decoded",
        "jpeg.single",
        beside=("memmap", *LIBRARIES),
        conditions=(at_least(70_000, "samples/s"),),
    ),
    Row(
        "commits",
        "commit of 100 appended rows: the last one's time over the first one's",
        "commits.hundred",
        beside=("deeplake3", "deeplake4", "lance", "icechunk"),
        conditions=(at_most(1.5, "×"), extra_at_most("bytes ×", 1.5)),
    ),
    Row(
        "commits",
        "single-row durable appends",
        "commits.single_rows",
        conditions=(
            extra_at_most("extents", 40),
            extra_at_most("written ×", 20),
            extra_at_most("bulk / singles read", 1.5),
        ),
    ),
    Row(
        "costs",
        "commit of 100 images, without fsync",
        "costs.commit",
        "zlake:unsynced",
        beside=("zlake", *VERSIONED),
        conditions=(
            *(below(peer) for peer in VERSIONED),
            peer_at_most("zlake", 10, "ms"),
            peer_extra_at_most("zlake", "bytes beyond", 8192),
        ),
    ),
    Row(
        "costs",
        "commit of 100 images with their labels, without fsync",
        "costs.labelled",
        "zlake:unsynced",
        beside=("zlake", *VERSIONED),
        conditions=(*(below(peer) for peer in VERSIONED), peer_at_most("zlake", 10, "ms")),
    ),
    Row(
        "costs",
        "10,000 random updates of 100,000 numbers in one call, committed without fsync",
        "costs.update",
        "zlake:unsynced",
        beside=("zlake", *VERSIONED),
        conditions=(extra_at_most("bytes beyond", 4_000_000),),
    ),
    Row(
        "costs",
        "10,000 random updates of 100,000 numbers one by one, committed without fsync",
        "costs.update_each",
        "zlake:unsynced",
        beside=("zlake", "deeplake3", "deeplake4"),
        conditions=(extra_at_most("bytes beyond", 4_000_000),),
    ),
    Row(
        "costs",
        "10,000 random rows of 100,000 removed, committed without fsync",
        "costs.remove",
        "zlake:unsynced",
        beside=("zlake", "deeplake3", "deeplake4", "lance"),
        conditions=(at_most(2, "s"), peer_at_most("zlake", 2, "s")),
    ),
    Row(
        "costs",
        "merge of two branches of 1,000,000 rows with 1,000 changed each",
        "costs.merge",
        conditions=(at_most(2, "s"), extra_at_most("sample objects", 0)),
    ),
    Row("costs", "log of 10,000 commits", "costs.log", conditions=(extra_at_most("reads", 170),)),
    Row(
        "costs",
        "requests of a commit of 100 images",
        "costs.requests",
        conditions=(
            at_most(4, "requests"),
            extra_at_most("checkout of a branch", 2),
            extra_at_most("checkout of a commit", 2),
            extra_at_most("checkout of a tag", 2),
            extra_at_most("tag, writes", 1),
            extra_at_most("branch, writes", 1),
        ),
    ),
    Row(
        "requests",
        "requests on S3: cold open",
        "requests.count",
        "zlake:s3",
        conditions=(
            requests("open", 3),
            requests("images", 2),
            requests("values", 4),
            requests("photos", 4),
            requests("commit", 3, ("PUT",)),
            requests("flush and commit", 3, ("PUT",)),
        ),
    ),
    Row("imports", "`import zlake`", "imports.seconds", conditions=(at_most(0.5, "s"),)),
)
