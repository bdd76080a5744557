"""A web server that shows a folder, with ranges, and allows nothing else."""

from __future__ import annotations

import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class FileServer:
    """Serve the files below ``root`` at `url`, and record the paths that were asked for."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.requests: list[str] = []
        self._server = _HttpServer(self, Path(root))
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True, name="files").start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, files: FileServer, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.root = root


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HttpServer

    def do_GET(self) -> None:
        path = unquote(self.path)
        self.server.files.requests.append(path)
        file = self.server.root / path.lstrip("/")
        if ".." in path or not file.is_file():
            self._answer(404, b"", {})
            return
        data = file.read_bytes()
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        if match is None:
            self._answer(200, data, {})
            return
        first, last = match.groups()
        start = int(first) if first else max(0, len(data) - int(last))
        stop = min(int(last) + 1, len(data)) if first and last else len(data)
        if start >= len(data):
            self._answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        else:
            self._answer(206, data[start:stop], {"Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""
