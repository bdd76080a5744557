"""Whatever happens to a document's bytes: an error of the tree, or the very same document."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zlake.errors import FormatError
from zlake.format import decode, encode, seal
from zlake.format import documents as d

from .strategies import example_snapshot, to_id

ID = to_id(b"i" * 16)
COMMIT = d.Snapshot(ID, "commit", ID, (), 1.75e9, message="nothing yet", generation=1)
EXAMPLES: list[d.Document] = [
    d.Root(format_version=1, dataset_id=ID, created=1.75e9),
    d.Ref(commit=ID, staged=to_id(b"s" * 16), sequence=12, write_id=ID),
    d.Tag(name="v1", commit=COMMIT.id, write_id=ID, snapshot=COMMIT),
    d.Tag(name="v0", commit=ID, write_id=ID, deleted=True),
    example_snapshot(),
    d.HistoryPage(ID, commits=(d.CommitBrief(ID, (), "Ada", 1.7e9, "first"),), previous=None),
    d.InfoObject(ID, {"class_names": ["cat", "dog"], "n": 2}),
    d.Lease(ID, 3, snapshot=to_id(b"s" * 16), seconds=60, writing=True),
    d.GcMark(ID, commits=(ID,), segments=(ID, to_id(b"s" * 16))),
    d.GcSweep(ID, ID),
    d.Copying(write_id=ID, source=ID, kind="copy", of="0a", cleared=True),
    d.IngestPlan(ID, ID, ID, "main", ID, "", "s3://bucket/data", public={"aws_region": "eu-1"}),
    d.Receipt(
        ID,
        ID,
        (d.ReceiptTensor(ID, "x", "generic", "uint8", 2, example_snapshot().tensors[0].extents.segments[:1]),),
        "0a" * 32,
    ),
]

TOKENS = [b"", b"0", b"-1", b"[", b"]}", b'"', b",", b"null", b"1e5", b"\xff", b"\\u0000"]


@pytest.mark.parametrize("document", EXAMPLES, ids=lambda document: type(document).__name__)
def test_every_flipped_bit_is_noticed(document: d.Document) -> None:
    data = encode(document)
    for at in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[at] ^= 1 << bit
            with pytest.raises(FormatError):
                decode(type(document), bytes(damaged), where="it")


@pytest.mark.parametrize("document", EXAMPLES, ids=lambda document: type(document).__name__)
def test_every_lost_or_doubled_byte_is_noticed(document: d.Document) -> None:
    data = encode(document)
    for at in range(len(data)):
        shorter = data[:at] + data[at + 1 :]
        longer = data[:at] + data[at : at + 1] + data[at:]
        for damaged in (shorter, longer):
            with pytest.raises(FormatError):
                decode(type(document), damaged, where="it")


@given(st.sampled_from(EXAMPLES), st.data())
@settings(max_examples=400, deadline=None)
def test_a_forged_document_is_refused_or_allowed_but_never_crashes(document: d.Document, data: st.DataObject) -> None:
    """Who changes a document on purpose can seal it again; then the rules of the format must hold."""
    forged = encode(document)
    start = forged.index(b'"crc32c":"') + 18
    for _ in range(data.draw(st.integers(1, 3))):
        a = data.draw(st.integers(start, len(forged)))
        b = data.draw(st.integers(a, min(len(forged), a + 8)))
        token = data.draw(
            st.sampled_from([b"", b"0", b"-1", b"[", b"]}", b'"', b",", b"null", b"1e5", b"\xff", b"\\u0000"])
        )
        forged = forged[:a] + token + forged[b:]
    forged = seal(forged[: start - 8] + b"00000000" + forged[start:]) if forged[start : start + 1] == b'"' else forged
    try:
        back = decode(type(document), forged, where="it")
    except FormatError:
        return
    assert isinstance(back, msgspec.Struct)
    assert decode(type(document), encode(back), where="it") == back
