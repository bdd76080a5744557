"""Histories of both writers, drawn at random; each prints how to make it again if it fails."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.model.merging import MergeRules
from tests.scale import SCALE, times


class History(MergeRules):
    """Everything that two writers can do to a dataset in memory."""


TestHistory = History.TestCase
TestHistory.settings = settings(
    max_examples=times(200),
    stateful_step_count=60,
    deadline=None,
    derandomize=SCALE == 1,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
