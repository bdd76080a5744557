"""The lease of a session that stays open for days: collectors of garbage leave alone what it reads."""

from __future__ import annotations

import math
import threading
from typing import Final

from zlake import limits
from zlake.context import Context
from zlake.errors import LeaseLapsedError, StorageError
from zlake.storage.store import Store
from zlake.versions.lease import Lease

_AFTER: Final = limits.GC_GRACE_SECONDS / 4
"""Seconds after which a session takes a lease, and renews it: long before anything that it reads is collected."""


class Keeper:
    """Takes a lease when a session has been open long, and renews it.

    Parameters
    ----------
    store, context
        Of the session.
    wanted
        Whether to take one at all: a session whose user wants nothing written takes none.
    """

    def __init__(self, store: Store, context: Context, *, wanted: bool) -> None:
        self.wanted = wanted and store.capabilities.writable
        self.lease: Lease | None = None
        self._store = store
        self._context = context
        self._due = context.monotonic() + _AFTER if self.wanted else math.inf
        self._turn = threading.Lock()

    def keep(self, snapshot: str) -> None:
        """Make sure that a snapshot stays, if it is time to; costs nothing otherwise.

        A lease that cannot be written is no error: the session goes on, and tries again later.
        """
        if self._context.monotonic() < self._due or not snapshot or not self._turn.acquire(blocking=False):
            return
        try:
            self._due = self._context.monotonic() + _AFTER
            if self.lease is None:
                self.lease = Lease.take(self._store, self._context, snapshot, writing=False)
            else:
                self.lease.renew(snapshot)
        except (StorageError, LeaseLapsedError):
            pass  # whatever is missing by now is named by the read that needs it
        finally:
            self._turn.release()
