"""A proxy that lets go through what it likes: in front of a service it loses answers, and requests, of one's choice."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


class Fate(Enum):
    """What becomes of a request."""

    PASS = "forwarded, and answered"
    UNANSWERED = "forwarded; the connection breaks before the answer"
    REFUSED = "the connection breaks before it is forwarded"
    TOLD_LOST = "forwarded; the answer is that the condition does not hold"


@dataclass(frozen=True)
class ProxyRequest:
    """One request as it came: ``key`` is relative to the bucket, ``conditional`` whether it is a conditional write."""

    method: str
    key: str
    conditional: bool


class Proxy:
    """A proxy on loopback, at `endpoint`, in front of another HTTP server.

    Attributes
    ----------
    requests
        What came in, in order.
    rule
        Chooses the fate of each request; everything passes where it is None.
    """

    def __init__(self, upstream: str) -> None:
        self.requests: list[ProxyRequest] = []
        self.rule: Callable[[ProxyRequest], Fate] | None = None
        self.lock = threading.Lock()
        self._server = _HttpServer(self, urlsplit(upstream).netloc)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True, name="proxy").start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def fate(self, request: ProxyRequest) -> Fate:
        """Record a request and choose what becomes of it."""
        with self.lock:
            self.requests.append(request)
            return Fate.PASS if self.rule is None else self.rule(request)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, proxy: Proxy, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy
        self.upstream = upstream

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about connections that were broken on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HttpServer

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        conditional = self.command == "PUT" and ("If-Match" in self.headers or "If-None-Match" in self.headers)
        key = unquote(urlsplit(self.path).path).lstrip("/").partition("/")[2]
        fate = self.server.proxy.fate(ProxyRequest(self.command, key, conditional))
        if fate is Fate.REFUSED:
            self._hang_up()
            return
        status, headers, answer = self._forward(body)
        if fate is Fate.UNANSWERED:
            self._hang_up()
            return
        if fate is Fate.TOLD_LOST:
            status, headers, answer = 412, [], b""
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        length = next((value for name, value in headers if name.lower() == "content-length"), "0")
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815  # names that the base class looks for

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.server.upstream)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, answer.getheaders(), data

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""
