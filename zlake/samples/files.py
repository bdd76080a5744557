"""Read local files and URLs, keeping secrets out of messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zlake.errors import SampleReadError

_CREDS = {
    "aws_access_key_id": "key",
    "aws_secret_access_key": "secret",
    "aws_session_token": "token",
    "profile_name": "profile",
}


def read_file(path: str, count: int | None, creds: Mapping[str, Any] | None) -> bytes:
    """Return the first ``count`` bytes (None: all) of a local file or URL.

    Raises
    ------
    SampleReadError
        If it cannot be read. Messages name URLs without user, password and query.
    """
    if "://" in path:
        return _read_url(path, count, creds)
    try:
        with open(path, "rb") as file:
            return file.read() if count is None else file.read(count)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SampleReadError(f"cannot read {path!r}: {reason}") from error


def redacted(path: str) -> str:
    """Return a path or URL without user, password and query, which may be secrets."""
    if "://" not in path:
        return path
    scheme, _, rest = path.partition("://")
    host, slash, tail = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{tail.partition('?')[0].partition('#')[0]}"


def _read_url(url: str, count: int | None, creds: Mapping[str, Any] | None) -> bytes:
    import fsspec

    options = {_CREDS.get(name, name): value for name, value in (creds or {}).items()}
    client = {key: options.pop(key) for key in ("endpoint_url", "region_name", "aws_region") if key in options}
    if client:
        region = client.pop("aws_region", None)
        options["client_kwargs"] = {**client, **({"region_name": region} if region else {})}
    try:
        with fsspec.open(url, "rb", **options) as file:
            data: bytes = file.read() if count is None else file.read(count)
            return data
    except Exception as error:
        # Messages of clients quote the URL and its secrets; only their kind is passed on.
        kind = "no such file" if isinstance(error, FileNotFoundError) else type(error).__name__
        raise SampleReadError(f"cannot read {redacted(url)}: {kind}") from None
