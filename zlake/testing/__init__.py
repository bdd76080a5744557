"""For tests of zlake and of what is built on it.

`FaultStore` breaks and records storage; `zlake.testing.store_tests.StoreTests` is the suite that every
`zlake.storage.Store` must pass (it needs pytest, so it is not imported here).
"""

from __future__ import annotations

from zlake.testing.faults import Fault, FaultStore, ProcessEnded, nth, on, since
from zlake.testing.recorder import OPERATIONS, Operation, Recorder

__all__ = ["OPERATIONS", "Fault", "FaultStore", "Operation", "ProcessEnded", "Recorder", "nth", "on", "since"]
