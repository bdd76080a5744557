"""Fixtures for all tests."""

from __future__ import annotations

import pytest
from hypothesis import settings
from servers.fixtures import file_server, fork_server, gcs_bucket, gcs_server, s3_bucket, s3_requests, s3_server

pytest.register_assert_rewrite("zlake.testing.store_tests")

# No deadline: how long an example takes says how busy the machine is.
settings.register_profile("zlake", deadline=None, print_blob=True)
settings.load_profile("zlake")

__all__ = ["file_server", "fork_server", "gcs_bucket", "gcs_server", "s3_bucket", "s3_requests", "s3_server"]
