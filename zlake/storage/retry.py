"""Try again what is safe to try again, at random moments so that many clients do not come back together."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from zlake.storage import failure

T = TypeVar("T")

ATTEMPTS: Final = 4
FIRST_SECONDS: Final = 0.05
LONGEST_SECONDS: Final = 2.0

# The jitter must differ between processes that were seeded alike.
_random = random.SystemRandom()


def delays(attempts: int = ATTEMPTS) -> Iterator[float]:
    """Yield the pauses between attempts, in seconds: full jitter below a doubling bound.

    Ask for one when it is needed: to draw it takes as long as a small read from memory.
    """
    for attempt in range(attempts - 1):
        yield _random.uniform(0, min(LONGEST_SECONDS, FIRST_SECONDS * 2**attempt))


def sleep(seconds: float) -> None:
    """Pause; apart, so that tests can count pauses instead of waiting."""
    time.sleep(seconds)


def run(call: Callable[[], T], *, action: str, url: str, key: str = "") -> T:
    """Return the call's result, trying again while the storage is away.

    Only for calls that may run twice: reads, listings, deletes.

    Raises
    ------
    StorageError
        What the last attempt raised, translated.
    """
    pauses = delays()
    while True:
        try:
            return call()
        except Exception as error:
            # TensorStore's drivers for object stores have tried again already.
            again = failure.is_unsure(error) and "retry attempts failed" not in str(error)
            pause = next(pauses, None) if again else None
            if pause is None:
                raise failure.translate(error, action=action, url=url, key=key) from error
        sleep(pause)
