"""Mixed keys, copies of settings, and how a dataset travels to another process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zlake.extents.selection import Selection
from zlake.session.column import Column
from zlake.session.opening import Portable
from zlake.session.session import Session

if TYPE_CHECKING:
    from zlake.dataset.dataset import Dataset
    from zlake.dataset.structure import Structure
    from zlake.dataset.tensor import Tensor


def steps(ds: Dataset, key: tuple[Any, ...]) -> Any:
    """Apply the parts of a mixed key one by one: ``ds["x", 0]`` is ``ds["x"][0]``, ``ds[0, "x"]`` is ``ds[0]["x"]``."""
    found: Any = ds
    for part in key:
        found = found[part]
    return found


def full_name(group: str, name: Any) -> Any:
    """Return a name below a group; what is no string is left for the grammar to refuse."""
    return group + name if isinstance(name, str) else name


def tensor_like(ds: Structure, name: str, source: Tensor) -> Tensor:
    """Create a tensor with the settings and info of another."""
    state = source._column.state
    options = {k: v for k, v in state.options.items() if v is not None}
    given: dict[str, Any] = {"dtype": state.dtype, **options}
    if state.sample_compression is not None or source._column.htype.needs_compression:
        given["sample_compression"] = state.sample_compression
    if state.chunk_compression is not None:
        given["chunk_compression"] = state.chunk_compression
    made = ds.create_tensor(name, htype=source.htype, **given)
    if source.info:
        made.info.replace_with(dict(source.info))
    return made


def plain(value: Any, target: Column | None) -> Any:
    """Return the samples of a tensor face, for a target that may be another tensor; anything else as it is."""
    from zlake.dataset.tensor import Tensor

    return value._plain(target) if isinstance(value, Tensor) else value


def plain_row(ds: Dataset, row: Any, error: type[Exception]) -> Mapping[str, Any]:
    """Return a row or rows, given as a dictionary or another dataset, with the samples of tensor faces in it.

    Raises
    ------
    Exception
        Of the class given, if it is neither.
    """
    from zlake.dataset.dataset import Dataset
    from zlake.dataset.tensor import Tensor

    if isinstance(row, Dataset):
        row = row.tensors
    elif type(row) is not dict and not isinstance(row, Mapping):
        raise error(f"expected a dictionary of tensor names to samples, got {type(row).__name__}")
    if Tensor not in map(type, row.values()):
        return row  # type: ignore[no-any-return]
    return {name: plain(value, ds._session.columns.get(ds._group + name)) for name, value in row.items()}


def pickled(session: Session) -> tuple[Portable]:
    """Return how to reopen a session; what is not flushed yet is flushed first, so that the other process sees it."""
    if session.changed:
        session.flush()
    return (Portable.of(session),)


def reopen(portable: Portable, rows: Selection | int | None, group: str, names: tuple[str, ...] | None) -> Dataset:
    """Open a pickled dataset at the very snapshot it was pickled at."""
    from zlake.dataset.dataset import Dataset

    return Dataset(portable.open(), rows, group, names)


def reopen_tensor(
    name: str, rows: Selection | int | None, key: tuple[tuple[Any, ...], ...], portable: Portable
) -> Tensor:
    """Open a pickled tensor face at the very snapshot it was pickled at."""
    from zlake.dataset.tensor import Tensor

    return Tensor(portable.open().column(name), rows, key)
