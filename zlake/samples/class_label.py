"""htype ``class_label``: class indices, given as numbers or names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zlake.errors import SampleHtypeMismatchError
from zlake.samples.arrays import INTEGERS, each_sample, prepare_array
from zlake.samples.cast import cast, to_array
from zlake.samples.htypes import HType, names_of
from zlake.samples.names import ClassNames
from zlake.samples.prepared import Prepared
from zlake.samples.present import label_text
from zlake.samples.settings import Extra
from zlake.samples.spec import TensorSpec
from zlake.types import Array


class ClassLabel(HType):
    """Class indices ``(n,) uint32``; names are turned into indices, and unknown names are added.

    Integers of any dtype are judged by value here, since an index means the same in each.
    """

    name = "class_label"
    dtype = np.dtype(np.uint32)
    empty_ndim = 1
    compressions = frozenset(("lz4", "zstd"))
    keys = frozenset(("class_names",))

    def extra(self, name: str, settings: Mapping[str, Any]) -> Extra:
        """Take ``class_names``, a list of strings, into the names and the info."""
        names = ClassNames(settings.get("class_names") or ())
        return Extra(info={"class_names": list(names.values)}, names=names)

    def form(self, sample: Any, spec: TensorSpec) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """Return uint32 and the shape of the label or labels; names count as numbers."""
        if _is_text(sample):
            return np.dtype(np.uint32), np.shape(sample) or (1,)
        if isinstance(sample, (list, tuple)) and any(isinstance(leaf, str) for leaf in sample):
            return np.dtype(np.uint32), (len(sample),)
        return super().form(sample, spec)

    def array(self, sample: Any, spec: TensorSpec) -> Array:
        """Return the labels of one sample as indices."""
        if type(sample) in INTEGERS and spec.dtype is not None and spec.ndim is not None:
            return prepare_array(sample, spec.dtype, spec.ndim)
        return super().array(self._numbers(sample, spec), spec)

    def part(self, value: Any, spec: TensorSpec) -> Array:
        """Return labels for a part of a sample as indices."""
        return super().part(self._numbers(value, spec), spec)

    def prepare_many(self, samples: Any, spec: TensorSpec) -> Prepared:
        """Return the labels of many samples as indices."""
        if spec.sample_compression is not None:
            return super().prepare_many(samples, spec)
        if isinstance(samples, np.ndarray):
            return super().prepare_many(self._numbers(samples, spec), spec)
        samples = samples if isinstance(samples, (list, tuple)) or hasattr(samples, "__array__") else list(samples)
        if not isinstance(samples, (list, tuple)):
            return super().prepare_many(self._numbers(np.asarray(samples), spec), spec)
        types = set(map(type, samples))
        if types <= {str, np.str_}:
            return super().prepare_many(self._numbers(np.array(samples, dtype=object), spec), spec)
        if any(issubclass(each, (str, list, tuple, np.ndarray)) for each in types):
            samples = each_sample(lambda sample: self._numbers(sample, spec), samples)
        return super().prepare_many(samples, spec)

    def data(self, value: Any, spec: TensorSpec) -> dict[str, Any]:
        """Return the indices, and the names as ``text`` where there are any."""
        return {"value": value, "text": label_text(value, spec.names)} if spec.names else {"value": value}

    def _numbers(self, sample: Any, spec: TensorSpec) -> Any:
        if _is_text(sample):
            return self._indices(sample, spec)
        if isinstance(sample, (list, tuple)) and any(isinstance(leaf, str) for leaf in sample):
            names = names_of(spec)
            return [names.index_of(leaf) if isinstance(leaf, str) else leaf for leaf in sample]
        if isinstance(sample, np.ndarray) and sample.dtype.kind in "iu" and spec.dtype is not None:
            array, _ = to_array(sample)
            return cast(array, spec.dtype, by_value=True)
        return sample

    def _indices(self, sample: Any, spec: TensorSpec) -> Array:
        names = names_of(spec)
        texts = np.asarray(sample, dtype=object)
        flat: list[Any] = texts.reshape(-1).tolist()
        for text in dict.fromkeys(flat):
            if not isinstance(text, str):
                raise SampleHtypeMismatchError(
                    f"a class label is an index or a name; got {text!r} ({type(text).__name__})"
                )
            names.index_of(text)
        numbers = np.fromiter(map(names.find, flat), np.uint32, len(flat))
        return numbers.astype(spec.dtype or np.uint32, copy=False).reshape(texts.shape or (1,))


def _is_text(sample: Any) -> bool:
    if isinstance(sample, np.ndarray):
        return sample.dtype.kind in "UT" or (
            sample.dtype.kind == "O" and sample.size > 0 and isinstance(sample.flat[0], str)
        )
    return isinstance(sample, str)
