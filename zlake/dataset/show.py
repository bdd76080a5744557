"""How a dataset looks in a terminal and in a notebook."""

from __future__ import annotations

import datetime
import html as markup
import sys
from typing import TYPE_CHECKING

from zlake.errors import InvalidOperationError
from zlake.session import commit
from zlake.session.session import Session

if TYPE_CHECKING:
    from zlake.dataset.dataset import Dataset

_LARGE_VIEW_ROWS = 10_000
_HEADINGS = ("tensor", "htype", "shape", "dtype", "compression")


def _table(ds: Dataset) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, tensor in ds.tensors.items():
        meta = tensor.meta
        compression = meta["sample_compression"] or meta["chunk_compression"] or "–"
        rows.append((name, tensor.htype, str(tensor.shape_interval), str(tensor.dtype or "–"), str(compression)))
    return rows


def _caption(ds: Dataset) -> str:
    where = f"{ds.path}" + (f"/{ds.group_index}" if ds.group_index else "")
    version = f"branch {ds.branch}" if ds.branch else f"commit {ds.commit_id}"
    changes = ", uncommitted changes" if ds.has_head_changes else ""
    view = " (view)" if ds.is_view else ""
    return f"Dataset {where}{view}: {len(ds)} rows, {version}{changes}"


def text(ds: Dataset) -> str:
    """Return the caption and a table of the tensors."""
    rows = [_HEADINGS, *_table(ds)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    groups = ", ".join(ds.groups)
    return "\n".join([_caption(ds), *(f"  {line}" for line in lines), *([f"  groups: {groups}"] if groups else [])])


def html(ds: Dataset) -> str:
    """Return the same as an HTML table, every text escaped."""
    head = "".join(f"<th>{markup.escape(name)}</th>" for name in _HEADINGS)
    body = "".join("<tr>" + "".join(f"<td>{markup.escape(cell)}</td>" for cell in row) + "</tr>" for row in _table(ds))
    caption = markup.escape(_caption(ds))
    return f"<div><p>{caption}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def summary(ds: Dataset, force: bool = False) -> None:
    """Print the dataset.

    Raises
    ------
    InvalidOperationError
        If it is a view of more than 10,000 rows and ``force`` is false: its shapes would have to be read.
    """
    if ds.is_view and len(ds) > _LARGE_VIEW_ROWS and not force:
        raise InvalidOperationError(f"the view has {len(ds)} rows; pass force=True to read the shapes of all of them")
    sys.stdout.write(text(ds) + "\n")


def log(session: Session) -> None:
    """Print the commits, newest first, in the manner of git."""
    for brief in commit.history(session):
        when = datetime.datetime.fromtimestamp(brief.time, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        message = "\n".join(f"    {line}" for line in brief.message.splitlines())
        sys.stdout.write(f"commit {brief.id}\nAuthor: {brief.author}\nDate:   {when}\n\n{message}\n\n")
