"""Fixtures of the servers; ``tests/conftest.py`` makes them known to all tests."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from servers.files import FileServer
from servers.gcs import GcsServer
from servers.s3 import S3Server


@dataclass(frozen=True)
class Bucket:
    """A bucket of one test: ``zlake.load(bucket.url, creds=bucket.creds)``."""

    name: str
    url: str
    creds: dict[str, str] | None


@pytest.fixture(scope="session")
def fork_server() -> None:
    """The server that forks workers: it imports PyTorch once for all of them, whichever test starts it."""
    multiprocessing.set_forkserver_preload(["zlake.loader.torch"])


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """S3 on loopback, one for all tests."""
    server = S3Server()
    yield server
    server.close()


@pytest.fixture
def s3_bucket(s3_server: S3Server) -> Iterator[Bucket]:
    """A fresh bucket."""
    name = s3_server.new_bucket()
    yield Bucket(name, f"s3://{name}/data", s3_server.creds)
    s3_server.clear()


@pytest.fixture
def s3_requests(s3_server: S3Server, s3_bucket: Bucket) -> S3Server:
    """The server behind `s3_bucket`: ``s3_requests.clear()``, then look at ``.requests`` or ``.keys("get")``."""
    return s3_server


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[GcsServer]:
    """Google Cloud Storage on loopback, one for all tests; TensorStore and gcsfs find it in the environment."""
    server = GcsServer()
    names = ("TENSORSTORE_GCS_HTTP_URL", "STORAGE_EMULATOR_HOST")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, server.endpoint))
    yield server
    for name, value in before.items():
        os.environ.pop(name)
        if value is not None:
            os.environ[name] = value
    server.close()


@pytest.fixture
def gcs_bucket(gcs_server: GcsServer) -> Bucket:
    """A fresh bucket."""
    name = gcs_server.new_bucket()
    return Bucket(name, f"gs://{name}/data", None)


@pytest.fixture
def file_server(tmp_path) -> Iterator[FileServer]:
    """A web server that shows ``tmp_path``, read-only."""
    server = FileServer(tmp_path)
    yield server
    server.close()
