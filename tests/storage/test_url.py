from __future__ import annotations

import os
from pathlib import Path

import pytest

from zlake.errors import InvalidPathException
from zlake.storage.url import parse_url


@pytest.mark.parametrize(
    ("url", "scheme", "root", "prefix", "shown"),
    [
        ("/data/set", "file", "/", "/data/set/", "/data/set"),
        ("/data/set/", "file", "/", "/data/set/", "/data/set"),
        (Path("/data/set"), "file", "/", "/data/set/", "/data/set"),
        ("/data/../set", "file", "/", "/set/", "/set"),
        ("file:///data/my%20set", "file", "/", "/data/my set/", "/data/my set"),
        ("file://localhost/data", "file", "/", "/data/", "/data"),
        ("mem://x", "memory", "", "x/", "mem://x"),
        ("memory://x/y/", "memory", "", "x/y/", "mem://x/y"),
        ("s3://bucket/a/b/", "s3", "bucket", "a/b/", "s3://bucket/a/b"),
        ("s3://bucket", "s3", "bucket", "", "s3://bucket"),
        ("S3A://bucket/x", "s3", "bucket", "x/", "s3://bucket/x"),
        ("gs://bucket/x", "gcs", "bucket", "x/", "gs://bucket/x"),
        ("gcs://bucket/x", "gcs", "bucket", "x/", "gs://bucket/x"),
        ("https://host:8443/a/b", "https", "host:8443", "a/b/", "https://host:8443/a/b"),
        ("az://container/x", "az", "container", "x/", "az://container/x"),
        ("sftp://joe:pass@host/x", "sftp", "host", "x/", "sftp://host/x"),
    ],
)
def test_places(url, scheme, root, prefix, shown):
    location = parse_url(url)
    assert (location.scheme, location.root, location.prefix, location.url) == (scheme, root, prefix, shown)
    assert "pass" not in repr(location)


def test_relative_paths_and_home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert parse_url("set").url == str(tmp_path / "set")
    assert parse_url("./a/../set").prefix == str(tmp_path / "set") + os.sep
    assert parse_url("~/set").url == str(tmp_path / "home" / "set")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "non-empty"),
        (None, "non-empty"),
        (5, "non-empty"),
        (b"/data", "non-empty"),
        ("/data\0", "NUL"),
        ("file://host/data", "three slashes"),
        ("mem://", "needs a name"),
        ("mem://../x", "would leave"),
        ("s3://", "no bucket name"),
        ("s3://Bad_Bucket/x", "no bucket name"),
        ("s3://a..b/x", "no bucket name"),
        ("s3://bucket/a/../b", "not allowed"),
        ("s3://bucket/a//b", "not allowed"),
        ("gs://bucket/a\\b", "not allowed"),
        ("s3://key:hunter2@bucket/x", "do not belong"),
        ("https://joe:hunter2@host/x", "do not belong"),
        ("https://host/x?X-Amz-Signature=hunter2", "query"),
        ("az://box/x#hunter2", "fragment"),
    ],
)
def test_places_that_are_none(url, message):
    with pytest.raises(InvalidPathException, match=message) as caught:
        parse_url(url)
    assert "hunter2" not in str(caught.value)
