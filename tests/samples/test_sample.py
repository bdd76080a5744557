from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from zlake.errors import CorruptedSampleError, SampleReadError, UnsupportedCompressionError
from zlake.samples import Sample, read


@pytest.fixture
def photo(pixels: Callable[..., np.ndarray], pil: Callable[..., bytes], tmp_path: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "photo.jpg"
    path.write_bytes(pil(pixels(20, 30, 3), "jpeg", exif=exif))
    return path


def test_a_file(photo: Path) -> None:
    sample = read(photo)
    assert (sample.path, sample.is_lazy, sample.is_empty) == (str(photo), True, False)
    assert (sample.compression, sample.shape, sample.dtype) == ("jpeg", (20, 30, 3), np.uint8)
    assert sample.buffer == photo.read_bytes()
    assert sample.array.shape == (20, 30, 3)  # the EXIF orientation is not applied
    assert np.asarray(sample).tolist() == sample.array.tolist()
    assert np.asarray(sample, dtype="float32").dtype == np.float32
    assert sample.pil.size == (30, 20)
    meta = sample.meta
    assert (meta["shape"], meta["dtype"], meta["format"], meta["filename"]) == (
        [20, 30, 3],
        "uint8",
        "jpeg",
        str(photo),
    )
    assert meta["exif"]["Orientation"] == 6
    assert repr(sample) == f"Sample('{photo}', compression='jpeg')"


def test_bytes_and_arrays(photo: Path, pixels: Callable[..., np.ndarray]) -> None:
    data = photo.read_bytes()
    sample = read(bytearray(data))
    assert (sample.path, sample.is_lazy, sample.compression, sample.shape) == (None, False, "jpeg", (20, 30, 3))
    assert repr(read(b"abc")) == "Sample(3 bytes)"
    array = pixels(4, 5, 3)
    given = Sample(array=array)
    assert (given.compression, given.shape, given.dtype, given.array is array) == (None, (4, 5, 3), np.uint8, True)
    assert given.buffer == given.uncompressed_bytes() == array.tobytes()
    assert given.meta == {"shape": [4, 5, 3], "dtype": "uint8"}
    assert given.pil.size == (5, 4)
    assert repr(given) == "Sample(array of shape (4, 5, 3) uint8)"
    assert Sample(array=np.zeros((0, 3))).is_empty
    with pytest.raises(ValueError, match="exactly one"):
        Sample()


def test_compressed_bytes(photo: Path) -> None:
    sample = read(photo)
    assert sample.compressed_bytes("jpg") == photo.read_bytes()
    png = read(sample.compressed_bytes("png"))
    np.testing.assert_array_equal(png.array, sample.array)
    assert sample.compressed_bytes(None) == sample.array.tobytes()


def test_equality_and_copy(photo: Path, pixels: Callable[..., np.ndarray]) -> None:
    sample = read(photo)
    assert sample == read(photo.read_bytes())
    assert sample == read(sample.compressed_bytes("png"))
    assert sample == sample.copy() == sample
    assert sample != Sample(array=pixels(4, 4))
    assert sample != "photo"


def test_nothing_is_read_before_it_is_needed(tmp_path: Path) -> None:
    sample = read(tmp_path / "missing.png")
    assert sample.is_lazy
    for use in (lambda: sample.shape, lambda: sample.buffer, lambda: sample.array, lambda: sample.compression):
        with pytest.raises(SampleReadError, match=r"missing\.png': No such file"):
            use()
    with pytest.raises(SampleReadError, match="No such file"):
        read(tmp_path / "missing.png", verify=True)
    with pytest.raises(SampleReadError, match="directory"):
        read(tmp_path).shape  # noqa: B018
    with pytest.raises(SampleReadError, match="takes a path"):
        read(5)  # type: ignore[arg-type]
    with pytest.raises(SampleReadError, match="cannot read"):
        read("a\0b.png").buffer  # noqa: B018


def test_verify(photo: Path, tmp_path: Path) -> None:
    assert read(photo, verify=True).shape == (20, 30, 3)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(photo.read_bytes()[:-150])
    assert read(cut).shape == (20, 30, 3)
    with pytest.raises(CorruptedSampleError, match=r"cut\.jpg"):
        read(cut, verify=True)
    with pytest.raises(CorruptedSampleError, match="no file of a kind that zlake knows"):
        read(b"hello", verify=True)


def test_compression_by_extension_and_by_name(
    pixels: Callable[..., np.ndarray], pil: Callable[..., bytes], tmp_path: Path
) -> None:
    path = tmp_path / "a.tga"
    path.write_bytes(pil(pixels(4, 6, 3), "tga"))
    assert (read(path).compression, read(path).shape) == ("tga", (4, 6, 3))
    assert read(path.read_bytes(), compression="tga").shape == (4, 6, 3)
    wrong = tmp_path / "really_a_png.jpg"
    wrong.write_bytes(pil(pixels(4, 6, 3), "png"))
    assert read(wrong).compression == "png"
    with pytest.raises(UnsupportedCompressionError, match="did you mean"):
        read(path, compression="jpgg")


def test_a_header_longer_than_the_first_read(pil: Callable[..., bytes], tmp_path: Path) -> None:
    path = tmp_path / "long.jpg"
    data = pil(Image.new("RGB", (9, 5)), "jpeg")
    segment = b"\xff\xe3\xff\xff" + bytes(65533)
    path.write_bytes(data[:2] + segment * 2 + data[2:])
    assert read(path).shape == (5, 9, 3)


@pytest.fixture
def server(photo: Path) -> Iterator[str]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(photo.parent))

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_address[1]}"
        found.shutdown()


def test_urls(server: str, photo: Path) -> None:
    pytest.importorskip("aiohttp")
    sample = read(f"{server}/photo.jpg")
    assert sample.buffer == photo.read_bytes()
    assert sample.shape == (20, 30, 3)
    with pytest.raises(SampleReadError, match="no such file"):
        read(f"{server}/nothing.jpg").buffer  # noqa: B018
    assert read(f"file://{photo}").shape == (20, 30, 3)


def test_messages_hide_secrets(server: str) -> None:
    host = server.removeprefix("http://")
    for url in (
        f"http://me:hunter2@{host}/nothing.jpg?sig=hunter2",
        "nonsense://a/b?key=hunter2",
        "s3://hunter2@bucket/x.jpg#hunter2",
    ):
        sample = read(url, creds={"aws_secret_access_key": "hunter2"} if url.startswith("s3") else None)
        assert "hunter2" not in repr(sample)
    sample = read(f"http://{host}/nothing.jpg?sig=hunter2")
    with pytest.raises(SampleReadError) as info:
        sample.buffer  # noqa: B018
    assert "hunter2" not in str(info.value)
    assert info.value.__cause__ is None
