"""What reading a tensor returns to the user, by htype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zlake.errors import DynamicTensorNumpyError, SampleHtypeMismatchError
from zlake.samples.spec import ClassNames, TensorSpec
from zlake.types import Array

_DOCUMENTS = {"text", "json", "list", "tag"}


def is_document(spec: TensorSpec) -> bool:
    """Return whether decoded samples are text or JSON values instead of arrays."""
    return spec.htype in _DOCUMENTS


def dtype_of(spec: TensorSpec) -> np.dtype[Any] | None:
    """Return the dtype that `numpy` gives: that of strings for text, object for json, list and tag, else the tensor's."""
    if not is_document(spec):
        return spec.dtype
    return np.dtype(np.str_) if spec.htype == "text" else np.dtype(object)


def shape_of(value: Any, spec: TensorSpec) -> tuple[int, ...]:
    """Return the shape of one decoded document: ``(1,)`` for text and json, ``(n,)`` for list and tag."""
    return (len(value),) if spec.htype in ("list", "tag") else (1,)


def numpy_one(value: Any, spec: TensorSpec) -> Array:
    """Return one decoded document as an array.

    Parameters
    ----------
    value
        As `HType.decode` returns it.
    spec
        Of the tensor.

    Returns
    -------
    Array
        text ``(1,) <U`` (NumPy drops trailing NUL characters; `Tensor.text` does not), json ``(1,) object``,
        list and tag ``(n,) object``. Arrays come back as they are.
    """
    if not is_document(spec):
        return np.asarray(value)
    if spec.htype == "text":
        return np.array([value], dtype=np.str_)
    return _objects(value if spec.htype in ("list", "tag") else [value])


def numpy_many(values: Sequence[Any], spec: TensorSpec, *, aslist: bool = False) -> Array | list[Array]:
    """Return many decoded documents as one array, or as a list of arrays.

    Returns
    -------
    Array or list of Array
        text ``(n, 1) <U``, json ``(n, 1) object``, list and tag ``(n, k) object``; with `aslist` as `numpy_one` each.

    Raises
    ------
    DynamicTensorNumpyError
        If lists of different lengths are asked for as one array.
    """
    if aslist:
        return [numpy_one(value, spec) for value in values]
    if spec.htype == "text":
        return np.array(values, dtype=np.str_).reshape(len(values), 1)
    if spec.htype == "json":
        return _objects(values).reshape(len(values), 1)
    lengths = sorted({len(value) for value in values})
    if len(lengths) > 1:
        raise DynamicTensorNumpyError(
            f"{spec.htype} samples of {lengths[0]} to {lengths[-1]} elements do not make one array; use numpy(aslist=True)"
        )
    width = lengths[0] if lengths else 0
    return _objects([item for value in values for item in value]).reshape(len(values), width)


def data(value: Any, spec: TensorSpec, sample_info: Any = None) -> dict[str, Any]:
    """Return what ``Tensor.data()`` shows.

    Parameters
    ----------
    value
        What ``numpy()`` returns; of documents the decoded values: one, or a list of them.
    spec
        Of the tensor.
    sample_info
        What is known about the files of images, one dictionary or a list of them.

    Returns
    -------
    dict
        ``value``; of class labels with names also ``text``, of images also ``sample_info``.
    """
    shown = {"value": value}
    if spec.htype == "class_label" and spec.names is not None and len(spec.names):
        shown["text"] = label_text(value, spec.names)
    elif spec.htype.partition(".")[0] == "image":
        shown["sample_info"] = {} if sample_info is None else sample_info
    return shown


def label_text(labels: Any, names: ClassNames) -> Any:
    """Return class names, nested as the labels are; an index without a name becomes its digits."""
    if isinstance(labels, (list, tuple)):
        return [label_text(each, names) for each in labels]
    if isinstance(labels, np.ndarray) and labels.ndim:
        return [label_text(each, names) for each in labels]
    index = int(labels)
    return names.values[index] if index < len(names.values) else str(index)


def text(value: Any, spec: TensorSpec) -> Any:
    """Return decoded text (one string or a list of them), or raise for another htype."""
    return _only(value, spec, "text", ("text",))


def as_dict(value: Any, spec: TensorSpec) -> Any:
    """Return decoded json (one value or a list of them), or raise for another htype."""
    return _only(value, spec, "dict", ("json",))


def as_list(value: Any, spec: TensorSpec) -> Any:
    """Return decoded lists or tags (one or a list of them), or raise for another htype."""
    return _only(value, spec, "list", ("list", "tag"))


def _only(value: Any, spec: TensorSpec, method: str, allowed: tuple[str, ...]) -> Any:
    if spec.htype not in allowed:
        raise SampleHtypeMismatchError(
            f"{method}() is for htype {' and '.join(allowed)}; this tensor has htype {spec.text}"
        )
    return value


def _objects(values: Sequence[Any]) -> Array:
    # np.array would look inside lists and make more axes of them.
    array = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        array[index] = value
    return array
