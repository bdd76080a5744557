from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from servers.fixtures import Bucket
from servers.s3 import SECRET, TOKEN

from zlake.context import Context
from zlake.errors import (
    InvalidCredentialsError,
    StorageError,
    StoragePermissionError,
    StorageUnavailableError,
    WriteStateUnknownError,
)
from zlake.storage import Lost, Request, Store, Written, open_store, probe
from zlake.testing.store_tests import StoreTests


class TestS3Store(StoreTests):
    @pytest.fixture
    def store(self, s3_bucket: Bucket) -> Store:
        return open_store(s3_bucket.url, creds=s3_bucket.creds)


@pytest.fixture
def store(s3_bucket: Bucket) -> Store:
    return open_store(s3_bucket.url, creds=s3_bucket.creds)


def test_every_write_is_conditional_and_every_read_one_request(store, s3_requests):
    store.create("a/b", b"0123456789")
    store.read("a/b")
    store.read("a/b", 2, 5)
    store.read_many([Request("a/b", -3), Request("a/b", 0, 2)])
    assert [(each.kind, each.key, each.range) for each in s3_requests.requests[:3]] == [
        ("put", "data/a/b", ""),
        ("get", "data/a/b", ""),
        ("get", "data/a/b", "bytes=2-4"),
    ]
    assert s3_requests.keys("get") == ["data/a/b"] * 4
    assert len(s3_requests.requests) == 5
    assert s3_requests.requests[0].received == 10


def test_reads_are_under_way_together(store, s3_requests):
    store.create_many((f"n/{i}", b"x") for i in range(30))
    s3_requests.delay = 0.05
    start = time.perf_counter()
    assert store.read_many([Request(f"n/{i}") for i in range(30)]) == [b"x"] * 30
    assert time.perf_counter() - start < 30 * 0.05


def test_listings_share_their_connections(store, monkeypatch):
    store.create("a/b", b"x")
    opened = []
    make = store.open_filesystem
    monkeypatch.setattr(store, "open_filesystem", lambda: opened.append(1) or make())
    for _ in range(3):
        assert [info.key for info in store.list_info()] == ["a/b"]
    store.delete("a/b")
    assert list(store.list_info()) == []  # and nothing of what they found is kept
    assert len(opened) == 1


def test_the_probe_passes_and_leaves_nothing(store):
    probe(store)
    assert list(store.list()) == []


@pytest.mark.parametrize("operation", ["create", "swap"])
def test_a_lost_answer_is_no_lost_write(store, s3_requests, operation):
    if operation == "swap":
        store.create("ref", b"old")
        generation = store.read_versioned("ref").generation
    s3_requests.clear()
    lost = []

    def first_put(kind, key):
        if kind == "put" and not lost:
            lost.append(key)
            return True
        return False

    s3_requests.drop = first_put
    outcome = store.create("ref", b"ours") if operation == "create" else store.swap("ref", b"ours", generation)
    assert lost == ["data/ref"]
    assert isinstance(outcome, Written)
    assert outcome.generation == store.read_versioned("ref").generation
    assert store.read("ref") == b"ours"


def test_without_answer_and_read_back_nobody_knows(store, s3_requests):
    s3_requests.drop = lambda kind, key: key == "data/ref"
    with pytest.raises(WriteStateUnknownError, match="'ref' was sent"):
        store.create("ref", b"ours")
    s3_requests.drop = None
    assert store.read("ref") == b"ours"


def test_a_vanished_bucket_is_named_by_every_operation(store, s3_server, s3_bucket):
    store.create("a", b"x")
    generation = store.read_versioned("a").generation
    s3_server.delete_bucket(s3_bucket.name)
    for operation in (
        lambda: store.read("a"),
        lambda: store.read_versioned("a"),
        lambda: store.read_many([Request("a")]),
        lambda: store.create("b", b"x"),
        lambda: store.swap("a", b"y", generation),
        lambda: list(store.list()),
        lambda: list(store.list_info()),
        lambda: probe(store),
    ):
        with pytest.raises(StorageError, match="bucket does not exist") as caught:
            operation()
        assert s3_bucket.url in str(caught.value)


def test_a_service_that_is_not_there_is_an_error_soon(s3_bucket):
    store = open_store(s3_bucket.url, creds={**s3_bucket.creds, "endpoint_url": "http://127.0.0.1:9"})
    start = time.perf_counter()
    with pytest.raises(StorageUnavailableError, match="check the address"):
        store.read("a")
    with pytest.raises((StorageUnavailableError, WriteStateUnknownError)):
        store.create("a", b"x")
    with pytest.raises(StorageUnavailableError):
        list(store.list())
    assert time.perf_counter() - start < 60


def test_access_that_is_refused(store, s3_bucket):
    store.create("a", b"x")
    store = open_store(s3_bucket.url, creds={"anonymous": True, "endpoint_url": s3_bucket.creds["endpoint_url"]})
    with pytest.raises(StoragePermissionError, match="creds="):
        store.read("a")


def test_a_profile_that_does_not_exist(s3_bucket):
    store = open_store(s3_bucket.url, creds={"profile_name": "nobody", "endpoint_url": "http://127.0.0.1:9"})
    with pytest.raises(StoragePermissionError):
        store.read("a")


def test_the_environment_is_used(s3_bucket, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_bucket.creds["endpoint_url"])
    store = open_store(s3_bucket.url, creds="ENV")
    store.create("a", b"x")
    assert [each.key for each in store.list_info()] == ["a"]


@pytest.mark.parametrize(
    "creds",
    [
        {"aws_access_key_id": "a"},
        {"aws_secret_access_key": SECRET},
        {"aws_session_token": SECRET},
        {"aws_access_key_id": "a", "aws_secret_access_key": f"{SECRET}\nx = y"},
        {"aws_access_key_id": "a", "aws_secret_access_key": 5},
        {"aws_acess_key_id": SECRET},
        "secret",
        5,
        {5: 6},
    ],
)
def test_creds_that_make_no_sense(creds):
    with pytest.raises(InvalidCredentialsError) as caught:
        open_store("s3://bucket/x", creds=creds)
    assert SECRET not in str(caught.value)


def test_google_takes_no_dictionary():
    with pytest.raises(InvalidCredentialsError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        open_store("gs://bucket/x", creds={"token": SECRET})


def _secret_in(text: str | bytes) -> bool:
    data = text.encode() if isinstance(text, str) else text
    return SECRET.encode() in data or TOKEN.encode() in data


def test_secrets_show_nowhere(store, s3_server, s3_bucket, tmp_path):
    spec, context = store.tensorstore_spec("seg/")
    store.create("a", b"x")
    shown = [
        repr(store),
        str(store),
        repr(store.origin),
        str(store.origin.creds),
        str(vars(store)),
        store.url,
        repr(spec),
    ]
    shown += [repr(context.spec), repr(store.kv), str(store.kv.spec())]
    assert not any(_secret_in(text) for text in shown)
    assert not _secret_in(pickle.dumps(store))
    assert not any(_secret_in(store.read(key)) for key in store.list())
    s3_server.delete_bucket(s3_bucket.name)
    with pytest.raises(StorageError) as caught:
        store.create("b", b"x")
    error: BaseException | None = caught.value
    while error is not None:
        assert not _secret_in(repr(error))
        error = error.__cause__


def test_secrets_reach_no_disk(store, tmp_path):
    file = store.origin.creds.file()
    assert file.startswith("/proc/")
    assert os.stat(file).st_mode & 0o777 == 0o600
    assert "memfd" in os.readlink(file)


def test_pickles_open_in_another_process_while_this_one_lives(store, tmp_path):
    store.create("a", b"hello")
    (tmp_path / "store").write_bytes(pickle.dumps(store))
    program = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb')).read('a'))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "store")], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "b'hello'", done.stderr


def test_pickles_of_a_process_that_is_gone_say_so(tmp_path):
    program = (
        "import pickle, sys; from zlake.storage import open_store; creds = {'aws_access_key_id': 'a', "
        "'aws_secret_access_key': 'b'}; pickle.dump(open_store('s3://bucket/x', creds=creds), open(sys.argv[1], 'wb'))"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "store")], check=True)
    with pytest.raises(StoragePermissionError, match="creds="):
        pickle.loads((tmp_path / "store").read_bytes())


def test_few_reads_in_flight_still_read_all(s3_bucket):
    store = open_store(s3_bucket.url, creds=s3_bucket.creds, context=Context(reads_in_flight=2))
    store.create_many((f"{i}", b"%d" % i) for i in range(9))
    assert store.read_many([Request(str(i)) for i in range(9)]) == [b"%d" % i for i in range(9)]
    assert store.create("3", b"other") == Lost()


def test_the_server_of_these_tests_lets_one_of_many_swaps_win(store, monkeypatch):
    """Else tests of many writers would now and then lose what was acknowledged."""
    from moto.s3.models import S3Backend

    put = S3Backend.put_object

    def slow(*given, **named):
        time.sleep(0.02)
        return put(*given, **named)

    written = store.create("ref", b"nobody")
    monkeypatch.setattr(S3Backend, "put_object", slow)
    with ThreadPoolExecutor(6) as pool:
        told = list(pool.map(lambda i: store.swap("ref", b"writer %d" % i, written.generation), range(6)))
    assert [type(each) for each in told].count(Written) == 1
