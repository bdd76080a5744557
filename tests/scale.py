"""How many cases the proofs run: the counts of continuous integration, or ten times those (`make test-scale`).

A test that has a time limit of its own multiplies it too: ``@pytest.mark.timeout(600 * SCALE)``.
"""

from __future__ import annotations

import os

SCALE = int(os.environ.get("ZLAKE_SCALE", "1"))


def times(count: int) -> int:
    """Return how many cases to run where continuous integration runs ``count``."""
    return count * SCALE
