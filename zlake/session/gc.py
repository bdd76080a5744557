"""Collecting the garbage of a dataset."""

from __future__ import annotations

from datetime import timedelta

from zlake.errors import ReadOnlyModeError
from zlake.session.session import Session, alone
from zlake.storage import fork
from zlake.versions import gc
from zlake.versions.gc_report import GcReport


@alone
def collect(session: Session, grace: timedelta | float | None, dry_run: bool) -> GcReport:
    """Delete what nothing has needed for the grace period; the snapshot that this session stands at stays."""
    if session.read_only and not dry_run:
        raise ReadOnlyModeError(
            f"{session.store.url} is open read-only; load it with read_only=False, or pass dry_run=True to look only"
        )
    fork.check_script()
    return gc.collect(session.repository, grace, dry_run=dry_run, sessions=(session.head.snapshot.id,))
