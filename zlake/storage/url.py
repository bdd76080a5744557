"""Where a dataset lies: URLs and plain paths, taken apart once."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from zlake.errors import InvalidPathException
from zlake.storage.keys import check_key

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://(.*)", re.DOTALL)
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9._\-]{1,220}[a-z0-9]")
_ALIASES: Final = {"gs": "gcs", "mem": "memory", "s3a": "s3", "s3n": "s3"}


@dataclass(frozen=True, slots=True)
class Location:
    """A place that can hold objects.

    Attributes
    ----------
    scheme
        ``file``, ``memory``, ``s3``, ``gcs``, ``http``, ``https``, or the name of an fsspec protocol.
    root
        What the prefix is relative to: ``/`` for files, a bucket, ``host:port``, ``""`` for memory.
    prefix
        Ends in ``/`` unless it is empty.
    url
        The whole, as it may be shown: without credentials.
    userinfo
        ``user:password`` of the URL where it had one; never shown.
    """

    scheme: str
    root: str
    prefix: str
    url: str
    userinfo: str = field(default="", repr=False)


def parse_url(url: str | os.PathLike[str]) -> Location:
    """Take a URL or a path apart.

    Raises
    ------
    InvalidPathException
        If it is malformed. The message never holds the credentials that were in it.
    """
    text: Any = os.fspath(url) if isinstance(url, os.PathLike) else url
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidPathException(f"a dataset path must be a non-empty string without NUL, got {text!r}")
    match = _SCHEME.fullmatch(text)
    if match is None:
        return _local(text)
    scheme, rest = match.group(1).lower(), match.group(2)
    scheme = _ALIASES.get(scheme, scheme)
    if scheme == "file":
        return _local(_file_path(text))
    if scheme == "memory":
        return _memory(rest)
    authority, _, path = rest.partition("/")
    userinfo, at, host = authority.rpartition("@")
    if "?" in host + path or "#" in host + path:
        shown = f"{scheme}://{re.split('[?#]', f'{host}/{path}')[0]}"
        raise InvalidPathException(f"{shown}: a dataset URL cannot have a query ('?...') or a fragment ('#...')")
    if at and scheme in ("s3", "gcs", "http", "https"):
        raise InvalidPathException(f"{scheme}://{host}: credentials do not belong into a URL (S3 takes them as creds=)")
    if scheme in ("s3", "gcs"):
        return _bucket(scheme, host, path)
    if scheme in ("http", "https"):
        return _http(scheme, host, path)
    prefix = _folder(path)
    return Location(scheme, host, prefix, f"{scheme}://{host}/{prefix}".rstrip("/"), userinfo)


def _local(path: str) -> Location:
    absolute = os.path.abspath(os.path.expanduser(path))
    return Location("file", os.sep, absolute.rstrip(os.sep) + os.sep, absolute)


def _file_path(url: str) -> str:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise InvalidPathException(f"a file URL has three slashes (file:///data/set), got the host {parts.hostname!r}")
    if not parts.path.startswith("/"):
        raise InvalidPathException("a file URL needs an absolute path: file:///data/set")
    return unquote(url[len("file://") + len(parts.netloc) :])


def _memory(rest: str) -> Location:
    name = rest.strip("/")
    if not name:
        raise InvalidPathException("a dataset in memory needs a name: mem://name")
    try:
        check_key(name)
    except ValueError as error:
        raise InvalidPathException(f"mem://{name}: {error}") from error
    return Location("memory", "", f"{name}/", f"mem://{name}")


def _bucket(scheme: str, bucket: str, path: str) -> Location:
    shown = "gs" if scheme == "gcs" else scheme
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise InvalidPathException(
            f"{bucket!r} is no bucket name: 3 to 222 lower-case letters, digits, '.', '_' and '-', as in "
            f"{shown}://my-bucket/data"
        )
    prefix = _folder(path)
    return Location(scheme, bucket, prefix, f"{shown}://{bucket}/{prefix}".rstrip("/"))


def _http(scheme: str, host: str, path: str) -> Location:
    try:
        parts = urlsplit(f"{scheme}://{host}")
        valid = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise InvalidPathException(f"{host!r} is no host, as in {scheme}://example.org/data")
    prefix = _folder(path)
    return Location(scheme, host, prefix, f"{scheme}://{host}/{prefix}".rstrip("/"))


def _folder(path: str) -> str:
    path = path.strip("/")
    for segment in path.split("/") if path else ():
        if segment in ("", ".", "..") or "\\" in segment or any(ord(c) < 32 or c == "\x7f" for c in segment):
            raise InvalidPathException(f"the segment {segment!r} of the path {path!r} is not allowed in a dataset URL")
    return f"{path}/" if path else ""
