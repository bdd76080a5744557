"""From a URL to a store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from zlake.context import Context
from zlake.storage.creds import Credentials
from zlake.storage.origin import Origin
from zlake.storage.store import Store
from zlake.storage.url import parse_url


def open_store(
    url: str | os.PathLike[str],
    *,
    creds: Mapping[str, Any] | str | Credentials | None = None,
    context: Context | None = None,
    read_only: bool = False,
) -> Store:
    """Open the key-value store below a URL or path; nothing is read or written yet.

    Parameters
    ----------
    url
        A folder (``/data/set``, ``~/set``, ``file:///data/set``), ``mem://name``, ``s3://bucket/prefix``,
        ``gs://bucket/prefix`` (or ``gcs://``), ``https://host/prefix`` (read-only), or a URL of any protocol that
        fsspec knows.
    creds
        For S3 a dictionary with ``aws_access_key_id``, ``aws_secret_access_key``, ``aws_session_token``,
        ``endpoint_url``, ``aws_region``, ``profile_name`` or ``anonymous``, any of them; for fsspec's protocols the
        options of the file system; ``"ENV"`` or None is what the environment says.
    context
        Concurrency, caches and durability.
    read_only
        Refuse writes.

    Raises
    ------
    InvalidPathException
        If the URL is malformed, or its protocol unknown.
    MissingDependencyError
        If the protocol needs a package that is not installed.
    """
    location = parse_url(url)
    return open_origin(Origin(location, Credentials.of(creds, location), context or Context(), read_only))


def open_origin(origin: Origin) -> Store:
    """Open a store again from what its pickle carried."""
    # Each kind of storage is imported when it is first used: `import zlake` stays quick.
    match origin.location.scheme:
        case "file":
            from zlake.storage.local import LocalStore

            return LocalStore(origin)
        case "memory":
            from zlake.storage.memory import MemoryStore

            return MemoryStore(origin)
        case "s3":
            from zlake.storage.s3 import S3Store

            return S3Store(origin)
        case "gcs":
            from zlake.storage.gcs import GcsStore

            return GcsStore(origin)
        case "http" | "https":
            from zlake.storage.http import HttpStore

            return HttpStore(origin)
        case _:
            from zlake.storage.fsspec_store import FsspecStore

            return FsspecStore(origin)
