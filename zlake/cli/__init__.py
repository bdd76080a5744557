"""The command ``zlake``: look at datasets from a terminal. It never writes to one."""

from zlake.cli.main import main

__all__ = ["main"]
