"""A moto S3 server on loopback, in a process of its own, whose access log counts requests."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUCKET = "bench"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
REQUEST = re.compile(r'"(GET|PUT|POST|DELETE|HEAD) (\S+) HTTP/1\.[01]" (\d{3})')


@contextmanager
def server(log: Path) -> Iterator[dict[str, str]]:
    """Run the server while the block runs and yield where it is, as `Options.s3` wants it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        try:
            _create_bucket(endpoint)
            yield {
                "endpoint": endpoint,
                "bucket": BUCKET,
                "key": "bench",
                "secret": "bench",
                "region": "us-east-1",
                "log": str(log),
            }
        finally:
            process.terminate()
            process.wait()


def _create_bucket(endpoint: str) -> None:
    request = urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT", data=b"")
    for _ in range(100):
        try:
            urllib.request.urlopen(request, timeout=5).close()
            return
        except urllib.error.URLError:
            time.sleep(0.2)
    raise RuntimeError("the S3 server did not start")


class Counter:
    """Counts requests in the server's log since the last call."""

    def __init__(self, log: str) -> None:
        self._log = Path(log)
        self._at = 0
        self.take()

    def take(self) -> dict[str, int]:
        """Return how many requests of each kind came since the last call; listings and segments are kept apart."""
        time.sleep(0.3)  # the server writes its line after the answer
        with self._log.open("rb") as lines:
            lines.seek(self._at)
            text = lines.read()
            self._at += len(text)
        counts: dict[str, int] = {}
        for method, target, _ in REQUEST.findall(COLOUR.sub("", text.decode(errors="replace"))):
            kind = "LIST" if method == "GET" and "list-type=" in target else method
            kind = "PUT segment" if method == "PUT" and "/segments/" in target else kind
            counts[kind] = counts.get(kind, 0) + 1
        return counts
