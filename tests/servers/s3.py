"""moto's S3 behind a layer that records requests, delays them, and drops answers."""

from __future__ import annotations

import http.client
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

SECRET = "zlake-test-secret-access-key"
TOKEN = "zlake-test-session-token"


@dataclass(frozen=True)
class S3Request:
    """One request as the server saw it.

    ``kind`` is get, head, put, delete, post or list; ``key`` is relative to the bucket, of a list the prefix.
    """

    kind: str
    bucket: str
    key: str
    range: str
    received: int
    status: int


class S3Server:
    """An S3 service on loopback.

    Attributes
    ----------
    requests
        Every request since the last `clear`, in the order of their answers.
    delay
        Seconds that each request takes longer.
    drop
        Chooses requests whose effect is kept and whose answer is lost: called with kind and key.
    """

    def __init__(self) -> None:
        # Before moto is imported: botocore asks for a region and for keys when it is.
        os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.requests: list[S3Request] = []
        self.delay = 0.0
        self.drop: Callable[[str, str], bool] | None = None
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._app = self._answer
        self._alone = threading.Lock()
        self._server = make_server("127.0.0.1", 0, self._serve, threaded=True)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True, name="moto").start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def creds(self) -> dict[str, str]:
        """What to give as ``creds=``."""
        return {
            "aws_access_key_id": "AKIAZLAKETEST",
            "aws_secret_access_key": SECRET,
            "aws_session_token": TOKEN,
            "endpoint_url": self.endpoint,
            "aws_region": "us-east-1",
        }

    def new_bucket(self) -> str:
        """Create a bucket and return its name."""
        name = f"zlake-{uuid.uuid4().hex}"
        self._send("PUT", name)
        self.clear()
        return name

    def delete_bucket(self, name: str) -> None:
        """Delete a bucket with all that is in it."""
        from moto.s3.models import s3_backends

        backend = s3_backends["123456789012"]["aws"]
        backend.buckets[name].keys.clear()
        backend.delete_bucket(name)

    def clear(self) -> None:
        """Forget the requests, the delay and the dropping."""
        self.requests.clear()
        self.delay = 0.0
        self.drop = None

    def keys(self, kind: str) -> list[str]:
        """Return the keys of the requests of one kind."""
        return [each.key for each in self.requests if each.kind == kind]

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def _send(self, method: str, path: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.server_port)
        connection.request(method, f"/{path}")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, (method, path, answer.status)
        connection.close()

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self._moto(environ, start_response)
        with self._alone:  # moto checks a condition and writes in two steps; S3 does not
            return self._moto(environ, start_response)

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        status: list[int] = []

        def start(line: str, headers: list[tuple[str, str]], *args: Any) -> Any:
            status.append(int(line[:3]))
            return start_response(line, headers, *args)

        bucket, _, key = unquote(environ["PATH_INFO"]).lstrip("/").partition("/")
        kind = environ["REQUEST_METHOD"].lower()
        if kind == "get" and not key:
            kind, key = "list", parse_qs(environ.get("QUERY_STRING", "")).get("prefix", [""])[0]
        if self.delay:
            time.sleep(self.delay)
        answer = self._app(environ, start)
        size = int(environ.get("CONTENT_LENGTH") or 0)
        self.requests.append(S3Request(kind, bucket, key, environ.get("HTTP_RANGE", ""), size, status[0]))
        if self.drop is not None and self.drop(kind, key):
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return answer
