"""What text, json, list and tag have in common: samples that are documents, stored as encoded rows of UTF-8."""

from __future__ import annotations

from typing import Any, cast

from zlake.errors import SampleDecompressionError
from zlake.samples.arrays import each_sample
from zlake.samples.bytecodec import ByteCodec
from zlake.samples.codecs import codec
from zlake.samples.encoded import Encoded
from zlake.samples.htypes import HType, pack
from zlake.samples.prepared import Prepared
from zlake.samples.sniff import Buffer
from zlake.samples.spec import TensorSpec
from zlake.types import Array


class Document(HType):
    """Base of the document htypes: they have no dtype, and rank 1 as far as shapes go."""

    document = True
    ndim = 1
    compressions = frozenset(("lz4", "zstd"))

    def dump(self, sample: Any, spec: TensorSpec) -> Encoded:
        """Return one sample, None included, as UTF-8."""
        raise TypeError(f"{type(self).__name__} must override dump")

    def load(self, data: Buffer, spec: TensorSpec) -> Any:
        """Return the sample that `dump` made into these bytes."""
        raise TypeError(f"{type(self).__name__} must override load")

    def is_encoded(self, spec: TensorSpec) -> bool:
        """Return True."""
        return True

    def is_resolved(self, spec: TensorSpec) -> bool:
        """Return True: the first sample decides nothing."""
        return True

    def prepare(self, sample: Any, spec: TensorSpec) -> Array | Encoded:
        """Return one sample as UTF-8, compressed where the tensor asks for it; see `HType.prepare`."""
        encoded = self.dump(sample, spec)
        return Encoded(self._compress(encoded.data, spec), encoded.shape) if spec.sample_compression else encoded

    def prepare_many(self, samples: Any, spec: TensorSpec) -> Prepared:
        """Return many samples as UTF-8; see `HType.prepare_many`."""
        items = as_list(samples)
        return pack(each_sample(lambda sample: self.prepare(sample, spec), items))

    def decode(
        self, data: Buffer, spec: TensorSpec, shape: tuple[int, ...] | None = None, out: Array | None = None
    ) -> Any:
        """Return the stored sample: str, or a JSON value; see `HType.decode`."""
        if spec.sample_compression:
            compressor = _compressor(spec)
            data = compressor.decompress(data, compressor.decompressed_size(data))
        return self.load(data, spec)

    def _compress(self, data: bytes, spec: TensorSpec) -> bytes:
        return _compressor(spec).compress(data)


def as_list(samples: Any) -> list[Any]:
    """Return samples as a list of Python objects; arrays of text or objects are unpacked."""
    if isinstance(samples, list):
        return samples
    return samples.tolist() if hasattr(samples, "tolist") else list(samples)


def _compressor(spec: TensorSpec) -> ByteCodec:
    found = codec(spec.sample_compression or "")
    if found.kind != "bytes":
        raise SampleDecompressionError(f"{found.name} does not hold {spec.htype} samples")
    return cast(ByteCodec, found)
