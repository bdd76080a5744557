"""The part of Google Cloud Storage's JSON API that TensorStore and gcsfs use, with its rules of generations."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
import threading
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c

_OBJECT = re.compile(r"/(?:download/)?storage/v1/b/([^/]+)/o/(.+)")
_LIST = re.compile(r"/storage/v1/b/([^/]+)/o/?")
_UPLOAD = re.compile(r"/upload/storage/v1/b/([^/]+)/o/?")
_BUCKET = re.compile(r"/storage/v1/b/([^/]+)/?")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class _Object:
    data: bytes
    generation: int
    updated: str


class GcsServer:
    """A Google Cloud Storage on loopback, at `endpoint`."""

    def __init__(self) -> None:
        self.buckets: dict[str, dict[str, _Object]] = {}
        self.lock = threading.Lock()
        self.requests: list[tuple[str, str]] = []
        self._generation = 1_700_000_000_000_000
        self._server = _HttpServer(self)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True, name="gcs").start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def new_bucket(self) -> str:
        """Create a bucket and return its name."""
        name = f"zlake-{uuid.uuid4().hex}"
        self.buckets[name] = {}
        return name

    def delete_bucket(self, name: str) -> None:
        """Delete a bucket with all that is in it."""
        del self.buckets[name]

    def put(self, bucket: dict[str, _Object], key: str, data: bytes) -> _Object:
        """Store an object as a new generation; the caller holds the lock."""
        self._generation += 1
        bucket[key] = _Object(data, self._generation, datetime.now(UTC).isoformat().replace("+00:00", "Z"))
        return bucket[key]

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, gcs: GcsServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.gcs = gcs


class _RefusedError(Exception):
    def __init__(self, status: int, message: str = "refused") -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HttpServer

    def do_GET(self) -> None:
        self._route()

    def do_POST(self) -> None:
        self._route()

    def do_DELETE(self) -> None:
        self._route()

    def _route(self) -> None:
        gcs = self.server.gcs
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        gcs.requests.append((self.command, parts.path))
        try:
            with gcs.lock:
                status, headers, answer = self._answer(parts.path, query, body)
        except _RefusedError as refused:
            error = {"error": {"code": refused.status, "message": refused.message}}
            status, headers, answer = refused.status, {}, json.dumps(error).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(answer))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def _answer(self, path: str, query: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        if self.command == "POST" and (match := _UPLOAD.fullmatch(path)):
            key, bucket = query["name"], self._bucket(match[1])
            self._check(bucket.get(key), query)
            return _json(_describe(match[1], key, self.server.gcs.put(bucket, key, body)))
        if match := _OBJECT.fullmatch(path):
            key, bucket = unquote(match[2]), self._bucket(match[1])
            if self.command == "DELETE":
                self._check(bucket.get(key), query)
                if bucket.pop(key, None) is None:
                    raise _RefusedError(404)
                return 204, {}, b""
            if key not in bucket:
                raise _RefusedError(404)
            self._check(bucket[key], query)
            if query.get("alt") == "media":
                return self._media(bucket[key])
            return _json(_describe(match[1], key, bucket[key]))
        if match := _LIST.fullmatch(path):
            return _json(_listing(match[1], self._bucket(match[1]), query))
        if match := _BUCKET.fullmatch(path):
            self._bucket(match[1])
            return _json({"kind": "storage#bucket", "name": match[1]})
        raise _RefusedError(404)

    def _bucket(self, name: str) -> dict[str, _Object]:
        if name not in self.server.gcs.buckets:
            raise _RefusedError(404, "The specified bucket does not exist.")
        return self.server.gcs.buckets[name]

    def _check(self, found: _Object | None, query: dict[str, str]) -> None:
        # Generation 0 stands for an absent object.
        generation = found.generation if found else 0
        if "ifGenerationMatch" in query and int(query["ifGenerationMatch"]) != generation:
            raise _RefusedError(412)
        if "ifGenerationNotMatch" in query and int(query["ifGenerationNotMatch"]) == generation:
            raise _RefusedError(304 if self.command == "GET" else 412)

    def _media(self, found: _Object) -> tuple[int, dict[str, str], bytes]:
        data = found.data
        headers = {"x-goog-generation": str(found.generation), "Content-Type": "application/octet-stream"}
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        if match is None:
            return 200, headers, data
        first, last = match.groups()
        start = int(first) if first else max(0, len(data) - int(last))
        stop = min(int(last) + 1, len(data)) if first and last else len(data)
        if start >= len(data):
            raise _RefusedError(416)
        return 206, {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"}, data[start:stop]

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


def _json(value: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()


def _listing(name: str, bucket: dict[str, _Object], query: dict[str, str]) -> dict[str, Any]:
    first, end, prefix = query.get("startOffset", ""), query.get("endOffset", ""), query.get("prefix", "")
    keys = sorted(key for key in bucket if key.startswith(prefix) and key >= first and (not end or key < end))
    start, size = int(query.get("pageToken") or 0), int(query.get("maxResults") or 1000)
    answer: dict[str, Any] = {"kind": "storage#objects"}
    answer["items"] = [_describe(name, key, bucket[key]) for key in keys[start : start + size]]
    if start + size < len(keys):
        answer["nextPageToken"] = str(start + size)
    return answer


def _describe(bucket: str, key: str, found: _Object) -> dict[str, Any]:
    return {
        "kind": "storage#object",
        "bucket": bucket,
        "name": key,
        "size": str(len(found.data)),
        "generation": str(found.generation),
        "metageneration": "1",
        "updated": found.updated,
        "timeCreated": found.updated,
        "md5Hash": base64.b64encode(hashlib.md5(found.data).digest()).decode(),
        "crc32c": base64.b64encode(struct.pack(">I", google_crc32c.value(found.data))).decode(),
    }
