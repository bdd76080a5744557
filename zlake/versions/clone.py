"""A whole dataset copied with its history: everything that its refs reach, and its views."""

from __future__ import annotations

from collections.abc import Iterator

from zlake.errors import DatasetExistsError, FormatError, UnsupportedOperationError
from zlake.format import paths
from zlake.storage.store import Lost, ObjectInfo, Request, Store
from zlake.storage.transfer import Moved, sizes
from zlake.versions import refs
from zlake.versions.bring import DEFAULT, How, bring
from zlake.versions.claim import claim
from zlake.versions.reach import Reach, reach
from zlake.versions.repository import Repository


def clone(
    source: Repository, dest: Store, *, overwrite: bool = False, single_writer: bool = False, how: How = DEFAULT
) -> Moved:
    """Copy a dataset with all branches, what is staged on them, tags, views and history; it keeps its id.

    The refs are read first, all at once: what others write to the source meanwhile is not in the copy. The copy becomes
    a dataset when all of it is there; a call that was cut short is gone on with by the next one.

    Parameters
    ----------
    source
        The dataset.
    dest
        Where to copy it.
    overwrite
        Delete a dataset that is there first.
    single_writer
        Write even where the storage has no conditional writes.
    how
        How objects travel.

    Returns
    -------
    Moved
        How many objects and bytes did.

    Raises
    ------
    UnsupportedOperationError
        If the source cannot be listed, as a web server.
    InvalidPathException, DatasetExistsError, PathNotEmptyException
        As `zlake.versions.claim.claim`.
    DatasetCorruptError, CorruptObjectError
        If an object that a ref reaches is missing or damaged.
    StorageError
        If a storage fails.
    """
    if not source.store.capabilities.listable:
        raise UnsupportedOperationError(
            f"{source.store.url} cannot be listed, so its branches are not known; pull the branches that you know"
        )
    named = _refs(source.store)
    reached = _reached(source, named)
    known = sizes(source.store, [""])
    for prefix in reached.prefixes():
        if f"{prefix}zarr.json" not in known:
            raise source.objects.missing(f"{prefix}zarr.json")
    place = claim(
        dest,
        source.store,
        source.root.dataset_id,
        source.context,
        known=known,
        overwrite=overwrite,
        single_writer=single_writer,
    )
    if place.finished and any(dest.read(key) != data for key, data in named.items()):
        raise DatasetExistsError(f"there is a clone at {dest.url} already; pull into it, or pass overwrite=True")
    moved = Moved()
    if not place.finished:
        moved = bring(source.store, dest, _objects(known, reached), place.there, how)
        for key, data in named.items():
            _write_ref(dest, key, data)
    place.finish(source.root)
    return moved


def _refs(store: Store) -> dict[str, bytes]:
    """Return all refs, tombstones too: tags before branches, and ``main`` last."""
    keys = [*map(paths.tag_key, refs.tag_names(store)), *map(paths.branch_key, refs.branch_names(store))]
    keys.sort(key=lambda key: key == paths.branch_key("main"))
    found = zip(keys, store.read_many([Request(key) for key in keys]), strict=True)
    return {key: data for key, data in found if data is not None}


def _reached(source: Repository, named: dict[str, bytes]) -> Reach:
    live: list[str] = []
    dead: list[str] = []
    for key, data in named.items():
        if key.startswith(paths.TAGS):
            tag = refs.parse_tag(source.store, paths.name_of(key, paths.TAGS), data)
            (dead if tag.deleted else live).append(tag.commit)
        else:
            ref = refs.parse_branch(source.store, paths.name_of(key, paths.BRANCHES), data)
            (dead if ref.deleted else live).extend(i for i in (ref.commit, ref.staged) if i is not None)
    found = reach(source.objects, live)
    for tip in dead:
        # of what was deleted some may have been collected; what is whole can be restored in the copy as well
        try:
            found.update(reach(source.objects, [tip], known=found.commits))
        except FormatError:
            continue
    return found


def _objects(known: dict[str, ObjectInfo], reached: Reach) -> Iterator[ObjectInfo]:
    for key, info in known.items():
        if key in reached or key.startswith(paths.VIEWS):
            yield info


def _write_ref(store: Store, key: str, data: bytes) -> None:
    """Create a ref; an earlier attempt may have left an older one, which nobody can have seen without a root."""
    if isinstance(store.create(key, data), Lost):
        while isinstance(store.swap(key, data, store.read_versioned(key).generation), Lost):
            continue
