"""From a URL to bytes: one key-value interface over local files, memory, object stores, HTTP and fsspec."""

from __future__ import annotations

import os

# TensorStore reads these when it is imported, and would wait minutes for a host that does not answer.
os.environ.setdefault("TENSORSTORE_CURL_CONNECT_TIMEOUT_SECONDS", "15")
os.environ.setdefault("TENSORSTORE_CURL_LOW_SPEED_TIME_SECONDS", "60")
os.environ.setdefault("TENSORSTORE_CURL_LOW_SPEED_LIMIT_BYTES", "1")

from zlake.storage.open import open_store
from zlake.storage.probe import probe
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
    "probe",
]
