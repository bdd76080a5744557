"""Encoded samples to arrays and documents, side by side on threads, into memory that batches share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np

from zlake.session.column import Column
from zlake.types import Array, IntArray

_FEW = 4  # fewer samples than this are decoded where they are asked for


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
    column: Column, blobs: Sequence[Any], shapes: Callable[[], IntArray], *, threads: bool
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
        Decode on this process's pool where that pays; not for callers that are one of several threads themselves.

    Returns
    -------
    Array or list
        One array ``(n, *shape)`` where all samples have one shape; else a list of arrays that share memory with each
        other only; documents as they are.
    """
    spec, decode = column.spec, column.htype.decode
    pool = _decoders(column.session.context.threads) if threads and len(blobs) >= _FEW else None
    if pool is None or not column.htype.releases_gil(spec):
        run: Callable[..., Any] = map
    else:
        run = pool.map
    if column.htype.document:
        return list(run(lambda blob: decode(blob, spec), blobs))
    # one large buffer for all: it gets huge pages, which cost a tenth of small ones to touch
    forms = shapes()
    sizes = forms.prod(axis=1)
    slab = np.empty(int(sizes.sum()), spec.dtype)
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
    found = list(run(lambda blob, out: decode(blob, spec, out.shape, out), blobs, outs))
    return whole if one_shape else found
