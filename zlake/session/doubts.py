"""Calls of which nobody could tell how they ended: remembered, and found out by the next one of the kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from zlake.errors import CommitStateUnknownError, StorageError
from zlake.versions.head import Head

if TYPE_CHECKING:
    from zlake.session.session import Session

T = TypeVar("T")
Find = Callable[[CommitStateUnknownError], T | None]
"""Says what a write came to, of which this was said; None if it did not land, and never will."""


def settled(error: CommitStateUnknownError, find: Find[T]) -> T | None:
    """Return what ``find`` does; as long as the storage does not answer it is as unknown as before."""
    try:
        return find(error)
    except StorageError as cause:
        raise error from cause


def landed_before(session: Session, what: str, name: str, find: Find[T]) -> T | None:
    """Return what became of the same call made before, if nobody could tell how it ended, and it landed."""
    error = session.doubts.get((what, name))
    if error is None:
        return None
    found = settled(error, find)
    del session.doubts[what, name]
    return found


@contextmanager
def noting(session: Session, what: str, name: str) -> Iterator[None]:
    """Remember for the next call that the write in the block may have landed, if that is how it ends."""
    try:
        yield
    except CommitStateUnknownError as error:
        session.doubts[what, name] = error
        raise


def once(session: Session, what: str, name: str, do: Callable[[], T], find: Find[T]) -> T:
    """Do something to a ref, unless the same was tried before, nobody could tell how it ended, and it landed.

    Parameters
    ----------
    session
        Remembers what is in doubt.
    what, name
        What is done to which ref.
    do
        Does it.
    find
        Says whether an earlier attempt landed, by what it returns then.
    """
    found = landed_before(session, what, name, find)
    if found is not None:
        return found
    with noting(session, what, name):
        return do()


def branch_landed(session: Session, name: str) -> Find[Head]:
    """Return what finds out whether a swap of a branch landed."""
    return lambda error: session.repository.settle(name, error)
