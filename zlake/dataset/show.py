"""How a dataset looks in a terminal and in a notebook."""

from __future__ import annotations

import datetime
import html as markup
import sys
from typing import TYPE_CHECKING

from zlake.dataset import graph
from zlake.errors import RowIndexError
from zlake.session import commit, named, present
from zlake.session.diff_text import plain
from zlake.session.session import Session

if TYPE_CHECKING:
    from zlake.dataset.dataset import Dataset
    from zlake.dataset.tensor import Tensor

_HEADINGS = ("tensor", "htype", "shape", "dtype", "compression")
_NO_TENSORS = "no tensors yet: ds.create_tensor(name) makes one"


def _shape(tensor: Tensor, exact: bool) -> str:
    selected = (tensor._column, tensor._rows, tensor._selected, tensor._key)
    return present.interval_text(*present.bounds(*selected)) if exact else present.shape_text(*selected)


def _dtype(tensor: Tensor) -> str:
    if tensor.dtype is None:
        return "–"
    return {"U": "str", "O": "object"}.get(tensor.dtype.kind, str(tensor.dtype))


def _table(ds: Dataset, exact: bool) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, tensor in ds.tensors.items():
        meta = tensor.meta
        compression = meta["sample_compression"] or meta["chunk_compression"] or "–"
        rows.append((name, tensor.htype, _row_shape(tensor, exact), _dtype(tensor), str(compression)))
    return rows


def _row_shape(tensor: Tensor, exact: bool) -> str:
    try:
        return _shape(tensor, exact)
    except RowIndexError:  # a row that longer tensors have
        return "no such row"


def _caption(ds: Dataset) -> str:
    where = f"{ds.path}" + (f"/{ds.group_index}" if ds.group_index else "")
    version = f"branch {ds.branch}" if ds.branch else f"commit {ds.commit_id}"
    changes = ", uncommitted changes" if ds.has_head_changes else ""
    if ds._session.changed:
        changes += ", some of them not flushed"
    view = " (view)" if ds.is_view else ""
    rows = ds.min_len if ds._rows is None else len(ds)
    return f"Dataset {where}{view}: {rows} row{'s' * (rows != 1)}, {version}{changes}"


def text(ds: Dataset, exact: bool = False) -> str:
    """Return the caption and a table of the tensors.

    With ``exact`` the shapes of all samples are read where they differ; else a question mark stands for an axis that
    only a long read could tell.
    """
    table = _table(ds, exact)
    rows = [_HEADINGS, *table]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    if not table:
        lines = [_NO_TENSORS]
    groups = ", ".join(ds.groups)
    return "\n".join([_caption(ds), *(f"  {line}" for line in lines), *([f"  groups: {groups}"] if groups else [])])


def html(ds: Dataset) -> str:
    """Return the same as an HTML table, every text escaped."""
    table = _table(ds, False)
    head = "".join(f"<th>{markup.escape(name)}</th>" for name in _HEADINGS)
    body = "".join("<tr>" + "".join(f"<td>{markup.escape(cell)}</td>" for cell in row) + "</tr>" for row in table)
    below = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if table else f"<p>{_NO_TENSORS}</p>"
    return f"<div><p>{markup.escape(_caption(ds))}</p>{below}</div>"


def tensor(shown: Tensor) -> str:
    """Return a line that says what a tensor or a part of it is."""
    return (
        f"Tensor(name={shown.name!r}, htype={shown.htype!r}, dtype={_dtype(shown)}, shape={_row_shape(shown, False)})"
    )


def summary(ds: Dataset, force: bool = False) -> None:
    """Print the dataset; with ``force`` the shapes of all samples are read, however many they are."""
    sys.stdout.write(text(ds, exact=force) + "\n")


def log(session: Session, as_graph: bool = False, everything: bool = False) -> None:
    """Print the commits, newest first, in the manner of git; as a graph also those that were merged."""
    if as_graph:
        names = named.labels(session)
        for line in graph.draw(named.graph(session, names, everything), names):
            sys.stdout.write(f"{line}\n")
        return
    if commit.commit_id(session) is None:
        sys.stdout.write("no commits yet\n")
    for brief in commit.history(session):
        when = datetime.datetime.fromtimestamp(brief.time, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        message = "\n".join(f"    {plain(line)}" for line in brief.message.splitlines())
        merged = f"Merge:  {' '.join(brief.parents)}\n" if len(brief.parents) > 1 else ""
        sys.stdout.write(f"commit {brief.id}\n{merged}Author: {plain(brief.author)}\nDate:   {when}\n\n{message}\n\n")
