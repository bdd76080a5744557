"""Amazon S3 and the services that speak its protocol."""
# The methods are documented once, in Store.
# ruff: noqa: D102

from __future__ import annotations

import os
from typing import Any, Final

from zlake.storage import kv
from zlake.storage.buckets import BucketStore, missing_package
from zlake.storage.origin import Origin
from zlake.storage.store import Capabilities

_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_REGIONS: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")


class S3Store(BucketStore):
    """Objects in an S3 bucket; writes are always conditional, and a probe tells whether the service honours that."""

    def __init__(self, origin: Origin) -> None:
        super().__init__(origin)
        self.capabilities = Capabilities(writable=not origin.read_only)

    @property
    def endpoint(self) -> str | None:
        """URL of the service where it is not Amazon's own."""
        return self.origin.creds.public.get("endpoint_url") or _from_environment(_ENDPOINTS)

    @property
    def region(self) -> str | None:
        """Region of the bucket where it was given; Amazon's service is asked for it otherwise."""
        return self.origin.creds.public.get("aws_region") or _from_environment(_REGIONS)

    def driver_spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = {"driver": "s3", "bucket": self.origin.location.root, "use_conditional_write": True}
        if self.endpoint:
            spec["endpoint"] = self.endpoint.rstrip("/")
        if self.region or self.endpoint:
            spec["aws_region"] = self.region or "us-east-1"
        if provider := self._provider():
            spec["aws_credentials"] = provider
        return spec

    def _provider(self) -> dict[str, str]:
        creds = self.origin.creds
        if creds.public.get("anonymous"):
            return {"type": "anonymous"}
        if file := creds.file():
            # TensorStore takes no keys by value: it reads them from the private file. There must be a config file too.
            return {"type": "profile", "profile": creds.profile, "credentials_file": file, "config_file": os.devnull}
        if profile := creds.public.get("profile_name"):
            return {"type": "profile", "profile": profile}
        return {}

    def _confirm_absent(self, key: str) -> None:
        kv.confirm_absent(self.kv, self.url, key)

    def open_filesystem(self) -> Any:
        try:
            from s3fs import S3FileSystem
        except ImportError as error:
            raise missing_package("s3", "s3") from error

        creds = self.origin.creds
        secrets = creds.secrets()
        return S3FileSystem(
            anon=bool(creds.public.get("anonymous")),
            key=secrets.get("aws_access_key_id"),
            secret=secrets.get("aws_secret_access_key"),
            token=secrets.get("aws_session_token"),
            profile=creds.public.get("profile_name"),
            endpoint_url=self.endpoint,
            client_kwargs={"region_name": self.region} if self.region else {},
            use_listings_cache=False,
            skip_instance_cache=True,
        )


def _from_environment(names: tuple[str, ...]) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)
