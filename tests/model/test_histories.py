"""Histories of both writers, drawn at random; each prints how to make it again if it fails.

There are several tests so that none of them takes long; what a test draws goes by the name of its class.
"""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

from tests.model.base import TIGHT
from tests.model.copies import CopyRules
from tests.model.merging import MergeRules
from tests.scale import SCALE, times


def histories(count: int) -> settings:
    return settings(
        max_examples=times(count),
        stateful_step_count=60,
        deadline=None,
        derandomize=SCALE == 1,
        database=None,
        print_blob=True,
        # making a failing history shorter takes longer than a test may; `make test-scale` has the time
        phases=[Phase.generate] if SCALE == 1 else list(Phase),
        suppress_health_check=list(HealthCheck),
    )


class Merges(MergeRules):
    """Everything that two writers can do to one dataset, but for collecting garbage."""


class First(CopyRules):
    """Everything."""


class Second(CopyRules):
    """Everything, with pages of few extents and commits."""

    tight = TIGHT


class Third(CopyRules):
    """As the first."""


class Fourth(CopyRules):
    """As the second."""

    tight = TIGHT


TestMerges = Merges.TestCase
TestMerges.settings = histories(80)
TestFirst = First.TestCase
TestFirst.settings = histories(50)
TestSecond = Second.TestCase
TestSecond.settings = histories(50)
TestThird = Third.TestCase
TestThird.settings = histories(50)
TestFourth = Fourth.TestCase
TestFourth.settings = histories(50)
