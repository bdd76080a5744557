"""Taking a place for a dataset that is copied to it: the root comes last, so that a copy cut short is no dataset yet.

A note, ``copying.json``, says meanwhile what is being copied, so that the next call can go on. It is the first object
to be written and the last to be deleted.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from zlake.context import Context
from zlake.errors import DatasetExistsError, FormatError, InvalidPathException, PathNotEmptyException
from zlake.format import decode, encode, paths
from zlake.format.documents import Copying, Root
from zlake.storage.batch import delete_many
from zlake.storage.probe import is_probe
from zlake.storage.store import Lost, ObjectInfo, Store
from zlake.storage.transfer import sizes
from zlake.versions.create import read_root
from zlake.versions.safety import check_writable


@dataclass(frozen=True, slots=True)
class Claim:
    """A place that holds no dataset yet.

    Attributes
    ----------
    store
        The place.
    there
        Objects that an earlier attempt has brought there, by key.
    finished
        The earlier attempt came to its end, but for the note: there is a dataset.
    """

    store: Store
    there: Mapping[str, ObjectInfo]
    finished: bool = False

    def finish(self, root: Root) -> None:
        """Durable: make it a dataset."""
        key = paths.root_key()
        if isinstance(self.store.create(key, encode(root)), Lost):
            raise DatasetExistsError(f"another dataset was made at {self.store.url} while one was being copied there")
        self.finish_again()

    def finish_again(self) -> None:
        """Delete the note of a dataset that is there already."""
        self.store.delete(paths.copying_key())


def claim(
    store: Store,
    source: Store,
    dataset_id: str,
    context: Context,
    *,
    kind: Literal["clone", "copy"] = "clone",
    of: str = "",
    known: Mapping[str, ObjectInfo] | None = None,
    overwrite: bool = False,
    single_writer: bool = False,
) -> Claim:
    """Take a place to copy a dataset to; an attempt that was cut short is gone on with.

    Parameters
    ----------
    store
        The place.
    source
        Where the dataset lies that is copied.
    dataset_id
        Its id.
    context
        Source of ids.
    kind, of
        What is being made: see `zlake.format.documents.Copying`.
    known
        Objects of the source, by key: a place without a root and note that holds nothing else is gone on with too.
    overwrite
        Delete what is there first, if it is a dataset or what is left of one.
    single_writer
        Write even where the storage has no conditional writes.

    Raises
    ------
    InvalidPathException
        If it is the place that the dataset lies at, or inside it.
    DatasetExistsError
        If there is a dataset, unless ``overwrite``.
    PathNotEmptyException
        If something else is there, or what is left of another dataset, unless ``overwrite``.
    """
    check_apart(source, store)
    check_writable(store, single_writer=single_writer)
    note = _note(store)
    same = note is not None and (note.source, note.kind, note.of) == (dataset_id, kind, of)
    rooted = store.read(paths.root_key()) is not None
    left = {} if rooted else {info.key: info for info in _listed(store)}
    if rooted and not overwrite:
        if same and (kind == "copy" or read_root(store).dataset_id == dataset_id):
            return Claim(store, {}, finished=True)
        raise DatasetExistsError(
            f"there is a dataset at {store.url} already; choose another path, or pass overwrite=True to delete it first"
        )
    resumed = same and note is not None and note.cleared and not rooted
    if not resumed and left and not (same or _only_of(left, known)):
        _refuse(store, left, overwrite)
    clear = rooted or (bool(left) and not resumed and not _only_of(left, known))
    if not resumed:
        _announce(store, source, Copying(context.new_id(), dataset_id, kind, of, cleared=not clear))
        if clear:
            _clear(store)
            left = {}
            _announce(store, source, Copying(context.new_id(), dataset_id, kind, of, cleared=True))
    return Claim(store, left)


def check_apart(source: Store, dest: Store) -> None:
    """Raise unless a dataset can be brought from one place to the other, as far as their addresses tell.

    Raises
    ------
    InvalidPathException
        If the second is the first, or lies inside it.
    """
    a, b = _place(source), _place(dest)
    if a == b:
        raise InvalidPathException(f"{dest.url} is the dataset itself; give the path of another one")
    if b.startswith(a):
        raise InvalidPathException(f"{dest.url} lies inside the dataset at {source.url}; choose a path outside of it")


def _place(store: Store) -> str:
    root = store.local_path(paths.root_key()) if store.capabilities.files else None
    return store.url.rstrip("/") + "/" if root is None else os.path.join(os.path.realpath(os.path.dirname(root)), "")


def _note(store: Store) -> Copying | None:
    data = store.read(paths.copying_key())
    try:
        return None if data is None else decode(Copying, data, where=f"{store.url}/{paths.copying_key()}")
    except FormatError:
        return None


def _listed(store: Store) -> list[ObjectInfo]:
    return [info for info in sizes(store, [""]).values() if info.key != paths.copying_key() and not is_probe(info.key)]


def _only_of(left: Mapping[str, ObjectInfo], known: Mapping[str, ObjectInfo] | None) -> bool:
    """Whether objects are some of those of the source, beside its refs."""
    if known is None:
        return False
    for key, info in left.items():
        theirs = known.get(key)
        if theirs is None or (theirs.size != info.size and not key.startswith("refs/")):
            return False
    return True


def _refuse(store: Store, left: Collection[str], overwrite: bool) -> None:
    for key in left:
        if not paths.is_dataset_key(key):
            raise PathNotEmptyException(
                f"{store.url} is no dataset but holds objects ({key!r} for one); choose an empty path"
            )
    if not overwrite:
        raise PathNotEmptyException(
            f"{store.url} holds {len(left)} objects of another dataset, or of another copy that was cut short; choose "
            "an empty path, or pass overwrite=True to delete them"
        )


def _announce(store: Store, source: Store, note: Copying) -> None:
    """Write the note; raise if the source has it then too, because both are one place under two addresses."""
    key, data = paths.copying_key(), encode(note)
    while isinstance(store.swap(key, data, store.read_versioned(key).generation), Lost):
        continue
    if source.read(key) == data:
        store.delete(key)
        raise InvalidPathException(
            f"{store.url} and {source.url} are the same place, the dataset that is to be copied; choose another path"
        )


def _clear(store: Store) -> None:
    """Delete everything but the note; the root goes first, so that a half-deleted dataset is none."""
    if store.read(paths.root_key()) is not None:  # deleting what is not there would make folders for it
        store.delete(paths.root_key())
    delete_many(store, (key for key in store.list("") if key != paths.copying_key()))
