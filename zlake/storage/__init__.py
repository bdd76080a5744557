"""From a URL to bytes: one key-value interface over local files, memory, object stores, HTTP and fsspec."""

from __future__ import annotations

from zlake.storage.open import open_store
from zlake.storage.store import (
    Buffer,
    Capabilities,
    Lost,
    ObjectInfo,
    Request,
    Store,
    Versioned,
    Written,
)

__all__ = [
    "Buffer",
    "Capabilities",
    "Lost",
    "ObjectInfo",
    "Request",
    "Store",
    "Versioned",
    "Written",
    "open_store",
]
