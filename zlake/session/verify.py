"""Checking a whole dataset."""

from __future__ import annotations

from typing import Any

from zlake.session.session import Session


def verify(session: Session, deep: bool, progressbar: bool) -> Any:
    """Check every object that the dataset's refs reach; with ``deep`` every checksum of every sample."""
    from zlake.versions.verify import verify_repository

    return verify_repository(session.repository, deep=deep, progressbar=progressbar)
