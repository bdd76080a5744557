"""Creating, renaming and deleting tensors and groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from zlake import limits
from zlake.errors import (
    InvalidTensorGroupNameError,
    InvalidTensorNameError,
    TensorAlreadyExistsError,
    TensorGroupAlreadyExistsError,
    TensorGroupDoesNotExistError,
    TensorMetaError,
    TensorTooLargeToDelete,
)
from zlake.format import names
from zlake.format.documents import ExtentTable, Info, TensorState
from zlake.samples import TensorSpec, parse_htype, settings
from zlake.samples.spec import UNSPECIFIED
from zlake.session.column import Column
from zlake.session.session import Session, alone

_LARGE_BYTES = 1000**3


@alone
def create_tensor(
    session: Session, name: str, htype: str, reserved: Iterable[str], exist_ok: bool, given: Mapping[str, Any]
) -> Column:
    """Create a tensor without rows.

    Parameters
    ----------
    session
        An open session.
    name
        Full name; groups in it are created.
    htype
        Registered name, ``sequence[...]`` of one, or ``unspecified``.
    reserved
        Names that the API takes.
    exist_ok
        Return the existing tensor if it has the same settings.
    given
        Further settings, checked by the htype.

    Raises
    ------
    InvalidTensorNameError, TensorAlreadyExistsError, TensorGroupAlreadyExistsError, TensorMetaError
        If the name or a setting is no good; nothing was changed.
    """
    session.begin()
    name = _plain(name)
    names.check_tensor_name(name)
    _check_reserved(name, reserved, InvalidTensorNameError)
    base, sequence = parse_htype(htype)
    spec = settings(base, given, sequence=sequence, tensor=name)
    if name in session.columns:
        existing = session.columns[name]
        if exist_ok:
            other = _differences(existing, spec, given)
            if other:
                raise TensorAlreadyExistsError(f"tensor {name!r} exists with other settings: {', '.join(other)}")
            return existing
        raise TensorAlreadyExistsError(f"tensor {name!r} exists already; pass exist_ok=True to use it")
    if name in session.groups:
        raise TensorGroupAlreadyExistsError(f"{name!r} is a group already")
    if len(session.columns) >= limits.MAX_TENSORS:
        raise TensorMetaError(f"a dataset has at most {limits.MAX_TENSORS} tensors")
    _check_parents(session, name)
    state = TensorState(
        name=name,
        key=session.context.new_id(),
        htype=spec.htype,
        dtype=None if spec.dtype is None else spec.dtype.name,
        ndim=spec.ndim,
        length=0,
        extents=ExtentTable(),
        sample_compression=spec.sample_compression,
        chunk_compression=spec.chunk_compression,
        sequence=spec.sequence,
        options=dict(spec.options),
        info=Info(),
    )
    column = Column(session, state, created=True)
    if spec.info:
        column.replace_info(dict(spec.info))
    session.groups = session.groups | set(_parents(name))
    session.columns = {**session.columns, name: column}
    session.written()
    return column


@alone
def create_group(session: Session, name: str, reserved: Iterable[str], exist_ok: bool = False) -> str:
    """Create a group, and the groups above it; return its full name."""
    session.begin()
    name = _plain(name)
    try:
        names.check_tensor_name(name)
    except InvalidTensorNameError as error:
        raise InvalidTensorGroupNameError(str(error)) from error
    _check_reserved(name, reserved, InvalidTensorGroupNameError)
    if name in session.columns:
        raise TensorAlreadyExistsError(f"{name!r} is a tensor already")
    if name in session.groups:
        if exist_ok:
            return name
        raise TensorGroupAlreadyExistsError(f"group {name!r} exists already; pass exist_ok=True to use it")
    _check_parents(session, name)
    session.groups = session.groups | {*_parents(name), name}
    session.written()
    return name


@alone
def delete_tensor(session: Session, name: str, large_ok: bool = False) -> None:
    """Delete a tensor from this version; earlier commits keep it."""
    session.begin()
    column = session.column(_plain(name))
    stored = sum(entry.bytes for entry in column.base()[0])
    if stored > _LARGE_BYTES and not large_ok:
        raise TensorTooLargeToDelete(f"tensor {name!r} holds {stored:,} bytes; pass large_ok=True to delete it")
    _drop(session, column)
    session.written()


@alone
def delete_group(session: Session, name: str, large_ok: bool = False) -> None:
    """Delete a group and the tensors in it from this version."""
    session.begin()
    name = _plain(name)
    if name not in session.groups:
        raise TensorGroupDoesNotExistError(f"there is no group {name!r}; there are {sorted(session.groups)}")
    inside = [c for c in session.columns.values() if c.name.startswith(f"{name}/")]
    stored = sum(entry.bytes for column in inside for entry in column.base()[0])
    if stored > _LARGE_BYTES and not large_ok:
        raise TensorTooLargeToDelete(f"group {name!r} holds {stored:,} bytes; pass large_ok=True to delete it")
    for column in inside:
        _drop(session, column)
    session.groups = {g for g in session.groups if g != name and not g.startswith(f"{name}/")}
    session.written()


@alone
def rename_tensor(session: Session, name: str, new_name: str, reserved: Iterable[str]) -> None:
    """Rename a tensor within its group; no sample moves."""
    session.begin()
    name, new_name = _plain(name), _plain(new_name)
    column = session.column(name)
    names.check_tensor_name(new_name)
    _check_reserved(new_name, reserved, InvalidTensorNameError)
    if name.rpartition("/")[0] != new_name.rpartition("/")[0]:
        raise InvalidTensorNameError(f"{new_name!r} lies in another group than {name!r}; a tensor stays in its group")
    if new_name in session.columns:
        raise TensorAlreadyExistsError(f"tensor {new_name!r} exists already")
    if new_name in session.groups:
        raise TensorGroupAlreadyExistsError(f"{new_name!r} is a group already")
    _rename(session, column, new_name)
    session.written()


@alone
def rename_group(session: Session, name: str, new_name: str, reserved: Iterable[str]) -> None:
    """Rename a group; the tensors in it keep their rows."""
    session.begin()
    name, new_name = _plain(name), _plain(new_name)
    if name not in session.groups:
        raise TensorGroupDoesNotExistError(f"there is no group {name!r}; there are {sorted(session.groups)}")
    names.check_tensor_name(new_name)
    _check_reserved(new_name, reserved, InvalidTensorGroupNameError)
    if new_name in session.groups or new_name in session.columns:
        raise TensorGroupAlreadyExistsError(f"{new_name!r} exists already")
    if name.rpartition("/")[0] != new_name.rpartition("/")[0]:
        raise InvalidTensorGroupNameError(
            f"{new_name!r} lies in another group than {name!r}; a group stays where it is"
        )
    for column in [c for c in session.columns.values() if c.name.startswith(f"{name}/")]:
        _rename(session, column, new_name + column.name[len(name) :])
    session.groups = {new_name + g[len(name) :] if g == name or g.startswith(f"{name}/") else g for g in session.groups}
    session.written()


def _differences(column: Column, spec: TensorSpec, given: Mapping[str, Any]) -> list[str]:
    """Return which of the settings that are asked for an existing tensor does not have; what is left open fits all."""
    have, state = column.spec, column.state
    wanted = [
        ("htype", have.text, spec.text, spec.htype == UNSPECIFIED and spec.sequence == have.sequence),
        ("dtype", have.dtype, spec.dtype, "dtype" not in given or have.dtype is None),
        ("sample_compression", state.sample_compression, spec.sample_compression, "sample_compression" not in given),
        ("chunk_compression", state.chunk_compression, spec.chunk_compression, "chunk_compression" not in given),
    ]
    return [f"{name} is {has}, not {asked}" for name, has, asked, free in wanted if not free and has != asked]


def _rename(session: Session, column: Column, new_name: str) -> None:
    if not column.created and not column.renamed_from:
        column.renamed_from = column.name
    session.columns = {(new_name if n == column.name else n): c for n, c in session.columns.items()}
    column.state = msgspec.structs.replace(column.state, name=new_name)


def _drop(session: Session, column: Column) -> None:
    session.columns = {name: other for name, other in session.columns.items() if other is not column}
    column.deleted = True
    if not column.created:
        session.deleted[column.key] = column


def _plain(name: Any) -> Any:
    """Return a name without slashes around it; the grammar refuses what is no string."""
    return name.strip("/") if isinstance(name, str) else name


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:i]) for i in range(1, len(parts))]


def _check_parents(session: Session, name: str) -> None:
    for parent in _parents(name):
        if parent in session.columns:
            raise TensorAlreadyExistsError(f"{parent!r} is a tensor, so {name!r} cannot lie in it")


def _check_reserved(name: str, reserved: Iterable[str], error: type[Exception]) -> None:
    for part in name.split("/"):
        if part in reserved:
            raise error(
                f"{part!r} is a member of Dataset, or is to become one, so a tensor or group of this name could not be "
                f"reached as ds.{part}; choose another name, {part + '_'!r} for instance"
            )
