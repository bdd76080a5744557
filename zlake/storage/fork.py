"""Notice a fork before TensorStore does, which would abort the child; and scripts that a worker process runs again."""

from __future__ import annotations

import os
import sys

from zlake.errors import ForkError


class _State:
    used = False
    broken = False
    started = False  # whether this process is known to have got as far as its own work


def _in_child() -> None:
    _State.broken = _State.used
    _State.started = False


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


def check_script() -> None:
    """Refuse to write while a worker process imports the script that started it.

    Raises
    ------
    ForkError
        If that is so: the script would do again what it does at its top level, such as overwriting a dataset.
    """
    if _State.started:
        return
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None and getattr(processes.current_process(), "_inheriting", False):
        raise ForkError(
            "a worker process is importing this script again to find its functions, and the script writes to a dataset "
            "at its top level, which would be done twice; put what it does under: if __name__ == '__main__':"
        )
    _State.started = True
