"""What a user asks of a loader, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zlake.errors import EmptyTensorError, LoaderError
from zlake.session.column import Column
from zlake.session.session import Session
from zlake.session.view import View

METHODS = ("numpy", "tobytes", "pil")
"""How samples can be given: decoded, as stored, or as a `PIL.Image.Image`."""

Transform = Callable[..., Any] | Mapping[str, Callable[[Any], Any] | None] | None
Collate = Callable[[list[Any]], Any] | None


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of a loader that no framework has a part in.

    Attributes
    ----------
    batch_size
        Rows in a batch.
    drop_last
        Leave out a last batch that is not full, and batches that not every rank would get.
    shuffle, seed
        Whether to permute the rows, and what the permutation depends on besides the epoch.
    rank, ranks
        Which one of how many processes that share an epoch.
    return_index
        Add the row numbers.
    decode_method
        One of `METHODS` by name; others are ``numpy``.
    transform, transform_kwargs, collate_fn
        Functions of the user.
    threads
        Threads that decode and call ``transform``.
    ahead
        Blocks read ahead.
    """

    batch_size: int = 1
    drop_last: bool = False
    shuffle: bool = False
    seed: int = 0
    rank: int = 0
    ranks: int = 1
    return_index: bool = True
    decode_method: Mapping[str, str] = field(default_factory=dict)
    transform: Transform = None
    transform_kwargs: Mapping[str, Any] = field(default_factory=dict)
    collate_fn: Collate = None
    threads: int = 2
    ahead: int = 2

    def __post_init__(self) -> None:
        whole("batch_size", self.batch_size, 1)
        whole("seed", self.seed, 0)
        whole("num_threads", self.threads, 1)
        whole("prefetch_factor", self.ahead, 1)
        whole("world_size", self.ranks, 1)
        whole("rank", self.rank, 0)
        if self.rank >= self.ranks:
            raise LoaderError(f"rank must be below world_size {self.ranks}, not {self.rank}")
        functions = self.transform if isinstance(self.transform, Mapping) else {"transform": self.transform}
        for name, function in {**functions, "collate_fn": self.collate_fn}.items():
            if function is not None and not callable(function):
                raise LoaderError(f"{name} must be a function or None, not {function!r}")
        if self.transform_kwargs and not callable(self.transform):
            raise LoaderError(f"transform_kwargs {dict(self.transform_kwargs)} need a transform that is one function")


def whole(name: str, value: Any, least: int) -> None:
    """Raise unless an option is an integer and large enough.

    Raises
    ------
    LoaderError
        If it is not; the message names option and value.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise LoaderError(f"{name} must be an integer of at least {least}, not {value!r}")


def narrowed(session: Session, view: View, tensors: Sequence[str] | None, transform: Transform) -> View:
    """Return the view with the tensors to load alone, named by the user or by a transform for each.

    Raises
    ------
    TensorDoesNotExistError
        If a name is no tensor.
    LoaderError
        If the names make no sense.
    """
    if isinstance(transform, Mapping):
        if tensors is not None:
            raise LoaderError("a transform for each tensor names the tensors already; leave tensors= out")
        tensors = list(transform)
    if tensors is None:
        return view
    if isinstance(tensors, str) or not all(isinstance(name, str) for name in tensors):
        raise LoaderError(f"tensors must be a list of names, not {tensors!r}")
    if not tensors or len(set(tensors)) < len(tensors):
        raise LoaderError(f"tensors must name at least one tensor, and none twice, not {list(tensors)}")
    for name in tensors:
        column = session.column(view.group + name)
        if column.name not in view.names and not column.state.options.get("hidden"):
            labels = [each.removeprefix(view.group) for each in view.names]
            raise LoaderError(f"tensor {name!r} is not in this view; its tensors are {labels}")
    return View(view.rows, tuple(view.group + name for name in tensors), view.group)


def check_columns(session: Session, view: View, decode_method: Mapping[str, str], *, index: bool) -> None:
    """Raise unless every tensor has the selected rows and can be given as asked, with or without their ``index``.

    Raises
    ------
    EmptyTensorError
        If a tensor has no rows.
    LoaderError
        If a row or a decode method does not fit a tensor.
    """
    columns = {view.label(column): column for column in view.columns(session)}
    if not columns:
        raise LoaderError("there are no tensors to load")
    if index and "index" in columns:
        raise LoaderError("a tensor is called 'index', as the row numbers are; give return_index=False to load it")
    for name, column in columns.items():
        if not len(column):
            raise EmptyTensorError(f"tensor {name!r} has no samples; append some, or leave it out with tensors=")
    rows = view.selection(session).index
    if len(rows):
        last = max(rows[0], rows[-1]) if isinstance(rows, range) else int(rows.max())
        for name, column in columns.items():
            if last >= len(column):
                raise LoaderError(
                    f"tensor {name!r} has {len(column)} samples, but row {last} is selected; leave the tensor out with "
                    "tensors=, or select fewer rows"
                )
    for name, method in decode_method.items():
        if name not in columns:
            raise LoaderError(f"decode_method names {name!r}, which is not loaded; loaded are {list(columns)}")
        _check_method(name, columns[name], method)


def _check_method(name: str, column: Column, method: str) -> None:
    if method not in METHODS:
        raise LoaderError(f"decode_method of {name!r} must be one of {METHODS}, not {method!r}")
    if method == "numpy":
        return
    if not column.encoded or column.state.sequence:
        raise LoaderError(f"decode_method {method!r} is for encoded samples; {name!r} is {column.spec.text!r}")
    if method == "pil" and column.htype.document:
        raise LoaderError(f"decode_method 'pil' is for images; {name!r} is {column.spec.text!r}")
