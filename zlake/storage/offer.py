"""Where a store lies, in words that another process opens it from: what a pickle says, for documents that are none."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from zlake.context import Context
from zlake.errors import MemoryDatasetCanNotBePickledError, UnsupportedOperationError
from zlake.storage.creds import reopen
from zlake.storage.open import open_origin
from zlake.storage.origin import Origin, OriginStore
from zlake.storage.store import Store
from zlake.storage.url import parse_url


@dataclass(frozen=True, slots=True)
class Offer:
    """A store that other processes may open.

    Credentials travel as they do in pickles: by the name of a private file of the process that has them, so they reach
    processes of the same user on the same machine, while that process lives.

    Attributes
    ----------
    url
        Where it lies, without credentials.
    userinfo
        ``user:password`` of the URL where it had one; never shown.
    credentials
        The private file, or an empty string.
    public
        Endpoint, region, name of a profile.
    """

    url: str
    userinfo: str = field(default="", repr=False)
    credentials: str = field(default="", repr=False)
    public: dict[str, str] = field(default_factory=dict)


def offer(store: Store) -> Offer:
    """Return what another process opens a store from.

    Raises
    ------
    MemoryDatasetCanNotBePickledError
        If it lies in the memory of this process.
    UnsupportedOperationError
        If it is a store of another package.
    """
    if not store.capabilities.shared:
        raise MemoryDatasetCanNotBePickledError(
            f"{store.url} lives in this process's memory and other processes cannot reach it; put the dataset at a "
            "path first"
        )
    if not isinstance(store, OriginStore):
        raise UnsupportedOperationError(f"{store!r} cannot be opened by other processes from its URL")
    _, (file, public) = store.origin.creds.__reduce__()
    return Offer(store.url, store.origin.location.userinfo, file or "", public)


def accept(offered: Offer, context: Context) -> Store:
    """Open the store that another process offers; nothing is read or written yet.

    Raises
    ------
    StoragePermissionError
        If the process whose credentials these are has ended, or is on another machine.
    InvalidPathException
        If the URL is malformed.
    """
    location = parse_url(offered.url)
    if offered.userinfo:
        location = replace(location, userinfo=offered.userinfo)
    return open_origin(Origin(location, reopen(offered.credentials or None, dict(offered.public)), context))
