"""What it takes to open a store again, and what every store shares because of it."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from zlake.context import Context
from zlake.errors import ReadOnlyModeError
from zlake.storage import fork
from zlake.storage.creds import Credentials
from zlake.storage.keys import check_key
from zlake.storage.store import Store
from zlake.storage.url import Location


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a store lies and how it was opened; travels in pickles instead of the open store."""

    location: Location
    creds: Credentials = field(default_factory=Credentials)
    context: Context = field(default_factory=Context)
    read_only: bool = False


class OriginStore(Store, ABC):
    """A store that can be opened again from its `Origin`."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.url = origin.location.url

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        from zlake.storage.open import open_origin

        return open_origin, (self.origin,)

    def _check(self, key: str) -> None:
        fork.check()
        check_key(key)

    def _check_write(self, key: str) -> None:
        self._check(key)
        if self.origin.read_only:
            raise ReadOnlyModeError(f"{self.url} was opened read-only, so {key!r} cannot be written or deleted")
        if not self.capabilities.writable:
            raise ReadOnlyModeError(f"{self.url}: this kind of storage can only be read; {key!r} cannot be written")
