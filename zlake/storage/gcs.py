"""Google Cloud Storage."""
# The methods are documented once, in Store.
# ruff: noqa: D102

from __future__ import annotations

import os
from typing import Any

from zlake.storage.buckets import BucketStore, missing_package
from zlake.storage.origin import Origin
from zlake.storage.store import Capabilities


class GcsStore(BucketStore):
    """Objects in a bucket of Google Cloud Storage; credentials are what Google's libraries find in the environment.

    Reads and listings cannot tell a missing bucket from an empty one, because TensorStore does not; creating names it.
    """

    def __init__(self, origin: Origin) -> None:
        super().__init__(origin)
        self.capabilities = Capabilities(writable=not origin.read_only)

    def driver_spec(self) -> dict[str, Any]:
        return {"driver": "gcs", "bucket": self.origin.location.root}

    def open_filesystem(self) -> Any:
        try:
            # The package's own default looks up each bucket's kind first, over gRPC.
            from gcsfs.core import GCSFileSystem
        except ImportError as error:
            raise missing_package("gs", "gcs") from error

        # The same emulator as TensorStore's, if there is one.
        emulator = os.environ.get("TENSORSTORE_GCS_HTTP_URL") or os.environ.get("STORAGE_EMULATOR_HOST")
        options = {"endpoint_url": emulator, "token": "anon"} if emulator else {}
        return GCSFileSystem(**options, use_listings_cache=False, skip_instance_cache=True)
