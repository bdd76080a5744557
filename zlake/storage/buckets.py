"""What S3 and Google Cloud Storage have in common: buckets that may be missing, and listings with times from fsspec."""
# The methods are documented once, in Store.
# ruff: noqa: D102

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from typing import Any

from zlake.errors import MissingDependencyError
from zlake.storage import fork, retry
from zlake.storage.keys import check_prefix, is_key
from zlake.storage.store import ObjectInfo
from zlake.storage.tensorstore_store import TensorStoreStore


class BucketStore(TensorStoreStore):
    """Objects below a prefix of a bucket."""

    @abstractmethod
    def open_filesystem(self) -> Any:
        """Return fsspec's file system for the bucket, without its cache of listings."""

    @cached_property
    def _filesystem(self) -> Any:
        # One for all listings: making one, with its connections, takes longer than most of them.
        return self.open_filesystem()

    def list_info(self, prefix: str = "") -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        fork.check()
        root = f"{self.origin.location.root}/{self.origin.location.prefix}"
        folder, _, name = prefix.rpartition("/")
        path = f"{root}{folder}".rstrip("/")
        found = retry.run(lambda: self._find(path, name), action="list", url=self.url, key=prefix)
        for full in sorted(found):
            key = full[len(root) :]
            if key.startswith(prefix) and is_key(key):
                entry = found[full]
                yield ObjectInfo(key, int(entry["size"]), modified_seconds(entry))

    def _find(self, path: str, name: str) -> dict[str, dict[str, Any]]:
        result: dict[str, dict[str, Any]] = self._filesystem.find(path, prefix=name, detail=True)
        return result


def missing_package(protocol: str, extra: str) -> MissingDependencyError:
    """Return the error that tells how to get the package that lists times."""
    return MissingDependencyError(
        f"the times of objects on {protocol}:// come from a package that is not installed: pip install 'zlake[{extra}]'"
    )


def modified_seconds(entry: dict[str, Any]) -> float:
    """Return when an object was written, in seconds since the epoch by the storage's clock; 0.0 if it is not told."""
    for name in ("LastModified", "last_modified", "mtime", "updated", "modified", "created", "timeCreated"):
        value = entry.get(name)
        if isinstance(value, str):
            return datetime.fromisoformat(value).timestamp()
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, (int, float)):
            return float(value)
    return 0.0
