"""Making a ref name a version that perhaps no ref reaches: a lease keeps it first, and it is seen to be whole."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from zlake.context import Context
from zlake.storage.store import Store
from zlake.versions.guard import check_swept
from zlake.versions.lease import Lease
from zlake.versions.objects import Objects
from zlake.versions.protocol import nothing_changed


@contextmanager
def keeping(
    objects: Objects, context: Context, *snapshots: str | None, known: Collection[str] = frozenset()
) -> Iterator[None]:
    """Keep snapshots for the time of a block in which a ref is made to name them, or what is built upon them.

    Nobody sees the ref before it is sure that what it names is whole and stays so; and whoever stops at any moment
    leaves nothing but a lease, which lapses. Costs a write and a deletion, and what `check_swept` takes.

    Parameters
    ----------
    objects, context
        The dataset's objects; source of ids, and what waits.
    snapshots
        The snapshots, each reached by those behind it; None is skipped. For none at all nothing is done.
    known
        Commits that branches or tags have reached all the time.

    Raises
    ------
    CollectedError
        If a part of them was collected, or a collector does not come to its end.
    StorageUnavailableError
        If the storage stopped answering before the block; nothing was changed.
    """
    tips = [each for each in snapshots if each is not None]
    if not tips:
        yield
        return
    with leased(objects.store, context, tips[-1]):
        with nothing_changed(objects.store):
            for each in tips:
                check_swept(objects, each, context=context, known=known)
        yield


def leased(store: Store, context: Context, snapshot: str, *, writing: bool = False) -> Lease:
    """Take a lease for a block that makes a ref name a snapshot, which may be still to come; as `Lease.take`.

    Raises
    ------
    StorageUnavailableError
        If it could not be written; nothing was changed.
    """
    with nothing_changed(store):
        return Lease.take(store, context, snapshot, writing=writing)
