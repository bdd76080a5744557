"""Show a store to TensorStore as a web server on this machine, where TensorStore has no driver of its own.

TensorStore then reads what it needs when it needs it. Had it been given a folder of fetched files, a file that was
evicted would look to it like a chunk that was never written.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import threading
from functools import cache, lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import unquote

from zlake.errors import StorageError
from zlake.storage.keys import is_key
from zlake.storage.origin import Origin
from zlake.storage.ranges import resolve
from zlake.storage.store import Store

_ATTEMPTS: Final = 3
_OPENED: Final = 16
"""Stores kept open between two requests."""
_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")


class Loopback:
    """Serve the objects of stores to this process.

    The path of each place holds a random token, so other users cannot guess it. It is served as long as the process
    lives, because arrays of TensorStore may outlive the store that they were opened from.
    """

    def __init__(self) -> None:
        self._server = _Server()
        self._tokens: dict[Origin, str] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._server.serve_forever, daemon=True, name="zlake-loopback").start()

    def spec(self, origin: Origin, prefix: str) -> dict[str, Any]:
        """Return TensorStore's specification of the objects below ``prefix`` of a store."""
        with self._lock:
            token = self._tokens.setdefault(origin, secrets.token_urlsafe(24))
            self._server.origins[token] = origin
        host, port = self._server.server_address[:2]
        return {"driver": "http", "base_url": f"http://{host!s}:{port}", "path": f"/{token}/{prefix}"}


@cache
def loopback() -> Loopback:
    """Return the one of this process: one thread and one socket, however many stores come and go."""
    return Loopback()


@lru_cache(_OPENED)
def _store(origin: Origin) -> Store:
    from zlake.storage.open import open_origin

    return open_origin(origin)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.origins: dict[str, Origin] = {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        token, _, key = unquote(self.path).removeprefix("/").partition("/")
        origin = self.server.origins.get(token)
        if origin is None or not is_key(key):
            self._answer(404, b"")
            return
        for _ in range(_ATTEMPTS):
            try:
                path = _store(origin).local_path(key)
            except StorageError:
                break  # the reader tries again, and then says so
            if path is None:
                self._answer(404, b"")
                return
            # A small cache may have evicted the file again before it is opened.
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                self._answer_file(file.fileno())
                return
        self._answer(503, b"")

    def _answer_file(self, descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        if match is None or match.groups() == ("", ""):
            self._answer(200, os.pread(descriptor, size, 0))
            return
        first, last = match.groups()
        start = int(first) if first else -int(last)
        start, stop = resolve(size, start, int(last) + 1 if first and last else None)
        if start >= stop:
            self._answer(416, b"", {"Content-Range": f"bytes */{size}"})
            return
        body = os.pread(descriptor, stop - start, start)
        self._answer(206, body, {"Content-Range": f"bytes {start}-{stop - 1}/{size}"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body)), "Cache-Control": "no-store"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: the path holds the token."""
