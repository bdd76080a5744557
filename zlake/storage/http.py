"""Datasets behind a plain web server, to read."""
# The methods are documented once, in Store.
# ruff: noqa: D102

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zlake.errors import UnsupportedOperationError
from zlake.storage.origin import Origin
from zlake.storage.store import Capabilities, ObjectInfo
from zlake.storage.tensorstore_store import TensorStoreStore


class HttpStore(TensorStoreStore):
    """Objects below a URL; read-only, without listings."""

    def __init__(self, origin: Origin) -> None:
        super().__init__(origin)
        self.capabilities = Capabilities(writable=False, conditional=False, listable=False)

    def driver_spec(self) -> dict[str, Any]:
        location = self.origin.location
        return {"driver": "http", "base_url": f"{location.scheme}://{location.root}"}

    def tensorstore_spec(self, prefix: str) -> tuple[dict[str, Any], Any]:
        spec, context = super().tensorstore_spec(prefix)
        return {**spec, "path": f"/{spec['path']}"}, context

    def list(self, prefix: str = "") -> Iterator[str]:
        raise UnsupportedOperationError(f"{self.url}: a web server cannot be asked which objects it has")

    def list_info(self, prefix: str = "") -> Iterator[ObjectInfo]:
        raise UnsupportedOperationError(f"{self.url}: a web server cannot be asked which objects it has")
