"""Encoded samples to arrays and documents, side by side on threads, into memory that batches share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import chain
from typing import Any

import numpy as np

from zlake.segments.slabs import empty
from zlake.session.column import Column
from zlake.types import Array, IntArray

_FEW = 4  # fewer samples than this are decoded where they are asked for
_PIECE = 16  # samples that a thread takes at once, at most: handing over one costs as much as decoding a small one


@cache
def _decoders(threads: int) -> ThreadPoolExecutor:
    """Return the process's pool of decoding threads; decoders release the GIL."""
    return ThreadPoolExecutor(threads, thread_name_prefix="zlake-decode")


def decode_one(column: Column, blob: bytes, shape: Callable[[], tuple[int, ...]]) -> Any:
    """Return one decoded sample, asking for its recorded shape where no bytes say it."""
    if column.htype.document or blob:
        return column.htype.decode(blob, column.spec)
    return column.htype.decode(blob, column.spec, shape())


def decode_many(
    column: Column, blobs: Sequence[Any], shapes: Callable[[], IntArray], *, threads: int | None = None
) -> Array | list[Any]:
    """Return many decoded samples.

    Parameters
    ----------
    column
        The tensor.
    blobs
        Their bytes.
    shapes
        Their recorded shapes ``(n, ndim)``, asked for where samples are arrays.
    threads
        How many of this process's threads decode; None for as many as the context says.

    Returns
    -------
    Array or list
        One array ``(n, *shape)`` where all samples have one shape; else a list of arrays that share memory with each
        other only; documents as they are.
    """
    spec, decode = column.spec, column.htype.decode
    alone = len(blobs) < _FEW or not column.htype.releases_gil(spec)
    threads = 1 if alone else threads or column.session.context.threads
    if column.htype.document:
        return _spread(lambda blob: decode(blob, spec), threads, blobs)
    # one large buffer for all: its pages are huge, or there already
    forms = shapes()
    sizes = forms.prod(axis=1)
    slab = empty((int(sizes.sum()),), np.dtype(spec.dtype))
    one_shape = len(forms) > 0 and bool((forms == forms[0]).all())
    outs: Sequence[Array]
    if one_shape:
        whole = slab.reshape(len(forms), *forms[0].tolist())
        outs = list(whole)
    else:
        ends = np.cumsum(sizes).tolist()
        outs = [
            slab[end - size : end].reshape(form)
            for end, size, form in zip(ends, sizes.tolist(), forms.tolist(), strict=True)
        ]
    found = _spread(lambda blob, out: decode(blob, spec, out.shape, out), threads, blobs, outs)
    return whole if one_shape else found


def _spread(function: Callable[..., Any], threads: int, *arguments: Sequence[Any]) -> list[Any]:
    """Return what the function makes of each sample, on several threads where there are."""
    if threads < 2:
        return list(map(function, *arguments))
    count = len(arguments[0])
    size = max(1, min(_PIECE, count // (2 * threads)))

    def piece(start: int) -> list[Any]:
        return list(map(function, *(each[start : start + size] for each in arguments)))

    return list(chain.from_iterable(_decoders(threads).map(piece, range(0, count, size))))
