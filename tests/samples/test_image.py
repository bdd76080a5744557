from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from zlake.errors import (
    CorruptedSampleError,
    SampleCompressionError,
    SampleDecompressionError,
    SampleHtypeMismatchError,
    SampleReadError,
    TensorDtypeMismatchError,
    TensorInvalidSampleShapeError,
)
from zlake.samples import Encoded, TensorSpec, codec, htype, prepare, prepare_many, read, resolve, settings

KIND = htype("image")


def image_spec(compression: str | None, ndim: int = 3, name: str = "image", dtype: str = "uint8") -> TensorSpec:
    first = np.zeros((2,) * (ndim - 1) + (3,), dtype)
    return resolve([first], settings(name, {"sample_compression": compression}))


def blob(sample: Any, spec: TensorSpec) -> Encoded:
    encoded = prepare(sample, spec)
    assert isinstance(encoded, Encoded)
    return encoded


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "bmp", "tiff", "jpeg2000"])
@pytest.mark.parametrize("given", ["bytes", "read", "path", "memoryview"])
def test_files_of_the_same_compression_are_kept_byte_for_byte(
    form: str, given: str, pixels: Callable[..., np.ndarray], pil: Callable[..., bytes], tmp_path: Any
) -> None:
    data = pil(pixels(10, 14, 3), form)
    path = tmp_path / "file.bin"
    path.write_bytes(data)
    sample: Any = {"bytes": data, "read": read(data), "path": read(path), "memoryview": memoryview(data)}[given]
    spec = image_spec(form)
    encoded = blob(sample, spec)
    assert encoded == Encoded(data, (10, 14, 3))
    decoded = KIND.decode(encoded.data, spec, shape=encoded.shape)
    np.testing.assert_array_equal(
        decoded, np.asarray(Image.open(path)).reshape(10, 14, 3) if form != "jpeg" else decoded
    )


def test_other_compressions_are_transcoded(pixels: Callable[..., np.ndarray], pil: Callable[..., bytes]) -> None:
    array = pixels(10, 14, 3)
    png = blob(read(pil(array, "bmp")), image_spec("png"))
    assert png.data.startswith(b"\x89PNG")
    np.testing.assert_array_equal(KIND.decode(png.data, image_spec("png")), array)
    jpeg = blob(pil(array, "png"), image_spec("jpeg"))
    assert jpeg.data.startswith(b"\xff\xd8")
    assert jpeg.shape == (10, 14, 3)


@pytest.mark.parametrize("compression", ["png", "lz4", "zstd", "tiff"])
def test_arrays_are_encoded(compression: str, pixels: Callable[..., np.ndarray]) -> None:
    array = pixels(10, 14, 3)
    spec = image_spec(compression)
    for sample in (array, Image.fromarray(array), array.tolist(), np.asfortranarray(array)):
        encoded = blob(sample, spec)
        assert encoded.shape == (10, 14, 3)
        np.testing.assert_array_equal(KIND.decode(encoded.data, spec), array)


def test_gray_images_among_colour_and_the_other_way_round(
    pixels: Callable[..., np.ndarray], pil: Callable[..., bytes]
) -> None:
    gray = pixels(10, 14)
    for form in ("jpeg", "png"):
        spec = image_spec(form)
        kept = blob(pil(gray, form), spec)
        assert kept.shape == (10, 14, 1)
        assert KIND.decode(kept.data, spec).shape == (10, 14, 1)
        assert blob(gray, spec).shape == (10, 14, 1)
        flat = resolve([gray], settings("image", {"sample_compression": form}))
        assert flat.ndim == 2
        assert blob(gray[..., None], flat).shape == (10, 14)
        assert KIND.decode(blob(gray[..., None], flat).data, flat).shape == (10, 14)
        with pytest.raises(TensorInvalidSampleShapeError, match="have 2"):
            blob(pil(pixels(4, 4, 3), form), flat)


def test_plain_images(pixels: Callable[..., np.ndarray], pil: Callable[..., bytes]) -> None:
    spec = image_spec(None)
    batch = np.stack([pixels(4, 6, 3)] * 3)
    assert prepare_many(batch, spec).stacked is batch
    mixed = prepare_many([pixels(4, 6, 3), pil(pixels(4, 6, 3), "png"), read(pil(pixels(5, 5), "png")), None], spec)
    assert mixed.shapes is not None
    assert mixed.shapes.tolist() == [[4, 6, 3], [4, 6, 3], [5, 5, 1], [0, 0, 0]]
    np.testing.assert_array_equal(mixed.arrays[1], batch[0])  # type: ignore[index]


def test_resolving(pixels: Callable[..., np.ndarray], pil: Callable[..., bytes]) -> None:
    given = settings("image", {"sample_compression": "png"})
    spec = resolve([None, read(pil(pixels(4, 4, dtype="uint16"), "png"))], given)
    assert (spec.dtype, spec.ndim) == (np.uint16, 2)
    spec = resolve([None], given)
    assert (spec.dtype, spec.ndim) == (np.uint8, 3)
    assert blob(None, spec) == Encoded(b"", (0, 0, 0))
    assert KIND.decode(b"", spec).shape == (0, 0, 0)
    for bad in (np.zeros(4, "uint8"), np.zeros((1, 2, 3, 4), "uint8"), 5):
        with pytest.raises(TensorInvalidSampleShapeError, match=r"\(h, w\)"):
            resolve([bad], given)


def test_many_images_on_threads(pixels: Callable[..., np.ndarray], pil: Callable[..., bytes]) -> None:
    spec = image_spec("png")
    arrays = [np.full((3 + k % 4, 5, 3), k, "uint8") for k in range(50)]
    prepared = prepare_many(arrays, spec)
    assert prepared.blobs is not None
    assert prepared.shapes is not None
    assert prepared.shapes.tolist() == [list(a.shape) for a in arrays]
    for array, data in zip(arrays, prepared.blobs, strict=True):
        np.testing.assert_array_equal(KIND.decode(data, spec), array)
    with pytest.raises(TensorInvalidSampleShapeError, match="sample 37 of 50"):
        prepare_many([*arrays[:37], np.zeros(3, "uint8"), *arrays[38:]], spec)
    assert len(prepare_many([], spec)) == 0
    stack = prepare_many(np.stack(arrays[::4]), spec)
    assert stack.shape == (3, 5, 3)


def test_dtypes(pixels: Callable[..., np.ndarray], pil: Callable[..., bytes]) -> None:
    deep = pil(pixels(4, 4, dtype="uint16"), "png")
    with pytest.raises(TensorDtypeMismatchError, match=r"png of dtype uint16 .* dtype='uint16'"):
        blob(deep, image_spec("png"))
    wide = image_spec("png", 2, dtype="uint16")
    shallow = blob(pil(pixels(4, 4), "png"), wide)
    assert KIND.decode(shallow.data, wide).dtype == np.uint16
    with pytest.raises(TensorDtypeMismatchError, match="float64"):
        blob(np.zeros((4, 4, 3)), image_spec("png"))
    with pytest.raises(SampleCompressionError, match="jpeg holds"):
        blob(np.zeros((4, 4, 4), "uint8"), image_spec("jpeg"))


def test_bad_files(pixels: Callable[..., np.ndarray], pil: Callable[..., bytes], tmp_path: Any) -> None:
    spec = image_spec("jpeg")
    with pytest.raises(CorruptedSampleError, match="no file of a kind"):
        blob(b"this is no image at all", spec)
    with pytest.raises(SampleReadError, match=r"missing\.jpg': No such file"):
        blob(read(tmp_path / "missing.jpg"), spec)
    (tmp_path / "text.jpg").write_text("hello")
    with pytest.raises(CorruptedSampleError, match="not a JPEG"):
        blob(read(tmp_path / "text.jpg"), spec)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), "uint8")
    for form in ("jpeg", "png"):
        whole = pil(noise, form)
        for length in (20, len(whole) // 2, len(whole) - 200):
            with pytest.raises(CorruptedSampleError):
                blob(whole[:length], image_spec(form))
    with pytest.raises(CorruptedSampleError, match="sample 1 of 2"):
        prepare_many([noise, b"abc"], spec)
    with pytest.raises(SampleHtypeMismatchError, match=r"zlake\.read"):
        blob("cat.jpg", spec)


def test_a_jpeg_without_end_marker_but_all_pixels_is_kept(pixels: Callable[..., np.ndarray]) -> None:
    data = codec("jpeg").encode(pixels(16, 16, 3))
    assert data.endswith(b"\xff\xd9")
    padded = data + bytes(40)
    assert blob(padded, image_spec("jpeg")).data == padded


def test_decode_into_out(pixels: Callable[..., np.ndarray]) -> None:
    spec = image_spec("jpeg")
    data = blob(pixels(8, 8, 3), spec).data
    out = np.zeros((8, 8, 3), "uint8")
    assert KIND.decode(data, spec, shape=(8, 8, 3), out=out) is out
    assert out.any()
    with pytest.raises(SampleDecompressionError, match="on record"):
        KIND.decode(data, spec, shape=(8, 9, 3))
    assert KIND.releases_gil(spec)
    assert KIND.data(out, spec) == {"value": out, "sample_info": {}}


@pytest.mark.parametrize("compression", [None, "png", "jpeg"])
def test_rgb_and_gray_convert_every_image(
    compression: str | None, pixels: Callable[..., np.ndarray], pil: Callable[..., bytes]
) -> None:
    palette = Image.fromarray(pixels(8, 8, 3)).quantize(8)
    given: list[Any] = [
        pixels(8, 8),
        pixels(8, 8, 1),
        pixels(8, 8, 2),
        pixels(8, 8, 3),
        pixels(8, 8, 4),
        read(pil(pixels(8, 8), "jpeg")),
        pil(pixels(8, 8, 3), "jpeg"),
        pil(pixels(8, 8, 4), "png"),
        read(pil(palette, "png")),
        pil(Image.new("CMYK", (8, 8)), "jpeg"),
        None,
    ]
    for name, bands in (("image.rgb", 3), ("image.gray", 1)):
        spec = settings(name, {"sample_compression": compression})
        prepared = prepare_many(given, spec)
        assert prepared.shapes is not None
        assert prepared.shapes.tolist() == [[8, 8, bands]] * 10 + [[0, 0, 0]]
        for sample in given[:-1]:
            found = prepare(sample, spec)
            array = htype(name).decode(found.data, spec) if isinstance(found, Encoded) else found
            assert (array.shape, array.dtype) == ((8, 8, bands), np.uint8)
        batch = prepare_many(np.zeros((3, 8, 8, bands), "uint8"), spec)
        assert batch.shape == (8, 8, bands)
        assert prepare_many(np.zeros((3, 8, 8, 4 - bands), "uint8"), spec).shape == (8, 8, bands)


def test_conversion_keeps_files_that_fit_and_values(
    pixels: Callable[..., np.ndarray], pil: Callable[..., bytes]
) -> None:
    data = pil(pixels(8, 8, 3), "jpeg")
    assert blob(data, settings("image.rgb", {"sample_compression": "jpeg"})).data == data
    gray = pil(pixels(8, 8), "png")
    assert blob(gray, settings("image.gray", {"sample_compression": "png"})) == Encoded(gray, (8, 8, 1))
    red = np.zeros((2, 2, 3), "uint8")
    red[..., 0] = 200
    plain = settings("image.gray", {"sample_compression": None})
    assert prepare(red, plain).reshape(-1).tolist() == [60] * 4  # type: ignore[union-attr]
    for bad, why in (
        (np.zeros((4, 4), "float32"), "uint8"),
        (np.zeros((4, 4, 7), "uint8"), "channels"),
        (np.zeros(3, "uint8"), "channels"),
    ):
        with pytest.raises((SampleHtypeMismatchError, TensorInvalidSampleShapeError), match=why):
            prepare(bad, plain)
