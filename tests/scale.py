"""How many cases the proofs run: the counts of continuous integration, or ten times those (`make test-scale`).

A test that has a time limit of its own multiplies it too: ``@pytest.mark.timeout(600 * SCALE)``.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

SCALE = int(os.environ.get("ZLAKE_SCALE", "1"))


def times(count: int) -> int:
    """Return how many cases to run where continuous integration runs ``count``."""
    return count * SCALE


def histories(count: int, steps: int) -> settings:
    """Return the settings of random histories; one that fails is printed so that it can be made again.

    Hypothesis takes up to five minutes to make a failing history shorter. Only `make test-scale` has the time: a test
    that is ended after three says nothing of what failed.
    """
    return settings(
        max_examples=times(count),
        stateful_step_count=steps,
        deadline=None,
        print_blob=True,
        phases=[Phase.generate] if SCALE == 1 else list(Phase),
        suppress_health_check=list(HealthCheck),
    )
