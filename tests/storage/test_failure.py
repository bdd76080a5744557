from __future__ import annotations

import errno

import pytest

from zlake.errors import (
    InvalidKeyError,
    StorageError,
    StorageFullError,
    StoragePermissionError,
    StorageUnavailableError,
)
from zlake.storage import failure


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), StorageFullError),
        (OSError(errno.EDQUOT, "Quota exceeded"), StorageFullError),
        (PermissionError(errno.EACCES, "Permission denied"), StoragePermissionError),
        (OSError(errno.EROFS, "Read-only file system"), StoragePermissionError),
        (OSError(errno.ELOOP, "Too many links"), StoragePermissionError),
        (ConnectionResetError(errno.ECONNRESET, "reset"), StorageUnavailableError),
        (TimeoutError("slow"), StorageUnavailableError),
        (ValueError("RESOURCE_EXHAUSTED: write: No space left on device [os_error_code='28']"), StorageFullError),
        (ValueError("PERMISSION_DENIED: open: Permission denied [os_error_code='13']"), StoragePermissionError),
        (ValueError("INTERNAL: Read-only file system [os_error_code='30']"), StoragePermissionError),
        (ValueError("PERMISSION_DENIED: Unknown [http_response_code='403']"), StoragePermissionError),
        (ValueError("UNAUTHENTICATED: token [http_response_code='401']"), StoragePermissionError),
        (ValueError("INTERNAL: Failed to create credentials provider"), StoragePermissionError),
        (ValueError("ABORTED: All 3 retry attempts failed: CURL error [curl_code='7']"), StorageUnavailableError),
        (ValueError("UNAVAILABLE: [http_response_code='503']"), StorageUnavailableError),
        (ValueError("FAILED_PRECONDITION: something else"), StorageError),
        (RuntimeError(""), StorageError),
    ],
)
def test_errors_of_drivers_find_their_class(error, expected):
    found = failure.translate(error, action="write", url="s3://b/x", key="refs/a")
    assert type(found) is expected
    assert str(found).startswith("s3://b/x: could not write 'refs/a'")
    assert (str(error) or "RuntimeError") in str(found)


def test_builtins_that_a_python_user_would_catch():
    error = OSError(errno.ENOSPC, "No space left on device")
    found = failure.translate(error, action="write", url="/x")
    assert isinstance(found, OSError)
    assert found.errno == errno.ENOSPC


def test_errors_of_the_tree_stay_as_they_are():
    error = InvalidKeyError("x")
    assert failure.translate(error, action="read", url="/x") is error


def test_a_missing_bucket_is_named():
    error = ValueError("NOT_FOUND: NoSuchBucket: The specified bucket does not exist [http_response_code='404']")
    assert "the bucket does not exist" in str(failure.translate(error, action="list", url="s3://b"))


@pytest.mark.parametrize(
    ("error", "unsure"),
    [
        (ValueError("UNAVAILABLE: x"), True),
        (ValueError("DEADLINE_EXCEEDED: x"), True),
        (ValueError("ABORTED: x [curl_code='56']"), True),
        (ValueError("INTERNAL: x [http_response_code='500']"), True),
        (ConnectionError("x"), True),
        (ValueError("PERMISSION_DENIED: x"), False),
        (ValueError("INVALID_ARGUMENT: x"), False),
        (OSError(errno.ENOSPC, "x"), False),
        (ValueError("FAILED_PRECONDITION: [os_error_code='21']"), False),
    ],
)
def test_what_may_have_landed_all_the_same(error, unsure):
    assert failure.is_unsure(error) is unsure


@pytest.mark.parametrize(
    "text",
    [
        "GET https://joe:hunter2@host/x failed",
        "Authorization: hunter2",
        "https://host/x?X-Amz-Signature=hunter2&x=1",
        "{'secret': 'hunter2'}",
        "password=hunter2",
        "X-Amz-Security-Token: hunter2",
    ],
)
def test_messages_of_others_are_cleaned(text):
    assert "hunter2" not in failure.redact(text)
