"""How many requests reads cost, counted by a server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.segments.blocks import dense, encoded, numbers, ragged
from tests.segments.reading import put, rows_of, small_chunks
from zlake.context import Context
from zlake.segments import stored as source_module
from zlake.segments.block import Block
from zlake.segments.gather import gather_array, gather_blobs, gather_ids, gather_list, gather_shapes
from zlake.segments.source import Source, open_source
from zlake.storage import open_store


class Files(SimpleHTTPRequestHandler):
    """Serves files and byte ranges of them, and notes what was asked for."""

    protocol_version = "HTTP/1.1"
    requests: list[tuple[str, str]]

    def do_GET(self) -> None:
        self.requests.append((self.path, self.headers.get("Range", "")))
        file = Path(self.translate_path(self.path))
        if not file.is_file():
            self.send_error(404)
            return
        data, wanted = file.read_bytes(), self.headers.get("Range")
        if wanted is None:
            self.send_response(200)
        else:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start = int(first) if first else len(data) - int(last)
            stop = int(last) + 1 if first and last else len(data)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
            data = data[start:stop]
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Takes many connections at once."""

    request_queue_size = 256
    daemon_threads = True
    block_on_close = False


class Remote:
    """Blocks on a web server."""

    def __init__(self, folder: Path, url: str, requests: list[tuple[str, str]]) -> None:
        self.folder, self.url, self.requests = folder, url, requests

    def source(self, block: Block, codec: str = "raw") -> Source:
        with small_chunks(1024, 8192, 2048):
            entry, key = put(open_store(str(self.folder)), block, codec)
        store = open_store(self.url)
        return open_source(store, entry, key, block.dtype, Context())

    def count(self, *parts: str) -> int:
        """How many requests there were for objects with one of these in their names; forgets them all."""
        found = sum(not parts or any(part in path for part in parts) for path, _ in self.requests)
        self.requests.clear()
        return found


@pytest.fixture(params=["resident", "tensorstore"])
def remote(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    if request.param == "tensorstore":
        monkeypatch.setattr(source_module, "resident_bound", lambda context: 0)
    requests: list[tuple[str, str]] = []
    handler = type("Noting", (Files,), {"requests": requests})
    server = Server(("127.0.0.1", 0), partial(handler, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield Remote(tmp_path, f"http://127.0.0.1:{server.server_port}/", requests)
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("codec", ["raw", "zstd"])
def test_one_cold_dense_row_costs_two_requests(remote: Remote, codec: str) -> None:
    values = numbers((500, 4, 8), "float32")
    source = remote.source(dense(values), codec)
    assert remote.count() == 0
    np.testing.assert_array_equal(source.one(333), values[333])
    assert remote.count() == 2
    source.one(334)  # of the same chunk
    assert remote.count() == 0


@pytest.mark.parametrize("codec", ["raw", "zstd"])
def test_one_cold_ragged_or_encoded_row_costs_four_requests(remote: Remote, codec: str) -> None:
    samples = [numbers((n % 7 + 1, 3), "float32", n) for n in range(500)]
    source = remote.source(ragged(samples), codec)
    np.testing.assert_array_equal(source.one(100), samples[100])
    assert remote.count() <= 4
    blobs = [bytes([n % 256]) * (n % 50) for n in range(500)]
    source = remote.source(encoded(blobs, np.ones((500, 3), np.int64)), codec)
    assert source.one_blob(99) == blobs[99]
    assert remote.count() <= 3
    assert gather_blobs(rows_of(np.array([98])), [source]).result() == [blobs[98]]
    assert remote.count() == 0


def test_a_random_batch_reads_each_chunk_once(remote: Remote) -> None:
    values = numbers((2000, 8), "float32")
    source = remote.source(dense(values))
    rows = np.random.default_rng(0).integers(0, 2000, 256)
    np.testing.assert_array_equal(gather_array(rows_of(rows), [source]).result(), values[rows])
    chunks, shards = 2000 // 32, 2000 // 256 + 1
    assert len(np.unique(rows // 32)) <= chunks
    assert remote.count() <= len(np.unique(rows // 32)) + shards
    samples = [numbers((n % 13,), "float32", n) for n in range(2000)]
    source = remote.source(ragged(samples))
    found = gather_list(rows_of(rows), [source]).result()
    for row, sample in zip(rows.tolist(), found, strict=True):
        np.testing.assert_array_equal(sample, samples[row])
    elements = sum(sample.size for sample in samples)
    assert remote.count("values-data") <= elements // 256 + 1 + elements // 2048 + 1
    remote.count()
    gather_list(rows_of(rows), [source]).result()
    assert remote.count() == 0


def test_sidecars_are_read_once_by_chunk_and_not_at_all_where_ids_count_up(remote: Remote) -> None:
    ids = np.random.default_rng(0).integers(0, 2**63, 2000, dtype=np.uint64)
    values = numbers((2000, 2), "uint8")
    source = remote.source(dense(values, ids=ids))
    assert gather_ids(rows_of(slice(300, 301, 1)), [source])[0] == ids[300]
    assert remote.count() == 1
    np.testing.assert_array_equal(gather_ids(rows_of(slice(0, 2000, 1)), [source]), ids)
    assert remote.count("ids/") == -(-2000 // 256) - 1
    np.testing.assert_array_equal(gather_ids(rows_of(np.array([1999, 5])), [source]), ids[[1999, 5]])
    assert remote.count() == 0
    counting = remote.source(dense(values, ids=np.arange(50, 2050, dtype=np.uint64)))
    assert gather_ids(rows_of(slice(7, 9, 1)), [counting]).tolist() == [57, 58]
    assert remote.count() == 0


def test_shapes_cost_no_values(remote: Remote) -> None:
    samples = [numbers((n % 5, 2), "int8", n) for n in range(100)]
    sources = [remote.source(ragged(samples)), remote.source(dense(numbers((10, 3, 3), "int8")))]
    assert gather_shapes(rows_of(slice(0, 100, 1)), sources[:1]).tolist() == [[n % 5, 2] for n in range(100)]
    assert gather_shapes(rows_of(slice(0, 10, 1)), sources[1:]).tolist() == [[3, 3]] * 10
    assert remote.count("values", "offsets") == 0
