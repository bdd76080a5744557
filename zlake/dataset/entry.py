"""The functions that open, create, copy the structure of, and delete datasets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zlake.context import Context
from zlake.dataset.arguments import Credentials, Path, check_ignored, path_text
from zlake.dataset.dataset import Dataset
from zlake.errors import DatasetNotFoundError, DatasetTooLargeToDelete, InvalidPathException
from zlake.session import opening
from zlake.storage.store import Store

_LARGE_BYTES = 1000**3
_IGNORED = frozenset(
    (
        *("lock_enabled", "lock_timeout", "token", "org_id", "public", "verbose", "runtime"),
        *("check_integrity", "unlink", "access_method", "index_params", "indra"),
    )
)
"""Arguments of Deep Lake that mean nothing here: its cloud, its locks, its ways of reading."""
_KNOWN = (
    "creds",
    "overwrite",
    "read_only",
    "ref",
    "committed",
    "reset",
    "context",
    "memory_cache_size",
    "local_cache_size",
    "durable",
)


def empty(
    path: Path,
    overwrite: bool = False,
    creds: Credentials = None,
    *,
    context: Context | None = None,
    memory_cache_size: int | None = None,
    local_cache_size: int | None = None,
    single_writer: bool = False,
    durable: bool | None = None,
    **ignored: Any,
) -> Dataset:
    """Create an empty dataset.

    Parameters
    ----------
    path
        Local path or URL: ``mem://name``, ``s3://bucket/prefix``, ``gs://bucket/prefix``, or any scheme of fsspec.
    overwrite
        Delete a dataset that is there first.
    creds
        ``aws_access_key_id``, ``aws_secret_access_key``, ``aws_session_token``, ``endpoint_url``, ``aws_region``,
        ``profile_name`` for S3, fsspec's options for its schemes, or ``"ENV"``. Never stored.
    context
        Clock, ids and limits; for tests and experts.
    memory_cache_size
        Bound of the decoded chunks in memory, in MB.
    local_cache_size
        Bound of the local cache of remote objects, in MB.
    single_writer
        Write also where the storage has no conditional writes, so that a second writer would lose data.
    durable
        False writes local files without waiting for the device (no fsync), which makes small commits several times
        faster. A process that fails or is killed loses nothing either way. But when the machine loses power, or its
        system crashes, changes of the last half minute or so may be gone although they were acknowledged, and the
        branch may name objects that are empty, so that `load` raises `DatasetCorruptError` or `CorruptObjectError`
        until the branch is restored from a copy; commits that reached the device before can still be loaded by their
        ids. For scratch data, tests, and ingests that can be repeated. Object stores acknowledge only what is durable.
    **ignored
        Arguments of Deep Lake for its locks and its cloud, ignored with a warning.

    Raises
    ------
    DatasetExistsError
        If there is a dataset and ``overwrite`` is false.
    PathNotEmptyException
        If the path holds something else.
    UnsafeStorageError
        If the storage has no conditional writes, unless ``single_writer``.
    """
    check_ignored(ignored, _IGNORED, _KNOWN)
    plain, address = opening.split_address(path_text(path))
    if address is not None:
        raise InvalidPathException(f"a new dataset has no version {address!r} yet; create {plain!r} without it")
    made = opening.make_context(context, memory_cache_size, local_cache_size, durable)
    store = opening.store_at(plain, creds, made)
    return Dataset(opening.create_session(store, made, overwrite=overwrite, single_writer=single_writer))


def load(
    path: Path,
    read_only: bool | None = None,
    creds: Credentials = None,
    *,
    ref: str | None = None,
    committed: bool = False,
    reset: bool = False,
    context: Context | None = None,
    memory_cache_size: int | None = None,
    local_cache_size: int | None = None,
    single_writer: bool = False,
    durable: bool | None = None,
    **ignored: Any,
) -> Dataset:
    """Open a dataset.

    Parameters
    ----------
    path
        Local path or URL, optionally with ``@branch``, ``@tag`` or ``@commit`` (its id, or the beginning of it).
    read_only
        Refuse changes. By default a dataset is writable where the storage is, unless ``committed``; the first change
        of a tag or past commit makes a branch ``auto_<id>`` there.
    creds
        As in `empty`.
    ref
        Branch, tag or commit, instead of ``path@ref``.
    committed
        Open the newest commit of the branch, without what is staged on top of it.
    reset
        Drop what is staged on the branch, if it is damaged and could not be opened otherwise.
    context, memory_cache_size, local_cache_size, single_writer, durable, **ignored
        As in `empty`.

    Raises
    ------
    DatasetNotFoundError
        If there is no dataset.
    RefNotFoundError
        If it has no such branch, tag or commit; its subclass `BranchDeletedError`, if it was deleted.
    UnsupportedFormatError
        If a newer zlake wrote it.
    CorruptObjectError
        If a document is damaged.
    """
    check_ignored(ignored, _IGNORED, _KNOWN)
    plain, address = opening.split_address(path_text(path))
    if ref is not None and address is not None:
        raise InvalidPathException(f"give the version once: the path says {address!r}, ref says {ref!r}")
    made = opening.make_context(context, memory_cache_size, local_cache_size, durable)
    store = opening.store_at(plain, creds, made)
    return Dataset(
        opening.open_session(
            store,
            made,
            address if ref is None else ref,
            read_only,
            committed=committed,
            single_writer=single_writer,
            reset=reset,
        )
    )


def dataset(path: Path, read_only: bool | None = None, overwrite: bool = False, **options: Any) -> Dataset:
    """Open the dataset at the path, or create it where there is none.

    Parameters
    ----------
    path
        As in `load`; a path with a version is never created.
    read_only
        As in `load`; True never creates.
    overwrite
        Delete a dataset that is there, and create an empty one.
    **options
        As in `load`.

    Raises
    ------
    InvalidPathException
        If a version of a dataset that is to be created is asked for.
    DatasetNotFoundError
        If there is no dataset, and ``read_only`` or a version is asked for.
    """
    plain, address = opening.split_address(path_text(path))
    version = address or options.get("ref") or options.get("committed")
    if not overwrite and (version or exists(plain, options.get("creds"))):
        return load(path, read_only, **options)
    if read_only and not overwrite:
        raise DatasetNotFoundError(f"there is no dataset at {plain!r} to open read-only")
    if version:
        raise InvalidPathException(f"a new dataset has no versions yet; create {plain!r} without {version!r}")
    rest = {name: value for name, value in options.items() if name not in ("ref", "committed", "reset")}
    made = empty(plain, overwrite=overwrite, **rest)
    if read_only:
        made.read_only = True
    return made


def exists(path: Path, creds: Credentials = None) -> bool:
    """Whether there is a dataset at the path; a version in the path is not looked up."""
    plain, _ = opening.split_address(path_text(path))
    return opening.is_dataset(_store(plain, creds))


def delete(path: Path, force: bool = False, large_ok: bool = False, creds: Credentials = None) -> None:
    """Delete a dataset with all its versions.

    Parameters
    ----------
    path
        Local path or URL.
    force
        Delete whatever the path holds, dataset or not; a path that holds nothing is no error.
    large_ok
        Delete more than 1 GB.
    creds
        As in `empty`.

    Raises
    ------
    DatasetNotFoundError
        If there is no dataset and ``force`` is false.
    DatasetTooLargeToDelete
        If it holds more than 1 GB and ``large_ok`` is false; nothing was deleted.
    InvalidPathException
        If the path names a version: versions are not deleted one by one.
    """
    plain, address = opening.split_address(path_text(path))
    if address is not None:
        raise InvalidPathException(f"a dataset is deleted with all its versions: give {plain!r}, without @{address}")
    store = _store(plain, creds)
    if not force and not opening.is_dataset(store):
        raise DatasetNotFoundError(f"there is no dataset at {store.url} to delete; force=True deletes anything there")
    if not large_ok:
        size = sum(found.size for found in store.list_info(""))
        if size > _LARGE_BYTES:
            raise DatasetTooLargeToDelete(f"{store.url} holds {size:,} bytes; pass large_ok=True to delete it")
    opening.delete_all(store)


def like(
    dest: Path | Dataset,
    src: Path | Dataset,
    tensors: Iterable[str] | None = None,
    overwrite: bool = False,
    creds: Credentials = None,
) -> Dataset:
    """Create a dataset with the tensors, groups, settings and info of another, without its rows.

    Parameters
    ----------
    dest
        Where to create it, or an open dataset without tensors of these names.
    src
        The dataset whose structure to copy.
    tensors
        Names of the tensors to take; all by default.
    overwrite
        Delete a dataset at ``dest`` first.
    creds
        As in `empty`, for both.
    """
    source = src if isinstance(src, Dataset) else load(src, True, creds)
    names = list(source.tensors) if tensors is None else list(tensors)
    for name in names:
        source._session.column(source._group + name)  # raises before anything is created
    made = dest if isinstance(dest, Dataset) else empty(dest, overwrite, creds)
    with made:
        for group in source.root.meta["groups"]:
            if tensors is None or any(name.startswith(f"{group}/") for name in names):
                made.create_group(group, exist_ok=True)
        for name in names:
            made.create_tensor_like(name, source[name])
        if source.info:
            made.info.replace_with(dict(source.info))
    return made


def _store(path: str, creds: Credentials) -> Store:
    return opening.store_at(path, creds, Context())
