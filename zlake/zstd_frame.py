"""What a Zstandard frame says about itself (RFC 8878, section 3.1.1)."""

from __future__ import annotations

HEADER_BYTES = 18
"""No frame header is longer."""
_MAGIC = b"\x28\xb5\x2f\xfd"


def content_size(head: bytes) -> int:
    """Return how many bytes a frame claims to hold, or -1 if it is none, is cut off, or does not say.

    Parameters
    ----------
    head
        At least the first `HEADER_BYTES` bytes of the frame, or all of it.
    """
    if head[:4] != _MAGIC or len(head) < 6:
        return -1
    descriptor = head[4]
    single_segment = descriptor >> 5 & 1
    start = 5 + (1 - single_segment) + (0, 1, 2, 4)[descriptor & 3]
    width = (single_segment, 2, 4, 8)[descriptor >> 6]
    if not width or len(head) < start + width:
        return -1
    return int.from_bytes(head[start : start + width], "little") + (256 if width == 2 else 0)
