"""Google Cloud Storage."""
# The methods are documented once, in Store.
# ruff: noqa: D102

from __future__ import annotations

import os
from typing import Any

from zlake.storage.buckets import BucketStore, filesystem_class
from zlake.storage.origin import Origin
from zlake.storage.store import Capabilities


class GcsStore(BucketStore):
    """Objects in a bucket of Google Cloud Storage. Credentials are what Google's libraries find in the environment."""

    def __init__(self, origin: Origin) -> None:
        super().__init__(origin)
        self.capabilities = Capabilities(writable=not origin.read_only)

    def driver_spec(self) -> dict[str, Any]:
        return {"driver": "gcs", "bucket": self.origin.location.root}

    def filesystem(self) -> Any:
        # The same emulator as TensorStore's, if there is one.
        emulator = os.environ.get("TENSORSTORE_GCS_HTTP_URL") or os.environ.get("STORAGE_EMULATOR_HOST")
        options = {"endpoint_url": emulator, "token": "anon"} if emulator else {}
        return filesystem_class("gcs", "gcs")(**options, use_listings_cache=False, skip_instance_cache=True)
