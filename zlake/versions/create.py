"""Creating a dataset and opening its root."""

from __future__ import annotations

from zlake.context import Context
from zlake.errors import CorruptObjectError, DatasetCorruptError, DatasetExistsError, DatasetNotFoundError
from zlake.format import decode, encode, paths
from zlake.format.documents import FORMAT_VERSION, Root
from zlake.storage.store import Lost, Store
from zlake.versions import refs
from zlake.versions.read_head import MAIN


def create_dataset(store: Store, context: Context) -> Root:
    """Create the root, then the branch ``main``, both only if absent.

    A dataset whose creation was cut short between the two counts as created: whoever opens it finds it empty, and the
    first write makes the branch.

    Raises
    ------
    DatasetExistsError
        If there is a dataset.
    """
    root = Root(format_version=FORMAT_VERSION, dataset_id=context.new_id(), created=context.clock())
    if isinstance(store.create(paths.root_key(), encode(root)), Lost):
        if store.read(paths.branch_key(MAIN)) is not None:
            raise DatasetExistsError(f"there is a dataset at {store.url} already; open it, or delete it first")
        root = read_root(store)
    if not refs.create_branch(store, MAIN, refs.first_ref(context)):
        raise DatasetExistsError(f"another process has just created the dataset at {store.url}; open it")
    return root


def read_root(store: Store) -> Root:
    """Return the root document.

    Raises
    ------
    DatasetNotFoundError
        If there is none, or the Zarr group here is no dataset of zlake.
    DatasetCorruptError
        If it is damaged.
    UnsupportedFormatError
        If it is of a newer version, or needs a feature that this zlake lacks.
    """
    key = paths.root_key()
    data = store.read(key)
    if data is None:
        raise DatasetNotFoundError(f"there is no dataset at {store.url}")
    try:
        return decode(Root, data, where=f"{store.url.rstrip('/')}/{key}")
    except CorruptObjectError as error:
        if b'"zlake"' not in data and b'"zarr_format"' in data:
            raise DatasetNotFoundError(f"{store.url} holds a Zarr group that is no zlake dataset") from error
        raise DatasetCorruptError(f"the root of the dataset at {store.url} is damaged: {error}") from error
