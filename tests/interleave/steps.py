"""What actors do: each step as a call of zlake, and as the model of a dataset has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import zlake
from tests.model.state import State, Table
from tests.model.world import World, Writer
from zlake.errors import ConflictError, EmptyCommitError, StorageUnavailableError

X = 1
"""Key of the tensor ``x`` in the model; ``y`` is 2."""
NAMES = {1: "x", 2: "y"}


class Refused(Exception):  # noqa: N818
    """The model would refuse this step here."""


class Skipped(Exception):  # noqa: N818
    """The actor sees that there is nothing to do: the row is gone."""


@dataclass(frozen=True)
class Step:
    """One call.

    Attributes
    ----------
    name
        For the story.
    real
        Carries it out; its result is given to ``model``.
    model
        Does the same to the model, or raises `Refused`.
    errors
        How it may be refused.
    parts
        What it does to the model after that, each part at a moment of its own.
    anyway
        Errors that it may end with wherever a collector is at work; it has changed nothing then.
    """

    name: str
    real: Callable[[zlake.Dataset], Any]
    model: Callable[[World, Writer, Any], None]
    errors: tuple[type[Exception], ...] = ()
    parts: tuple[Callable[[World, Writer, Any], None], ...] = ()
    anyway: tuple[type[Exception], ...] = ()


def publish(world: World, writer: Writer) -> None:
    """Flush a writer of the model."""
    assert writer.branch is not None
    branch = world.branches[writer.branch]
    if writer.refused(world) is not None:
        writer.forget()
        raise Refused
    changes = writer.edit.changes
    outcome = writer.carried(world)
    if outcome.must:
        writer.forget()
        raise Refused
    if changes:
        branch.staged = outcome.state
        branch.sequence += 1
        writer.flushed = True
        writer.adopt(world, writer.branch)


def append(*values: int, key: int = X) -> Step:
    """Append rows; the model's sample ids are their values."""

    def model(world: World, writer: Writer, _: Any) -> None:
        if key not in writer.work.tables:
            raise Skipped
        writer.append(key, {value: value for value in values})
        publish(world, writer)

    def real(ds: zlake.Dataset) -> None:
        _tensor(ds, key).extend(list(values))

    return Step(f"append {values}", real, model, (ConflictError,))


def _tensor(ds: zlake.Dataset, key: int) -> zlake.Tensor:
    """Return the tensor, whatever it is called now."""
    for name in ds.tensors:
        if ds[name].info["key"] == key:
            return ds[name]
    raise Skipped


def _row(ds: zlake.Dataset, key: int, row: int) -> int:
    """Return where the row is that came with this value, and still has it."""
    values = _tensor(ds, key).numpy().reshape(-1).tolist()
    if row not in values:
        raise Skipped
    return values.index(row)


def update(row: int, value: int, key: int = X) -> Step:
    def model(world: World, writer: Writer, _: Any) -> None:
        if key not in writer.work.tables or writer.work.tables[key].rows.get(row) != row:
            raise Skipped
        writer.update(key, {row: value})
        publish(world, writer)

    def real(ds: zlake.Dataset) -> None:
        _tensor(ds, key)[_row(ds, key, row)] = value

    return Step(f"update {row} to {value}", real, model, (ConflictError,))


def remove(row: int, key: int = X) -> Step:
    def model(world: World, writer: Writer, _: Any) -> None:
        if key not in writer.work.tables or writer.work.tables[key].rows.get(row) != row:
            raise Skipped
        writer.remove(key, {row})
        publish(world, writer)

    def real(ds: zlake.Dataset) -> None:
        _tensor(ds, key).pop(_row(ds, key, row))

    return Step(f"remove {row}", real, model, (ConflictError,))


def block(*steps: Step) -> Step:
    """Several changes of rows in one flush."""

    def model(world: World, writer: Writer, _: Any) -> None:
        trial = World()
        assert writer.branch is not None
        trial.branches = {writer.branch: type(world.branches[writer.branch])(None, writer.base)}
        inner = Writer(writer.branch, writer.base, None)
        edits = []
        for step in steps:
            step.model(trial, inner, None)
            edits.append(inner)
        writer.work = inner.base
        writer.touched = frozenset(
            (key, i)
            for key, table in writer.base.tables.items()
            for i, before in table.rows.items()
            if key in inner.base.tables and inner.base.tables[key].rows.get(i, before) != before
        )
        publish(world, writer)

    def real(ds: zlake.Dataset) -> None:
        try:
            try:
                with ds:
                    for step in steps:
                        step.real(ds)
            except StorageUnavailableError:
                ds.flush()  # all of it is still buffered
        except ConflictError:
            ds._session.refresh(discard=True)
            raise

    return Step(f"block of {[step.name for step in steps]}", real, model, (ConflictError,))


def create_tensor(name: str, key: int) -> Step:
    def model(world: World, writer: Writer, _: Any) -> None:
        if name in writer.work.names:
            raise Skipped
        writer.work = State({**writer.work.tables, key: Table(name, "number", info={"key": key})}, writer.work.info)
        publish(world, writer)

    def real(ds: zlake.Dataset) -> None:
        if name in ds.tensors:
            raise Skipped
        with ds:
            ds.create_tensor(name, dtype="int64").info["key"] = key

    def guarded(ds: zlake.Dataset) -> None:
        try:
            real(ds)
        except ConflictError:
            ds._session.refresh(discard=True)
            raise

    return Step(f"create tensor {name}", guarded, model, (ConflictError,))


def delete_tensor(key: int) -> Step:
    def model(world: World, writer: Writer, _: Any) -> None:
        if key not in writer.work.tables:
            raise Skipped
        writer.work = writer.work.without(key)
        publish(world, writer)

    return Step(f"delete tensor {key}", lambda ds: ds.delete_tensor(_tensor(ds, key).name), model, (ConflictError,))


def rename(key: int, name: str) -> Step:
    def model(world: World, writer: Writer, _: Any) -> None:
        if key not in writer.work.tables or name in writer.work.names:
            raise Skipped
        writer.set_schema(key, name=name)
        publish(world, writer)

    def real(ds: zlake.Dataset) -> None:
        tensor = _tensor(ds, key)
        if name in ds.tensors:
            raise Skipped
        ds.rename_tensor(tensor.name, name)

    return Step(f"rename {key} to {name}", real, model, (ConflictError,))


def set_info(name: str, value: int) -> Step:
    def model(world: World, writer: Writer, _: Any) -> None:
        writer.set_info({**writer.work.info, name: value})
        publish(world, writer)

    return Step(f"info {name}={value}", lambda ds: ds.info.__setitem__(name, value), model, (ConflictError,))


def commit(message: str, allow_empty: bool = False) -> Step:
    def model(world: World, writer: Writer, result: Any) -> None:
        assert writer.branch is not None
        branch = world.branches[writer.branch]
        if writer.refused(world) is not None:
            raise Refused
        insists = allow_empty or writer.flushed
        known_empty = writer.commit is not None and writer.staged is None
        if not insists and (known_empty or (branch.commit is not None and branch.staged is None)):
            raise Refused
        if result is None or result in world.commits:
            raise Refused
        world.add(writer.branch, result, world.state(writer.branch))
        writer.adopt(world, writer.branch)
        writer.flushed = False

    return Step(
        f"commit {message}",
        lambda ds: ds.commit(message, allow_empty=allow_empty, author="me"),
        model,
        (EmptyCommitError,),
    )


def refresh() -> Step:
    def model(world: World, writer: Writer, _: Any) -> None:
        writer.adopt(world, writer.branch, writer.commit)

    return Step("refresh", lambda ds: ds.refresh(), model)
