"""Histories of both writers, drawn at random; each prints how to make it again if it fails.

There are several tests so that none of them takes long; what a test draws goes by the name of its class.
"""

from __future__ import annotations

from hypothesis import settings

from tests.model.base import TIGHT
from tests.model.copies import CopyRules
from tests.model.merging import MergeRules
from tests.scale import SCALE, histories


def drawn(count: int) -> settings:
    """Return the settings of histories that are the same in each run of the suite."""
    return settings(histories(count, 60), derandomize=SCALE == 1, database=None)


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
TestMerges.settings = drawn(80)
TestFirst = First.TestCase
TestFirst.settings = drawn(50)
TestSecond = Second.TestCase
TestSecond.settings = drawn(50)
TestThird = Third.TestCase
TestThird.settings = drawn(50)
TestFourth = Fourth.TestCase
TestFourth.settings = drawn(50)
