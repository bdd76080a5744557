"""Copies of datasets and views, and commits that travel between clones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from zlake.context import Context
from zlake.dataset import listing
from zlake.dataset.arguments import Credentials, Path, check_ignored, path_text
from zlake.errors import InvalidOperationError, InvalidPathException, ReadOnlyModeError
from zlake.session import copying, exchange, opening
from zlake.storage.store import Store
from zlake.versions.bring import How
from zlake.versions.clone import clone
from zlake.versions.exchange import Exchanged
from zlake.versions.repository import Repository

if TYPE_CHECKING:
    from zlake.dataset.dataset import Dataset

_IGNORED = frozenset(("runtime", "token", "org_id", "public", "verbose", "scheduler", "unlink"))
"""Arguments of Deep Lake that mean nothing here: its cloud, and its ways of running."""


def copy(
    src: Path | Dataset,
    dest: Path,
    tensors: Iterable[str] | None = None,
    overwrite: bool = False,
    src_creds: Credentials = None,
    dest_creds: Credentials = None,
    num_workers: int = 0,
    progressbar: bool = True,
    *,
    hard_links: bool = True,
    context: Context | None = None,
    single_writer: bool = False,
    **ignored: Any,
) -> Dataset:
    """Copy a version of a dataset, or a view of it, to a dataset of its own, without history.

    Samples keep their ids, and encoded ones their bytes. A segment of which the copy needs at least half of the rows is
    taken as it is; the rows of others are written anew. Nothing is there for others to see until everything is.

    Parameters
    ----------
    src
        A dataset, a view of one (``ds[10:20]``, ``ds["group"]``, ``ds[["x", "y"]]``), or a path, also with
        ``@version``. What a dataset has not flushed is flushed first.
    dest
        Where to make the new dataset.
    tensors
        Names of the tensors to copy; all by default, hidden ones too.
    overwrite
        Delete a dataset that is there first.
    src_creds, dest_creds
        As in `zlake.empty`, for a path in ``src``, and for ``dest``.
    num_workers
        Objects that travel at once; 0 chooses.
    progressbar
        Show progress of copies that take more than a second.
    hard_links
        Between folders of one file system let both datasets share the files of their samples: it moves no bytes, and
        each can be changed and deleted without the other. False makes files of its own, for a copy that is to outlive
        damage to the disk.
    context, single_writer
        As in `zlake.empty`, for the new dataset.
    **ignored
        Arguments of Deep Lake that mean nothing here.

    Returns
    -------
    Dataset
        The new dataset; what it holds is staged on its branch ``main``, and can be committed.

    Raises
    ------
    DatasetExistsError
        If there is a dataset and ``overwrite`` is false.
    PathNotEmptyException
        If the path holds something else.
    InvalidPathException
        If it is the place of the dataset itself, or inside it, or names a version.
    TensorDoesNotExistError
        If there is no tensor of a name in ``tensors``.
    """
    from zlake.dataset.dataset import Dataset

    check_ignored(ignored, _IGNORED)
    source = _opened(src, src_creds)
    store, made = _place(dest, dest_creds, context)
    session = source._session
    names = source._names if tensors is None else source._full(_names(tensors))
    chosen = tuple(column.name for column in listing.selected(session, source._group, names))
    part = copying.Part(chosen, source._group, source._rows, everything=names is None)
    how = How(hard_links, num_workers, progressbar)
    pinned = session.pinned()
    return Dataset(copying.copy(pinned, part, store, made, overwrite=overwrite, single_writer=single_writer, how=how))


def deepcopy(
    src: Path | Dataset,
    dest: Path,
    tensors: None = None,
    overwrite: bool = False,
    src_creds: Credentials = None,
    dest_creds: Credentials = None,
    num_workers: int = 0,
    progressbar: bool = True,
    *,
    hard_links: bool = True,
    context: Context | None = None,
    single_writer: bool = False,
    **ignored: Any,
) -> Dataset:
    """Copy a whole dataset: all branches with what is staged on them, tags, views, history.

    The copy is a clone: it keeps the dataset's id and all others, so that commits can be pushed and pulled between the
    two. It is of the moment at which the branches were read; others may go on writing to the source. A call that was
    cut short is gone on with by the next one: what is there already does not travel again.

    Parameters
    ----------
    src
        A dataset, or the path of one.
    dest
        Where to make the clone.
    tensors
        Not to be given: a history is copied with all its tensors. See `copy`.
    overwrite, src_creds, dest_creds, num_workers, progressbar, hard_links, context, single_writer, **ignored
        As in `copy`.

    Returns
    -------
    Dataset
        The clone, at its branch ``main``.

    Raises
    ------
    DatasetExistsError, PathNotEmptyException, InvalidPathException
        As in `copy`.
    DatasetCorruptError, CorruptObjectError
        If something that the source's history needs is missing or damaged; `verify` says what.
    UnsupportedOperationError
        If the source's storage cannot list objects.
    """
    from zlake.dataset.dataset import Dataset

    check_ignored(ignored, _IGNORED)
    if tensors is not None:
        raise InvalidOperationError("deepcopy takes a dataset with its history, so with all tensors; copy takes some")
    source = _opened(src, src_creds, whole=True)
    source._whole("deepcopy")
    store, made = _place(dest, dest_creds, context)
    session = source._session
    if session.changed:
        session.flush()
    how = How(hard_links, num_workers, progressbar)
    clone(session.repository, store, overwrite=overwrite, single_writer=single_writer, how=how)
    return Dataset(opening.open_session(store, made, None, None, single_writer=single_writer))


def push(
    ds: Dataset,
    dest: Path | Dataset,
    branch: str | None,
    force: bool,
    *,
    into: str | None = None,
    tags: bool = False,
    creds: Credentials = None,
    num_workers: int = 0,
    progressbar: bool = True,
    hard_links: bool = True,
    single_writer: bool = False,
) -> Exchanged:
    """Send a branch to another clone; see `Dataset.push`."""
    from zlake.dataset.dataset import Dataset

    if isinstance(dest, Dataset):
        store, context = dest._session.store, dest._session.context
        if dest.read_only:
            raise ReadOnlyModeError(f"{dest.path} is open read-only; open it with read_only=False to push to it")
    else:
        store, context = _place(dest, creds, None)
    how = How(hard_links, num_workers, progressbar)
    return exchange.push(
        ds._session, store, context, branch, into, force=force, tags=tags, how=how, single_writer=single_writer
    )


def pull(
    ds: Dataset,
    src: Path | Dataset,
    branch: str | None,
    force: bool,
    *,
    into: str | None = None,
    tags: bool = False,
    creds: Credentials = None,
    num_workers: int = 0,
    progressbar: bool = True,
    hard_links: bool = True,
) -> Exchanged:
    """Fetch a branch from another clone; see `Dataset.pull`."""
    from zlake.dataset.dataset import Dataset

    how = How(hard_links, num_workers, progressbar)
    if isinstance(src, Dataset):
        source = src._session.repository
    else:
        store, context = _place(src, creds, None)
        source = Repository.open(store, context)
    return exchange.pull(ds._session, source, branch, into, force=force, tags=tags, how=how)


def renamed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a member for the function: its creds are those of the destination."""
    return {"dest_creds" if name == "creds" else name: value for name, value in options.items()}


def _opened(src: Path | Dataset, creds: Credentials, whole: bool = False) -> Dataset:
    from zlake.dataset.dataset import Dataset
    from zlake.dataset.entry import load

    if isinstance(src, Dataset):
        return src
    text = path_text(src)
    plain, address = opening.split_address(text)
    if whole and address is not None:
        raise InvalidPathException(f"a dataset is copied with all its versions: give {plain!r}, without @{address}")
    return load(text, read_only=True, creds=creds)


def _place(path: Path, creds: Credentials, context: Context | None) -> tuple[Store, Context]:
    """Return the store at a path that names no version, and the context to use it with."""
    plain, address = opening.split_address(path_text(path))
    if address is not None:
        raise InvalidPathException(f"give the place of a dataset, {plain!r}, without a version: @{address}")
    made = opening.make_context(context)
    return opening.store_at(plain, creds, made), made


def _names(tensors: Iterable[str]) -> list[str]:
    names = [tensors] if isinstance(tensors, str) else list(tensors)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"tensors are given by name, not as {name!r:.100}")
    return list(dict.fromkeys(names))
