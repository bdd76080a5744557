"""Credentials: taken in once, shown to nobody, handed to drivers through a private file that is on no disk."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from zlake.errors import InvalidCredentialsError, StoragePermissionError
from zlake.storage.url import Location

_PROFILE: Final = "zlake"
_SECRETS: Final = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_ALIASES: Final = {
    "region": "aws_region",
    "region_name": "aws_region",
    "aws_endpoint_url": "endpoint_url",
    "profile": "profile_name",
}
_JSON_FIELD: Final = "json = "
_S3_KEYS: Final = (*_SECRETS, "endpoint_url", "aws_region", "profile_name", "anonymous")


class Credentials:
    """What to present to a storage; `repr`, `str` and pickles hold no secret.

    A pickle names the private file of the process that made it, so it opens on the same machine, for the same user,
    while that process lives: that is what loader workers need. Elsewhere it raises, and the credentials must be
    given again.

    Attributes
    ----------
    public
        What may be shown: endpoint, region, name of a profile.
    """

    __slots__ = ("_file", "_secrets", "public")

    def __init__(self, secrets: Mapping[str, Any] | None = None, public: Mapping[str, str] | None = None) -> None:
        self._secrets: dict[str, Any] = dict(secrets or {})
        self.public: dict[str, str] = dict(public or {})
        self._file: str | None = None

    @classmethod
    def of(cls, creds: Mapping[str, Any] | str | Credentials | None, location: Location) -> Credentials:
        """Check what the user gave for this location.

        Raises
        ------
        InvalidCredentialsError
            If it is no dictionary that this kind of storage takes. Values are never named.
        """
        if isinstance(creds, Credentials):
            return creds
        if creds is None or (isinstance(creds, str) and creds.upper() == "ENV"):
            return cls()
        if not isinstance(creds, Mapping) or not all(isinstance(key, str) for key in creds):
            raise InvalidCredentialsError(f"creds must be a dictionary or 'ENV', got {type(creds).__name__}")
        if location.scheme == "s3":
            return cls._of_s3(creds)
        if location.scheme == "gcs":
            raise InvalidCredentialsError(
                "Google Cloud credentials come from the environment: set GOOGLE_APPLICATION_CREDENTIALS to the "
                "key file and give creds='ENV'"
            )
        if location.scheme in ("file", "memory", "http", "https"):
            # Deep Lake's callers pass one dictionary everywhere; these storages need none of it.
            return cls()
        return cls(creds)

    @classmethod
    def _of_s3(cls, creds: Mapping[str, Any]) -> Credentials:
        named = {_ALIASES.get(key, key): value for key, value in creds.items() if value not in (None, "")}
        if unknown := sorted(set(named) - set(_S3_KEYS)):
            raise InvalidCredentialsError(f"creds has unknown keys {unknown}; known are {', '.join(_S3_KEYS)}")
        anonymous = bool(named.pop("anonymous", False))
        for key, value in named.items():
            if not isinstance(value, str) or "\n" in value or "\r" in value:
                raise InvalidCredentialsError(f"creds[{key!r}] must be a string of one line")
        secrets: dict[str, Any] = {key: named[key] for key in _SECRETS if key in named}
        if ("aws_access_key_id" in secrets) != ("aws_secret_access_key" in secrets):
            raise InvalidCredentialsError("creds needs both aws_access_key_id and aws_secret_access_key, or neither")
        if "aws_session_token" in secrets and len(secrets) == 1:
            raise InvalidCredentialsError("creds has an aws_session_token without the keys that it belongs to")
        public = {key: value for key, value in named.items() if key not in secrets}
        return cls(secrets, {**public, "anonymous": "yes"} if anonymous else public)

    def __bool__(self) -> bool:
        return bool(self._secrets or self._file or self.public)

    def __repr__(self) -> str:
        return f"Credentials({', '.join([*self.public, '***'] if self._secrets or self._file else self.public)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credentials) and (self.secrets(), self.public) == (other.secrets(), other.public)

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.public.items())))

    def secrets(self) -> dict[str, Any]:
        """Return the secrets, for a driver that takes them by value; never store or show them."""
        if not self._secrets and self._file is not None:
            self._secrets = _parse(_read(self._file))
        return dict(self._secrets)

    def file(self) -> str | None:
        """Return the path of a private AWS profile file with the secrets, None where there are none."""
        if self._file is None and self._secrets:
            self._file = _private_file(_render(self._secrets))
        return self._file

    @property
    def profile(self) -> str:
        """Name of the profile in `file`."""
        return _PROFILE

    def __reduce__(self) -> tuple[Callable[..., Credentials], tuple[str | None, dict[str, str]]]:
        return reopen, (self.file(), self.public)


def reopen(file: str | None, public: dict[str, str]) -> Credentials:
    """Return credentials that another process offers in its private file.

    Raises
    ------
    StoragePermissionError
        If that process has ended, is another user's or on another machine.
    """
    creds = Credentials(public=public)
    if file is not None:
        _read(file)
        creds._file = file
    return creds


def _render(secrets: Mapping[str, Any]) -> str:
    # S3 drivers read the file as an AWS profile; the options of other file systems may be any JSON.
    if secrets.keys() <= set(_SECRETS):
        lines = [f"{key} = {value}" for key, value in secrets.items()]
    else:
        try:
            lines = [_JSON_FIELD + json.dumps(dict(secrets))]
        except (TypeError, ValueError):
            raise InvalidCredentialsError(
                "creds that are to travel to another process must be plain JSON values, not objects"
            ) from None
    return "\n".join([f"[{_PROFILE}]", *lines, ""])


def _parse(text: str) -> dict[str, Any]:
    lines = text.splitlines()[1:]
    if lines and lines[0].startswith(_JSON_FIELD):
        options: dict[str, Any] = json.loads(lines[0].removeprefix(_JSON_FIELD))
        return options
    return dict(line.split(" = ", 1) for line in lines)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError:
        text = ""
    if not text.startswith(f"[{_PROFILE}]"):
        raise StoragePermissionError(
            "credentials do not travel beyond the machine and the life of the process that they were given to: "
            "open the dataset here with creds="
        )
    return text


@cache
def _private_file(text: str) -> str:
    # One file for equal credentials, however many datasets are opened with them.
    data = text.encode()
    if hasattr(os, "memfd_create"):
        # Memory that other processes of this user can open by name while we live, and that nothing can leave behind.
        descriptor = os.memfd_create("zlake", os.MFD_CLOEXEC)
        path = f"/proc/{os.getpid()}/fd/{descriptor}"
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, data)
        if os.access(path, os.R_OK):
            return path
        os.close(descriptor)
    descriptor, path = tempfile.mkstemp(prefix="zlake-")  # mode 0600
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    atexit.register(_remove, path, os.getpid())
    return path


def _remove(path: str, process: int) -> None:
    # A forked child runs the same exit handlers; the file is its parent's.
    if os.getpid() == process:
        with contextlib.suppress(OSError):
            os.unlink(path)
