"""The format: its documents, their bytes, keys, names and conventions. No I/O."""

from __future__ import annotations

from zlake.format.codec import decode, encode
from zlake.format.seal import check_seal, seal

__all__ = ["check_seal", "decode", "encode", "seal"]
