"""htypes ``image``, ``image.rgb`` and ``image.gray``."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL.Image

from zlake.errors import SampleHtypeMismatchError, TensorInvalidSampleShapeError
from zlake.samples.arrays import each_sample
from zlake.samples.cast import to_array
from zlake.samples.codecs import codec, compressions
from zlake.samples.htypes import HType, as_sample
from zlake.samples.prepared import Prepared
from zlake.samples.sample import Sample
from zlake.samples.spec import TensorSpec
from zlake.types import Array

_IMAGE_COMPRESSIONS = frozenset(compressions())


class Image(HType):
    """Images ``(h, w)`` or ``(h, w, c)``, the rank fixed by the first; mostly uint8.

    With a ``sample_compression``, files of this compression are kept byte for byte and everything else is encoded.
    A gray image becomes ``(h, w, 1)`` where the others have three axes. The EXIF orientation is not applied.
    """

    name = "image"
    empty_dtype = np.dtype(np.uint8)
    empty_ndim = 3
    compressions = _IMAGE_COMPRESSIONS
    needs_compression = True
    channels = True
    keys = frozenset(("intrinsics",))

    def form(self, sample: Any, spec: TensorSpec) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """Return dtype and shape of a first image.

        Raises
        ------
        TensorInvalidSampleShapeError
            If it has other than two or three axes.
        """
        dtype, shape = super().form(sample, spec)
        if len(shape) not in (2, 3):
            raise TensorInvalidSampleShapeError(f"an image has shape (h, w) or (h, w, channels); got {shape}")
        return dtype, shape

    def data(self, value: Any, spec: TensorSpec) -> dict[str, Any]:
        """Return the pixels, and a place for what is known about the file."""
        return {"value": value, "sample_info": {}}


class Converted(Image):
    """Base of `image.rgb` and `image.gray`: every image is brought to one number of channels, uint8."""

    dtype = np.dtype(np.uint8)
    ndim = 3
    mode = "RGB"
    bands = 3

    def array(self, sample: Any, spec: TensorSpec) -> Array:
        """Return one image ``(h, w, bands) uint8``, converted where needed."""
        if sample is None:
            return super().array(sample, spec)
        return super().array(self._convert(as_sample(sample)), spec)

    def keeps(self, data: bytes, spec: TensorSpec) -> bool:
        """Return whether an encoded image has the right channels already."""
        shape = codec(spec.sample_compression or "").header(data).shape
        return (shape[2] if len(shape) == 3 else 1) == self.bands and self._is_plain(data, spec)

    def prepare_many(self, samples: Any, spec: TensorSpec) -> Prepared:
        """Return many images; an array that needs no conversion passes through."""
        plain = isinstance(samples, np.ndarray) and samples.ndim == 4 and samples.shape[3] == self.bands
        if spec.sample_compression is None and not plain:
            samples = each_sample(lambda sample: None if sample is None else self.array(sample, spec), list(samples))
        return super().prepare_many(samples, spec)

    def _is_plain(self, data: bytes, spec: TensorSpec) -> bool:
        # A palette image has one channel, but of indices: it must be converted.
        return spec.sample_compression in ("jpeg", "png") and Sample(buffer=data).pil.mode in ("L", "RGB")

    def _convert(self, sample: Any) -> Array:
        if isinstance(sample, Sample) and sample.compression is not None and codec(sample.compression).kind == "image":
            return self._from_pil(sample.pil)
        array, _ = to_array(sample)
        if (array.ndim == 3 and array.shape[2] == self.bands) or not array.size:
            return array
        pixels = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
        bands = pixels.shape[2] if pixels.ndim == 3 else 1
        if pixels.ndim not in (2, 3) or bands > 4:
            raise TensorInvalidSampleShapeError(
                f"an image has shape (h, w) or (h, w, 1 to 4 channels); got {array.shape}"
            )
        if pixels.dtype != np.uint8:
            raise SampleHtypeMismatchError(f"{self.name} converts uint8 images only; got {array.dtype} {array.shape}")
        return self._from_pil(PIL.Image.fromarray(np.ascontiguousarray(pixels)))

    def _from_pil(self, image: Any) -> Array:
        pixels = np.asarray(image.convert(self.mode))
        return pixels.reshape(*pixels.shape[:2], self.bands)


class RgbImage(Converted):
    """Colour images ``(h, w, 3) uint8``; gray is repeated, alpha dropped."""

    name = "image.rgb"


class GrayImage(Converted):
    """Gray images ``(h, w, 1) uint8``; colour is weighted as in ITU-R BT.601."""

    name = "image.gray"
    mode = "L"
    bands = 1
