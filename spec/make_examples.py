"""Write the example datasets in ``spec/examples``: a whole one, and one for each documented kind of damage.

``examples.json`` says of each what it shows and which error a reader must raise. Run it after the format changed. It
writes the same bytes each time, with the same versions of the packages that compress.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import google_crc32c
import numpy as np
from numcodecs import blosc, zstd

import zlake
from zlake import limits
from zlake.context import Context
from zlake.format import seal
from zlake.versions.lease import Lease

FOLDER = Path(__file__).parent / "examples"
HOUR = 3600
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def fixed_context(start: int = 0) -> Context:
    """Return a context whose clock stands still and whose ids count up from a number."""
    numbers, starts = itertools.count(start), itertools.count(1000 * (start + 1), 1000)

    def new_id() -> str:
        number, text = next(numbers), ""
        for _ in range(26):
            number, digit = divmod(number, 32)
            text = ALPHABET[digit] + text
        return text

    return Context(clock=lambda: 1_700_000_000.0, new_id=new_id, new_sample_ids=lambda: next(starts), durable=False)


LIMITS = {
    "INNER_CHUNK_BYTES": 64,
    "SHARD_BYTES": 256,
    "SIDECAR_CHUNK_BYTES": 128,
    "TILING_THRESHOLD_BYTES": 1024,
    "INLINE_EXTENTS": 3,
    "INLINE_IDS": 2,
    "RECENT_COMMITS": 1,
    "INLINE_INFO_BYTES": 256,
}
"""What a writer may choose freely (7.8, 5.4, 6.3): small, so that a few rows fill chunks, shards and pages."""


@contextmanager
def small_limits() -> Iterator[None]:
    """Write small data as if it were large."""
    before = {name: getattr(limits, name) for name in LIMITS}
    for name, value in LIMITS.items():
        setattr(limits, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(limits, name, value)


def sample(row: int) -> dict[str, object]:
    """Return one row of the whole example."""
    return {
        "dense": np.full((2, 3), row, np.int16),
        "ragged": np.arange(8 * (row % 4), dtype=np.float32),
        "plane": np.full((row % 3, 2), row, np.uint8),
        "text": f"row {row}",
        "json": {"row": row},
        "label": "even" if row % 2 == 0 else "odd",
        "clip": [np.full(2, row, np.int32)] * (1 + row % 2),
        "image": np.full((4 + row, 5, 3), row * 9, np.uint8),
        "sharded": np.arange(row, row + 24, dtype=np.uint8).reshape(4, 6),
        "group/blosc": np.arange(40, dtype=np.float64) + row,
        "group/gzip": np.full(50, row, np.uint32),
    }


def tile() -> np.ndarray:
    """Return the one row of the tensor whose sample is cut along every axis."""
    return np.arange(2500, dtype=np.uint16).reshape(50, 50)


def whole(path: Path) -> None:
    """Write the whole example: every layout, three commits, and a staged row on top."""
    ds = zlake.empty(path, context=fixed_context())
    with ds:
        ds.create_tensor("dense", dtype="int16")
        ds.create_tensor("ragged", dtype="float32")
        ds.create_tensor("plane", dtype="uint8", chunk_compression="zstd")
        ds.create_tensor("text", htype="text")
        ds.create_tensor("json", htype="json")
        ds.create_tensor("label", htype="class_label", class_names=["even", "odd"])
        ds.create_tensor("clip", htype="sequence", dtype="int32")
        ds.create_tensor("image", htype="image", sample_compression="png")
        ds.create_tensor("sharded", dtype="uint8")
        ds.create_tensor("group/blosc", dtype="float64", chunk_compression="blosc")
        ds.create_tensor("group/gzip", dtype="uint32", chunk_compression="gzip")
        ds.create_tensor("tiled", dtype="uint16", hidden=True)
        ds.tiled.append(tile())
        ds.info["about"] = "an example of the zlake format " * 10
        for row in range(6):
            ds.append(sample(row))
    ds.commit("six rows", author="Ada <ada@example.org>")
    with ds:
        ds.dense[1::2] = np.full((3, 2, 3), -1, np.int16)
        ds.pop(4)
        ds.commit("every other row changed, one removed", author="Ada <ada@example.org>")
    ds.commit("nothing changed", allow_empty=True, author="Ada <ada@example.org>")
    ds.append(sample(7))


def small(path: Path) -> None:
    """Write what most damaged examples start from: one tensor, one commit."""
    ds = zlake.empty(path, context=fixed_context())
    with ds:
        ds.create_tensor("x", dtype="int16")
        ds.extend({"x": np.arange(12, dtype=np.int16).reshape(4, 3)})
        ds.commit("four rows", author="Ada <ada@example.org>")


def tagged(path: Path) -> None:
    """Write the small one, with a tag."""
    small(path)
    zlake.load(path, context=fixed_context(start=100)).tag("v1")


def paged(path: Path) -> None:
    """Write what the other damaged examples start from: a shard, offsets, and every kind of page."""
    ds = zlake.empty(path, context=fixed_context())
    with ds:
        ds.create_tensor("x", dtype="int16")
        ds.create_tensor("text", htype="text")
        ds.x.extend(np.arange(96, dtype=np.int16).reshape(16, 6))
        ds.text.extend(["one", "two", "three"])
        ds.info["about"] = "x" * 300
        ds.commit("sixteen rows", author="Ada <ada@example.org>")
    with ds:
        ds.x[::2] = np.zeros((8, 6), np.int16)
        ds.commit("every other row changed", author="Ada <ada@example.org>")
    ds.commit("nothing changed", allow_empty=True, author="Ada <ada@example.org>")


def versions(path: Path) -> None:
    """Write what branches leave behind: a merge, tags, tombstones of a tag and a branch, a lease, a mark of garbage."""
    small(path)
    ds = zlake.load(path, context=fixed_context(start=100))
    ds.tag("v1")
    ds.tag("old")
    ds.delete_tag("old")
    ds.checkout("side", create=True)
    ds.x.append(np.full(3, 100, np.int16))
    ds.commit("one row on side", author="Ada <ada@example.org>")
    ds.checkout("main")
    ds.x[0] = np.full(3, -1, np.int16)
    ds.commit("first row changed", author="Ada <ada@example.org>")
    ds.merge("side", author="Ada <ada@example.org>")
    ds.delete_branch("side")
    ds.x.append(np.full(3, 101, np.int16))
    ds.pop(1)
    for written in path.rglob("*"):
        os.utime(written, (time.time() - 2 * HOUR,) * 2)
    ds.gc(HOUR)  # the states that were staged before each commit are marked
    assert ds.commit_id is not None
    ds.refresh()
    Lease.take(ds._session.store, ds._session.context, ds.commit_id, seconds=HOUR, writing=False)


Change = Callable[[bytes], bytes | None]


@dataclass(frozen=True)
class Damage:
    """A kind of damage.

    Attributes
    ----------
    name
        Of the example.
    shows
        What is wrong.
    error
        What a reader raises that opens every version and reads all samples, log and info; None where it does not need
        the object: then a verification finds it.
    pattern
        The object that is hit: the last of these paths; of snapshots, the newest commit.
    change
        How.
    base
        What it starts from.
    """

    name: str
    shows: str
    error: str | None
    pattern: str
    change: Change
    base: Callable[[Path], None] = small


def flip(data: bytes) -> bytes:
    """Flip a bit in the middle."""
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


def flip_last(data: bytes) -> bytes:
    """Flip a bit in the last byte: that of a shard's index."""
    return data[:-1] + bytes([data[-1] ^ 4])


def edit(old: str, new: str) -> Change:
    """Return a change of a document's text that keeps its checksum right."""

    def change(data: bytes) -> bytes:
        text, count = re.subn(old, new, data.decode(), count=1)
        assert count, old
        return seal(re.sub(r'"crc32c":"[0-9a-f]{8}"', '"crc32c":"00000000"', text, count=1).encode())

    return change


def half(data: bytes) -> bytes:
    """Cut the object in the middle."""
    return data[: len(data) // 2]


def gone(data: bytes) -> None:
    """Leave nothing."""


def empty(data: bytes) -> bytes:
    """Leave no bytes."""
    return b""


def checked(data: bytes) -> bytes:
    """Return a chunk with its checksum behind it."""
    return data + google_crc32c.value(data).to_bytes(4, "little")


def other(data: bytes) -> bytes:
    """Return another chunk of the same form."""
    return checked(data[-5::-1])


def other_inner(data: bytes) -> bytes:
    """Put another chunk of the same form in the place of the first in a shard, of four rows of six numbers."""
    return checked(bytes(range(48))) + data[52:]


def falling(data: bytes) -> bytes:
    """Let offsets fall, under a right checksum."""
    offsets = np.frombuffer(blosc.decompress(data[:-4]), "<i8").copy()
    offsets[1:-1] = offsets[1:-1][::-1]
    return checked(blosc.compress(offsets, b"zstd", 5, blosc.SHUFFLE, 0))


def inflated(data: bytes) -> bytes:
    """Put a chunk there that inflates to a mebibyte, under a right checksum."""
    return checked(zstd.compress(bytes(1 << 20), 1))


def nested(data: bytes) -> bytes:
    """Nest lists a thousand deep in a sealed document."""
    return edit(r'"groups":\[\]|"generation":', r'"groups":' + "[" * 1000 + "]" * 1000 + r',"generation":')(data)


VERSION = edit(r'"format_version":1', '"format_version":99')
FEATURE = edit(r'"features":\[\]', '"features":["time-travel"]')
EXTENT = edit(r'"extents":\[\[0,0,4\]\]', '"extents":[[0,2,4]]')
LENGTH = edit(r'"length":4', '"length":5')
NEWER = edit(r"snapshot/1", "snapshot/2")
MEMBER = edit(r'"kind":"commit"', '"kind":"commit","colour":"red"')
CODEC = edit(r'"inner":\[4,3\]', '"inner":[4,3],"codec":"fsst"')
ANOTHER_ID = edit(r'"id":"a{25}.","kind"', f'"id":"{"b" * 26}","kind"')
LEAVING = edit(r'"segment":"a{25}.","layout"', '"segment":"../../../../../../secret","layout"')
HUGE = edit(r'"shape":\[3\]', '"shape":[1099511627776,1099511627776]')
ANOTHER_MESSAGE = edit('"message":"four rows"', '"message":"five rows"')
ANOTHER_COMMIT = edit(r'"commit":"a{25}."', f'"commit":"{"b" * 26}"')
ANOTHER_PAGE = edit(r'"id":"a{25}.","chunk"', f'"id":"{"b" * 26}","chunk"')
ANOTHER_CHUNK = edit(r'"chunk":"[0-9a-f]{8}"', '"chunk":"00000000"')
ROOT, REF, COMMIT = "zarr.json", "refs/branches/main.json", "commits/*/zarr.json"
METADATA, VALUES, SHARD = "segments/*/zarr.json", "segments/*/*/values-data/c*", "segments/*/*/values-data/c.0.0"
TEXT, OFFSETS, IDS = "segments/*/*/values-data/c.0", "segments/*/*/values-offsets/c*", "segments/*/*/ids/c*"
EXTENT_PAGE, ID_PAGE, HISTORY, INFO = "extent-page/1", "id-page/1", "history/1", "info/1"
CHUNK = "/c.0.0"
TAG = "refs/tags/v1.json"
CORRUPT, UNSUPPORTED, UNFIT = "CorruptObjectError", "UnsupportedFormatError", "DatasetCorruptError"
NOT_FOUND, NO_DATASET = "ObjectNotFoundError", "DatasetNotFoundError"
DAMAGES = (
    Damage("root-bit", "a flipped bit in the root", UNFIT, ROOT, flip),
    Damage("root-cut", "a root that ends too early", UNFIT, ROOT, half),
    Damage("root-missing", "a root that is gone: there is no dataset", NO_DATASET, ROOT, gone),
    Damage("root-version", "a format version of the future", UNSUPPORTED, ROOT, VERSION),
    Damage("root-feature", "a feature that this reader does not know", UNSUPPORTED, ROOT, FEATURE),
    Damage("ref-bit", "a flipped bit in a branch", CORRUPT, REF, flip),
    Damage("ref-empty", "a branch of no bytes", CORRUPT, REF, empty),
    Damage("ref-missing", "a branch that is gone, though there are commits", UNFIT, REF, gone),
    Damage("ref-commit", "a branch that names a commit which is not there", UNFIT, REF, ANOTHER_COMMIT),
    Damage("tag-bit", "a flipped bit in a tag", None, TAG, flip, tagged),
    Damage("tag-other", "a tag that carries another document than its commit has", None, TAG, ANOTHER_MESSAGE, tagged),
    Damage("commit-bit", "a flipped bit in a commit", CORRUPT, COMMIT, flip),
    Damage("commit-missing", "a commit that is gone", UNFIT, COMMIT, gone),
    Damage("commit-id", "the document of another commit under a commit's key", CORRUPT, COMMIT, ANOTHER_ID),
    Damage("commit-version", "a commit document of the future", UNSUPPORTED, COMMIT, NEWER),
    Damage("commit-member", "a member that the format does not know", CORRUPT, COMMIT, MEMBER),
    Damage("commit-codec", "a codec chain that this reader does not know", UNSUPPORTED, COMMIT, CODEC),
    Damage("commit-extent", "an extent beyond its segment's rows", CORRUPT, COMMIT, EXTENT),
    Damage("commit-length", "a length that the extents do not add up to", CORRUPT, COMMIT, LENGTH),
    Damage("commit-key", "a segment id that would lead out of the dataset", CORRUPT, COMMIT, LEAVING),
    Damage("commit-shape", "samples larger than any memory", CORRUPT, COMMIT, HUGE),
    Damage("commit-nested", "lists a thousand deep", CORRUPT, COMMIT, nested),
    Damage("metadata-bit", "a flipped bit in the metadata of a segment", None, METADATA, flip),
    Damage("values-bit", "a flipped bit in a chunk of samples", CORRUPT, VALUES, flip),
    Damage("values-cut", "samples that end too early", CORRUPT, VALUES, half),
    Damage("values-other", "another chunk of the same form", CORRUPT, VALUES, other),
    Damage("values-missing", "samples that are gone", NOT_FOUND, VALUES, gone),
    Damage("shard-bit", "a flipped bit in an inner chunk of a shard", CORRUPT, SHARD, flip, paged),
    Damage("shard-index", "a flipped bit in the index of a shard", CORRUPT, SHARD, flip_last, paged),
    Damage("shard-other", "another inner chunk of the same form in a shard", CORRUPT, SHARD, other_inner, paged),
    Damage("shard-cut", "a shard that ends too early", CORRUPT, SHARD, half, paged),
    Damage("text-inflates", "a chunk that inflates to more than its array says", CORRUPT, TEXT, inflated, paged),
    Damage("offsets-bit", "a flipped bit in offsets", CORRUPT, OFFSETS, flip, paged),
    Damage("offsets-fall", "offsets that fall, under a right checksum", CORRUPT, OFFSETS, falling, paged),
    Damage("ids-bit", "a flipped bit in sample ids", CORRUPT, IDS, flip, paged),
    Damage("extent-page-bit", "a flipped bit in a page of extents", CORRUPT, EXTENT_PAGE, flip, paged),
    Damage("extent-page-chunk", "a flipped bit in the extents of a page", CORRUPT, EXTENT_PAGE + CHUNK, flip, paged),
    Damage("extent-page-id", "another page under a page's key", CORRUPT, EXTENT_PAGE, ANOTHER_PAGE, paged),
    Damage("extent-page-other", "extents that belong to another page", CORRUPT, EXTENT_PAGE, ANOTHER_CHUNK, paged),
    Damage("extent-page-missing", "extents of a page that are gone", UNFIT, EXTENT_PAGE + CHUNK, gone, paged),
    Damage("id-page-bit", "a flipped bit in a page of sample ids", None, ID_PAGE, flip, paged),
    Damage("history-bit", "a flipped bit in a page of history", CORRUPT, HISTORY, flip, paged),
    Damage("info-bit", "a flipped bit in a large info", CORRUPT, INFO, flip, paged),
)  # fmt: skip


README = """# Example datasets

Made by [`make_examples.py`](../make_examples.py), with small chunks, shards and pages. `whole` holds every layout and
codec of chapter 6, every kind of page, three commits and a staged row on top; its rows are those of `sample()` in that
script. `versions` has two branches that were merged, tombstones of one of them and of a tag, a staged row, a lease, and
a mark of what a collector found unreachable. Each of the others is one small dataset with one kind of damage.

The last column says which error of `zlake.errors` a reader raises when it opens every version and reads all samples,
log and info. Other implementations must refuse these datasets too, and never return other samples than the undamaged
ones. Where there is no error a reader does not need the object; a verification (7.9) must still find it.
[`examples.json`](examples.json) says the same, and which object was damaged.

| example | shows | error |
|---|---|---|
"""


def target_of(path: Path, pattern: str) -> Path:
    """Return the object that a pattern means."""
    if pattern == COMMIT:
        return path / "commits" / str(zlake.load(path, read_only=True).commit_id) / "zarr.json"
    kind, chunk = pattern.removesuffix(CHUNK), pattern.endswith(CHUNK)
    if kind in (EXTENT_PAGE, ID_PAGE, HISTORY, INFO):
        pages = sorted(path.glob("pages/*/zarr.json"))
        document = [page for page in pages if f'"document":"{kind}"'.encode() in page.read_bytes()][-1]
        return document.with_name(CHUNK[1:]) if chunk else document
    return sorted(found for found in path.glob(pattern) if found.is_file())[-1]


def main(folder: Path = FOLDER) -> None:
    """Write every example."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with small_limits():
        whole(folder / "whole")
        versions(folder / "versions")
    examples: list[dict[str, str | None]] = [
        {"name": "whole", "shows": "every layout and kind of page", "error": None},
        {"name": "versions", "shows": "a merge, tags, tombstones, a lease, a mark of garbage", "error": None},
    ]
    for damage in DAMAGES:
        path = folder / damage.name
        with small_limits():
            damage.base(path)
        target = target_of(path, damage.pattern)
        changed = damage.change(target.read_bytes())
        target.unlink()
        if changed is not None:
            target.write_bytes(changed)
        key = target.relative_to(path).as_posix()
        examples.append({"name": damage.name, "shows": damage.shows, "error": damage.error, "object": key})
    made_with = {name: version(name) for name in ("numcodecs", "pillow")}
    listed = {"made_with": made_with, "examples": examples}
    rows = [f"| `{e['name']}` | {e['shows']} | {e['error'] or '-'} |" for e in examples]
    (folder / "README.md").write_text(README + "\n".join(rows) + "\n", encoding="utf-8")
    (folder / "examples.json").write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
