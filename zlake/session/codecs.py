"""Which codec chain the values of a tensor get."""

from __future__ import annotations

from zlake.session.column import Column

_FAST = "zstd"
_CHAINS = {"lz4": "blosc"}  # Zarr has no plain lz4 chain; our blosc chain is lz4 with shuffled bytes


def codec(column: Column) -> str:
    """Return the codec chain of a column's values, by name: numbers are stored raw unless asked otherwise."""
    chosen = column.state.chunk_compression
    if chosen is not None:
        return _CHAINS.get(chosen, chosen)
    return _FAST if column.htype.document else "raw"
