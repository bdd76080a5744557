"""What must stay: the snapshots that refs and leases name. If any of them cannot be read, nothing may be deleted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zlake import limits
from zlake.errors import CollectionRefusedError, DatasetCorruptError, FormatError
from zlake.format import paths
from zlake.format.names import ref_problem
from zlake.storage.store import ObjectInfo, Request, Store
from zlake.versions import refs
from zlake.versions.create import read_root
from zlake.versions.lease import leases
from zlake.versions.objects import Objects
from zlake.versions.reach import Reach, reach
from zlake.versions.read_head import MAIN


@dataclass(frozen=True, slots=True)
class Roots:
    """Where reachability begins.

    Attributes
    ----------
    named
        Snapshots that branches and tags name.
    kept
        Snapshots that leases, and tombstones younger than the grace period, name. A part of them may be gone already:
        if a lease had lapsed, or a version was to be used again when it was collected.
    since
        When the oldest lease of a writer began, by the storage's clock: whatever was written later stays. Infinite
        where there is none.
    leases
        Leases that hold.
    lapsed
        Keys of the documents of those that no longer do.
    """

    named: tuple[str, ...]
    kept: tuple[str, ...]
    since: float
    leases: int
    lapsed: tuple[str, ...]


def find_roots(store: Store, now: float, grace: float) -> Roots:
    """Read every lease, and then every branch and tag.

    In this order, as whoever makes a ref name what a lease keeps ends the lease after that: so one of both is seen.

    Parameters
    ----------
    store
        Where the dataset lies.
    now
        The storage's time.
    grace
        Seconds for which what a tombstone names stays.

    Raises
    ------
    FormatError, CollectionRefusedError
        If one of them cannot be read, or is of a kind that this zlake does not know.
    StorageError
        If the storage does not answer.
    """
    read_root(store)
    view = next((key for key in store.list(paths.VIEWS) if paths.is_dataset_key(key)), None)
    if view is not None:
        raise CollectionRefusedError(
            f"{store.url} has saved views ({view!r} for one), which this zlake cannot read: upgrade it"
        )
    held = leases(store, now)
    live = [lease for lease in held if now <= lease.ends]
    named: list[str] = []
    kept: list[str] = []
    branches = set[str]()
    for name, is_tag, info, data in _refs(store):
        if is_tag:
            tag = refs.parse_tag(store, name, data)
            tips = [tag.commit]
            deleted = tag.deleted
        else:
            branches.add(name)
            ref = refs.parse_branch(store, name, data)
            tips = [each for each in (ref.staged, ref.commit) if each is not None]
            deleted = ref.deleted
        if not deleted:
            named += tips
        elif info.modified > now - grace:
            kept += tips
    if MAIN not in branches and any(map(paths.owner_of, store.list(paths.COMMITS))):
        raise DatasetCorruptError(f"{store.url}: {paths.branch_key(MAIN)!r} is missing, though the dataset has commits")
    return Roots(
        named=tuple(dict.fromkeys(named)),
        kept=tuple(dict.fromkeys((*kept, *(lease.snapshot for lease in live if lease.snapshot is not None)))),
        since=min((lease.began for lease in live if lease.writing), default=math.inf),
        leases=len(live),
        lapsed=tuple(key for lease in held if now > lease.ends for key in lease.keys),
    )


def _refs(store: Store) -> Iterator[tuple[str, bool, ObjectInfo, bytes]]:
    """Yield each ref: name, whether it is a tag, what the listing says, and its bytes."""
    listed: list[tuple[str, bool, ObjectInfo]] = []
    for info in store.list_info("refs/"):
        key = info.key
        folder = next((each for each in (paths.BRANCHES, paths.TAGS) if key.startswith(each)), None)
        if not key.endswith(".json"):
            continue  # something that another tool left
        if folder is None:
            raise CollectionRefusedError(f"{store.url}: {key!r} is a ref of a kind that this zlake does not know")
        name = paths.name_of(key, folder)
        if not ref_problem(name):
            listed.append((name, folder == paths.TAGS, info))
    for start in range(0, len(listed), limits.READS_IN_FLIGHT):
        batch = listed[start : start + limits.READS_IN_FLIGHT]
        values = store.read_many([Request(info.key) for _, _, info in batch])
        for (name, is_tag, info), data in zip(batch, values, strict=True):
            if data is None:
                raise CollectionRefusedError(f"{store.url}: {info.key!r} was deleted while it was to be read")
            yield name, is_tag, info, data


def live_objects(objects: Objects, roots: Roots, sessions: Sequence[str] = ()) -> Reach:
    """Return everything that the roots reach, and the snapshots of sessions of this process.

    Raises
    ------
    FormatError
        If an object that branches or tags reach is missing, or any is damaged: then what it names cannot be known.
    StorageError
        If the storage does not answer.
    """
    found = reach(objects, roots.named)
    kept = [each for each in (*roots.kept, *sessions) if each]
    found.update(reach(objects, kept, found.commits, on_damage=_allow_missing))
    return found


def _allow_missing(key: str, error: FormatError) -> None:
    """Go on without what is gone, which names nothing any longer; not without what cannot be read."""
    if not isinstance(error, DatasetCorruptError):
        raise error


def unreadable(store: Store, error: FormatError) -> CollectionRefusedError:
    """Return the error that says why nothing may be deleted."""
    return CollectionRefusedError(
        f"{store.url}: nothing was deleted, because it cannot be known what the dataset still needs: {error}; "
        "verify() says what is damaged"
    )
