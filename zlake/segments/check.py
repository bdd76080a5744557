"""Whether the columns of a block fit together: asked before anything of it is written."""

from __future__ import annotations

from operator import attrgetter
from typing import NoReturn

import numpy as np

from zlake import limits
from zlake.errors import InvalidBlockError
from zlake.segments.block import Block
from zlake.segments.codecs import is_storable
from zlake.segments.pieces import Pieces
from zlake.types import Array

_MANY = 4096
_dtype = attrgetter("dtype")


def check_block(block: Block, name: str) -> Pieces:
    """Return the values of a block, once all of its columns are known to fit together.

    Parameters
    ----------
    block
        Rows of one tensor.
    name
        What an error calls the tensor.

    Returns
    -------
    Pieces
        The values, shaped as ``values-data``.

    Raises
    ------
    InvalidBlockError
        If a column has the wrong type, rank or length, or offsets that do not grow.
    """
    if not is_storable(block.dtype):
        _fail(name, f"dtype {block.dtype!r} cannot be stored; native booleans, integers, floats and complex can")
    if len(block.shape) > limits.MAX_NDIM:
        _fail(name, f"samples have {len(block.shape)} axes; at most {limits.MAX_NDIM} can be stored")
    _check_column(block.ids, np.uint64, 1, None, name, "ids")
    if not block.rows:
        _fail(name, "there are no rows; a tensor without rows is left out of the segment")
    if block.sequence_offsets is not None:
        _check_offsets(block.sequence_offsets, block.rows, name, "sequence_offsets")
    if block.layout == "dense":
        if block.offsets is not None or block.shapes is not None:
            _fail(name, "a dense block has neither offsets nor shapes")
        length = block.items
    else:
        length = _check_flat(block, name)
    return _pieces(block, length, name)


def _check_flat(block: Block, name: str) -> int:
    """Check the columns of a ragged or encoded block and return how many elements it must have."""
    if block.shape:
        _fail(name, f"a {block.layout} block has no common sample shape, yet {block.shape} was given")
    if block.layout == "encoded" and block.dtype != np.uint8:
        _fail(name, f"encoded samples are bytes (uint8), not {block.dtype}")
    if block.offsets is None:
        _fail(name, f"a {block.layout} block needs offsets")
    _check_offsets(block.offsets, block.items, name, "offsets")
    if block.shapes is not None:
        _check_column(block.shapes, np.int64, 2, block.items, name, "shapes")
        if block.shapes.shape[1] == 0 or block.shapes.shape[1] > limits.MAX_NDIM:
            _fail(name, f"shapes have {block.shapes.shape[1]} axes; 1 to {limits.MAX_NDIM} can be stored")
        if block.items and int(block.shapes.min()) < 0:
            _fail(name, "a shape has a negative length")
        if block.layout == "ragged" and not np.array_equal(block.shapes.prod(axis=1), np.diff(block.offsets)):
            _fail(name, "a sample's shape and its number of elements do not agree")
    return int(block.offsets[-1])


def _check_offsets(offsets: Array, length: int, name: str, column: str) -> None:
    _check_column(offsets, np.int64, 1, length + 1, name, column)
    if offsets[0] != 0 or bool((offsets[1:] < offsets[:-1]).any()):
        _fail(name, f"{column} must begin with 0 and never fall")


def _check_column(values: Array, dtype: type, ndim: int, length: int | None, name: str, column: str) -> None:
    if values.dtype != dtype or values.ndim != ndim:
        found = f"{values.ndim}-dimensional {values.dtype}"
        _fail(name, f"{column} must be {ndim}-dimensional {dtype.__name__}, not {found}")
    if length is not None and len(values) != length:
        _fail(name, f"{column} has {len(values)} entries; {length} were expected")


def _pieces(block: Block, length: int, name: str) -> Pieces:
    values, shape = block.values, (length, *block.shape)
    types = set(map(type, values))
    has_bytes = block.layout == "encoded" and bytes in types
    arrays = [value for value in values if not isinstance(value, bytes)] if has_bytes else values
    for found in types - ({bytes} if has_bytes else set()):
        if not issubclass(found, np.ndarray):
            _fail(
                name, f"values must be arrays{', or bytes' if block.layout == 'encoded' else ''}, not {found.__name__}"
            )
    for dtype in set(map(_dtype, arrays)):
        if dtype != block.dtype:
            _fail(name, f"values are {block.dtype}, yet a piece is {dtype}")
    if block.offsets is not None and len(values) == len(block.offsets) - 1 and len(values) > _MANY:
        # One piece for each sample: looking into each for its length would take longer than copying them. NumPy
        # compares these lengths with the pieces' own while it copies, but for the end of the last.
        if len(values[-1]) != int(block.offsets[-1] - block.offsets[-2]):
            _fail(name, f"the last piece is {len(values[-1])} long; the offsets say otherwise")
        return Pieces(values, np.diff(block.offsets), shape, has_bytes)
    for found_shape in {value.shape[1:] if value.ndim else None for value in arrays}:  # type: ignore[union-attr]
        if found_shape != block.shape:
            _fail(name, f"a piece is an array (n, *{found_shape}), not (n, *{block.shape})")
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    if int(lengths.sum()) != length:
        _fail(name, f"the values are {int(lengths.sum())} long along axis 0; {length} were expected")
    return Pieces(values, lengths, shape, has_bytes)


def _fail(name: str, reason: str) -> NoReturn:
    raise InvalidBlockError(f"tensor {name}: {reason}. Nothing was written.")
