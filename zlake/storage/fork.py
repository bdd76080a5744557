"""Notice a fork before TensorStore does: it would abort the child."""

from __future__ import annotations

import os

from zlake.errors import ForkError


class _State:
    used = False
    broken = False


def _in_child() -> None:
    _State.broken = _State.used


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def check() -> None:
    """Refuse to go on in a forked child of a process that had used TensorStore.

    Raises
    ------
    ForkError
        If this process is such a child. TensorStore's threads did not survive the fork, and its next call would abort.
    """
    if _State.broken:
        raise ForkError(
            "this process was forked from one that had already read or written through zlake, whose threads did not "
            "survive the fork; start workers with the 'forkserver' or 'spawn' method, or open datasets after the fork"
        )
    _State.used = True
