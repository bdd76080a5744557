from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from zlake import limits
from zlake.errors import (
    CorruptedSampleError,
    SampleCompressionError,
    SampleDecompressionError,
    SampleError,
    UnsupportedCompressionError,
)
from zlake.samples import codec, compressions, register_codec
from zlake.samples.dtypes import CORE

LOSSLESS = [
    *((name, (6, 9), "uint8") for name in ("bmp", "jpeg2000", "pcx", "png", "ppm", "sgi", "tga", "tiff")),
    *((name, (6, 9, 3), "uint8") for name in ("bmp", "jpeg2000", "pcx", "png", "ppm", "sgi", "tga", "tiff")),
    *((name, (6, 9, 4), "uint8") for name in ("jpeg2000", "png", "sgi", "tga", "tiff")),
    *((name, (6, 9, 2), "uint8") for name in ("jpeg2000", "png", "tga", "tiff")),
    *((name, (6, 9), "uint16") for name in ("jpeg2000", "png", "tiff")),
    *((name, (6, 9), "bool") for name in ("bmp", "pcx", "png", "ppm", "tga", "tiff")),
    ("tiff", (6, 9), "int32"),
    *((name, (6, 9), dtype) for name in ("lz4", "zstd") for dtype in ("bool", "int64", "float16", "complex128")),
    *((name, shape, "float32") for name in ("lz4", "zstd") for shape in ((1,), (0, 3), (2, 3, 4, 5))),
]


def make(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 200, shape)
    return (values % 2 if dtype == "bool" else values * (250 if dtype == "uint16" else 1)).astype(dtype)


@pytest.mark.parametrize(("name", "shape", "dtype"), LOSSLESS)
def test_lossless_round_trip(name: str, shape: tuple[int, ...], dtype: str) -> None:
    array = make(shape, dtype)
    data = codec(name).encode(array)
    header = codec(name).header(data)
    assert (header.shape, header.dtype) == (shape, dtype)
    decoded = codec(name).decode(data)
    assert (decoded.shape, decoded.dtype) == (shape, dtype)
    np.testing.assert_array_equal(decoded, array)
    out = np.zeros(shape, dtype)
    assert codec(name).decode(memoryview(data), shape=shape, dtype=np.dtype(dtype), out=out) is out
    np.testing.assert_array_equal(out, array)


@pytest.mark.parametrize(("name", "shape"), [("jpeg", (40, 60)), ("jpeg", (40, 60, 3)), ("webp", (40, 60, 3))])
def test_lossy_round_trip(name: str, shape: tuple[int, ...], pixels: Callable[..., np.ndarray]) -> None:
    array = pixels(*shape)
    data = codec(name).encode(array)
    decoded = codec(name).decode(data)
    assert decoded.shape == shape == codec(name).header(data).shape
    assert float(np.abs(decoded.astype(int) - array).mean()) <= 8


def test_jpeg_decodes_into_a_buffer_of_the_caller(pixels: Callable[..., np.ndarray]) -> None:
    jpeg = codec("jpeg")
    for array in (pixels(16, 24, 3), pixels(16, 24)):
        data = jpeg.encode(array)
        plain = jpeg.decode(data)
        slab = np.zeros((2, *array.shape), "uint8")
        found = jpeg.decode(data, out=slab[1])
        assert found.base is slab
        np.testing.assert_array_equal(slab[1], plain)
        assert not slab[0].any()
        strided = np.zeros((*array.shape[:2], *array.shape[2:], 2), "uint8")[..., 0]
        np.testing.assert_array_equal(jpeg.decode(data, out=strided), plain)
        wide = np.zeros(array.shape, "float32")
        np.testing.assert_array_equal(jpeg.decode(data, out=wide), plain)
        with pytest.raises(ValueError, match="out has shape"):
            jpeg.decode(data, out=np.zeros((3, 3), "uint8"))


def test_the_recorded_shape_may_differ_by_axes_of_length_one(pixels: Callable[..., np.ndarray]) -> None:
    for name in ("jpeg", "png"):
        data = codec(name).encode(pixels(16, 24))
        assert codec(name).decode(data, shape=(16, 24, 1)).shape == (16, 24, 1)
        for wrong in ((24, 16), (16, 24, 3), (16, 23)):
            with pytest.raises(SampleDecompressionError, match="on record"):
                codec(name).decode(data, shape=wrong)
    wide = codec("png").decode(codec("png").encode(pixels(4, 4)), dtype=np.dtype("uint16"))
    assert wide.dtype == np.uint16
    with pytest.raises(SampleDecompressionError, match="uint16 in a tensor of dtype uint8"):
        codec("png").decode(codec("png").encode(pixels(4, 4, dtype="uint16")), dtype=np.dtype("uint8"))


def test_cmyk_jpeg_decodes_as_pillow_does(pil: Callable[..., bytes]) -> None:
    data = pil(Image.new("CMYK", (9, 5), (10, 20, 30, 40)), "JPEG")
    decoded = codec("jpeg").decode(data)
    assert decoded.shape == (5, 9, 4)
    assert codec("jpeg").decode(data, out=np.zeros((5, 9, 4), "uint8")).tolist() == decoded.tolist()


def test_a_palette_png_decodes_to_indices_and_a_gif_to_colours(pil: Callable[..., bytes]) -> None:
    image = Image.new("P", (3, 2), 5)
    image.putpalette([v for k in range(256) for v in (k, 255 - k, 7)])
    assert codec("png").decode(pil(image, "PNG")).tolist() == [[5] * 3] * 2
    assert codec("gif").decode(pil(image, "GIF"))[0, 0].tolist() == [5, 250, 7]


def test_a_jpeg_with_rubbish_inside_decodes_as_far_as_pillow_can(pixels: Callable[..., np.ndarray]) -> None:
    data = codec("jpeg").encode(pixels(64, 64, 3))
    stray = data[:2] + b"\0\0" + data[2:]
    assert codec("jpeg").decode(data + b"trailing rubbish").shape == (64, 64, 3)
    assert codec("jpeg").header(stray).shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("name", "shape", "dtype"),
    [
        ("jpeg", (4, 4, 4), "uint8"),
        ("jpeg", (4, 4, 3), "uint16"),
        ("jpeg", (4,), "uint8"),
        ("jpeg", (1, 70_000), "uint8"),
        ("png", (4, 4, 3), "uint16"),
        ("png", (4, 4), "float32"),
        ("png", (4, 4, 5), "uint8"),
        ("png", (4,), "uint8"),
        ("gif", (4, 4), "uint8"),
        ("webp", (4, 4), "uint8"),
        ("webp", (4, 4, 4), "uint8"),
        ("bmp", (4, 4, 4), "uint8"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(name: str, shape: tuple[int, ...], dtype: str) -> None:
    with pytest.raises(SampleCompressionError, match=name):
        codec(name).encode(np.zeros(shape, dtype))


@pytest.mark.parametrize("name", ["jpeg", "png"])
@pytest.mark.parametrize("progressive", [False, True])
def test_every_byte_of_the_head_flipped_gives_an_error_or_an_image(
    name: str,
    progressive: bool,
    pixels: Callable[..., np.ndarray],
    pil: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "MAX_DECODED_SAMPLE_BYTES", 64 * limits.MIB)
    data = pil(pixels(8, 12, 3), name, **({"progressive": progressive} if name == "jpeg" else {}))
    rng = random.Random(1)
    outcomes = {"image": 0, "error": 0}
    for at in range(min(len(data), 700)):
        broken = bytearray(data)
        broken[at] ^= rng.randrange(1, 256)
        try:
            decoded = codec(name).decode(bytes(broken))
            assert decoded.ndim in (2, 3)
            outcomes["image"] += 1
        except SampleError:
            outcomes["error"] += 1
    assert outcomes["error"] > 20


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of damage that it then raises
@pytest.mark.parametrize("name", ["jpeg", "png", "tiff", "webp", "jpeg2000", "bmp", "lz4", "zstd"])
def test_every_cut_gives_an_error_or_an_image(name: str, pixels: Callable[..., np.ndarray]) -> None:
    array = pixels(8, 12, 3)
    data = codec(name).encode(array)
    for length in range(0, len(data), max(1, len(data) // 150)):
        try:
            assert codec(name).decode(data[:length]).shape == array.shape
        except SampleError:
            continue


@pytest.mark.parametrize("name", ["png", "jpeg", "zstd", "lz4"])
def test_half_a_sample_is_an_error(name: str, pixels: Callable[..., np.ndarray]) -> None:
    data = codec(name).encode(make((40, 40, 3), "uint8"))
    with pytest.raises((SampleDecompressionError, CorruptedSampleError)):
        codec(name).decode(data[: len(data) // 2])


@pytest.mark.parametrize("name", sorted(set(compressions()) - {"tga"}))
def test_foreign_bytes(name: str) -> None:
    for data in (b"", b"hello, I am text and no image at all", bytes(64)):
        with pytest.raises(SampleError):
            codec(name).decode(data)
        with pytest.raises(SampleError):
            codec(name).header(data)


def test_bombs_of_other_formats(monkeypatch: pytest.MonkeyPatch, pixels: Callable[..., np.ndarray]) -> None:
    samples = {
        name: codec(name).encode(make((40, 40, 3), "uint8")) for name in ("bmp", "tiff", "webp", "png", "jpeg", "zstd")
    }
    monkeypatch.setattr(limits, "MAX_DECODED_SAMPLE_BYTES", 4799)
    for name, data in samples.items():
        with pytest.raises(SampleDecompressionError, match=r"4,800 bytes|claims"):
            codec(name).decode(data)


def test_compressed_bytes_that_lie_about_their_length() -> None:
    for name in ("lz4", "zstd"):
        whole = codec(name).encode(np.zeros((100, 100), "int64"))
        lie = bytearray(whole)
        lie[3] = 101  # rows in the header
        with pytest.raises(SampleDecompressionError, match=r"80,000 bytes where 80,800 are on record"):
            codec(name).decode(bytes(lie))


@pytest.mark.parametrize("name", ["lz4", "zstd"])
def test_every_byte_of_compressed_samples_flipped(name: str) -> None:
    data = codec(name).encode(make((20, 20), "uint8"))
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 0xFF
        try:
            assert codec(name).decode(bytes(broken)).nbytes == 400
        except SampleError:
            continue


@given(
    hnp.arrays(st.sampled_from(sorted(CORE, key=str)), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)
def test_general_compressors_keep_any_array(array: np.ndarray) -> None:
    for name in ("lz4", "zstd"):
        decoded = codec(name).decode(codec(name).encode(array))
        assert (decoded.shape, decoded.dtype) == (array.shape, array.dtype)
        assert decoded.tobytes() == array.tobytes()


def test_the_registry() -> None:
    assert codec("jpg") is codec("JPEG") is codec("jpeg") is codec("jpeg@1")
    assert {"jpeg", "png", "webp", "bmp", "gif", "tiff", "jpeg2000", "lz4", "zstd"} <= set(compressions())
    with pytest.raises(UnsupportedCompressionError, match="did you mean 'jpeg'"):
        codec("jpegg")
    for bad in ("jpeg@2", "jpeg@x", "jpeg@", "", 7):
        with pytest.raises(UnsupportedCompressionError, match="not known"):
            codec(bad)
    with pytest.raises(ValueError, match="registered already"):
        register_codec(type(codec("jpeg"))())
    register_codec(codec("jpeg"))


class _Version2(type(codec("png"))):  # type: ignore[misc]
    version = 2


def test_a_second_version_lives_beside_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from zlake.samples import codecs

    monkeypatch.setattr(codecs, "_codecs", dict(codecs._codecs))
    newer: Any = _Version2()
    register_codec(newer)
    assert codec("png@2") is newer
    assert codec("png") is not newer
    assert "png@2" in compressions()
