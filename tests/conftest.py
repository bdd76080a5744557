"""Fixtures for all tests."""

from __future__ import annotations

import pytest
from servers.fixtures import file_server, fork_server, gcs_bucket, gcs_server, s3_bucket, s3_requests, s3_server

pytest.register_assert_rewrite("zlake.testing.store_tests")

__all__ = ["file_server", "fork_server", "gcs_bucket", "gcs_server", "s3_bucket", "s3_requests", "s3_server"]
