"""Byte ranges as every store reads them: like slices, they never reach beyond an object's end."""

from __future__ import annotations


def byte_range(start: int, stop: int | None) -> slice | None:
    """Return the range as TensorStore takes it, or None where it is empty whatever the object's size.

    Raises
    ------
    ValueError
        If the range ends before it starts, or counts from the end and has a stop as well.
    """
    if start < 0:
        if stop is not None:
            raise ValueError(f"a range from the end ({start}) goes to the end: it takes no stop, got {stop}")
        return slice(start, None)
    if stop is None:
        return slice(start, None) if start else slice(None)
    if stop < start:
        raise ValueError(f"the range [{start}, {stop}) ends before it starts")
    return None if stop == start else slice(start, stop)


def resolve(size: int, start: int, stop: int | None) -> tuple[int, int]:
    """Return the absolute range ``[first, end)`` within an object of ``size`` bytes."""
    first = max(0, size + start) if start < 0 else min(start, size)
    end = size if stop is None else min(stop, size)
    return first, max(first, end)


def cut(whole: bytes, wanted: slice) -> bytes:
    """Return the part of a whole object that a range asks for."""
    return whole[wanted]
