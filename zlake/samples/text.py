"""htype ``text``: one string per sample."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from zlake.errors import CorruptedSampleError, SampleHtypeMismatchError, TensorMetaInvalidHtypeOverwriteValue
from zlake.samples.document import Document, as_list
from zlake.samples.encoded import Encoded
from zlake.samples.prepared import Prepared
from zlake.samples.settings import Extra
from zlake.samples.sniff import Buffer
from zlake.samples.spec import TensorSpec
from zlake.types import Array


class Text(Document):
    """Strings of any length, stored as UTF-8; numbers are turned into text, None is the empty string."""

    name = "text"
    keys = frozenset(("dtype",))

    def extra(self, name: str, settings: Mapping[str, Any]) -> Extra:
        """Accept ``dtype=str``, which says nothing new."""
        if settings.get("dtype") not in (None, str, "str"):
            raise TensorMetaInvalidHtypeOverwriteValue(
                f"tensor {name!r}: text has dtype str, not {settings['dtype']!r}"
            )
        return Extra()

    def dump(self, sample: Any, spec: TensorSpec) -> Encoded:
        """Return one string as UTF-8.

        Raises
        ------
        SampleHtypeMismatchError
            If the sample is neither a string nor a number, or cannot be written as UTF-8.
        """
        text = sample if type(sample) is str else _text(sample)
        try:
            return Encoded(text.encode(), None)
        except UnicodeEncodeError as error:
            raise SampleHtypeMismatchError(f"{text!r:.80} is not valid Unicode text: {error.reason}") from error

    def load(self, data: Buffer, spec: TensorSpec) -> str:
        """Return the string."""
        try:
            return str(data, "utf-8")
        except UnicodeDecodeError as error:
            raise CorruptedSampleError(f"stored bytes are not UTF-8 text: {error.reason}") from error

    def to_numpy(self, value: Any) -> Array:
        """Return the string as ``(1,) <U``; NumPy drops trailing NUL characters, ``Tensor.text`` does not."""
        return np.array([value], dtype=np.str_)

    def prepare_many(self, samples: Any, spec: TensorSpec) -> Prepared:
        """Return many strings as UTF-8; see `HType.prepare_many`."""
        items = as_list(samples)
        if spec.sample_compression is None and set(map(type, items)) == {str}:
            with suppress(UnicodeEncodeError):  # the loop below says which
                return Prepared(blobs=list(map(str.encode, items)))
        return super().prepare_many(items, spec)


def _text(sample: Any) -> str:
    if sample is None:
        return ""
    if isinstance(sample, str):
        return str(sample)
    if isinstance(sample, (bool, int, float, complex, np.number, np.bool_)):
        return str(sample)
    if isinstance(sample, (list, tuple)) and len(sample) == 1:
        return _text(sample[0])
    if isinstance(sample, np.ndarray) and sample.size == 1:
        return _text(sample.item())
    raise SampleHtypeMismatchError(
        f"a text sample is one string; got {type(sample).__name__} ({sample!r:.60}); "
        "use htype list or tag for several, json for structure"
    )
