"""The documents of the format as frozen structs, named as in the specification.

No I/O and no NumPy here: a document is what JSON can say. `zlake.format.codec` turns them to bytes and back, and
`zlake.format.checks` holds the rules that bind several fields together. What a single field may be is written here,
and from here flows into the JSON Schemas.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from zlake import limits

FORMAT_VERSION: Final = 1
"""The version of the format that this package writes, and the newest that it reads."""

FEATURES: Final[frozenset[str]] = frozenset()
"""Names of the optional features that this package knows; version 1 defines none."""

CODECS: Final = ("raw", "zstd", "blosc", "gzip")
"""Codec chains of ``values-data`` by name."""

DTYPES: Final = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
)
"""Core Zarr data types: the only ones that a segment holds."""

MAX_COUNT: Final = 2**53 - 1
"""Largest count, length or size: every JSON parser reads it exactly."""
MAX_SAMPLE_ID: Final = 2**64 - 1

Id = Annotated[str, Meta(pattern="^[a-z2-7]{26}$", min_length=26, max_length=26)]
IdOrEmpty = Annotated[str, Meta(pattern="^([a-z2-7]{26})?$", max_length=26)]
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Positive = Annotated[int, Meta(ge=1, le=MAX_COUNT)]
Rank = Annotated[int, Meta(ge=0, le=limits.MAX_NDIM)]
SampleId = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0, lt=253_402_300_800)]
Name = Annotated[str, Meta(min_length=1, max_length=limits.MAX_NAME_BYTES)]
Word = Annotated[str, Meta(pattern="^[A-Za-z0-9_.+-]+$", min_length=1, max_length=64)]
Checksum = Annotated[str, Meta(pattern="^[0-9a-f]{8}$", min_length=8, max_length=8)]
Author = Annotated[str, Meta(max_length=limits.MAX_AUTHOR_BYTES)]
Message = Annotated[str, Meta(max_length=limits.MAX_MESSAGE_BYTES)]
Checks = Annotated[bytes, Meta(max_length=4 * limits.ENTRY_CHECKS)]
Parents = Annotated[tuple[Id, ...], Meta(max_length=limits.MAX_PARENTS)]


class Root(Struct, frozen=True, forbid_unknown_fields=True, tag_field="document", tag="root/1"):
    """The root document, ``zarr.json`` of the dataset: written once, never changed."""

    format_version: Annotated[int, Meta(ge=1, le=FORMAT_VERSION)]
    dataset_id: Id
    created: Seconds
    """Seconds since the epoch."""
    features: tuple[Word, ...] = ()
    """Names of features that a reader must know to read this dataset."""


class Ref(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="document", tag="branch/1"):
    """A branch, ``refs/branches/<name>.json``: the only mutable object, replaced by compare-and-swap."""

    commit: Id | None
    """Newest commit, or None before the first."""
    staged: Id | None
    """Id of the staged snapshot on top of ``commit``, or None if nothing is staged."""
    sequence: Count
    """Counts the swaps of this branch."""
    write_id: Id
    """Makes the bytes of each swap unique, so that a writer recognises its own."""
    previous: Annotated[tuple[Id, ...], Meta(max_length=limits.REF_WRITES)] = ()
    """Write ids of the swaps before this one, newest first: a writer whose swap landed but was built upon before it
    could look still finds its own."""
    deleted: bool = False
    """A tombstone: the branch is gone, and can be restored to what it names until that is collected."""
    dropped: Count = 0
    """``sequence`` of the last swap that dropped what was staged: a writer that knew it learns that it is gone."""
    restarted: Count = 0
    """``sequence`` of the last swap that put the branch elsewhere in history: made anew where it had been deleted, or
    forced. A writer that knew it before must not go on."""
    name: Name = "main"
    """The branch's name, which its key has as well: objects that were exchanged are told apart."""


class Tag(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="document", tag="tag/1"):
    """A tag, ``refs/tags/<name>.json``: created once; a tombstone when deleted."""

    name: Name
    """The tag's name, as in the key."""
    commit: Id
    write_id: Id
    deleted: bool = False
    snapshot: Snapshot | None = None
    """The commit's own document once more, so that who reads the tag has the version; None in a tombstone."""


class SegmentTensor(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One tensor in one segment: everything needed to open its arrays without a request."""

    segment: Id
    """Segment id."""
    layout: Literal["dense", "ragged", "encoded"]
    rows: Positive
    """Rows (samples) of the tensor in this segment; the length of ``ids``."""
    elements: Count
    """Length of axis 0 of ``values-data``: items if dense, elements if ragged, bytes if encoded."""
    inner: Annotated[tuple[Positive, ...], Meta(min_length=1, max_length=limits.MAX_NDIM + 1)]
    """Inner chunk shape of ``values-data`` (the chunk shape itself where there is no shard)."""
    codec: Word = "raw"
    """Codec chain of ``values-data`` by name: ``raw`` (bytes, crc32c), or ``zstd``, ``blosc``, ``gzip`` in between."""
    shape: Annotated[tuple[Count, ...], Meta(max_length=limits.MAX_NDIM)] = ()
    """Sample shape of a dense tensor; empty otherwise."""
    shard: Annotated[tuple[Positive, ...], Meta(max_length=limits.MAX_NDIM + 1)] = ()
    """Shard shape of ``values-data``; empty where the array is not sharded."""
    items: Annotated[int, Meta(ge=-1, le=MAX_COUNT)] = -1
    """Items of a sequence tensor (the rows of values, offsets and shapes); -1 if the tensor is no sequence."""
    shapes: Rank = 0
    """Rank of the samples in ``shape-data``; 0 where there is no such array."""
    sidecar: Count = 0
    """Chunk length, in rows, of ids, offsets, shapes and sequence offsets; 0 where each is one chunk."""
    id_start: Annotated[int, Meta(ge=-1)] = -1
    """First sample id where ids count up by one, so that ``ids`` need not be read; else -1."""
    bytes: Count = 0
    """Stored bytes of all objects of this tensor in this segment."""
    checks: Checks = b""
    """Four bytes for each object, by which one is told from another of the same form; four for all of them together
    where they are many; none where they are not known. See `zlake.segments.identity`."""


class Extent(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Contiguous rows ``[start, start + count)`` of the segment at ``segment`` in the table beside it."""

    segment: Count
    start: Count
    count: Positive


class ExtentPage(Struct, frozen=True, forbid_unknown_fields=True):
    """A page of an extent map: an immutable object ``pages/<id>`` that commits share."""

    id: Id
    rows: Positive
    extents: Annotated[int, Meta(ge=1, le=limits.PAGE_EXTENTS)]
    bytes: Count
    """Stored bytes of the segments first named in this page."""


class ExtentTable(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The extent map of a tensor: the rows of its pages, in order, then the rows of its inline extents.

    The newest, still small extents stay inline, so that an append rewrites no page.
    """

    segments: Annotated[tuple[SegmentTensor, ...], Meta(max_length=limits.INLINE_EXTENTS)] = ()
    extents: Annotated[tuple[Extent, ...], Meta(max_length=limits.INLINE_EXTENTS)] = ()
    pages: tuple[ExtentPage, ...] = ()
    """Pages, whose rows come before those of ``extents``."""


class Info(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A user's dictionary: inline, or in an object ``pages/<object>`` of its own where it is large."""

    value: dict[str, Any] = {}
    object: IdOrEmpty = ""


class TensorState(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One tensor at one version: its schema and its extent map."""

    name: Name
    """Full name; groups are separated by ``/``."""
    key: Id
    """Random id that never changes; the name of the tensor's sub-group in every segment."""
    htype: Annotated[str, Meta(pattern="^[A-Za-z0-9_.\\[\\]-]+$", min_length=1, max_length=64)]
    dtype: Annotated[str, Meta(max_length=16)] | None
    """NumPy name (``float32``), or None until the first sample decides."""
    length: Count
    extents: ExtentTable
    ndim: Rank | None = None
    """Rank of the samples, or None until the first sample decides."""
    sample_compression: Word | None = None
    chunk_compression: Word | None = None
    sequence: bool = False
    info: Info = Info()
    options: dict[str, Any] = {}
    """Further settings of the tensor: ``hidden``, ``tiling_threshold``, ``schema`` (json), …"""


class IdRuns(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A set of sample ids as sorted runs (first id, count), or the page that holds them."""

    runs: Annotated[tuple[tuple[SampleId, Positive], ...], Meta(max_length=limits.INLINE_IDS)] = ()
    page: IdOrEmpty = ""
    count: Count = 0
    """Number of ids in the set; may be left out where the runs are here."""


class TensorDiff(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a commit changed in one tensor against its first parent."""

    key: Id
    created: bool = False
    deleted: bool = False
    cleared: bool = False
    info_updated: bool = False
    renamed_from: Annotated[str, Meta(max_length=limits.MAX_NAME_BYTES)] = ""
    appended: IdRuns = IdRuns()
    updated: IdRuns = IdRuns()
    removed: IdRuns = IdRuns()


class Diff(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The diff manifest of a snapshot."""

    tensors: tuple[TensorDiff, ...] = ()
    info_updated: bool = False
    groups_created: tuple[Name, ...] = ()
    groups_deleted: tuple[Name, ...] = ()


class CommitBrief(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One commit as ``log`` shows it."""

    id: Id
    parents: Parents
    author: Author
    time: Seconds
    """Seconds since the epoch."""
    message: Message
    generation: Count = 0
    """As in the commit's own document."""


class HistoryPage(Struct, frozen=True, forbid_unknown_fields=True, tag_field="document", tag="history/1"):
    """Older ancestors, newest first, and the page before them."""

    id: Id
    commits: Annotated[tuple[CommitBrief, ...], Meta(min_length=1, max_length=limits.HISTORY_PAGE_COMMITS)]
    previous: Id | None


class InfoObject(Struct, frozen=True, forbid_unknown_fields=True, tag_field="document", tag="info/1"):
    """A large user's dictionary in an object of its own, ``pages/<id>/zarr.json``."""

    id: Id
    value: dict[str, Any]


class Snapshot(
    Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="document", tag="snapshot/1"
):
    """A commit, or the staged state of a branch: ``commits/<id>/zarr.json``. Immutable."""

    id: Id
    kind: Literal["commit", "staged"]
    write_id: Id
    parents: Parents
    """Commits this one follows; of a staged snapshot, the commit it is staged on (none before the first)."""
    time: Seconds
    author: Author = ""
    message: Message = ""
    tensors: Annotated[tuple[TensorState, ...], Meta(max_length=limits.MAX_TENSORS)] = ()
    groups: Annotated[tuple[Name, ...], Meta(max_length=limits.MAX_TENSORS)] = ()
    info: Info = Info()
    diff: Diff = Diff()
    recent: Annotated[tuple[CommitBrief, ...], Meta(max_length=limits.RECENT_COMMITS)] = ()
    """Newest ancestors first, at most 16, without this commit itself."""
    history: Id | None = None
    """Newest history page, of the ancestors before ``recent``."""
    generation: Count = 0
    """Of a commit: one more than the greatest generation of its parents, 1 for the first commit. Of a staged snapshot:
    that of the commit it is staged on, 0 before the first."""


class ExtentPageHead(Struct, frozen=True, forbid_unknown_fields=True, tag_field="document", tag="extent-page/1"):
    """What a page of extents says beside its array: how many rows they hold, and the segments they name."""

    id: Id
    chunk: Checksum
    """The last four bytes of the array's one chunk, its crc32c: they belong together."""
    rows: Positive
    segments: Annotated[tuple[SegmentTensor, ...], Meta(min_length=1, max_length=limits.PAGE_EXTENTS)]


class IdPageHead(Struct, frozen=True, forbid_unknown_fields=True, tag_field="document", tag="id-page/1"):
    """What a page of sample id runs says beside its array: how many ids they hold."""

    id: Id
    chunk: Checksum
    """As in a page of extents."""
    count: Positive


class Lease(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="document", tag="lease/1"):
    """One of the documents of a lease, ``leases/<id>/<number>.json``: somebody needs what refs no longer name.

    It holds as long as the storage's clock is less than ``seconds`` behind the newest of its documents.
    """

    id: Id
    number: Count
    """0 of the first document, one more with each renewal."""
    snapshot: Id | None
    """Snapshot to keep, with all that it reaches; of the newest document alone."""
    seconds: Annotated[int, Meta(ge=1, le=limits.MAX_LEASE_SECONDS)]
    writing: bool = False
    """Whether the holder may have written objects that nothing names yet: whatever was written since the lease was
    taken is kept as well."""


class GcMark(
    Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="document", tag="gc-mark/1"
):
    """What a collector found unreachable, ``gc/marks/<id>.json``: deleted if it still is a grace period later."""

    id: Id
    commits: tuple[Id, ...] = ()
    """Snapshots, ``commits/<id>/``."""
    pages: tuple[Id, ...] = ()
    """Pages, ``pages/<id>/``."""
    segments: tuple[Id, ...] = ()
    """Segments, ``segments/<id>/``."""


class GcSweep(Struct, frozen=True, forbid_unknown_fields=True, tag_field="document", tag="gc-sweep/1"):
    """A collector deletes, ``gc/sweeps/<id>.json``: written before it reads the refs, gone when it is done."""

    id: Id
    began: Id
    """Id of the first sweep that this call of the collector wrote, before it read any ref."""


class Copying(Struct, frozen=True, forbid_unknown_fields=True, tag_field="document", tag="copying/1"):
    """A copy is being made here, ``copying.json``: written first, deleted when the root is there."""

    write_id: Id
    source: Id
    """Dataset id of what is copied."""
    kind: Literal["clone", "copy"]
    """A clone keeps the dataset id and everything that it takes over; a copy is a dataset of its own."""
    of: Annotated[str, Meta(pattern="^[0-9a-f]{0,64}$", max_length=64)]
    """A digest of what is copied, for whoever goes on with it; empty for a clone."""
    cleared: bool
    """False as long as something else lies here that is being deleted first."""


class IngestPlan(
    Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="document", tag="ingest-plan/1"
):
    """What a process needs to write rows for an ingest. Sent from process to process, and stored nowhere."""

    dataset_id: Id
    ingest: Id
    """Id of the ingest, which is that of its lease."""
    token: Id
    """The key of the ingest's receipts: who has it may make some."""
    branch: Name
    snapshot: IdOrEmpty
    """The state of the branch when the ingest began; empty if there was none."""
    commit: IdOrEmpty
    """The newest commit then."""
    url: str
    tensors: Annotated[tuple[TensorState, ...], Meta(max_length=limits.MAX_TENSORS)] = ()
    """The tensors then, without their rows, and without info but class names."""
    lengths: Annotated[tuple[Count, ...], Meta(max_length=limits.MAX_TENSORS)] = ()
    """How many rows each of them had."""
    userinfo: str = ""
    credentials: str = ""
    """Where the process that began it offers its credentials to other processes; empty where it needs none."""
    public: dict[str, str] = {}
    """Settings beside them that are no secret."""


class ReceiptTensor(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Rows of one tensor that a process wrote for an ingest."""

    key: Id
    name: Name
    """The tensor's name when the ingest began."""
    htype: Annotated[str, Meta(pattern="^[A-Za-z0-9_.\\[\\]-]+$", min_length=1, max_length=64)]
    dtype: Annotated[str, Meta(max_length=16)] | None
    ndim: Rank | None
    """As in the tensor's state; perhaps decided by these rows."""
    segments: Annotated[tuple[SegmentTensor, ...], Meta(min_length=1)]
    """The rows: all those of each segment, in this order."""
    class_names: tuple[str, ...] = ()
    """Names of classes that these rows use beyond those that the tensor had when the ingest began."""


class Receipt(
    Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="document", tag="receipt/1"
):
    """Rows that a process wrote for an ingest, and that no version names yet. Sent to whoever commits them."""

    dataset_id: Id
    ingest: Id
    tensors: Annotated[tuple[ReceiptTensor, ...], Meta(max_length=limits.MAX_TENSORS)] = ()
    mac: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$", max_length=64)] = ""
    """HMAC-SHA-256 of the rest of the document, keyed by the ingest's token."""


Document = (
    Root | Ref | Tag | Snapshot | HistoryPage | InfoObject | Lease | GcMark | GcSweep | Copying | IngestPlan | Receipt
)
