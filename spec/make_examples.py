"""Write the example datasets in ``spec/examples``: a whole one, and one for each documented kind of damage.

``examples.json`` says of each what it shows and which error a reader must raise. Run it after the format changed.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import zlake
from zlake.context import Context
from zlake.format import seal

FOLDER = Path(__file__).parent / "examples"
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def fixed_context() -> Context:
    """Return a context whose clock stands still and whose ids count up."""
    numbers, starts = itertools.count(), itertools.count(1000, 1000)

    def new_id() -> str:
        number, text = next(numbers), ""
        for _ in range(26):
            number, digit = divmod(number, 32)
            text = ALPHABET[digit] + text
        return text

    return Context(clock=lambda: 1_700_000_000.0, new_id=new_id, new_sample_ids=lambda: next(starts), durable=False)


def sample(row: int) -> dict[str, object]:
    """Return one row of the whole example."""
    return {
        "dense": np.full((2, 3), row, np.int16),
        "ragged": np.arange(row % 4, dtype=np.float32),
        "plane": np.full((row % 3, 2), row, np.uint8),
        "text": f"row {row}",
        "json": {"row": row},
        "label": "even" if row % 2 == 0 else "odd",
        "clip": [np.full(2, row, np.int32)] * (1 + row % 2),
        "image": np.full((4 + row, 5, 3), row * 9, np.uint8),
    }


def whole(path: Path) -> None:
    """Write the whole example: every layout, two commits, and a staged row on top."""
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
        ds.info["about"] = "an example of the zlake format"
        for row in range(6):
            ds.append(sample(row))
    ds.commit("six rows", author="Ada <ada@example.org>")
    ds.dense[1] = np.full((2, 3), -1, np.int16)
    ds.pop(4)
    ds.commit("one updated, one removed", author="Ada <ada@example.org>")
    ds.append(sample(7))


def small(path: Path) -> None:
    """Write what the damaged examples start from: one tensor, one commit."""
    ds = zlake.empty(path, context=fixed_context())
    ds.create_tensor("x", dtype="int16")
    ds.extend({"x": np.arange(12, dtype=np.int16).reshape(4, 3)})
    ds.commit("four rows", author="Ada <ada@example.org>")


@dataclass(frozen=True)
class Damage:
    """A kind of damage: which object it hits (the last of these paths), how, and what a reader must raise."""

    name: str
    shows: str
    error: str
    pattern: str
    change: Callable[[bytes], bytes | None]


def flip(data: bytes) -> bytes:
    """Flip a bit in the middle."""
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


def edit(old: str, new: str) -> Callable[[bytes], bytes]:
    """Return a change of a document's text that keeps its checksum right."""

    def change(data: bytes) -> bytes:
        text, count = re.subn(old, new, data.decode(), count=1)
        assert count, old
        return seal(re.sub(r'"crc32c":"[0-9a-f]{8}"', '"crc32c":"00000000"', text, count=1).encode())

    return change


def half(data: bytes) -> bytes:
    """Cut the object in the middle."""
    return data[: len(data) // 2]


VERSION = edit(r'"format_version":1', '"format_version":99')
FEATURE = edit(r'"features":\[\]', '"features":["time-travel"]')
EXTENT = edit(r'"extents":\[\[0,0,4\]\]', '"extents":[[0,2,4]]')
ROOT, REF, COMMIT = "zarr.json", "refs/branches/main.json", "commits/*/zarr.json"
VALUES = "segments/*/*/values-data/c*"
CORRUPT, UNSUPPORTED, UNFIT = "CorruptObjectError", "UnsupportedFormatError", "DatasetCorruptError"
DAMAGES = (
    Damage("root-bit", "a flipped bit in the root", UNFIT, ROOT, flip),
    Damage("root-cut", "a root that ends too early", UNFIT, ROOT, half),
    Damage("root-version", "a format version of the future", UNSUPPORTED, ROOT, VERSION),
    Damage("root-feature", "a feature that this reader does not know", UNSUPPORTED, ROOT, FEATURE),
    Damage("ref-bit", "a flipped bit in a branch", CORRUPT, REF, flip),
    Damage("ref-empty", "a branch of no bytes", CORRUPT, REF, lambda data: b""),
    Damage("commit-bit", "a flipped bit in a commit", CORRUPT, COMMIT, flip),
    Damage("commit-missing", "a commit that is gone", UNFIT, COMMIT, lambda data: None),
    Damage("commit-extent", "an extent beyond its segment's rows", CORRUPT, COMMIT, EXTENT),
    Damage("values-bit", "a flipped bit in a chunk of samples", CORRUPT, VALUES, flip),
    Damage("values-cut", "samples that end too early", CORRUPT, VALUES, half),
    Damage("values-missing", "samples that are gone", "ObjectNotFoundError", VALUES, lambda data: None),
)  # fmt: skip


README = """# Example datasets

Made by `spec/make_examples.py`. `whole` holds every layout of chapter 6, two commits and a staged row on top; its rows
are those of `sample()` in that script. Each of the others is one small dataset with one kind of damage:
`examples.json` says what it shows and which error of `zlake.errors` a reader raises when it opens the dataset or reads
its samples. Other implementations must refuse them too, never return other samples than the undamaged ones.
"""


def main(folder: Path = FOLDER) -> None:
    """Write every example."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    whole(folder / "whole")
    listed = [{"name": "whole", "shows": "every layout, two commits and a staged row", "error": None}]
    for damage in DAMAGES:
        path = folder / damage.name
        small(path)
        target = sorted(found for found in path.glob(damage.pattern) if found.is_file())[-1]
        if damage.pattern == COMMIT:
            target = path / "commits" / zlake.load(path, read_only=True).commit_id / "zarr.json"
        changed = damage.change(target.read_bytes())
        target.unlink()
        if changed is not None:
            target.write_bytes(changed)
        listed.append({"name": damage.name, "shows": damage.shows, "error": damage.error})
    (folder / "README.md").write_text(README, encoding="utf-8")
    (folder / "examples.json").write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
