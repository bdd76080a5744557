"""The lease of an ingest, looked after for as long as the ingest goes on."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Final

from zlake.errors import LeaseLapsedError, StorageError
from zlake.versions.lease import Lease

_LOOK_SECONDS: Final = 3600.0
"""How often to look whether the lease is to be renewed."""


class Upkeep(threading.Thread):
    """Renews a lease while the process waits for its workers.

    Parameters
    ----------
    lease
        The lease; None for none.
    """

    def __init__(self, lease: Lease | None) -> None:
        super().__init__(name="zlake-ingest", daemon=True)
        self.lapsed: LeaseLapsedError | None = None
        self._lease = lease
        self._stopped = threading.Event()
        self._turn = threading.Lock()
        if lease is not None:
            self.start()

    def run(self) -> None:
        """Look now and then, until there is no more need to."""
        assert self._lease is not None
        while not self._stopped.wait(_LOOK_SECONDS):
            with self._turn, suppress(StorageError, LeaseLapsedError):  # the next look, or the commit, finds out
                if self._lease.due and not self._stopped.is_set():
                    self.renew(self._lease)

    def renew(self, lease: Lease) -> None:
        """Renew it, and remember for good if it had lapsed."""
        try:
            lease.renew()
        except LeaseLapsedError as error:
            self.lapsed = error
            raise

    def forget(self) -> None:
        """End some day: nobody commits what the lease keeps any more, and it lapses by itself."""
        self._stopped.set()

    def stop(self) -> None:
        """Let the lease be, from now on."""
        with self._turn:
            self._stopped.set()
