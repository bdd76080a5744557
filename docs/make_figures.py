"""Draw the figures of the documentation from datasets that this script makes: what they show is what is stored.

Run it after the format, or how versions are made, has changed. It writes the same bytes each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

import zlake
from zlake.extents.map import ExtentMap
from zlake.format.documents import SegmentTensor

FOLDER = Path(__file__).parent / "figures"
COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2")
CELL, GAP, LEFT, TOP, ROW = 40, 16, 190, 54, 66


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a tensor: what it is called, its extent map over its segments, and its values."""

    title: str
    note: str
    segments: tuple[SegmentTensor, ...]
    extents: ExtentMap
    values: list[str]


def version(ds: zlake.Dataset, title: str, note: str) -> Version:
    """Return the state of tensor ``x`` as it is stored."""
    state = next(state for state in ds._session.head.snapshot.tensors if state.name == "x")
    segments, extents = ds._session.repository.load_extents(state.extents)
    return Version(title, note, segments, extents, [str(value) for value in ds.x.numpy().ravel().tolist()])


def history() -> list[Version]:
    """Make a dataset with two branches and a merge, and return its versions."""
    path = "mem://figure"
    ds = zlake.empty(path, overwrite=True)
    ds.create_tensor("x", dtype="int64")
    ds.x.extend(np.arange(8))
    ds.commit("eight samples")
    versions = [version(ds, "commit A", "extend of 8")]
    ds.checkout("fix", create=True)
    ds.x[2] = 22
    ds.pop(5)
    ds.commit("one label mended, one sample out")
    versions.append(version(ds, "commit F, on fix", "x[2] = 22, pop(5)"))
    ds.checkout("main")
    ds.x.extend(np.arange(8, 11))
    ds.commit("three more")
    versions.append(version(ds, "commit B, on main", "extend of 3"))
    ds.merge("fix")
    versions.append(version(ds, "commit M, on main", "merge of fix"))
    return versions


def names(versions: list[Version]) -> dict[str, int]:
    """Return the number of each segment, in the order in which the versions meet them."""
    numbers: dict[str, int] = {}
    for each in versions:
        for segment, _, _ in each.extents.runs():
            numbers.setdefault(each.segments[segment].segment, len(numbers))
    return numbers


def draw(versions: list[Version]) -> str:
    """Return the figure: a strip of rows for each version, coloured by the segment that holds them."""
    numbers = names(versions)
    rows = {entry.segment: entry.rows for each in versions for entry in each.segments}
    widest = sum(rows.values()) * CELL + 2 * GAP * len(rows)
    widest = max(widest, *(each.extents.length * CELL + GAP * each.extents.n_extents for each in versions))
    height = TOP + ROW * (len(versions) + 1) + 8
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + widest + 20}" height="{height}" '
            'font-family="system-ui, sans-serif" font-size="13">',
            '<rect width="100%" height="100%" fill="white"/>',
            *_segments(numbers, rows),
            *(line for i, each in enumerate(versions) for line in _strip(each, numbers, TOP + ROW * (i + 1))),
            "</svg>\n",
        )
    )


def _segments(numbers: dict[str, int], rows: dict[str, int]) -> Iterator[str]:
    yield _text(12, TOP + 2, "segments", weight=600)
    yield _text(12, TOP + 19, "written once, never changed", size=11)
    x = LEFT
    for segment, number in numbers.items():
        yield _text(x, TOP - 24, f"S{number + 1}", weight=600)
        for row in range(rows[segment]):
            yield _cell(x + row * CELL, TOP - 16, number, str(row))
        x += rows[segment] * CELL + 2 * GAP


def _strip(each: Version, numbers: dict[str, int], y: int) -> Iterator[str]:
    yield _text(12, y + 12, each.title, weight=600)
    yield _text(12, y + 29, each.note, size=11)
    x, row = LEFT, 0
    for segment, start, count in each.extents.runs():
        number = numbers[each.segments[segment].segment]
        for value in each.values[row : row + count]:
            yield _cell(x, y - 6, number, value)
            x += CELL
        yield _text(x - count * CELL, y + 47, f"(S{number + 1}, {start}, {count})", size=10)
        row += count
        x += GAP


def _cell(x: int, y: int, number: int, label: str) -> str:
    colour = COLOURS[number % len(COLOURS)]
    return (
        f'<rect x="{x}" y="{y}" width="{CELL}" height="{CELL}" fill="{colour}" stroke="white"/>'
        f'<text x="{x + CELL / 2:g}" y="{y + 25}" text-anchor="middle" fill="white">{escape(label)}</text>'
    )


def _text(x: int, y: int, text: str, size: int = 13, weight: int = 400) -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" fill="#222">{escape(text)}</text>'


def figures() -> dict[str, str]:
    """Return every figure by file name."""
    return {"extents.svg": draw(history())}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in figures().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
