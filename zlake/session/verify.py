"""Checking a whole dataset."""

from __future__ import annotations

from zlake.session.session import Session
from zlake.versions.report import Report
from zlake.versions.verify import verify_repository


def verify(session: Session, deep: bool, progressbar: bool) -> Report:
    """Check every object that the dataset's refs reach; with ``deep`` every checksum of every sample."""
    return verify_repository(session.repository, deep=deep, progressbar=progressbar)
