from __future__ import annotations

import os
import pickle

import pytest

from zlake.errors import InvalidCredentialsError
from zlake.storage import creds as module
from zlake.storage.creds import Credentials
from zlake.storage.url import parse_url

S3 = parse_url("s3://bucket/x")
KEYS = {"aws_access_key_id": "AKIA", "aws_secret_access_key": "hunter2"}


def test_the_names_that_people_use():
    found = Credentials.of({**KEYS, "region": "eu-west-1", "profile": "p", "endpoint_url": "http://h"}, S3)
    assert found.secrets() == KEYS
    assert found.public == {"aws_region": "eu-west-1", "profile_name": "p", "endpoint_url": "http://h"}
    assert repr(found) == "Credentials(aws_region, profile_name, endpoint_url, ***)"


@pytest.mark.parametrize("creds", [None, "ENV", "env", {}])
def test_the_environment(creds):
    found = Credentials.of(creds, S3)
    assert not found
    assert found.file() is None


def test_nothing_is_needed_for_local_places():
    for url in ("/data", "mem://x", "https://host/x"):
        assert Credentials.of({"anything": "hunter2"}, parse_url(url)).secrets() == {}


def test_the_private_file_is_one_for_equal_credentials():
    first, second = Credentials.of(KEYS, S3), Credentials.of(dict(KEYS), S3)
    assert first.file() == second.file()
    with open(first.file()) as file:
        assert file.read() == "[zlake]\naws_access_key_id = AKIA\naws_secret_access_key = hunter2\n"


def test_pickles_hold_no_secret_and_keep_the_types():
    for url, creds in (("s3://bucket/x", KEYS), ("az://box/x", {"account_key": "hunter2", "port": 22, "anon": False})):
        found = Credentials.of(creds, parse_url(url))
        data = pickle.dumps(found)
        assert b"hunter2" not in data
        again = pickle.loads(data)
        assert again == found
        assert again.secrets() == creds
        assert "hunter2" not in repr(again)


def test_objects_cannot_travel():
    found = Credentials.of({"credential": object()}, parse_url("az://box/x"))
    with pytest.raises(InvalidCredentialsError, match="plain JSON"):
        pickle.dumps(found)


def test_without_memory_files_a_private_file_is_removed_at_exit(monkeypatch):
    removals = []
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(module.atexit, "register", lambda call, *args: removals.append((call, args)))
    path = Credentials.of({**KEYS, "aws_session_token": "only here"}, S3).file()
    assert os.stat(path).st_mode & 0o777 == 0o600
    (call, (removed, process)) = removals[0]
    call(removed, process + 1)
    assert os.path.exists(path)
    call(removed, process)
    assert not os.path.exists(path)
