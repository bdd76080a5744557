"""What went wrong, in zlake's words: translate the errors of drivers and of the operating system."""

from __future__ import annotations

import errno
import re
from typing import Final

from zlake.errors import (
    StorageError,
    StorageFullError,
    StoragePermissionError,
    StorageUnavailableError,
    ZlakeError,
)

_OS_CODE: Final = re.compile(r"os_error_code='(\d+)'")
_HTTP_CODE: Final = re.compile(r"http_response_code='(\d+)'|HTTP (?:response )?(?:code|status):? ?(\d{3})")
_URL_USERINFO: Final = re.compile(r"(?<=://)[^/@\s]+@")
_SECRET_FIELD: Final = re.compile(
    r"(?i)(authorization|signature|credential|token|secret|password|x-amz-security-token)(['\"]?\s*[:=]\s*)['\"]?[^\s'\",&]+"
)

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED: Final = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP}
_AWAY: Final = {
    errno.ETIMEDOUT,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ESTALE,
}
_REFUSED: Final = ("PERMISSION_DENIED", "UNAUTHENTICATED")
_CREDENTIAL_FAULTS: Final = ("credentials provider", "from provider", "InvalidAccessKeyId", "SignatureDoesNotMatch")
_GONE: Final = ("UNAVAILABLE", "DEADLINE_EXCEEDED")
_UNSURE: Final = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN", "ABORTED", "CANCELLED", "DATA_LOSS")
_REMEDY: Final = {
    StorageFullError: "no space is left; free some, or write elsewhere",
    StoragePermissionError: "access was refused; check the permissions and the credentials (creds=)",
    StorageUnavailableError: "the storage did not answer; check the address, the network and the endpoint",
}


def translate(error: BaseException, *, action: str, url: str, key: str = "") -> ZlakeError:
    """Return the error of zlake's tree that says what ``error`` means.

    Parameters
    ----------
    error
        What a driver, fsspec or the operating system raised. An error of the tree comes back as it is.
    action
        What was being done: ``"read"``, ``"write"``, ``"list"`` …
    url, key
        Where; without credentials.
    """
    if isinstance(error, ZlakeError):
        return error
    kind = classify(error)
    place = f"{url}: could not {action} {key!r}" if key else f"{url}: could not {action}"
    text = redact(str(error) or type(error).__name__)
    reason = "the bucket does not exist" if is_missing_bucket(error) else _REMEDY.get(kind)
    result = kind(f"{place}: {reason} ({text})" if reason else f"{place}: {text}")
    if isinstance(result, OSError) and (code := os_code(error)) is not None:
        result.errno = code
    return result


def classify(error: BaseException) -> type[StorageError]:
    """Return the class of the tree that fits a driver's or the operating system's error."""
    code = os_code(error)
    if code in _FULL:
        return StorageFullError
    if code in _DENIED or isinstance(error, PermissionError):
        return StoragePermissionError
    status = http_code(error)
    text = str(error)
    if status in (401, 403) or text.startswith(_REFUSED) or _names_credentials(error, text):
        return StoragePermissionError
    if status == 507:
        return StorageFullError
    if (
        code in _AWAY
        or isinstance(error, (ConnectionError, TimeoutError))
        or text.startswith(_GONE)
        or "curl_code" in text
    ):
        return StorageUnavailableError
    return StorageError


def is_unsure(error: BaseException) -> bool:
    """Whether a write that failed like this may have landed all the same."""
    if classify(error) is not StorageError:
        return classify(error) is StorageUnavailableError
    status = http_code(error)
    return (status is not None and status >= 500) or str(error).startswith(_UNSURE) or isinstance(error, EOFError)


def is_missing_bucket(error: BaseException) -> bool:
    """Whether the bucket itself is missing, and not an object in it."""
    text = str(error)
    return "NoSuchBucket" in text or "bucket does not exist" in text.lower()


def is_out_of_range(error: BaseException) -> bool:
    """Whether a read asked for bytes beyond the object's end."""
    return str(error).startswith("OUT_OF_RANGE") or http_code(error) == 416


def os_code(error: BaseException) -> int | None:
    """Return the operating system's error number, where there is one."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    match = _OS_CODE.search(str(error))
    return int(match.group(1)) if match else None


def http_code(error: BaseException) -> int | None:
    """Return the HTTP status, where there is one."""
    match = _HTTP_CODE.search(str(error))
    return int(match.group(1) or match.group(2)) if match else None


def redact(text: str) -> str:
    """Return the text without what looks like a credential."""
    return _SECRET_FIELD.sub(r"\1\2***", _URL_USERINFO.sub("***@", text))


def _names_credentials(error: BaseException, text: str) -> bool:
    return "redentials" in type(error).__name__ or any(name in text for name in _CREDENTIAL_FAULTS)
