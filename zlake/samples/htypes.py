"""What an htype is. `HType` itself is that of plain numeric arrays; each family overrides what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from zlake.errors import SampleDecompressionError, SampleError, TensorDtypeMismatchError
from zlake.samples.arrays import each_sample, fit_shape, prepare_array, prepare_arrays
from zlake.samples.cast import cast, to_array
from zlake.samples.codecs import codec
from zlake.samples.encoded import Encoded
from zlake.samples.fit import check_record
from zlake.samples.names import ClassNames
from zlake.samples.parallel import each_sample_threaded
from zlake.samples.prepared import Prepared
from zlake.samples.sample import Sample
from zlake.samples.settings import Extra, check_settings
from zlake.samples.sniff import Buffer
from zlake.samples.spec import TensorSpec
from zlake.samples.whole import check_whole
from zlake.types import Array


class HType:
    """A kind of sample: which values fit, how they are stored, what they are read back as.

    Attributes
    ----------
    name, version
        Together the key in the registry; version 1 is written as the name alone, version 2 as ``name@2``.
    dtype
        Dtype of the tensor where none is asked for; None lets the first sample decide.
    ndim
        Rank where it is always the same; None lets the first sample decide.
    empty_dtype, empty_ndim
        Taken instead where the first sample is None and so decides nothing; None refuses such a first sample.
    compressions
        Sample compressions that are allowed; None for all that are registered.
    needs_compression
        Whether ``sample_compression`` or ``chunk_compression`` must be given (None counts as given).
    document
        Whether samples are text or JSON instead of arrays.
    channels
        Whether ``(h, w)`` and ``(h, w, 1)`` fit each other's tensors.
    keys
        Settings of `create_tensor` beyond the common ones.
    """

    name = "generic"
    version = 1
    dtype: np.dtype[Any] | None = None
    ndim: int | None = None
    empty_dtype: np.dtype[Any] | None = None
    empty_ndim: int | None = None
    compressions: frozenset[str] | None = None
    needs_compression = False
    document = False
    channels = False
    keys: frozenset[str] = frozenset()

    def settings(self, name: str, kwargs: Mapping[str, Any], *, sequence: bool = False) -> TensorSpec:
        """Check the settings of a tensor to be created.

        Parameters
        ----------
        name
            Name of the tensor, for messages.
        kwargs
            Keyword arguments of `create_tensor`, as given (not those left at their defaults).
        sequence
            Whether a row is to be a list of samples.

        Returns
        -------
        TensorSpec

        Raises
        ------
        TensorMetaInvalidHtypeOverwriteKey
            If a setting is not known for this htype.
        TensorMetaInvalidHtypeOverwriteValue
            If a setting has a value that is not allowed.
        TensorMetaMissingRequiredValue
            If a compression must be given and is not.
        TensorMetaMutuallyExclusiveKeysError
            If both compressions are given.
        UnsupportedCompressionError
            If a compression is not known, or not for this htype.
        """
        return check_settings(self, name, kwargs, sequence)

    def extra(self, name: str, settings: Mapping[str, Any]) -> Extra:
        """Check the htype's own settings (those in `keys`) and say where they are kept."""
        return Extra(info=dict(settings))

    def is_encoded(self, spec: TensorSpec) -> bool:
        """Return whether samples are stored as bytes instead of plain arrays."""
        return spec.sample_compression is not None

    def is_resolved(self, spec: TensorSpec) -> bool:
        """Return whether dtype and rank are fixed."""
        return spec.dtype is not None and spec.ndim is not None

    def resolve(self, samples: Any, spec: TensorSpec) -> TensorSpec:
        """Return the spec with dtype and rank as the first of these samples fixes them; unchanged where fixed already.

        Parameters
        ----------
        samples
            Sequence, or array whose first axis counts samples. None among them decides nothing.
        spec
            Of the tensor.

        Raises
        ------
        SampleError
            If all samples are None and the htype does not say what an empty sample is.
        """
        if self.is_resolved(spec) or not len(samples):
            return spec
        first = next((sample for sample in samples if sample is not None), None)
        if first is None:
            dtype, ndim = spec.dtype or self.empty_dtype, spec.ndim or self.empty_ndim
            if dtype is None or ndim is None:
                raise SampleError(
                    "the first sample of a tensor cannot be None (empty): it decides the dtype and the number of axes; "
                    "append a sample with data first"
                )
            return replace(spec, dtype=dtype, ndim=ndim)
        dtype, shape = self.form(first, spec)
        return replace(spec, dtype=spec.dtype or dtype, ndim=spec.ndim or max(1, len(shape)))

    def form(self, sample: Any, spec: TensorSpec) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """Return dtype and shape that a first sample has of itself."""
        sample = as_sample(sample)
        if isinstance(sample, Sample):
            return sample.dtype, sample.shape
        array, _ = to_array(sample)
        return array.dtype, array.shape

    def prepare(self, sample: Any, spec: TensorSpec) -> Array | Encoded:
        """Return one sample as it is stored.

        Parameters
        ----------
        sample
            Array, number, list of numbers, `Sample`, anything with ``__array__``, or None for an empty sample.
        spec
            Of the tensor; where dtype or rank are open, this sample decides them.

        Returns
        -------
        Array or Encoded
            The array is C-contiguous, of the tensor's dtype and rank, and may be the caller's own.

        Raises
        ------
        TensorDtypeMismatchError, TensorInvalidSampleShapeError, SampleHtypeMismatchError
            If the sample does not fit the tensor.
        SampleReadError, CorruptedSampleError, SampleCompressionError
            If a file cannot be read or decoded, or the sample cannot be encoded.
        """
        if spec.dtype is None or spec.ndim is None:
            spec = self.resolve([sample], spec)
        return self.array(sample, spec) if spec.sample_compression is None else self.encode(sample, spec)

    def prepare_many(self, samples: Any, spec: TensorSpec) -> Prepared:
        """Return many samples as they are stored; the errors of `prepare`, with the position of the sample.

        Parameters
        ----------
        samples
            Sequence of samples, or one array whose first axis counts them.
        spec
            Of the tensor; where dtype or rank are open, the first sample decides them.
        """
        if not len(samples):
            return self._none(spec)
        spec = self.resolve(samples, spec)
        if spec.sample_compression is not None:
            samples = samples if isinstance(samples, (list, tuple, np.ndarray)) else list(samples)
            many = each_sample_threaded if codec(spec.sample_compression).kind == "image" else each_sample
            return pack(many(lambda sample: self.encode(sample, spec), samples))
        dtype, ndim = rank(spec)
        if isinstance(samples, (list, tuple)) and any(map(_is_file, set(map(type, samples)))):
            samples = each_sample(lambda sample: None if sample is None else self.array(sample, spec), samples)
        return prepare_arrays(samples, dtype, ndim, channels=self.channels)

    def array(self, sample: Any, spec: TensorSpec) -> Array:
        """Return one sample as a plain array of the tensor's dtype and rank."""
        dtype, ndim = rank(spec)
        if sample is None:
            return np.zeros((0,) * ndim, dtype)
        sample = as_sample(sample)
        return prepare_array(
            sample.array if isinstance(sample, Sample) else sample, dtype, ndim, channels=self.channels
        )

    def part(self, value: Any, spec: TensorSpec) -> Array:
        """Return what is assigned to a part of a sample, in the tensor's dtype and of any shape that broadcasts.

        Raises
        ------
        SampleError
            If it does not cast safely.
        """
        array, by_value = to_array(value)
        return cast(array, rank(spec)[0], by_value=by_value)

    def encode(self, sample: Any, spec: TensorSpec) -> Encoded:
        """Return one sample encoded; bytes of the tensor's own compression are kept as they are."""
        sample = as_sample(sample)
        wanted = codec(spec.sample_compression or "")
        if isinstance(sample, Sample) and wanted.kind == "image":
            data = sample.buffer
            if sample.compression_of(data) == wanted.name and self.keeps(data, spec):
                return self._keep(data, spec)
        array = self.array(sample, spec)
        if not array.size:
            return Encoded(b"", array.shape)
        data = wanted.encode(array)
        check_record(wanted.header(data), array.shape, array.dtype, wanted.name)
        return Encoded(data, array.shape)

    def keeps(self, data: bytes, spec: TensorSpec) -> bool:
        """Return whether encoded bytes of the tensor's compression can be stored as they are."""
        return True

    def decode(
        self, data: Buffer, spec: TensorSpec, shape: tuple[int, ...] | None = None, out: Array | None = None
    ) -> Any:
        """Return a stored sample decoded.

        Parameters
        ----------
        data
            The stored bytes.
        spec
            Of the tensor.
        shape
            The recorded shape of the decoded array; needed for general compressors and empty samples.
        out
            Array of that shape to decode into.

        Returns
        -------
        Array, str, dict or list

        Raises
        ------
        CorruptedSampleError, SampleDecompressionError
            If the bytes cannot be decoded, or not to the recorded shape.
        """
        if spec.sample_compression is None:
            raise SampleDecompressionError(
                "samples of this tensor are stored as plain arrays: there is nothing to decode"
            )
        if not len(data):
            empty = np.zeros((0,) * (spec.ndim or 1) if shape is None else shape, spec.dtype or np.uint8)
            if empty.size:
                raise SampleDecompressionError(f"no bytes are stored for a sample of shape {shape}")
            return empty if out is None else out
        array = codec(spec.sample_compression).decode(data, shape=shape, dtype=spec.dtype, out=out)
        if spec.ndim is None or array.ndim == spec.ndim:
            return array
        return array.reshape(fit_shape(array.shape, spec.ndim, channels=self.channels))

    def releases_gil(self, spec: TensorSpec) -> bool:
        """Return whether decoding on several threads at once pays."""
        return spec.sample_compression is not None and codec(spec.sample_compression).releases_gil

    def to_numpy(self, value: Any) -> Array:
        """Return one decoded sample as ``numpy()`` shows it."""
        return np.asarray(value)

    def as_arrays(self, values: Sequence[Any]) -> list[Any]:
        """Return decoded samples as ``numpy(aslist=True)`` shows them."""
        return [self.to_numpy(value) for value in values]

    def data(self, value: Any, spec: TensorSpec) -> dict[str, Any]:
        """Return what ``Tensor.data()`` shows: what ``numpy()`` returned as ``value``, and what belongs to it."""
        return {"value": value}

    def _none(self, spec: TensorSpec) -> Prepared:
        if spec.sample_compression is not None:
            return Prepared(blobs=[], shapes=np.empty((0, spec.ndim or 1), np.int64))
        return Prepared(stacked=np.empty((0,) * (1 + (spec.ndim or 1)), spec.dtype))

    def _keep(self, data: bytes, spec: TensorSpec) -> Encoded:
        wanted = codec(spec.sample_compression or "")
        header = wanted.header(data)
        dtype, ndim = rank(spec)
        if not np.can_cast(header.dtype, dtype):
            raise TensorDtypeMismatchError(
                f"a {wanted.name} of dtype {header.dtype} does not cast safely to the tensor's dtype {dtype}; "
                f"convert it first, or give the tensor dtype={str(header.dtype)!r}"
            )
        shape = fit_shape(header.shape, ndim, channels=self.channels)
        check_whole(wanted, data)
        return Encoded(data, shape)

    def __repr__(self) -> str:
        return f"<htype {self.name}>"


def as_sample(sample: Any) -> Any:
    """Return encoded bytes as a `Sample`; anything else as it is."""
    return Sample(buffer=bytes(sample)) if isinstance(sample, (bytes, bytearray, memoryview)) else sample


def rank(spec: TensorSpec) -> tuple[np.dtype[Any], int]:
    """Return dtype and rank of a resolved spec."""
    if spec.dtype is None or spec.ndim is None:
        raise ValueError(f"the dtype and rank of a {spec.htype} tensor are not fixed yet: resolve its spec first")
    return spec.dtype, spec.ndim


def pack(encoded: Sequence[Encoded]) -> Prepared:
    """Return encoded samples as one `Prepared`."""
    blobs = [each.data for each in encoded]
    shapes = [each.shape for each in encoded if each.shape is not None]
    if shapes:
        return Prepared(blobs=blobs, shapes=np.array(shapes, np.int64))
    return Prepared(blobs=blobs)


def names_of(spec: TensorSpec) -> ClassNames:
    """Return the spec's class names, or fresh ones that nobody keeps."""
    return spec.names if spec.names is not None else ClassNames()


def _is_file(kind: type) -> bool:
    return issubclass(kind, (Sample, bytes, bytearray, memoryview))
