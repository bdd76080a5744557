"""The text of the specification agrees with the code."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from zlake import limits
from zlake.format import conventions, decode, encode
from zlake.format import documents as d

SPEC = Path(__file__).parents[2] / "spec"
TEXTS = {path.name: path.read_text("utf-8") for path in sorted(SPEC.glob("*.md"))}
WHOLE = "\n".join(TEXTS.values())
STRUCTS = [kind for kind in vars(d).values() if isinstance(kind, msgspec.StructMeta)]
KINDS = {str(kind.__struct_config__.tag).partition("/")[0]: kind for kind in STRUCTS if kind.__struct_config__.tag}


def test_every_example_is_a_document() -> None:
    examples = re.findall(r"```json (\w+)\n(.*?)\n```", WHOLE, re.DOTALL)
    assert examples
    for kind, text in examples:
        document = decode(KINDS[kind], text.encode(), where="the example")
        assert encode(document) == text.encode()


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_every_field_is_described(kind: type[msgspec.Struct]) -> None:
    text = TEXTS["04-root-and-refs.md"] + TEXTS["05-snapshots.md"] + TEXTS["11-ingests.md"]
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]*)`", text))))
    missing = set(kind.__struct_encode_fields__) - words
    assert not missing


def test_every_kind_of_document_is_listed_with_its_version() -> None:
    for kind in KINDS.values():
        assert f"| `{kind.__struct_config__.tag}` |" in TEXTS["03-documents.md"]


def test_limits_are_those_of_the_code() -> None:
    text = TEXTS["03-documents.md"]
    for row in (
        f"| bytes of a document | {limits.DOCUMENT_BYTES:,} "
        f"(`tag/1`: {limits.TAG_BYTES:,}; `info/1`: {limits.INFO_BYTES:,}) |",
        f"| bytes of a plan or receipt (chapter 11) | {limits.RECEIPT_BYTES:,} |",
        f"| nesting of arrays and objects, envelope included | {limits.MAX_DEPTH} |",
        f"| rank of a sample | {limits.MAX_NDIM} |",
        f"| tensors, and groups, in a snapshot | {limits.MAX_TENSORS:,} each |",
        f"| inline extents, and inline segment entries, of one tensor | {limits.INLINE_EXTENTS:,} each |",
        f"| extents in a page | {limits.PAGE_EXTENTS:,} |",
        f"| runs of ids inline / in a page | {limits.INLINE_IDS:,} / {limits.ID_PAGE_RUNS:,} |",
        f"| ancestors in a snapshot / in a history page | {limits.RECENT_COMMITS} / {limits.HISTORY_PAGE_COMMITS} |",
        f"| parents of a commit | {limits.MAX_PARENTS} |",
        f"| write ids that a branch remembers | {limits.REF_WRITES} |",
        f"| {limits.MAX_AUTHOR_BYTES:,} / {limits.MAX_MESSAGE_BYTES:,} |",
    ):
        assert row in text
    assert limits.MAX_CHUNK_ELEMENTS == 2**30
    assert limits.MAX_SHARD_CHUNKS == 2**20
    assert f"at most {limits.MAX_REF_BYTES} characters" in TEXTS["02-storage.md"]
    assert f"at most {limits.MAX_NAME_BYTES} bytes" in TEXTS["02-storage.md"]


def test_conventions_are_those_of_the_code() -> None:
    for convention in (conventions.RAGGED, conventions.DATASET, conventions.COMMIT):
        assert f"| `{convention['name']}` | `{convention['uuid']}` |" in TEXTS["09-conventions.md"]
    assert conventions.SPEC_URL.rpartition("/")[2] in TEXTS


def test_every_data_type_and_codec_is_named() -> None:
    for name in d.CODECS:
        assert f"| `{name}` |" in TEXTS["06-segments.md"]


def test_links_lead_somewhere() -> None:
    for name, text in TEXTS.items():
        for target in re.findall(r"\]\(([^)#]+)", text):
            assert (SPEC / target).exists(), f"{name} links to {target}"
