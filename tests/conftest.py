"""Fixtures for all tests."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("zlake.testing.store_tests")

from servers.fixtures import file_server, gcs_bucket, gcs_server, s3_bucket, s3_requests, s3_server

__all__ = ["file_server", "gcs_bucket", "gcs_server", "s3_bucket", "s3_requests", "s3_server"]
