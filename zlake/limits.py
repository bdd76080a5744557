"""Every number that bounds what zlake writes, reads or believes, in one place."""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# What a writer aims at (bytes before compression unless said otherwise).
INNER_CHUNK_BYTES: Final = 256 * KIB
"""Target size of an inner chunk, the unit of reading."""
SHARD_BYTES: Final = 32 * MIB
"""Target size of a shard, the unit of writing."""
SIDECAR_CHUNK_BYTES: Final = MIB
"""Largest chunk of ids, offsets and shapes; sidecars are never sharded, so one request reads one chunk."""
FLUSH_BYTES: Final = 128 * MIB
"""Buffered bytes per dataset at which a ``with`` block flushes by itself."""
TILING_THRESHOLD_BYTES: Final = 16 * MIB
"""A raw sample larger than this gets a segment entry of its own, chunked along every axis."""
NODE_METADATA_BYTES: Final = MIB
"""Segments with at least this payload also write a ``zarr.json`` for every node below them."""
COALESCE_FACTOR: Final = 4
"""How many neighbouring small segments of one size tier are merged into one."""

# What a document may hold.
DOCUMENT_BYTES: Final = 1 * MIB
"""A document that is larger is neither written nor parsed."""
TAG_BYTES: Final = DOCUMENT_BYTES + 1 * KIB
"""As large as a tag may be: it carries the document of a commit, which may be as large as any."""
INLINE_EXTENTS: Final = 1024
"""Extents of one tensor that stay inside the commit document; more go to pages."""
PAGE_EXTENTS: Final = 16_384
"""Extents in one page."""
ENTRY_CHECKS: Final = 64
"""Objects of a tensor in a segment that its entry tells apart one by one; of more it holds one checksum for all."""
INLINE_INFO_BYTES: Final = 4 * KIB
"""Info larger than this lies in an object of its own."""
INLINE_IDS: Final = 1024
"""Runs of sample ids in a diff manifest; more go to a page."""
REF_WRITES: Final = 32
"""Earlier swaps that a branch remembers, for writers whose acknowledgement was lost."""
RECENT_COMMITS: Final = 16
"""Ancestors named inside a commit document."""
HISTORY_PAGE_COMMITS: Final = 64
"""Ancestors named in one history page."""
INFO_BYTES: Final = 16 * MIB
"""Largest object that holds one user's dictionary alone."""
RECEIPT_BYTES: Final = 16 * MIB
"""Largest receipt, or plan, of an ingest; neither is stored."""
MAX_DEPTH: Final = 64
"""Nesting of brackets in a document."""
MAX_PARENTS: Final = 16
"""Commits that one commit can follow."""
MAX_AUTHOR_BYTES: Final = 1 * KIB
MAX_MESSAGE_BYTES: Final = 8 * KIB
"""Of an author or message written as a JSON string: a history page repeats 64 of them."""
PAGE_TABLE_BYTES: Final = 768 * KIB
"""Segment table of one page of extents, as JSON."""
ID_PAGE_RUNS: Final = 16 * 1024 * 1024
"""Runs of sample ids in one page."""

GC_MARK_IDS: Final = 20_000
"""Ids in one mark of a collector of garbage."""
MAX_LEASE_SECONDS: Final = 30 * 86_400
"""How long a lease that is not renewed can hold."""

# What a reader believes.
MAX_NDIM: Final = 31
MAX_CHUNK_ELEMENTS: Final = 1024 * MIB
"""Elements of one inner chunk."""
MAX_SHARD_CHUNKS: Final = 1024 * 1024
"""Inner chunks of one shard; its index takes 16 bytes for each."""
MAX_NAME_BYTES: Final = 255
MAX_REF_BYTES: Final = 240
"""Of a branch or tag name: with ``.json`` after it, it is still one file name."""
MAX_KEY_BYTES: Final = 1024
MAX_TENSORS: Final = 4096
MAX_DECODED_SAMPLE_BYTES: Final = 4096 * MIB
"""A sample whose header claims more than this is refused before it is decoded."""

# How long what nothing names any longer stays.
GC_GRACE_SECONDS: Final = 7 * 86_400
"""For how long a collector keeps what is unreachable, by the storage's clock, unless told otherwise."""
GC_SWEEP_SECONDS: Final = 600
"""A collector that last noted that it is deleting longer ago than this is dead. It writes a note four times as often,
and looks at the refs again before it deletes more if half of this has passed since the last one."""

# What a process spends.
CACHE_BYTES: Final = 512 * MIB
DISK_CACHE_BYTES: Final = 4096 * MIB
READS_IN_FLIGHT: Final = 64
WRITES_IN_FLIGHT: Final = 16
COPY_BYTES_IN_FLIGHT: Final = 256 * MIB
"""Bytes of objects on their way from one storage to another, in memory at once."""
WRITE_BYTES_IN_FLIGHT: Final = 96 * MIB
"""Bytes of one segment that are being written at once; the shard being encoded comes on top."""
