"""What histories are drawn from: their strategies and their seed alone."""

from __future__ import annotations

import pytest
from hypothesis.internal.conjecture.providers import HypothesisProvider


@pytest.fixture(autouse=True)
def _no_constants(monkeypatch):
    # Hypothesis draws numbers that stand in the modules of a project, of those that are loaded at the moment: other
    # histories for every selection of tests, so that one that fails among all tests would not be drawn alone.
    monkeypatch.setattr(HypothesisProvider, "_maybe_draw_constant", lambda *_, **__: None)
